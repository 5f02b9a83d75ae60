"""A server that breaks the rules is told so, and one that has less is not."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.contract.__main__ import main
from tests.contract.report import RULES, outcome_of, outcomes
from tests.contract.server import VIDEO_KEYS, Server

Answer = tuple[int, object]
Serve = Callable[[Callable[[str, str], Answer]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that answers as a function of method and path says; its address."""
    running = []

    def serve(answer: Callable[[str, str], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, body = answer(self.command, self.path)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815  # the names that the library calls

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def an_error(code: object, status: int) -> Answer:
    return status, {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": code}}


def verdicts(url: str) -> dict[str, str]:
    server = Server(url, seconds=0.2)
    found = {each.rule.name: each.verdict for each in outcomes(server)}
    server.close()
    return found


@pytest.mark.parametrize(
    "answer", [(200, {}), (200, b"<html>"), (500, b""), an_error(404, 404), an_error("internal_error", 500)]
)
def test_a_server_that_answers_anything_else_keeps_no_rule_of_the_shape(serve: Serve, answer: Answer) -> None:
    found = verdicts(serve(lambda *_: answer))
    assert {found[rule.name] for rule in RULES if not rule.ours and rule.name != "a_wrong_key_is_refused"} == {"fail"}


def test_a_server_that_is_not_there_keeps_no_rule() -> None:
    found = verdicts("http://127.0.0.1:1")
    assert set(found.values()) <= {"fail", "unsupported"} and "fail" in found.values()


def a_video(**changes: Any) -> dict[str, Any]:
    usual = dict.fromkeys(VIDEO_KEYS) | {"object": "video", "status": "queued", "progress": 0, "created_at": 1}
    return usual | {"id": "video_1", "seconds": "4", "prompt": "a blue circle"} | changes


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"seconds": 4}, "seconds is 4"),
        ({"status": "cancelled"}, "status is 'cancelled'"),
        ({"progress": 0.5}, "progress is 0.5"),
        ({"object": "video.generation"}, "object is"),
    ],
)
def test_what_breaks_a_rule_is_told(serve: Serve, changes: dict[str, Any], why: str) -> None:
    server = Server(serve(lambda *_: (200, a_video(**changes))))
    outcome = outcome_of(next(rule for rule in RULES if rule.name == "json_is_taken"), server)
    server.close()
    assert outcome.verdict == "fail" and why in outcome.why


def test_a_call_beyond_the_shape_that_is_not_there_is_no_failure(serve: Serve) -> None:
    def answer(method: str, path: str) -> Answer:
        return an_error("not_found", 404) if path.endswith(("/cancel", ":estimate")) else (200, a_video())

    found = verdicts(serve(answer))
    assert found["a_cancelled_video_is_a_failed_one"] == found["an_estimate_makes_nothing"] == "unsupported"


def test_the_command_prints_a_table_and_says_by_its_status_that_a_rule_fails(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([serve(lambda *_: (200, {})), "--seconds", "0.2"]) == 1
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if line.startswith(("fail", "pass", "unsupported"))]) == len(
        RULES
    )
    assert f"{len(RULES)} rules: " in printed and "A JSON body makes a video." in printed
