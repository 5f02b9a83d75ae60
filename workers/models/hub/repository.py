"""What the hub says of a repository: its commit, and of every file how large it is and what its content hashes to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workers.models.hub.errors import HubError, explained

_CHUNK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file at one commit. sha256: of its content, for large files; blob: git's hash of it, for all others."""

    path: str
    size_bytes: int
    sha256: str | None
    blob: str | None

    def matches(self, local: Path) -> bool:
        """Whether a file on this machine has the content that the hub names."""
        if local.stat().st_size != self.size_bytes:
            return False
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.size_bytes)
        with local.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == (self.sha256 or self.blob)


@dataclass(frozen=True)
class Repository:
    """A repository at one commit: 40 hexadecimal digits, also where a branch was asked for."""

    name: str
    commit: str
    files: Mapping[str, RemoteFile]

    @classmethod
    def read(cls, name: str, revision: str | None) -> "Repository":
        """Ask the hub. Raises `HubError`."""
        from huggingface_hub import HfApi

        with explained(name, revision):
            info = HfApi().model_info(name, revision=revision, files_metadata=True)
            files = {
                each.rfilename: RemoteFile(
                    each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else None, each.blob_id
                )
                for each in info.siblings or ()
            }
        if info.sha is None:
            raise HubError(f"{name}: the hub did not say which commit it has")
        return cls(name, info.sha, files)

    def get(self, path: str) -> Path:
        """A small file, fetched where it is not there. Raises `HubError`."""
        from huggingface_hub import hf_hub_download

        if path not in self.files:
            raise HubError(f"{self.name} has no {path}: it is no checkpoint in the diffusers format")
        with explained(self.name, self.commit):
            return Path(hf_hub_download(self.name, path, revision=self.commit))
