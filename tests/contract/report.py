"""Holds a server to the rules, and says what came of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import httpx

from tests.contract import creating, reading, refusing
from tests.contract.rules import Rule
from tests.contract.server import Server, Unsupported

RULES: list[Rule] = [*creating.group.rules, *reading.group.rules, *refusing.group.rules]
Verdict = Literal["pass", "fail", "unsupported"]


@dataclass(frozen=True)
class Outcome:
    """What a server does about a rule. why: nothing where it passes."""

    rule: Rule
    verdict: Verdict
    why: str = ""


def outcome_of(rule: Rule, server: Server) -> Outcome:
    """Hold the server to a rule. What is none of its answers, a lost connection or a body in no shape, is a fail."""
    try:
        rule.check(server)
    except Unsupported as missing:
        return Outcome(rule, "unsupported", str(missing))
    except AssertionError as error:
        return Outcome(rule, "fail", str(error) or "it does not hold")
    except (httpx.HTTPError, KeyError, IndexError, TypeError, ValueError) as error:
        return Outcome(rule, "fail", f"{type(error).__name__}: {error}")
    return Outcome(rule, "pass")


def outcomes(server: Server, rules: Sequence[Rule] = RULES) -> Iterator[Outcome]:
    """One after the other."""
    for rule in rules:
        yield outcome_of(rule, server)


def line(outcome: Outcome) -> str:
    """A row of the table. ★: beyond the OpenAI shape."""
    mark = "★" if outcome.rule.ours else " "
    why = f"\n{' ' * 16}{' '.join(outcome.why.split())[:300]}" if outcome.why else ""
    return f"{outcome.verdict:<12} {mark} {outcome.rule.group:<7} {outcome.rule.says}{why}"


def summary(found: Sequence[Outcome]) -> str:
    """How many of each."""
    counts = Counter(each.verdict for each in found)
    return f"{len(found)} rules: {counts['pass']} pass, {counts['fail']} fail, {counts['unsupported']} unsupported"
