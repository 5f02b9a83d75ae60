"""`python -m deploy.audit`: known vulnerabilities of the releases in constraints.txt, by pip-audit and PyPI's database.

Exits with 1 where there are any. A release that the database does not have was not audited, which is said; without a
network that is all of them. `--require` then exits with 2, for where the database is to be reached.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
SECONDS = 120


@dataclass(frozen=True)
class Audit:
    """vulnerable: each finding in a line. unknown: releases that were not looked at. count: of all releases."""

    vulnerable: list[str]
    unknown: list[str]
    count: int

    @classmethod
    def of(cls, report: str) -> "Audit":
        """What pip-audit's JSON says. Raises `ValueError` where it says nothing of any release."""
        releases = json.loads(report)["dependencies"]
        if not releases:
            raise ValueError("pip-audit looked at no release")
        return cls(
            [
                f"{release['name']} {release['version']}: {found['id']}, fixed in "
                f"{', '.join(found['fix_versions']) or 'no release'}"
                for release in releases
                for found in release.get("vulns", ())
            ],
            [release["name"] for release in releases if "skip_reason" in release],
            len(releases),
        )

    @property
    def says(self) -> str:
        """For whoever reads the log."""
        known = self.count - len(self.unknown)
        lines = [*self.vulnerable, f"{known} of {self.count} releases were audited, {len(self.vulnerable)} findings"]
        if known == 0:
            lines.append(
                "NOTHING WAS AUDITED: the database of vulnerabilities cannot be reached, or knows none of them"
            )
        elif self.unknown:
            lines.append(f"not audited, since the database does not have them: {', '.join(self.unknown)}")
        return "\n".join(lines)

    def status(self, *, require: bool) -> int:
        """The exit status. require: whether to end with 2 where nothing was audited."""
        if self.vulnerable:
            return 1
        return 2 if require and len(self.unknown) == self.count else 0


def main() -> int:
    """Audit and print; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--require", action="store_true", help="end with 2 where nothing could be audited")
    options = parser.parse_args()
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--requirement", str(CONSTRAINTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        audit = Audit.of(done.stdout)
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        # pip-audit prints no report where its database cannot be reached at all.
        print(f"NOTHING WAS AUDITED: {type(error).__name__}: {error}")
        return 2 if options.require else 0
    print(audit.says)
    return audit.status(require=options.require)


if __name__ == "__main__":
    sys.exit(main())
