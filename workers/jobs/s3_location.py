"""Where a bucket is, how to come there, and how long to wait for it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Config


@dataclass(frozen=True, slots=True)
class Waits:
    """How long one request to a store may take, in seconds, and a failed one be repeated: `retries` times, none later
    than `retry`. So a call ends within `retry` + `request`."""

    connect: float
    request: float
    retries: int
    retry: float


#: Of calls that clients wait for, and of what a worker asks between its jobs.
BRIEF = Waits(connect=1.0, request=5.0, retries=2, retry=2.0)
#: Of a result that took minutes to make.
PATIENT = Waits(connect=5.0, request=60.0, retries=20, retry=120.0)


@dataclass(frozen=True, slots=True)
class S3Location:
    """A prefix of a bucket, and how to come there. Without keys the machine's own role counts."""

    bucket: str
    prefix: str
    region: str
    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)

    @property
    def allows_http(self) -> bool:
        """Whether the operator has it reached without TLS."""
        return self.endpoint is not None and self.endpoint.startswith("http://")

    def config(self) -> "S3Config":
        """For the library."""
        config: S3Config = {"region": self.region}
        if self.endpoint is not None:
            config["endpoint"] = self.endpoint
        if self.access_key is not None and self.secret_key is not None:
            config["access_key_id"], config["secret_access_key"] = self.access_key, self.secret_key
        return config
