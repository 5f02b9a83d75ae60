"""What is compared on, what is fitted on, and that they are not the same."""

from pathlib import Path

import pytest

from bench.rivals.prompts import (
    SharedPrompt,
    check_disjoint,
    fitting_cases,
    fitting_texts,
    held_out_cases,
    sweep_cases,
)
from workers.models.catalogue import Catalogue

MODELS = ("wan-tiny", "wan-ti2v-tiny", "hunyuan-tiny", "flux-tiny")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.read(Path("models.toml"))


@pytest.mark.parametrize("model", MODELS)
def test_no_prompt_is_both_compared_and_fitted_on(catalogue: Catalogue, model: str) -> None:
    sweep = sweep_cases(catalogue, model, 8, None)
    held_out = held_out_cases(catalogue, model, 24, 2, None)
    assert (len(sweep), len(held_out)) == (8, 48)
    check_disjoint([*sweep, *held_out], fitting_texts())
    check_disjoint(held_out, [case.request.prompt for case in sweep])
    fitting = fitting_cases(catalogue, model, None)
    assert {case.request.prompt for case in fitting} <= fitting_texts()
    with pytest.raises(SharedPrompt):
        check_disjoint([*sweep, fitting[0]], fitting_texts())


@pytest.mark.parametrize("model", MODELS)
def test_every_case_is_an_uncached_request_with_a_seed_of_its_own(catalogue: Catalogue, model: str) -> None:
    cases = [
        *sweep_cases(catalogue, model, 8, None),
        *held_out_cases(catalogue, model, 24, 2, None),
        *fitting_cases(catalogue, model, None),
    ]
    assert all(case.request.sf >= case.request.steps for case in cases)
    assert len({case.request.seed for case in cases}) == len(cases)


def test_a_model_that_animates_gets_first_frames_in_its_size(catalogue: Catalogue) -> None:
    for case in (
        *sweep_cases(catalogue, "wan-ti2v-tiny", 2, 10),
        *held_out_cases(catalogue, "wan-ti2v-tiny", 2, 1, 10),
        *fitting_cases(catalogue, "wan-ti2v-tiny", 10),
    ):
        assert case.image is not None and case.image.size == (case.request.width, case.request.height)
        assert case.request.input_reference is not None
        assert case.request.steps == 10
    assert sweep_cases(catalogue, "wan-tiny", 1, 10)[0].image is None


def test_a_model_of_pictures_gets_prompts_of_every_kind_of_picture(catalogue: Catalogue) -> None:
    prompts = [case.request.prompt for case in sweep_cases(catalogue, "flux-tiny", 8, None)]
    kinds = [next((kind for kind in ("confetti", "moves") if kind in prompt), "emoji") for prompt in prompts]
    assert {kind: kinds.count(kind) for kind in kinds} == {"moves": 4, "emoji": 2, "confetti": 2}
    assert kinds[:6] == ["moves", "moves", "emoji", "emoji", "confetti", "confetti"]
