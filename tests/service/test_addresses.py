"""Which addresses may be called, in every notation, and that a name is looked at once and called where it was seen."""

import asyncio
from ipaddress import ip_address, ip_network

import pytest

from service.addresses import AddressRefused, GuardedNetwork, Resolver, literal, may_be_called
from tests.service.receiver import Receiver

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378::1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_may_not_be_called(address: str) -> None:
    assert not may_be_called(ip_address(address), [])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert may_be_called(ip_address(address), [])


def test_an_allowed_network_is_that_alone_also_where_ipv6_wraps_it() -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/64")]
    assert all(may_be_called(ip_address(address), allowed) for address in ("10.1.9.9", "::ffff:10.1.0.1", "fd00::9"))
    assert not any(may_be_called(ip_address(address), allowed) for address in ("10.2.0.1", "fd00:1::1", "127.0.0.1"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"]
)
def test_an_address_is_known_in_every_notation(host: str) -> None:
    assert literal(host) == ip_address("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "example.com", "1.2.3.4.5", "0x7f.example", ""])
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "127.1", "0x7f000001", "2130706433", "::1", "no-such.invalid"]
)
def test_the_system_resolver_leads_nobody_to_this_host(host: str) -> None:
    async def call() -> None:
        resolver = Resolver(1)
        try:
            await GuardedNetwork([], resolver).connect_tcp(host, 80, 1.0)
        finally:
            resolver.close()

    with pytest.raises(AddressRefused):
        asyncio.run(call())


class Names:
    """A name server that gives its answers one after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers, self.asked = list(answers), list[str]()

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0)


@pytest.mark.parametrize("answer", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"], [], ["no address"]])
def test_a_name_with_one_address_that_may_not_be_called_is_not_called_at_all(answer: list[str]) -> None:
    with pytest.raises(AddressRefused):
        asyncio.run(GuardedNetwork([], Names(answer)).connect_tcp("both.test", 80, 1.0))


def test_a_name_is_asked_for_once_and_its_next_answer_counts_for_nothing() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    async def call(port: int) -> object:
        stream = await GuardedNetwork([ip_network("127.0.0.0/8")], names).connect_tcp("rebound.test", port, 5.0)
        where = stream.get_extra_info("server_addr")
        await stream.aclose()
        return where

    with Receiver() as receiver:
        assert asyncio.run(call(receiver.port)) == ("127.0.0.1", receiver.port)
    assert names.asked == ["rebound.test"]


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async def call(port: int) -> object:
        network = GuardedNetwork([ip_network("127.0.0.0/8")], Names(["127.0.0.2", "127.0.0.1"]))
        stream = await network.connect_tcp("two.test", port, 5.0)
        where = stream.get_extra_info("server_addr")
        await stream.aclose()
        return where

    with Receiver() as receiver:  # It listens on 127.0.0.1 alone.
        assert asyncio.run(call(receiver.port)) == ("127.0.0.1", receiver.port)
