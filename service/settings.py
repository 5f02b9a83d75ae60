"""What an operator can set about the service, each by an environment variable with the prefix SCALINGCACHE_."""

import ipaddress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from workers.configuration import Configuration, split, variable
from workers.process.settings import Settings as WorkerSettings

#: Who may see something: anybody, keys with the scope `admin`, nobody.
Access = Literal["open", "admin", "off"]


class Settings(Configuration):
    """Every option here changes what the service does."""

    elsewhere: ClassVar[frozenset[str]] = frozenset(WorkerSettings.model_fields)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
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
    authentication: Literal["keys", "none"] = Field(
        default="keys",
        description="`keys`: every call but health needs an API key; `none`: everybody who reaches the service is the "
        "account `default` and may do everything, which is refused but on loopback.",
    )
    pepper_file: Path | None = Field(
        default=None,
        description="File with at least 32 random bytes that API keys are hashed with; readable to the service alone.",
    )
    metrics_access: Access = Field(
        default="admin",
        description="Who may read `/metrics`: anybody, keys with the scope `admin`, nobody.",
    )
    status_access: Literal["open", "admin"] = Field(
        default="admin",
        description="Who may read in `/readyz` what is not ready, with the names of workers; whether it is ready is "
        "told to anybody.",
    )
    docs_access: Access = Field(default="open", description="Who may read `/docs` and `/openapi.json`: as for metrics.")
    max_queued: int = Field(
        default=1000, ge=1, description="How many jobs of one model may wait; beyond it requests are answered 429."
    )
    max_queued_per_tenant: int = Field(
        default=1000, ge=1, description="How many jobs of one account may wait for one model."
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

    @model_validator(mode="after")
    def _without_keys_on_loopback_alone(self) -> Self:
        if self.authentication == "none" and not _is_loopback(self.host):
            raise ValueError(
                f"{variable('authentication')}=none with {variable('host')}={self.host}: without keys the service "
                "listens on loopback alone, such as 127.0.0.1"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
