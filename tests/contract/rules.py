"""The rules: each is a function whose docstring says what holds. `RULES` has them in the order in which they run."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.contract.server import Server

Check = Callable[[Server], None]


@dataclass(frozen=True)
class Rule:
    """group: what it is about. ours: beyond the OpenAI shape; a server may not have it."""

    group: str
    ours: bool
    check: Check

    @property
    def name(self) -> str:
        return self.check.__name__

    @property
    def says(self) -> str:
        return (self.check.__doc__ or "").strip()


class Group:
    """Collects the rules of a module."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.rules: list[Rule] = []

    def rule(self, check: Check) -> Check:
        """A rule of the OpenAI shape."""
        self.rules.append(Rule(self._name, False, check))
        return check

    def extension(self, check: Check) -> Check:
        """A rule that goes beyond it. It raises `Unsupported` where a server does not have what it is about."""
        self.rules.append(Rule(self._name, True, check))
        return check
