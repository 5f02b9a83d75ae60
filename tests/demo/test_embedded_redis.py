import redis

from demo.embedded_redis import EmbeddedRedis
from tests.redis_servers import every_redis, kill


@every_redis
def test_a_server_answers_with_the_settings_that_jobs_need(redis_server: EmbeddedRedis, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        settings = client.config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
    assert wanted.items() <= settings.items()


def test_a_killed_server_comes_back_on_its_port_with_its_data(own_redis: EmbeddedRedis) -> None:
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        client.set("kept", "yes")
    port = own_redis.port

    kill(own_redis)
    own_redis.start()

    assert own_redis.port == port
    with redis.Redis.from_url(own_redis.url, decode_responses=True) as client:
        assert client.get("kept") == "yes"
