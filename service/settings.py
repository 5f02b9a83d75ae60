"""What an operator can set about the service, each by an environment variable with the prefix SCALINGCACHE_."""

from typing import ClassVar

from pydantic import Field

from workers.configuration import Configuration
from workers.process.settings import Settings as WorkerSettings


class Settings(Configuration):
    """Every option here changes what the service does."""

    elsewhere: ClassVar[frozenset[str]] = frozenset(WorkerSettings.model_fields)

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. There are no accounts yet: keep it local."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one and logs it.")
