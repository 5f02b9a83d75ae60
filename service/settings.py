"""What an operator can set about the service, each by an environment variable with the prefix SCALINGCACHE_."""

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from workers.configuration import Configuration, split
from workers.process.settings import Settings as WorkerSettings


class Settings(Configuration):
    """Every option here changes what the service does."""

    elsewhere: ClassVar[frozenset[str]] = frozenset(WorkerSettings.model_fields)

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. There are no accounts yet: keep it local."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one and logs it.")
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("localhost",),
        description="Names under which clients call the service, separated by commas; `*.example.com` for all below "
        "one, `*` for any. Requests to other names are refused, so that no web page reaches it through its reader's "
        "browser. IP addresses need not be listed.",
    )
    public_url: str | None = Field(
        default=None,
        description="Where clients reach the service, such as https://video.example.com: the start of the addresses "
        "of images. Default: as the request was addressed.",
    )
    max_queued: int = Field(
        default=1000, ge=1, description="How many jobs of one model may wait; beyond it requests are answered 429."
    )
    max_queued_per_tenant: int = Field(
        default=1000, ge=1, description="How many jobs of one tenant may wait for one model. There is one tenant yet."
    )

    image_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="How long a call waits for its images; after that they are cancelled and it is answered 504.",
    )

    @field_validator("trusted_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        return split(value)

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be http://host or https://host, with a path at most")
        return url.rstrip("/")
