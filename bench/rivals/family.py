"""A model family with some members replaced, for rivals that see a transformer otherwise than the engine does."""

from typing import Any

from workers.models.family import Family


class Altered:
    """Everything that is not given is the family's own."""

    def __init__(self, family: Family, **members: Any) -> None:
        self._family = family
        self._members = members

    def __getattr__(self, name: str) -> Any:
        members = self.__dict__["_members"]
        return members[name] if name in members else getattr(self._family, name)
