"""Requests that Schemathesis makes from the OpenAPI document, alone and one after the other along its links."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.tools import program
from tests.fuzz.target import Target

PHASES = ("examples", "coverage", "fuzzing", "stateful")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
#: No request may take longer.
REQUEST_SECONDS = 30


@dataclass(frozen=True)
class Fuzzed:
    """cases: how many answers were looked at. failed: how many of them found something. says: all that was printed."""

    cases: int
    failed: int
    says: str


def fuzz(target: Target, folder: Path, *, seed: int, examples: int, phases: tuple[str, ...] = PHASES) -> Fuzzed:
    """Every call, with so many examples of each in the phases that draw them; the same seed makes the same requests."""
    report = folder / "schemathesis.json"
    command = [
        program("schemathesis"), "--config-file", str(CONFIGURATION), "run", f"{target.url}/openapi.json",
        "--header", f"Authorization: Bearer {target.key}", "--seed", str(seed), "--max-examples", str(examples),
        "--phases", ",".join(phases), "--request-timeout", str(REQUEST_SECONDS), "--continue-on-failure", "--no-color",
        "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"INVITATION": target.invitation},
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"schemathesis ended with {done.returncode}: {done.stdout}{done.stderr}")
    cases = json.loads(report.read_text())["test_cases"]
    failed = cases["with_failures"] + cases["errored"]
    looked_at = cases["generated"] - cases["without_checks"]
    return Fuzzed(looked_at, failed or int(done.returncode != 0), done.stdout + done.stderr)
