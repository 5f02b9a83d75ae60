"""No request that can be made from the OpenAPI document finds a server error, or an answer that is not in it."""

from pathlib import Path

import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.fuzz.schema import fuzz
from tests.fuzz.target import running_target

pytestmark = pytest.mark.slow
CASES = 200


def test_a_few_hundred_seeded_requests_find_nothing(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    with running_target(own_redis, tmp_path) as target:
        found = fuzz(target, tmp_path, seed=1, examples=6, phases=("fuzzing", "stateful"))
    assert found.failed == 0, found.says
    assert found.cases >= CASES, found.says
