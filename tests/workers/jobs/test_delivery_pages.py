"""Pages of a tenant's messages, also where the records of most have expired."""

import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_request
from workers.jobs import keys
from workers.jobs.deliveries import Deliveries
from workers.jobs.job import JobKey, Priority, new_job_id

pytestmark = every_redis


def test_what_has_expired_is_passed_over_in_few_steps(queue: Queue, raw: "redis.Redis") -> None:
    key = JobKey(TENANT, new_job_id(MODEL))
    queue.jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={}, webhook_url="https://a.example")
    oldest = queue.jobs.cancel(key).webhook_id
    later = raw.time()[0] + 9
    expired = {f"msg_{MODEL}_{number:032x}": later + number for number in range(300)}
    raw.zadd(keys.deliveries(MODEL, TENANT), expired)
    raw.config_resetstat()
    page, more = Deliveries(queue.connection).page(TENANT, [MODEL], after=None, limit=2)
    assert ([delivery.id for delivery in page], more) == ([oldest], False)
    assert raw.info("commandstats")["cmdstat_zrange"]["calls"] <= 4
