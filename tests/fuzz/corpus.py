"""Requests that attackers, broken clients and broken proxies send, as bytes; each by a name that says what it is."""

import gzip
import json
from collections.abc import Iterator

#: In each request: the address, and the line with the key.
HOST, KEY = b"<host>", b"<key>"
_HEAD = b"Host: " + HOST + b"\r\n" + KEY + b"\r\n"
_JSON = b"Content-Type: application/json\r\n"
_SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"


def get(path: bytes, headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + _HEAD + headers + b"\r\n"


def post(body: bytes, headers: bytes = _JSON, path: bytes = b"/v1/videos") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST " + path + b" HTTP/1.1\r\n" + _HEAD + headers + length + b"\r\n" + body


def form(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--\r\n") -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + end
    return post(body, b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n")


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value


def _raw(line: bytes, headers: bytes, body: bytes = b"") -> bytes:
    return line + b"\r\n" + _HEAD + headers + b"\r\n" + body


_POST = b"POST /v1/videos HTTP/1.1"
_PROMPT = part(b"prompt", b"a")
_GOOD = b'{"prompt": "a"}'

HTTP: dict[str, bytes] = {
    "garbage": b"\x00\xff\x16\x03\x01\x02\x00\x01" * 40 + b"\r\n\r\n",
    "TLS to a plain port": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(150),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version of its own": get(b"/v1/videos").replace(b"HTTP/1.1", b"HTTP/9.9"),
    "no version": b"GET /v1/videos\r\n\r\n",
    "a method of its own": get(b"/v1/videos").replace(b"GET", b"GETS" * 20),
    "a space before the colon": _raw(_POST, b"Content-Length : 15\r\n" + _JSON, _GOOD),
    "a header without a colon": _raw(_POST, b"Content-Length\r\n" + _JSON, _GOOD),
    "a null byte in a header": get(b"/v1/videos", b"X-A: a\x00b\r\n"),
    "a null byte in the path": get(b"/v1/videos/\x00"),
    "a line feed in the path": get(b"/v1/videos/a\nX-A: b"),
    "two lengths": _raw(_POST, b"Content-Length: 15\r\nContent-Length: 16\r\n" + _JSON, _GOOD),
    "length and chunks": _raw(
        _POST, b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n" + _JSON, b"0\r\n\r\n" + _SMUGGLED
    ),
    "chunks and length": _raw(
        _POST, b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n" + _JSON, b"0\r\n\r\nX" + _SMUGGLED
    ),
    "chunked in other words": _raw(_POST, b"Transfer-Encoding: xchunked\r\n" + _JSON, b"0\r\n\r\n"),
    "chunked and then something": _raw(_POST, b"Transfer-Encoding: chunked, identity\r\n" + _JSON, b"0\r\n\r\n"),
    "a length below zero": _raw(_POST, b"Content-Length: -1\r\n" + _JSON),
    "a length with a sign": _raw(_POST, b"Content-Length: +15\r\n" + _JSON, _GOOD),
    "a length in hexadecimal": _raw(_POST, b"Content-Length: 0xf\r\n" + _JSON, _GOOD),
    "a length beyond all": _raw(_POST, b"Content-Length: 99999999999999999999999\r\n" + _JSON),
    "a length of a terabyte": _raw(_POST, b"Content-Length: 1099511627776\r\n" + _JSON),
    "a chunk below zero": _raw(_POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"-1\r\n"),
    "a chunk beyond all": _raw(_POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"f" * 40 + b"\r\n"),
    "a chunk that is no number": _raw(_POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"zz\r\n"),
    "a chunk that goes on": _raw(_POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"2\r\nabcdef\r\n0\r\n\r\n"),
    "many chunks of a byte": _raw(
        _POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
    ),
    "too many bytes in chunks": _raw(
        _POST, b"Transfer-Encoding: chunked\r\n" + _JSON, (b"10000\r\n" + b"a" * 65_536 + b"\r\n") * 20 + b"0\r\n\r\n"
    ),
    "headers without end": get(b"/v1/videos", b"X-A: " + b"a" * 100_000 + b"\r\n"),
    "too many headers": get(b"/v1/videos", b"".join(b"X-%d: a\r\n" % n for n in range(10_000))),
    "a path without end": get(b"/v1/videos/" + b"a" * 100_000),
    "another host": get(b"/v1/videos").replace(b"Host: " + HOST, b"Host: evil.example"),
    "an absolute address of another host": b"GET http://evil.example/v1/videos HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "two keys": get(b"/v1/videos", b"Authorization: Bearer other\r\n"),
    "a tunnel": _raw(b"CONNECT 169.254.169.254:80 HTTP/1.1", b""),
    "a trace": _raw(b"TRACE /v1/videos HTTP/1.1", b""),
}

BODIES: dict[str, bytes] = {
    "nothing": post(b""),
    "no object": post(b'["prompt"]'),
    "not whole": post(b'{"prompt": "a'),
    "NaN": post(b'{"prompt": "a", "guidance": NaN}'),
    "infinity": post(b'{"prompt": "a", "guidance": 1e999}'),
    "a number without end": post(b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}"),
    "a name twice": post(b'{"prompt": "a", "prompt": "b"}'),
    "lists in lists": post(b"[" * 100_000),
    "objects in objects": post(b'{"a":' * 100_000),
    "a deep prompt": post(b'{"prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "half a surrogate": post(b'{"prompt": "\\ud800"}'),
    "no UTF-8": post(b'{"prompt": "\xff\xfe"}'),
    "UTF-16": post('{"prompt": "a"}'.encode("utf-16")),
    "UTF-7 by name": post(_GOOD, b"Content-Type: application/json; charset=utf-7\r\n"),
    "a prompt of spaces in all scripts": post(json.dumps({"prompt": "\u2003\u00a0\u3000 "}).encode()),
    "digits in another script": post(json.dumps({"prompt": "a", "size": "\u0669\u0666x\u0669\u0666"}).encode()),
    "a compressed body": post(gzip.compress(_GOOD), _JSON + b"Content-Encoding: gzip\r\n"),
    "a bomb": post(gzip.compress(b" " * (200 << 20), 9), _JSON + b"Content-Encoding: gzip\r\n"),
    "a megabyte too much": post(b" " * (1 << 20) + _GOOD),
    "a hundred thousand names": post(json.dumps({f"k{n}": 1 for n in range(50_000)}).encode()),
    "a form by name alone": post(b"prompt=a", b"Content-Type: application/x-www-form-urlencoded\r\n"),
    "no type": post(_GOOD, b""),
    "a type without end": post(_GOOD, b"Content-Type: application/json; a=" + b"a" * 80_000 + b"\r\n"),
}

FORMS: dict[str, bytes] = {
    "no boundary": post(b"", b"Content-Type: multipart/form-data\r\n"),
    "an empty boundary": post(b"", b'Content-Type: multipart/form-data; boundary=""\r\n'),
    "no end": form(_PROMPT, end=b""),
    "another boundary": post(b"--c\r\n" + _PROMPT + b"\r\n--c--", b"Content-Type: multipart/form-data; boundary=b\r\n"),
    "no name": form(b"Content-Disposition: form-data\r\n\r\na"),
    "no disposition": form(b"X-A: b\r\n\r\na"),
    "a thousand fields": form(*(part(b"f%d" % n, b"a") for n in range(1000))),
    "a part with headers without end": form(b"X-A: " + b"a" * 100_000 + b"\r\n\r\na"),
    "a field as a file": form(part(b"prompt", b"a", b'; filename="../../etc/passwd"')),
    "two files": form(*[part(b"input_reference", b"x", b'; filename="a.png"')] * 2),
    "a file that is no image": form(_PROMPT, part(b"input_reference", b"x" * 100, b'; filename="/etc/passwd"')),
    "a name with a null byte": form(_PROMPT, part(b"s\x00f", b"4")),
    "a number in words": form(_PROMPT, part(b"sf", b"many")),
    "a boolean for a number": form(_PROMPT, part(b"sf", b"true")),
    "a list for a number": form(_PROMPT, part(b"sf[]", b"4")),
    "brackets in brackets": form(_PROMPT, part(b"metadata[a][b]", b"4")),
    "a value that is no UTF-8": form(part(b"prompt", b"\xff\xfe")),
    "a form in a form": form(
        _PROMPT, b'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--'
    ),
}

_TRICKS = (
    "..", "../..", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2f", "....//", "..\\..\\", "%5c..%5c", "%00", "a%00.mp4",
    "video_wan-test_%2e%2e", "video_../x_" + "0" * 32, "video_wan-test_" + "0" * 31 + "%0a", "%ff%fe", "%F0%9F%8E%A5",
    "*", "video_*", "video_%7Bq:wan-test%7D", "'; DROP TABLE", "%0d%0aSet-Cookie:a=b", "~root", "C:%5c", "%252e%252e",
    "video_wan-test_" + "f" * 32 + "/../../x", "$(id)", "%24%7Bjndi:ldap://x%7D", "v" * 8000,
)  # fmt: skip
PATHS: dict[str, bytes] = {
    f"{place} of {trick[:40]}": get(place.replace("ID", trick).replace(" ", "%20").encode())
    for trick in _TRICKS
    for place in ("/v1/videos/ID", "/v1/videos/ID/content", "/v1/images/ID/content", "/docs/assets/ID")
}

#: Addresses that are not public, in the notations that parsers know.
ADDRESSES = (
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/",
    "http://0x7f.1/", "http://0177.0.0.1/", "http://017700000001/", "http://0/", "http://0.0.0.0/", "http://[::]/",
    "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/", "http://[fd00::1]/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
    "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/", "http://192.0.2.1/", "http://198.18.0.1/",
    "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://127.0.0.1./", "http://user@127.0.0.1/",
    "http://public.example@127.0.0.1/", "http://127.0.0.1:80/", "http://127.0.0.1#@public.example/",
    "http:\\\\127.0.0.1\\", "http:///127.0.0.1/", "//127.0.0.1/", "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "http://127.0.0.1%00.public.example/", "http://127.0.0.1\t/", "http://127\u30020\u30020\u30021/", "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL", "ftp://127.0.0.1/", "data:text/plain,a", "javascript:alert(1)", "unix:///x",
    "redis://127.0.0.1/", "http://", "http://:80/", "http://[", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/",
)  # fmt: skip
_PICTURES = (*ADDRESSES, "https://public.example/a.png", "data:image/png;base64,", "data:image/svg+xml;base64,PHN2Zy8+")

URLS: dict[str, bytes] = {
    **{f"a webhook to {url}": post(json.dumps({"prompt": "a", "webhook_url": url}).encode()) for url in ADDRESSES},
    **{
        f"a picture from {url}": post(json.dumps({"prompt": "a", "input_reference": {"image_url": url}}).encode())
        for url in _PICTURES
    },
}

#: Cut off, in the middle of a request: nothing has to be answered, and nothing may be kept.
CUT: dict[str, bytes] = {
    "in the headers": get(b"/v1/videos")[:30],
    "in a body": post(b'{"prompt": "' + b"a" * 1000)[:-200].replace(b"Content-Length: 1012", b"Content-Length: 99999"),
    "in a chunk": _raw(_POST, b"Transfer-Encoding: chunked\r\n" + _JSON, b"ffff\r\nabc"),
    "in a form": form(_PROMPT, part(b"sf", b"4"))[:-20],
}


def refused() -> Iterator[tuple[str, bytes]]:
    """All that is to be answered with a 4xx."""
    for group, cases in (("HTTP", HTTP), ("body", BODIES), ("form", FORMS), ("path", PATHS), ("url", URLS)):
        for name, request in cases.items():
            yield f"{group}: {name}", request
