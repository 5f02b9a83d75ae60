"""What a look at the machine found, and what to do about it."""

from typing import Literal

from pydantic import BaseModel

State = Literal["ok", "warning", "failed"]


class Finding(BaseModel):
    """One thing that was looked at. advice: what to do; None where all is well."""

    name: str
    state: State = "ok"
    says: str
    advice: str | None = None

    @classmethod
    def bad(cls, name: str, says: str, advice: str, state: State = "failed") -> "Finding":
        """Something to do something about."""
        return cls(name=name, state=state, says=says, advice=advice)


def gibibytes(size_bytes: float) -> str:
    """A size of memory: `14.2 GiB`, `3.4 MiB`."""
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**28 else f"{size_bytes / 2**20:.1f} MiB"
