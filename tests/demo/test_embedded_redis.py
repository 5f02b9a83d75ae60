import stat

import psutil
import redis

from demo.embedded_redis import EmbeddedRedis, find_server, installed_servers
from tests.redis_servers import every_redis, kill


@every_redis
def test_a_server_answers_with_the_settings_that_jobs_need(own_redis: EmbeddedRedis) -> None:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        settings = client.config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
    assert wanted.items() <= settings.items()


def test_a_killed_server_comes_back_at_its_address_with_its_data(own_redis: EmbeddedRedis) -> None:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        client.set("kept", "yes")

    address = own_redis.url
    kill(own_redis)
    own_redis.start()

    assert own_redis.url == address
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


@every_redis
def test_no_other_user_of_the_host_can_reach_it(own_redis: EmbeddedRedis) -> None:
    assert stat.S_IMODE(own_redis.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(own_redis.socket.stat().st_mode) == 0o700
    assert own_redis.pid is not None
    assert [each for each in psutil.Process(own_redis.pid).net_connections("inet") if each.status == "LISTEN"] == []


def test_the_newest_server_goes_first() -> None:
    versions = [server.version for server in installed_servers()]
    assert versions == sorted(versions, reverse=True) and find_server().version == versions[0]
