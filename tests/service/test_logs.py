"""What the log tells of an exception."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service import logs


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def fail() -> None:
    raise RuntimeError("secret prompt")


@pytest.mark.parametrize("logger", ["structlog", "logging"])
def test_an_exception_is_its_class_and_frames_without_its_text(capsys: pytest.CaptureFixture[str], logger: str) -> None:
    logs.configure()
    try:
        fail()
    except RuntimeError:
        (structlog if logger == "structlog" else logging).getLogger("service").exception("it failed")
    out = capsys.readouterr().out
    line = json.loads(out)
    assert (line["event"], line["level"], line["exception"]) == ("it failed", "error", "RuntimeError")
    assert line["frames"][-1].endswith(" fail")
    assert "secret" not in out


def test_for_people_a_line_is_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console")
    structlog.get_logger("service").info("job submitted", job="video_1")
    out = capsys.readouterr().out
    assert "[info" in out and "job submitted" in out and "job=video_1" in out
    assert "\x1b" not in out  # no colours where nobody sees them


def test_what_is_said_again_and_again_is_said_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logger = logging.getLogger("asyncio")
    for number in range(100):
        logger.error(f"socket.accept() out of system resource\nsocket: {number}")
    logger.error("another")
    first, second = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert first.startswith("socket.accept() out of system resource") and second == "another"


def test_it_is_said_again_later() -> None:
    record = logging.makeLogRecord({"msg": "again"})
    often = logs.OnceInAWhile(seconds=0.0)
    assert often.filter(record) and often.filter(record)
