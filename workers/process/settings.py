"""What an operator can set about a worker, each by an environment variable with the prefix SCALINGCACHE_."""

import os
import socket
from typing import ClassVar, Self

from pydantic import Field, model_validator

from workers.configuration import MOST_SECONDS, Configuration
from workers.jobs.presence import UNSERVED_SECONDS
from workers.media.provenance import Embedded

#: With more, torch may end the process by a segmentation fault: the system gives it no more threads.
MOST_TORCH_THREADS = 1024


def _host_and_pid() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(Configuration):
    """All times are in seconds."""

    #: The service's, which workers do not import.
    elsewhere: ClassVar[frozenset[str]] = frozenset(
        {
            "host", "port", "trusted_hosts", "public_url", "max_queued", "max_queued_per_tenant", "image_seconds",
            "max_streams", "max_streams_per_account", "heartbeat_seconds",
            "storage_link_seconds", "input_hosts",
            "authentication", "pepper_file", "metrics_access", "status_access", "docs_access", "study_seconds", "page",
            "webhook_secret", "webhook_networks", "webhook_metrics_port", "webhook_metrics_host",
            "max_queued_cost_per_tenant", "account_retention", "max_cost",
            "submissions_per_minute", "submissions_burst",
        }
    )  # fmt: skip

    worker: str = Field(
        default_factory=_host_and_pid,
        pattern=r"^[A-Za-z0-9._:@\-]{1,128}$",
        description="Name of this worker, unique among those alive: letters, digits and ._:@-.",
    )
    lease_seconds: float = Field(
        default=60.0, ge=1, le=MOST_SECONDS, description="A worker silent for this long loses its job."
    )
    beat_seconds: float = Field(default=15.0, ge=0.1, description="Renew the lease this often when nothing happens.")
    drain_seconds: float = Field(
        default=30.0,
        ge=0,
        le=MOST_SECONDS,
        description="After SIGTERM a running job gets this long to finish, then it is given back.",
    )
    step_timeout_seconds: float = Field(
        default=600.0,
        ge=0.1,
        le=MOST_SECONDS,
        description="A job that makes no step and enters no stage for this long has hung.",
    )
    idle_seconds: float = Field(
        default=30.0,
        ge=0,
        le=MOST_SECONDS,
        description="Nothing was queued for this long before idle work begins: `shadow_share` and "
        "`calibrate_when_idle` of a model.",
    )
    max_running_per_tenant: int | None = Field(
        default=None,
        ge=1,
        description="How many jobs of one account may run of one model at a time; the same for all workers. Empty: any "
        "number, while accounts that wait take turns.",
    )
    unserved_seconds: float = Field(
        default=3600.0,
        ge=UNSERVED_SECONDS,
        le=MOST_SECONDS,
        description="Queued jobs of a model that no service and no worker has served for this long end as "
        "`model_not_served`.",
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Serve Prometheus metrics here; 0 takes a free port and logs it."
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address on which metrics are served.")
    previews: bool = Field(
        default=True,
        description="Show those who watch a running job what it will look like, in small pictures of half a percent of "
        "its time at most.",
    )
    embedded: Embedded = Field(
        default="settings",
        description="What an MP4 or PNG says of how it was made, in its comment: `settings` (model, seed, steps, `sf`, "
        "schedule, method, version), `prompt` (these and the prompts, which then go wherever the file goes), `none`.",
    )
    prompt_cache_mib: int = Field(
        default=256,
        ge=0,
        le=1_048_576,
        description="Host memory for the embeddings of earlier prompts, in MiB: a prompt that comes again is not "
        "encoded again, and its result has the same bytes. 0 keeps none; models with `parallel` keep none.",
    )
    torch_threads: int | None = Field(
        default=None, ge=1, le=MOST_TORCH_THREADS, description="CPU threads of torch. Empty: torch decides."
    )

    @model_validator(mode="after")
    def _beats_within_the_lease(self) -> Self:
        if self.beat_seconds >= self.lease_seconds:
            raise ValueError(f"beat_seconds {self.beat_seconds} must be less than lease_seconds {self.lease_seconds}")
        return self
