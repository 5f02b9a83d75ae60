"""The names of the Redis keys that Python needs, and the type of what lies under each.

All keys of one model begin with its root and so lie in one slot of a Redis Cluster.
"""

import hashlib
from typing import NewType

from workers.jobs.errors import DeliveryNotFound, JobNotFound
from workers.jobs.job import Priority, model_of
from workers.jobs.messages import model_of_message

#: The name of a key, so that no other string is taken for one.
Key = NewType("Key", str)

RETRY_LANE = "retry"
#: In order of service, as in `common.lua`.
LANES = (RETRY_LANE, *Priority)

#: Sorted set of the workers' names by the Unix second at which each counts as gone. Workers serve several models, so
#: what they announce lies outside every model's slot, in one of its own.
WORKER_BEATS = Key("{workers}:beats")
#: Hash from a worker's name to what it announced, as JSON.
WORKER_INFOS = Key("{workers}:infos")

#: Sorted set of models by the Unix second at which each was last known to be served.
MODELS = Key("models")
#: String: the id of the folder of results that belongs to this Redis, see `store_binding.py`.
STORE = Key("store")

#: The start of the secrets that messages to receivers are signed with, see `service/webhook_secrets.py`.
WEBHOOKS = Key("{webhooks}")

#: The start of the preference studies, which lie in one slot; only the service has them, see `service/studies.py`.
STUDIES = Key("{studies}")
#: Channel: what happens to the jobs of all models, as it happens, see `live.py`.
LIVE = "live"

#: String, expiring: the append-only file was rewritten not long ago, see `append_only.py`.
REWRITTEN = Key("rewritten")

#: The start of all API keys, which lie in one slot; only the service has them, see `service/accounts.py`.
ACCOUNTS = Key("{accounts}")
#: Set: the ids of API keys, also of some whose time is over.
API_KEY_IDS = Key("{accounts}:ids")
#: String: proves which pepper the digests of the API keys were made with.
PEPPER_PROOF = Key("{accounts}:pepper")


def api_key(key_id: str) -> Key:
    """Hash: an API key, see `service/accounts.py`; gone when its time is over."""
    return Key(f"{ACCOUNTS}:key:{key_id}")


def root(model: str) -> Key:
    """The start of every key of a model; nothing lies under it. The braces say which part decides the slot."""
    return Key(f"{{q:{model}}}")


def root_of(job_id: str) -> Key:
    """The root of a job's keys. Raises `JobNotFound` for an id that cannot be one of ours."""
    model = model_of(job_id)
    if model is None:
        raise JobNotFound(f"there is no job {job_id!r}")
    return root(model)


def job(job_id: str) -> Key:
    """Hash: the job's record, see `records.py`. Raises `JobNotFound` for an id that cannot be one of ours."""
    return Key(f"{root_of(job_id)}:job:{job_id}")


def events(job_id: str) -> Key:
    """Stream: what happened to the job, see `events.py`. Raises `JobNotFound` for an id that cannot be one of ours."""
    return Key(f"{root_of(job_id)}:events:{job_id}")


def steps(job_id: str) -> Key:
    """Hash: what is known of a running job's steps. Raises `JobNotFound` for an id that cannot be one of ours."""
    return Key(f"{root_of(job_id)}:steps:{job_id}")


def preview(job_id: str) -> Key:
    """String: what a running job looks as if it will become. Raises `JobNotFound` for an id that cannot be ours."""
    return Key(f"{root_of(job_id)}:preview:{job_id}")


def tenant_jobs(model: str, tenant: str) -> Key:
    """Sorted set: the ids of a tenant's jobs by the Unix second of their creation."""
    return Key(f"{root(model)}:tenant:{tenant}")


def used(model: str) -> Key:
    """Hash: what each tenant has used of a model in all, see `usage.py`."""
    return Key(f"{root(model)}:used")


def used_on(model: str, tenant: str, day: int) -> Key:
    """Hash: what a tenant has used of a model on one day, in days since 1970 by UTC."""
    return Key(f"{used(model)}:{tenant}:{day}")


def waiting(model: str, tenant: str) -> Key:
    """Set: the ids of the tenant's queued jobs."""
    return Key(f"{root(model)}:waiting:{tenant}")


def running(model: str, tenant: str) -> Key:
    """Set: the ids of the tenant's running jobs."""
    return Key(f"{root(model)}:running:{tenant}")


def following(model: str, tenant: str) -> Key:
    """Set: the ids of the tenant's jobs that share a computation which runs."""
    return Key(f"{root(model)}:following:{tenant}")


def places(model: str, tenant: str) -> Key:
    """Sorted set: the ids of jobs that are gone from the tenant's list, by the Unix second of their creation."""
    return Key(f"{root(model)}:places:{tenant}")


def ended(model: str, tenant: str) -> tuple[Key, Key]:
    """Sorted sets: the ids of a tenant's jobs that have ended, completed and not, by the Unix second of that."""
    return Key(f"{root(model)}:completed:{tenant}"), Key(f"{root(model)}:fruitless:{tenant}")


def last_completed(model: str) -> Key:
    """Sorted set: the ids of the jobs of all tenants that were run and completed last, by the Unix second of that."""
    return Key(f"{root(model)}:last:completed")


def last_failed(model: str) -> Key:
    """Sorted set: the ids of the jobs of all tenants that failed last, by the Unix second of that."""
    return Key(f"{root(model)}:last:failed")


