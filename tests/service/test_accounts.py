"""API keys in a real Redis: what is kept of them, how many there are, when they end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from service.accounts import Accounts, Scope
from tests.redis_servers import every_redis
from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.errors import InvalidRequest

pytestmark = every_redis
PEPPER = b"p" * 32
BOTH = (Scope.READ, Scope.GENERATE)


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    connection = Connection(redis_url)
    yield connection
    connection.close()


@pytest.fixture
def accounts(connection: Connection) -> Accounts:
    return Accounts(connection, PEPPER)


def id_of(key: str) -> str:
    return key.split("_")[1]


def test_a_key_says_whose_it_is_and_what_it_may_do(accounts: Accounts) -> None:
    presented = accounts.create("acme", BOTH)
    key = accounts.verify(presented)
    assert key is not None
    assert (key.id, key.account, key.scopes) == (id_of(presented), "acme", {Scope.READ, Scope.GENERATE})
    [listed] = accounts.live()
    assert listed.last_used_at is not None and listed.expires_at is None and listed.created_at > 1_700_000_000


def test_redis_has_nothing_that_is_a_key(accounts: Accounts, connection: Connection) -> None:
    secret = accounts.create("acme", BOTH).split("_", 2)[2]
    held = [str(connection.commands.hgetall(name)) for name in connection.commands.scan_iter("{accounts}:key:*")]
    assert len(held) == 1 and secret not in held[0]


def test_what_is_no_key_is_none(accounts: Accounts) -> None:
    good, other = accounts.create("acme", BOTH), accounts.create("beta", BOTH)
    swapped = f"scs_{id_of(good)}_{other.partition('_')[2].partition('_')[2]}"
    last = "A" if good[-1] != "A" else "E"
    for wrong in ("", "scs_", good[:-1], good + "x", good[:-1] + last, swapped, good.upper(), f"{good}\n", "\x00"):
        assert accounts.verify(wrong) is None, wrong
    assert accounts.verify(good) is not None


@pytest.mark.parametrize(("field", "value"), [("scopes", "admin generate read"), ("account", "beta"), ("digest", "")])
def test_who_can_write_to_redis_alone_can_make_no_more_of_a_key(
    accounts: Accounts, connection: Connection, field: str, value: str
) -> None:
    key = accounts.create("acme", [Scope.READ])
    connection.commands.hset(keys.api_key(id_of(key)), field, value)
    assert accounts.verify(key) is None


def test_another_pepper_makes_every_key_worthless_and_makes_none(accounts: Accounts, connection: Connection) -> None:
    key = accounts.create("acme", BOTH)
    other = Accounts(connection, b"q" * 32)
    assert other.verify(key) is None and not other.has_this_pepper() and accounts.has_this_pepper()
    with pytest.raises(InvalidRequest, match="another pepper"):
        other.create("beta", BOTH)


def test_an_account_has_two_live_keys_and_no_third(accounts: Accounts) -> None:
    first, second = accounts.create("acme", BOTH), accounts.create("acme", [Scope.READ])
    with pytest.raises(InvalidRequest, match=f"2 live keys.*{id_of(first)}"):
        accounts.create("acme", BOTH)
    accounts.create("beta", BOTH)
    accounts.revoke(id_of(first))
    third = accounts.create("acme", BOTH)
    assert accounts.verify(first) is None
    assert accounts.verify(second) is not None and accounts.verify(third) is not None


def test_of_many_that_are_made_at_the_same_moment_two_are(accounts: Accounts) -> None:
    def create(_: int) -> bool:
        try:
            accounts.create("acme", BOTH)
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 2


def test_a_rotated_key_goes_on_for_its_grace_and_ends_by_itself(accounts: Accounts, connection: Connection) -> None:
    old = accounts.create("acme", [Scope.READ, Scope.ADMIN])
    new = accounts.rotate(id_of(old), 3600)
    both = [accounts.verify(key) for key in (old, new)]
    assert [key and key.scopes for key in both] == [{Scope.READ, Scope.ADMIN}] * 2
    assert 3590 <= connection.commands.ttl(keys.api_key(id_of(old))) <= 3600
    listed = {key.id: key.expires_at for key in accounts.live()}
    assert listed[id_of(new)] is None and listed[id_of(old)] is not None
    with pytest.raises(InvalidRequest, match="2 live keys"):
        accounts.rotate(id_of(new), 3600)
    connection.commands.delete(keys.api_key(id_of(old)))  # as Redis does at its time
    assert accounts.verify(old) is None
    accounts.rotate(id_of(new), 3600)


def test_a_key_that_leaked_is_replaced_at_once(accounts: Accounts) -> None:
    leaked, other = accounts.create("acme", BOTH), accounts.create("acme", BOTH)
    new = accounts.rotate(id_of(leaked), 0)
    assert [accounts.verify(key) is not None for key in (leaked, other, new)] == [False, True, True]


@pytest.mark.parametrize("key_id", ["", "0" * 16, "nonsense", "*"])
def test_what_is_no_key_can_be_neither_rotated_nor_revoked(accounts: Accounts, key_id: str) -> None:
    for change in (lambda: accounts.revoke(key_id), lambda: accounts.rotate(key_id, 0)):
        with pytest.raises(InvalidRequest, match="no live key"):
            change()


@pytest.mark.parametrize("account", ["", ".", "a b", "a/b", "a:b", "ä", "x" * 65, "-a", "a\n"])
def test_an_account_has_a_name_that_files_can_have(accounts: Accounts, account: str) -> None:
    with pytest.raises(InvalidRequest, match="must be 1 to 64 letters"):
        accounts.create(account, BOTH)


def test_a_use_is_noted_once_a_minute_and_never_brings_a_key_back(
    accounts: Accounts, connection: Connection, redis_url: str
) -> None:
    key = accounts.create("acme", BOTH)
    record = keys.api_key(id_of(key))
    accounts.verify(key)
    noted = int(str(connection.commands.hget(record, "last_used_at")))
    connection.commands.hset(record, "last_used_at", noted - 30)
    accounts.verify(key)
    assert connection.commands.hget(record, "last_used_at") == str(noted - 30)
    connection.commands.hset(record, "last_used_at", noted - 61)
    accounts.verify(key)
    assert int(str(connection.commands.hget(record, "last_used_at"))) >= noted
    accounts.revoke(id_of(key))
    assert accounts.verify(key) is None and not connection.commands.exists(record)


def test_a_redis_that_takes_no_writes_still_knows_its_keys(accounts: Accounts, redis_url: str) -> None:
    key = accounts.create("acme", BOTH)
    with redis.Redis.from_url(redis_url) as operator:
        operator.config_set("maxmemory", 1)
        try:
            assert accounts.verify(key) is not None
        finally:
            operator.config_set("maxmemory", 0)
