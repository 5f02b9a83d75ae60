"""The container files as data."""

from collections.abc import Mapping
from typing import Any

import yaml

from tests.deploy.tools import ROOT

COMPOSE = ROOT / "docker-compose.yml"


def as_written() -> dict[str, Any]:
    """The file with its anchors resolved, its variables not."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def started(profile: str) -> dict[str, dict[str, Any]]:
    """The services of a profile."""
    services: dict[str, dict[str, Any]] = as_written()["services"]
    return {name: service for name, service in services.items() if profile in service.get("profiles", [profile])}


def seconds(text: str) -> float:
    """A duration as compose writes it, such as 1m30s."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    total, number = 0.0, ""
    for letter in text:
        if letter in units:
            total, number = total + float(number) * units[letter], ""
        else:
            number += letter
    return total


def default_of(text: str) -> str:
    """The default in `${NAME:-default}`, or the text itself."""
    return text.removeprefix("${").removesuffix("}").partition(":-")[2] if text.startswith("${") else text


def replaced(text: str, names: Mapping[str, str]) -> str:
    """The text with the container's names and paths as they are on this machine."""
    for name, value in names.items():
        text = text.replace(name, value)
    return text