def pace(model: str) -> Key:
    """Sorted set: kinds of runs by the Unix second at which the last one was measured, see `pace.py`."""
    return Key(f"{root(model)}:pace")


def pace_of(model: str, kind: str) -> Key:
    """Sorted set: how long the last runs of a kind took, by the Unix second at which each ended."""
    return Key(f"{pace(model)}:{kind}")


def stream(model: str, lane: str) -> Key:
    """Stream: one entry with a job's id for each job that waits in the lane, or runs and came from it."""
    return Key(f"{root(model)}:stream:{lane}")


def queued(model: str, lane: str) -> Key:
    """Sorted set: the ids of the jobs that wait in the lane in the order in which they start, see `common.lua`."""
    return Key(f"{root(model)}:queued:{lane}")


def since(model: str, lane: str) -> Key:
    """Sorted set: the ids of the jobs that wait in the lane by the Unix second at which they entered it."""
    return Key(f"{root(model)}:since:{lane}")


def turns(model: str, lane: str) -> Key:
    """Hash: whose turn comes when in the lane, see `common.lua`."""
    return Key(f"{root(model)}:turns:{lane}")


def sharers(job_id: str) -> Key:
    """Sorted set: the ids of the jobs that have the job's result too, or are about to. Raises `JobNotFound` for an id
    that cannot be one of ours."""
    return Key(f"{root_of(job_id)}:sharers:{job_id}")


def leases(model: str) -> Key:
    """Sorted set: the ids of the running jobs by the Unix second at which each lease ends."""
    return Key(f"{root(model)}:leases")


def expiries(model: str) -> Key:
    """Sorted set: `<job id>:<tenant>` of ended and deleted jobs by the Unix second at which files and record go."""
    return Key(f"{root(model)}:expiries")


def dead(model: str) -> Key:
    """Stream: id and error of the last jobs that failed on every attempt they had."""
    return Key(f"{root(model)}:dead")


def aside(model: str) -> Key:
    """Stream: the last entries that were taken out of a set or stream because no job belongs to them."""
    return Key(f"{root(model)}:aside")


def delivery(message_id: str) -> Key:
    """Hash: a message that a job has ended, see `deliveries.py`. Raises `DeliveryNotFound` for what cannot be one."""
    return Key(f"{delivery_root(message_id)}:delivery:{message_id}")


def delivery_root(message_id: str) -> Key:
    """The root of a message's keys. Raises `DeliveryNotFound` for an id that cannot be one of ours."""
    model = model_of_message(message_id)
    if model is None:
        raise DeliveryNotFound(f"there is no delivery {message_id[:120]!r}")
    return root(model)


def deliveries(model: str, tenant: str) -> Key:
    """Sorted set: the ids of a tenant's messages by the Unix second of their creation."""
    return Key(f"{root(model)}:deliveries:{tenant}")


def undelivered(model: str) -> Key:
    """Sorted set: the ids of messages still to be delivered by the Unix second of their creation."""
    return Key(f"{root(model)}:undelivered")


def observations(model: str, fingerprint: str) -> Key:
    """List: what uncached runs of these weights have shown, see `observations.py`."""
    return Key(f"{root(model)}:observations:{fingerprint}")


def observed_requests(model: str, fingerprint: str) -> Key:
    """Sorted set: digests of the requests of these observations by the Unix second at which each is forgotten."""
    return Key(f"{root(model)}:observed:{fingerprint}")


def colours(model: str, fingerprint: str) -> Key:
    """String: how the previews of a model with these weights are coloured, see `colours.py`."""
    return Key(f"{root(model)}:colours:{fingerprint}")


def token_questions(model: str) -> Key:
    """List: prompts of which nobody has counted the tokens yet, see `token_counts.py`."""
    return Key(f"{root(model)}:token-questions")


def token_answer(model: str, question_id: str) -> Key:
    """List: the answer to such a question, for the few seconds in which it is waited for."""
    return Key(f"{root(model)}:token-answer:{question_id}")


def webhook_secrets(tenant: str) -> Key:
    """Hash: from the id of a secret to what is known of it."""
    return Key(f"{WEBHOOKS}:secrets:{tenant}")


def studies_of(tenant: str) -> Key:
    """Sorted set: the ids of a tenant's studies by the Unix second at which each expires."""
    return Key(f"{STUDIES}:of:{tenant}")


def study(study_id: str) -> Key:
    """String: a study, as JSON."""
    return Key(f"{STUDIES}:study:{study_id}")


def invitations(study_id: str) -> Key:
    """Hash: from the id of an invitation to what is known of it, as JSON."""
    return Key(f"{STUDIES}:invitations:{study_id}")


def votes(study_id: str, invitation_id: str) -> Key:
    """Hash: from `<ballot>:<pair>` to what was chosen."""
    return Key(f"{STUDIES}:votes:{study_id}:{invitation_id}")


def idempotency(tenant: str, key: str) -> Key:
    """String: fingerprint and job id of the first request with this key. Hashed, as clients' keys have any length."""
    return Key("idempotency:" + hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest())


def submissions(tenant: str) -> Key:
    """Hash: how many submissions a tenant has left, see `spend.lua`."""
    return Key(f"submissions:{tenant}")


def attempt_at(tenant: str, fingerprint: str) -> Key:
    """String: id of the last job that a request with this fingerprint made, for a retry that has no key of its own."""
    return Key("retry:" + hashlib.sha256(f"{tenant}\0{fingerprint}".encode()).hexdigest())
