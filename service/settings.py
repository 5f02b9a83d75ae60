"""What an operator can set about the service, each by an environment variable with the prefix SCALINGCACHE_."""

import ipaddress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from service.addresses import Network
from service.pictures import LISTED
from service.retention import retention_of
from workers.configuration import Configuration, split, variable
from workers.process.settings import Settings as WorkerSettings

#: Who may see something: anybody, keys with the scope `admin`, nobody.
Access = Literal["open", "admin", "off"]
LEAST_SECRET = 32


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
    page: bool = Field(
        default=True,
        description="Whether `/` is a page on which people make, watch and compare videos; it calls the API with the "
        "key that they enter.",
    )
    max_queued: int = Field(
        default=5000, ge=1, description="How many jobs of one model may wait; beyond it requests are answered 429."
    )
    max_queued_per_tenant: int = Field(
        default=1000, ge=1, description="How many jobs of one account may wait for one model."
    )
    max_queued_cost_per_tenant: int | None = Field(
        default=None,
        ge=1,
        description="What the jobs of one account that wait for one model may cost together, in pixels x frames x "
        "steps; beyond it requests are answered 429.",
    )
    max_cost: int | None = Field(
        default=None,
        ge=1,
        description="What one request may cost, in the same unit; one that costs more is answered 400.",
    )
    submissions_per_minute: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="How many videos and images an account may submit a minute; beyond it requests are answered 429. "
        "Empty: any number.",
    )
    submissions_burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="How many of them at once. Empty: as many as a minute."
    )
    storage_link_seconds: float | None = Field(
        default=None,
        ge=1,
        le=604_800,
        description="With `SCALINGCACHE_STORAGE_URL`: content is answered with a redirect to a link into the bucket "
        "that holds so long, for whoever has it. Empty: the service sends the content itself.",
    )
    account_retention: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="How many seconds the finished jobs of single accounts are kept, such as `ads=3600,film=604800`; "
        "those of the others as `SCALINGCACHE_RETENTION_SECONDS` says.",
    )
    image_seconds: float = Field(
        default=600.0,
        gt=0,
        le=86_400,
        description="How long a call waits for its images; after that they are cancelled and it is answered 504.",
    )

    study_seconds: int = Field(
        default=30 * 86_400,
        ge=3600,
        le=366 * 86_400,
        description="How long a preference study and its votes are kept. Its videos are kept as all others are.",
    )
    max_streams: int = Field(
        default=1000, ge=1, description="How many event streams one process serves at a time; beyond it: 503."
    )
    max_streams_per_account: int = Field(
        default=50, ge=1, description="How many of them may be of one account; beyond it: 429."
    )
    heartbeat_seconds: float = Field(
        default=15.0,
        ge=0.1,
        le=300,
        description="An event stream that is silent for this long gets a comment, so that no proxy closes it.",
    )

    input_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts that `input_reference` may be downloaded from by URL, separated by commas, such as "
        "images.example.com; `*.example.com` for all below one, `host:8443` for a port of its own. Only public "
        "addresses are called. Empty: images are uploaded, and URLs refused.",
    )

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="At least 32 characters from which the secrets of all accounts' webhooks follow, the same for the "
        "service and the process that sends. Without it there are no webhooks; with another one all accounts need new "
        "secrets.",
    )
    webhook_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks that webhooks may go to although they are not public, separated by commas, such as "
        "10.0.0.0/8. Every account that may make jobs can then have the service call any host in them.",
    )
    webhook_metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="The process that sends webhooks serves its metrics here; 0 takes a free port and logs it.",
    )
    webhook_metrics_host: str = Field(default="127.0.0.1", description="Address on which it does so.")

    @field_validator("input_hosts", mode="before")
    @classmethod
    def _split_inputs(cls, value: object) -> object:
        return split(value.lower() if isinstance(value, str) else value)

    @field_validator("input_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not LISTED.fullmatch(host):
                raise ValueError(f"{host!r} must be a name such as images.example.com, *.example.com or host:8443")
        return hosts

    @field_validator("webhook_networks", "account_retention", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        return split(value)

    @field_validator("account_retention")
    @classmethod
    def _are_accounts_with_seconds(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        retention_of(given)
        return given

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"{network!r} must be a network such as 10.0.0.0/8: {error}") from None
        return networks

    @field_validator("webhook_secret")
    @classmethod
    def _is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < LEAST_SECRET:
            raise ValueError(f"must have at least {LEAST_SECRET} characters; make one with: openssl rand -base64 32")
        return secret

    @property
    def webhook_root(self) -> bytes | None:
        """What webhook secrets follow from; None where there are no webhooks."""
        return None if self.webhook_secret is None else self.webhook_secret.get_secret_value().encode()

    @property
    def webhook_allowed(self) -> tuple[Network, ...]:
        """The networks that webhooks may go to although they are not public."""
        return tuple(ipaddress.ip_network(network) for network in self.webhook_networks)

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
        if self.storage_link_seconds is not None and self.s3 is None:
            raise ValueError("storage_link_seconds counts for nothing without storage_url")
        if self.authentication == "none" and not _is_loopback(self.host):
            raise ValueError(
                f"{variable('authentication')}=none with {variable('host')}={self.host}: without keys the service "
                "listens on loopback alone, such as 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _bursts_of_a_rate(self) -> Self:
        if self.submissions_burst is not None and self.submissions_per_minute is None:
            raise ValueError(f"{variable('submissions_burst')} needs {variable('submissions_per_minute')}")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
