"""What the audit of the dependencies says, and that it never passes for one that did not take place."""

import json
from typing import Any

import pytest

from deploy.audit import Audit

SAFE: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "b", "version": "2", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE: dict[str, Any] = {"name": "c", "version": "3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["4"]}]}


def audited(*releases: dict[str, Any]) -> Audit:
    return Audit.of(json.dumps({"dependencies": releases, "fixes": []}))


@pytest.mark.parametrize(
    ("releases", "status", "required", "says"),
    [
        ([SAFE], 0, 0, "1 of 1 releases were audited, 0 findings"),
        ([SAFE, UNKNOWN], 0, 0, "not audited, since the database does not have them: b"),
        ([UNKNOWN, UNKNOWN], 0, 2, "NOTHING WAS AUDITED"),
        ([SAFE, VULNERABLE], 1, 1, "c 3: PYSEC-1, fixed in 4"),
        ([UNKNOWN, VULNERABLE], 1, 1, "1 of 2 releases were audited, 1 findings"),
    ],
)
def test_an_audit_says_what_it_found_and_what_it_could_not_look_at(
    releases: list[dict[str, Any]], status: int, required: int, says: str
) -> None:
    audit = audited(*releases)
    assert says in audit.says
    assert (audit.status(require=False), audit.status(require=True)) == (status, required)


def test_a_report_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="no release"):
        audited()
