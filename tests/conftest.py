"""How the tests run, and fixtures that every test may use: real Redis servers."""

import os
import re
from collections.abc import Iterator

import pytest
import redis
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from demo.embedded_redis import EmbeddedRedis, RedisBinary, RedisServerMissing, find_server

# Before torch is imported: tests run side by side, and threads of several processes slow each other down.
os.environ["OMP_NUM_THREADS"] = "1"
# A client of a test waits for a busy machine as well.
for part in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, part, 60.0)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, as many tests wait for other processes; bounded by their memory."""
    return min(len(os.sched_getaffinity(0)) + 1, 8)


#: A random id, as those of jobs and attempts are.
RANDOM = re.compile(r"[0-9a-f]{32}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or one of them is left when all other processes are done.

    A name that is another one in every process could not be run side by side: what draws its values names its cases.
    """
    for item in items:
        if any(len(set(drawn)) > 4 for drawn in RANDOM.findall(item.nodeid)):
            raise pytest.UsageError(f"{item.nodeid}: give its cases ids, this one is drawn anew in each process")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def redis_binary(request: pytest.FixtureRequest) -> RedisBinary:
    """The server that the test asks for, else the default. None at all skips here and fails in CI."""
    try:
        return getattr(request, "param", None) or find_server()
    except RedisServerMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_server(redis_binary: RedisBinary) -> Iterator[EmbeddedRedis]:
    """A server shared by the tests of this process; `tests.redis_servers.every_redis` runs a test on each version."""
    with EmbeddedRedis(binary=redis_binary.path) as server:
        # Else a disk that others keep busy holds up whatever test is asking. Of a killed server nothing is lost by it.
        with redis.Redis.from_url(server.url) as client:
            client.config_set("appendfsync", "no")
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The address of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def own_redis(redis_binary: RedisBinary) -> Iterator[EmbeddedRedis]:
    """A server of the test's own, which it may kill and start again."""
    with EmbeddedRedis(binary=redis_binary.path) as server:
        yield server
