"""What the settings of service and worker share: where values come from, what is refused, how they are shown."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import quote, urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from redis.connection import parse_url

from workers.jobs.errors import InvalidRequest, ScalingCacheError
from workers.jobs.storage import StorageSettings
from workers.models import layers
from workers.models.catalogue import Catalogue
from workers.models.layers import CatalogueError

PREFIX = "SCALINGCACHE_"
FROM_FILE = "_FILE"
DOTENV = ".env"
MASK = "********"

#: The longest that a setting may let anything last: a year. Redis refuses times that it cannot count.
MOST_SECONDS = 366 * 86_400.0

LogFormat = Literal["json", "console"]


class ConfigurationError(ScalingCacheError):
    """A variable is no setting, has a value that is not allowed, or its file cannot be read; the message names it."""

    code = "configuration_error"


class Configuration(StorageSettings):
    """Read once at the start and never changed. All times are in seconds.

    Later sources give way to earlier ones: arguments, the environment, files named by `<VARIABLE>_FILE`, `.env`.
    An empty variable is none, and one of the environment takes away what `.env` says.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=DOTENV,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
    #: Variables of other processes: they share an environment, so these are ignored rather than refused.
    elsewhere: ClassVar[frozenset[str]] = frozenset()

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", description="The Redis that holds jobs and queues.")
    redis_password: SecretStr | None = Field(default=None, description="Its password, if the URL has none.")
    artifacts: Path = Field(
        default=Path("out/artifacts"), description="Folder of the results, shared by service and workers."
    )
    catalogue: Path = Field(default=Path("models.toml"), description="File with the models that can be served.")
    catalogue_overrides: Path | None = Field(
        default=None, description="A file in the same format whose values override the catalogue's, field by field."
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Names of the models to serve, separated by commas. Empty: all with `served = true`."
    )
    retention_seconds: float = Field(
        default=86_400.0, gt=0, le=MOST_SECONDS, description="How long a finished job and its file are kept."
    )
    log_format: LogFormat = Field(
        default="json", description="`json`: one object a line, for machines; `console`: for people."
    )

    def __init__(self, **values: Any) -> None:
        """Raises `ConfigurationError`."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_complaints(error, values)) from None

    @field_validator("redis_url")
    @classmethod
    def _leads_to_redis(cls, url: str) -> str:
        parts = urlsplit(url)
        behind = "" if parts.scheme == "unix" else parts.path
        if parts.fragment or "@" in behind + re.sub(r"password=[^&]*", "", parts.query):
            # A character of the password ended it: a part of it would count, and the rest for nothing.
            raise ValueError("a password in it must be percent-encoded; SCALINGCACHE_REDIS_PASSWORD takes it as it is")
        try:
            parse_url(url)  # type: ignore[no-untyped-call]
        except ValueError:  # Its message may quote a password.
            raise ValueError("must be redis://host:port/number, rediss://... or unix://...") from None
        return url

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split(value)

    def read_catalogue(self) -> Catalogue:
        """The models that are served. Raises `CatalogueError`, `ModelNotFound`."""
        return self.whole_catalogue().serving(self.models)

    def whole_catalogue(self) -> Catalogue:
        """All models: with the file and the environment's variables over the catalogue. Raises `CatalogueError`."""
        return Catalogue.read(self.catalogue, self.catalogue_overrides, environment())

    @property
    def redis_address(self) -> str:
        """The URL with the password in it."""
        if self.redis_password is None:
            return self.redis_url
        parts = urlsplit(self.redis_url)
        user, _, host = parts.netloc.rpartition("@")
        secret = quote(self.redis_password.get_secret_value(), safe="")
        return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{secret}@{host}"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = _Files(settings_cls, cls.elsewhere)
        return init_settings, env_settings, files, _Dotenv(settings_cls, dotenv_settings)

    def shown(self) -> str:
        """Every setting as a line of a `.env` file, secrets masked."""
        return "\n".join(f"{variable(name)}={_shown(getattr(self, name))}" for name in type(self).model_fields)


class _Dotenv(PydanticBaseSettingsSource):
    """`.env`, without what an empty variable of the environment takes away."""

    def __init__(self, settings_cls: type[BaseSettings], dotenv: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._dotenv = dotenv

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in self._dotenv().items() if os.environ.get(variable(name)) != ""}


class _Files(PydanticBaseSettingsSource):
    """Secrets from files, as containers mount them. Looks at every name too, since this is where all are at hand."""

    def __init__(self, settings_cls: type[BaseSettings], elsewhere: Iterable[str]) -> None:
        super().__init__(settings_cls)
        self._elsewhere = elsewhere

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Raises `ConfigurationError`."""
        variables = environment()
        fields = self.settings_cls.model_fields
        settings = {variable(name) for name in fields} | {variable(name) for name in self._elsewhere}
        secrets = {variable(name) + FROM_FILE: name for name in fields if is_secret(fields[name])}
        for name in variables:
            if name.startswith(layers.PREFIX):  # The catalogue looks at these.
                continue
            if name.startswith(PREFIX) and name not in settings | secrets.keys():
                near = get_close_matches(name, settings | secrets.keys(), 1)
                meant = f"; did you mean {near[0]}?" if near else "; docs/configuration.md lists them"
                where = "" if name in os.environ else f", in {DOTENV}"
                raise ConfigurationError(f"{name} is not a setting{where}{meant}")
        return {name: _read(key, variables) for key, name in secrets.items() if variables.get(key)}


def run_program(name: str, commands: Callable[[], object]) -> None:
    """Run a command line. An error of ours is one readable line on standard error and ends the process: with exit code
    2, as for an unknown option, where a variable, a file that one names, or an argument is wrong; else with 1."""
    try:
        commands()
    except ScalingCacheError as error:
        sys.stderr.write(f"{name}: {error}\n")
        wrong_input = isinstance(error, ConfigurationError | CatalogueError | InvalidRequest)
        raise SystemExit(2 if wrong_input else 1) from error


def _complaints(error: ValidationError, arguments: Iterable[str]) -> str:
    """What is wrong with which variable, never its value: that may be a secret."""
    return "; ".join(
        ": ".join(
            [
                *(_place(str(name), arguments) for name in details["loc"][:1]),
                details["msg"].removeprefix("Value error, "),
            ]
        )
        for details in error.errors(include_url=False, include_input=False)
    )


def _place(field: str, arguments: Iterable[str]) -> str:
    """The variable, and the file that has it where that is `.env`."""
    name = variable(field)
    return name if name in os.environ or field in arguments or name not in environment() else f"{name} in {DOTENV}"


def environment() -> dict[str, str | None]:
    """The variables of `.env`, and over them the environment's."""
    return {**dotenv_values(DOTENV), **os.environ}


def split(value: object) -> object:
    """A list from text with commas; anything else as it is."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting is never shown, and may come from a file."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _read(key: str, variables: dict[str, str | None]) -> str:
    if variables.get(key.removesuffix(FROM_FILE)):
        raise ConfigurationError(f"{key} and {key.removesuffix(FROM_FILE)} are both set; keep one")
    try:
        return Path(variables[key] or "").read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{key}: {variables[key]} cannot be read: {error.strerror}") from error


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, str) and "://" in value:
        return shown_url(value)
    return "" if value is None else str(value)


def shown_url(url: str) -> str:
    """A URL without its password.

    It may have one before its host, and for Redis also behind its path; in it may be any character, also those that end
    a part of a URL, which are only refused after this was asked for.
    """
    url = re.sub(r"(?<=[?&]password=)[^&]*", MASK, url)
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}:{MASK}@{host}" if at else url
