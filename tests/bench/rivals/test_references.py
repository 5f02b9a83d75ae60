"""Uncached runs of the bench: made once for all rivals, and not trusted where they come out otherwise."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
import torch

from bench.rivals import references
from bench.rivals.references import References
from bench.rivals.rival import Case
from bench.rivals.runs import Outcome, same
from tests.bench.rivals.micros import Micro


@pytest.fixture
def cases(flux: Micro) -> list[Case]:
    return [flux.case, Case(flux.case.request.model_copy(update={"seed": 2}))]


def prepared(micro: Micro, folder: Path, cases: list[Case]) -> tuple[References, list[Case]]:
    """In a process of its own, as it were, and which runs it made."""
    made: list[Case] = []

    def uncached(model: object, case: Case) -> Outcome:
        made.append(case)
        return original(model, case)  # type: ignore[arg-type]

    original = references.uncached
    told: list[tuple[int, int]] = []
    with patch.object(references, "uncached", uncached):
        kept = References(folder, micro.model)
        kept.prepare(cases, lambda *news: told.append(news))
    assert told == [(0, len(cases))] * len(cases)
    return kept, made


def test_later_processes_take_what_the_first_has_made_and_make_one_again(
    flux: Micro, tmp_path: Path, cases: list[Case]
) -> None:
    first, made = prepared(flux, tmp_path, cases)
    assert made == cases
    second, made = prepared(flux, tmp_path, cases)
    assert made == cases[:1]
    assert same(second.of(flux.case)[0], flux.reference)
    assert [first.of(case)[1] for case in cases] == [second.of(case)[1] for case in cases]
    assert len({second.of(case)[1] for case in cases}) == 2


def test_those_that_are_missing_are_made(flux: Micro, tmp_path: Path, cases: list[Case]) -> None:
    prepared(flux, tmp_path, cases[1:])
    assert prepared(flux, tmp_path, cases)[1] == [cases[1], cases[0]]


def test_where_one_comes_out_otherwise_none_is_trusted(flux: Micro, tmp_path: Path, cases: list[Case]) -> None:
    prepared(flux, tmp_path, cases)
    for path in tmp_path.iterdir():
        table = torch.load(path, weights_only=True)
        torch.save(table | {"latents": table["latents"] + 1}, path)
    again, made = prepared(flux, tmp_path, cases)
    assert made == [cases[0], *cases]
    assert same(again.of(flux.case)[0], flux.reference)


def test_those_that_came_out_otherwise_are_gone_also_when_making_them_again_is_interrupted(
    flux: Micro, tmp_path: Path, cases: list[Case]
) -> None:
    prepared(flux, tmp_path, cases)
    for path in tmp_path.iterdir():
        table = torch.load(path, weights_only=True)
        torch.save(table | {"latents": table["latents"] + 1}, path)
    pressed = patch.object(references, "uncached", Mock(side_effect=[flux.reference, KeyboardInterrupt]))
    with pressed, pytest.raises(KeyboardInterrupt):
        References(tmp_path, flux.model).prepare(cases, Mock())
    assert prepared(flux, tmp_path, cases)[1] == cases


def test_another_model_has_its_own_and_one_with_other_coefficients_the_same(
    flux: Micro, tmp_path: Path, cases: list[Case]
) -> None:
    prepared(flux, tmp_path, cases)
    measured = replace(flux, model=replace(flux.model, covariances=(), version="of other files"))
    assert prepared(measured, tmp_path, cases)[1] == cases[:1]
    other = replace(flux, model=replace(flux.model, fingerprint="0" * 32))
    assert prepared(other, tmp_path, cases)[1] == cases
