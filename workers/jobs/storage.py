"""Where the results are kept, as an operator says it."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from workers.jobs.artifacts import ArtifactStore
from workers.jobs.object_store import ObjectStore
from workers.jobs.s3_location import S3Location, Waits


def open_store(folder: Path, s3: S3Location | None, waits: Waits) -> ArtifactStore | ObjectStore:
    """The store of these settings. Asks nobody. folder: counts where there is no bucket."""
    return ArtifactStore(folder) if s3 is None else ObjectStore(s3, waits)


class StorageSettings(BaseSettings):
    """A bucket in place of the folder."""

    storage_url: str | None = Field(
        default=None,
        description="`s3://bucket/prefix`: results are kept there, in place of the folder. The same for service and "
        "workers.",
    )
    storage_endpoint: str | None = Field(
        default=None,
        description="Where the bucket is reached, such as https://minio.example:9000; AWS if empty.",
    )
    storage_region: str = Field(default="us-east-1", min_length=1, description="The bucket's region.")
    storage_access_key: SecretStr | None = Field(
        default=None,
        description="Key to the bucket. Without it and the next one the machine's own role counts, or AWS' variables.",
    )
    storage_secret_key: SecretStr | None = Field(default=None, description="The secret that belongs to it.")

    @field_validator("storage_url")
    @classmethod
    def _is_a_bucket(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be s3://bucket or s3://bucket/prefix; keys have variables of their own")
        return url.rstrip("/")

    @field_validator("storage_endpoint")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://aws")
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("must be https://host or http://host, with a port if any, and without a password")
        return url and url.rstrip("/")

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.storage_access_key is None) != (self.storage_secret_key is None):
            raise ValueError("storage_access_key and storage_secret_key: set both, or none of them")
        if self.storage_url is None and (self.storage_endpoint or self.storage_access_key):
            raise ValueError("storage_endpoint and storage_access_key count for nothing without storage_url")
        return self

    @property
    def s3(self) -> S3Location | None:
        """The bucket; None where results are kept in the folder."""
        if self.storage_url is None:
            return None
        parts = urlsplit(self.storage_url)
        access, secret = self.storage_access_key, self.storage_secret_key
        return S3Location(
            parts.netloc,
            parts.path.strip("/"),
            self.storage_region,
            self.storage_endpoint,
            access.get_secret_value() if access else None,
            secret.get_secret_value() if secret else None,
        )
