"""The receiver that a request names is refused at once where it could never be called."""

from ipaddress import ip_network

import pytest

from service.webhook_urls import webhook_url
from workers.jobs.errors import InvalidRequest


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://Hooks.Example.com/Done?a=B", "https://hooks.example.com/Done?a=B"),
        ("HTTP://example.com:8080", "http://example.com:8080"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:2800:220:1::1]:8443/x", "http://[2606:2800:220:1::1]:8443/x"),
        ("http://10.0.0.5/x", "http://10.0.0.5/x"),
    ],
)
def test_a_receiver_has_one_name(url: str, taken: str) -> None:
    assert webhook_url(url, [ip_network("10.0.0.0/8")]) == taken


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://169.254.169.254/latest",
        "http://[fe80::1]/", "http://0/", "http://127.0.0.1./", "http://[64:ff9b::a9fe:a9fe]/", "http://192.168.0.1:8080/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused_in_every_notation(url: str) -> None:
    with pytest.raises(InvalidRequest, match="not public"):
        webhook_url(url, [])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "ASCII"),
        ("ftp://example.com", "https://"),
        ("example.com/hook", "https://"),
        ("javascript:alert(1)", "https://"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://user:secret@example.com", "user"),
        ("http://a@b@example.com", "user"),
        ("https://example.com#part", "fragment"),
        ("https://example.com#", "fragment"),
        ("https://example.com:0", "port"),
        ("https://example.com:99999", "port"),
        ("https://example.com:x", "port"),
        ("https://exa mple.com", "ASCII"),
        ("https://example.com/\n", "ASCII"),
        ("https://example.com/\r\nx-header: 1", "ASCII"),
        ("https://example.com\\@evil.test", "ASCII"),
        ("https://bücher.example", "ASCII"),
        ("https://①②⑦.0.0.1/", "ASCII"),
        ("https://-example.com", "host"),
        ("http://[::1", "host"),
        ("http://[fe80::1%25eth0]/", "host"),
        ("https://example.com/" + "a" * 2048, "2048"),
    ],
)  # fmt: skip
def test_what_is_no_receiver_is_refused_by_name(url: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refusal:
        webhook_url(url, [])
    assert refusal.value.param == "webhook_url"
    assert len(str(refusal.value)) < 400
