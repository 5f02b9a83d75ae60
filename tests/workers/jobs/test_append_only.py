"""What was deleted leaves Redis' file too."""

from contextlib import suppress

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from workers.jobs import keys
from workers.jobs.append_only import AppendOnlyFile

SECRET = b"a prompt that is to be forgotten"


@every_redis
def test_the_prompt_of_a_deleted_job_is_gone_from_the_file_after_the_daily_rewrite(own_redis: EmbeddedRedis) -> None:
    queue = Queue.open(own_redis.url)
    append_only = AppendOnlyFile(queue.connection)

    def written() -> bytes:
        found = b""
        for path in own_redis.data.rglob("*"):
            with suppress(FileNotFoundError, IsADirectoryError):  # A rewrite renames files.
                found += path.read_bytes()
        return found

    job = submit(queue, a_request(SECRET.decode()))
    queue.jobs.delete(job.key)
    wait_until(lambda: SECRET in written(), awaited="the file has what was submitted")
    assert append_only.rewrite_daily()
    wait_until(lambda: SECRET not in written(), awaited="the file is rewritten")
    assert not append_only.rewrite_daily(), "not twice a day"
    queue.connection.commands.delete(keys.REWRITTEN)
    queue.connection.commands.config_set("appendonly", "no")
    assert not append_only.rewrite_daily(), "there is no file to rewrite"
    queue.close()
