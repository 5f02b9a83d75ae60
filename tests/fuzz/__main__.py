"""`python -m tests.fuzz`: thousands of requests that nobody would send. Exits with 1 where one finds something."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from demo.embedded_redis import EmbeddedRedis
from tests.fuzz.schema import fuzz
from tests.fuzz.target import running_target

LEAST_CASES = 2000


def main() -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="of each call, in the phases that draw them")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run; by default another one each time")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedRedis() as redis,
        running_target(redis, Path(folder)) as target,
    ):
        before = target.megabytes
        found = fuzz(target, Path(folder), seed=seed, examples=options.examples)
        print(found.says)
        print(
            f"seed {seed}: {found.cases} cases, {found.failed} with a finding; "
            f"memory of the service {before:.0f} MiB before, {target.megabytes:.0f} MiB after"
        )
    if found.cases < LEAST_CASES:
        print(f"fewer than {LEAST_CASES} cases: raise --examples", file=sys.stderr)
        return 1
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
