"""Which workers live. They announce themselves every few seconds and count as gone when they stop."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.job import JobError
from workers.jobs.versions import Version

#: A worker that was silent for this long counts as gone.
WORKER_TTL_SECONDS = 20

#: A model that nobody said to serve for so long is not served. Services and workers say it at least every minute.
UNSERVED_SECONDS = 180.0

WorkerState = Literal["loading", "idle", "busy", "draining", "failed"]
#: The states in which a worker takes the jobs of its models, now or when the one that it runs has ended.
TAKES_JOBS: frozenset[WorkerState] = frozenset({"idle", "busy"})


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A live worker.

    models: those that it takes jobs of now.
    beat_age_seconds: how long ago it was heard.
    serves: the models that it is there for, whether they are loaded or not, with what each is loaded with.
    problem: why it takes no jobs at all. problems: why it takes none of some models, by their names.
    doing: what it does while it is idle.
    most_running_of_tenant: it takes no job of a tenant that has as many running; 0 for any number.
    versions: what it computes with, by model.
    """

    name: str
    models: tuple[str, ...]
    state: WorkerState
    beat_age_seconds: float
    serves: Mapping[str, str]
    problem: JobError | None
    problems: Mapping[str, JobError]
    doing: str | None = None
    most_running_of_tenant: int = 0
    versions: Mapping[str, Version] = field(default_factory=dict)

    def takes(self, model: str) -> bool:
        """Whether it takes jobs of the model."""
        return self.state in TAKES_JOBS and model in self.models

    def problem_with(self, model: str) -> JobError | None:
        """Why it takes no jobs of a model that it is there for; None where nothing is known to be wrong."""
        return self.problems.get(model, self.problem) if model in self.serves else None


class _Problem(BaseModel):
    code: str
    message: str


class _Announced(BaseModel):
    """Unknown keys of a newer version are passed over."""

    name: str
    models: tuple[str, ...]
    state: WorkerState
    serves: dict[str, str] = {}
    problem: _Problem | None = None
    problems: dict[str, _Problem] = {}
    doing: str | None = None
    most_running_of_tenant: int = 0
    versions: dict[str, Version] = {}


def _error_of(problem: _Problem | None) -> JobError | None:
    return None if problem is None else JobError(code=problem.code, message=problem.message)


_UNREADABLE = _Problem(code="announcement_unreadable", message="what it announced is damaged, or of another version")


class Presence:
    """The workers' side of this is `announce` and `leave`, the service's is `workers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def announce(
        self,
        name: str,
        models: Sequence[str],
        state: WorkerState,
        serves: Mapping[str, str] = MappingProxyType({}),
        problem: JobError | None = None,
        problems: Mapping[str, JobError] = MappingProxyType({}),
        doing: str | None = None,
        most_running_of_tenant: int = 0,
        versions: Mapping[str, Version] = MappingProxyType({}),
    ) -> None:
        """Say that the worker lives, and what it does. Raises `QueueUnavailable`."""
        info: dict[str, Any] = {"name": name, "models": list(models), "state": state, "doing": doing}
        failed = {model: each.model_dump() for model, each in problems.items()}
        info |= {"serves": dict(serves), "problem": problem and problem.model_dump(), "problems": failed}
        info |= {"versions": {model: asdict(version) for model, version in versions.items()}}
        text = json.dumps(info | {"most_running_of_tenant": most_running_of_tenant})
        self._announce(name, text, WORKER_TTL_SECONDS)

    def serve(self, models: Sequence[str]) -> None:
        """Say that these models are served, whether jobs of them can run now or not. Raises `QueueUnavailable`."""
        self._connection.run(scripts.Serve(keys.MODELS, tuple(models)))

    def unserved(self, for_seconds: float = UNSERVED_SECONDS) -> list[str]:
        """The models whose jobs may still be there although nobody has said for so long that they are served. Raises
        `QueueUnavailable`."""
        return self._connection.run(scripts.Unserved(keys.MODELS, for_seconds))

    def forget(self, model: str) -> None:
        """Nothing of a model is there any more. Raises `QueueUnavailable`."""
        with self._connection.asking():
            self._connection.commands.zrem(keys.MODELS, model)

    def leave(self, name: str) -> None:
        """Say that the worker ends, so that nobody waits for it to be missed. Raises `QueueUnavailable`."""
        self._announce(name, "", 0)

    def workers(self) -> list[WorkerInfo]:
        """The live workers, by name. Raises `QueueUnavailable`."""
        reply = self._connection.run(scripts.Workers(keys.WORKER_BEATS, keys.WORKER_INFOS))
        infos = []
        for name, text, seconds_left in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
            age = max(0.0, WORKER_TTL_SECONDS - float(seconds_left))
            try:
                said = _Announced.model_validate_json(text)
            except ValueError:  # Of another version, or of another program: it lives, but nothing counts on it.
                said = _Announced(name=name, models=(), state="failed", problem=_UNREADABLE)
            problem = _error_of(said.problem)
            problems = {model: JobError(code=each.code, message=each.message) for model, each in said.problems.items()}
            more = problem, problems, said.doing, said.most_running_of_tenant, said.versions
            infos.append(WorkerInfo(said.name, said.models, said.state, age, said.serves, *more))
        return sorted(infos, key=lambda worker: worker.name)

    def _announce(self, name: str, info: str, ttl_seconds: int) -> None:
        self._connection.run(scripts.Announce(keys.WORKER_BEATS, keys.WORKER_INFOS, name, info, ttl_seconds))
