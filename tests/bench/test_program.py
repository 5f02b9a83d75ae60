"""What is wrong on a benchmark's command line ends it before it begins: with code 2, the reason, and no traceback."""

import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from importlib import import_module

import pytest
from click import unstyle

from bench.program import positive, run_command, whole
from workers.configuration import run_program

PROCESS = "--model", "wan-tiny", "--rival", "paper", "--output", "nowhere", "--work", "nowhere"


def ended(name: str, *options: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of `python -m name`."""
    module = import_module(name)
    monkeypatch.setattr(sys, "argv", [name, *options])
    # Boxes of typer break lines where the terminal ends.
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as end:
        if hasattr(module, "argparse"):
            run_program(f"python -m {name}", module.main)
        else:
            run_command(name.removesuffix(".__main__"), module.main)
    return end.value.code


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("bench.rivals.__main__", ("--model", "nosuch"), "bench.rivals: model 'nosuch' is not served here; allowed:"),
        ("bench.rivals.__main__", ("--catalogue", "/nonexist"), "bench.rivals: /nonexist"),
        ("bench.rivals.__main__", ("--only", "nosuch"), "no rival nosuch; there are "),
        ("bench.rivals.__main__", ("--steps", "9000"), "steps 9000 must be between 1 and "),
        ("bench.rivals.__main__", ("--steps", "99999"), "steps 99999: "),
        ("bench.rivals.__main__", ("--patience", "nan"), "--patience nan must be a number of minutes above 0"),
        ("bench.rivals.__main__", ("--patience", "inf"), "--patience inf must be"),
        ("bench.rivals.__main__", ("--patience", "0"), "--patience 0 must be"),
        ("bench.rivals.__main__", ("--work", "/dev/null/rivals"), "--work: no file can be written in /dev/null/rivals"),
        ("bench.rivals.process", ("--rival", "nosuch", *PROCESS[:2], *PROCESS[4:]), "no rival nosuch; there are "),
        ("bench.real_size.__main__", ("--model", "nosuch"), "--model nosuch: there is no such model; there are "),
        ("bench.real_size.__main__", ("--width", "130"), "--width 130 must be a multiple of 16"),
        ("bench.real_size.__main__", ("--steps", "5"), "--steps 5 must be 6 or more"),
        ("bench.real_size.__main__", ("--device", "abacus"), "'abacus' is not one of 'cpu', 'cuda'"),
        ("bench.real_size.page", ("--model", "nosuch"), "--model nosuch: there is no such model; there are "),
        ("bench.real_size.page", ("--page", "/nonexist"), "--page /nonexist: the table cannot go there"),
        ("bench.real_size.parallel", ("--cfg", "3"), "Invalid value for '--cfg'"),
        ("bench.real_size.parallel", (), "--cfg, --ulysses and --ring are all 1, which is one process"),
        ("bench.watched_tokens", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.interval_settings", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.preview_cost", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.resampling", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.priors", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.adaptive", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.prompt_following", ("--model", "nosuch"), "model 'nosuch' is not served here; allowed:"),
        ("bench.hanging_redis", ("--seconds", "nan"), "nan must be a number above 0"),
    ],
)
def test_what_is_wrong_is_one_line(
    name: str,
    options: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(name, *options, monkeypatch=monkeypatch) == 2
    assert says in unstyle(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        (
            "bench.rivals.__main__",
            (),
            {"prompts": 1, "held-out": 0, "seeds": 1, "best": 0, "pairs": 0, "steps": 4, "threads": 1},
        ),
        (
            "bench.rivals.process",
            PROCESS,
            {"prompts": 1, "held-out": 0, "seeds": 1, "pairs": 0, "steps": 4, "threads": 1},
        ),
        ("bench.real_size.__main__", (), {"sf": 2, "max-skip": 1, "blocks": 1, "heads": 1, "width": 16, "frames": 1}),
        ("bench.real_size.parallel", (), {"ulysses": 1, "ring": 1, "steps": 4, "full-steps": 3, "blocks": 1}),
        ("bench.watched_tokens", (), {"limit": 1, "sf": 3, "threads": 1}),
        ("bench.interval_settings", (), {"limit": 1, "sf": 2, "threads": 1}),
        ("bench.preview_cost", (), {"limit": 1, "sf": 2, "threads": 1}),
        ("bench.resampling", (), {"limit": 1, "runs": 1, "sf": 2, "steps": 4}),
        ("bench.two_experts", (), {"limit": 1, "runs": 1}),
        ("bench.eta", (), {"jobs": 1, "workers": 1}),
        ("bench.load", (), {"requests": 1, "submissions": 1}),
        ("bench.uploads", (), {"uploads": 1}),
        ("bench.event_streams", (), {"streams": 1, "steps": 1}),
        ("bench.hanging_redis", (), {"clients": 1}),
        ("bench.service_latency", (), {"requests": 1, "jobs": 1}),
        ("bench.prompt_following", (), {"limit": 1, "sf": 2}),
    ],
)
def test_every_count_has_a_least_value(
    name: str,
    options: tuple[str, ...],
    least: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for option, value in least.items():
        assert ended(name, *options, f"--{option}", str(value - 1), monkeypatch=monkeypatch) == 2
        said = unstyle(capsys.readouterr().err)
        assert f"--{option}" in said and re.search(rf"(greater than or equal to|whole number,) {value}\b", said)


@pytest.mark.parametrize("threads", ["0", "1025", "100000"])
def test_threads_are_as_many_as_torch_can_have(
    threads: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("bench.rivals.__main__", "--threads", threads, monkeypatch=monkeypatch) == 2
    said = unstyle(capsys.readouterr().err)
    assert "--threads" in said and ("equal to 1024" in said or threads == "0")


@pytest.mark.parametrize(("read", "text"), [(whole(1), "0"), (whole(1), "one"), (positive, "inf"), (positive, "-1")])
def test_a_number_that_is_none_or_too_small_is_named(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"^{text} must be a"):
        read(text)
    assert read("1") == 1
