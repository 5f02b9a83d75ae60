"""Micro checkpoints that all tests share: rivals leave nothing behind."""

import pytest
import torch

from tests.bench.rivals.micros import MICRO, Micro, a_micro


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """Tests run side by side; threads of several processes on the same cores slow each other down."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def micros(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Micro]:
    """By family. Rivals leave nothing behind, so all tests share them."""
    return {family: a_micro(family, tmp_path_factory.mktemp(family)) for family in MICRO}


@pytest.fixture(scope="session")
def flux(micros: dict[str, Micro]) -> Micro:
    return micros["flux"]
