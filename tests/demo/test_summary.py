"""What the demo says at its end."""

from typing import Any

import pytest

from demo.summary import summary

UNCACHED: dict[str, Any] = {"timings": {"denoise": 4.2}}
ACCELERATED: dict[str, Any] = {
    "full_steps": 18, "cached_steps": 32, "engaged": True, "reason": None, "timings": {"denoise": 1.5},
}  # fmt: skip


def test_it_says_how_much_faster_and_why_and_names_the_page() -> None:
    told = summary(UNCACHED, ACCELERATED, 49.6, "video", "wan-tiny")
    assert "took 1.50 s instead of 4.20 s, 2.8 times faster" in told
    assert "ran on 18 of 50 steps, and ScalingCache predicted the other 32" in told
    assert "50 dB from the first one, a difference that is hard to see" in told
    assert told.endswith("make up, then open http://localhost:8000 in a browser.")


@pytest.mark.parametrize(("what", "seen"), [("video", "visible where it moves"), ("image", "visible;")])
def test_a_difference_that_shows_is_not_played_down(what: str, seen: str) -> None:
    assert seen in summary(UNCACHED, ACCELERATED, 28.0, what, "wan-tiny")


def test_a_run_that_took_longer_on_a_busy_machine_is_not_called_faster() -> None:
    told = summary(UNCACHED, ACCELERATED | {"timings": {"denoise": 4.2}}, 49.6, "video", "wan-tiny")
    assert "took 4.20 s instead of 4.20 s, while something else kept the machine busy" in told and "faster" not in told


def test_more_than_the_steps_can_save_is_not_called_faster() -> None:
    told = summary({"timings": {"denoise": 19.0}}, ACCELERATED, 49.6, "image", "flux-tiny")
    assert "took 1.50 s instead of 19.00 s, while something else kept the machine busy" in told
    assert "faster" not in told


def test_what_was_not_accelerated_is_not_called_faster() -> None:
    in_full = ACCELERATED | {"engaged": False, "reason": "little_gain", "full_steps": 50, "cached_steps": 0}
    told = summary(UNCACHED, in_full, 100.0, "image", "flux-tiny")
    assert "computed in full like the first, since: little_gain" in told and "faster" not in told
    assert "make up MODEL=flux-tiny" in told
