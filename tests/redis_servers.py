"""Marks for tests that need a real Redis."""

import pytest

from demo.embedded_redis import installed_servers

#: Put on a module or test: it runs once on each version of redis-server that is installed here.
every_redis = pytest.mark.parametrize(
    "redis_binary", installed_servers() or [None], indirect=True, ids=lambda binary: f"redis-{binary}", scope="session"
)
