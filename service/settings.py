"""What an operator can set, each by an environment variable with the prefix SCALINGCACHE_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at the start and never changed; every option here changes what the service does."""

    model_config = SettingsConfigDict(env_prefix="SCALINGCACHE_", frozen=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on. Without accounts: keep it local.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one and logs it.")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="The Redis that holds jobs and queues.")
    artifacts: Path = Field(default=Path("out/artifacts"), description="Folder of the results, shared with workers.")
    catalogue: Path = Field(default=Path("models.toml"), description="The models that are served.")
    retention_seconds: float = Field(default=86_400.0, gt=0, description="How long a finished job is kept.")
