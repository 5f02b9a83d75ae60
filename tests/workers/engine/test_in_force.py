"""What a run says that it left out is what shapes nothing; all else shapes its frames."""

import pickle
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.engine.variants import VARIANTS, Variant
from workers.engine.generation import Frames, generate
from workers.engine.in_force import prompt_tokens, without_effect
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.errors import InvalidRequest, RequestRefused
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import Catalogue, families

STEPS = 6
#: For each setting of the result values to exchange for each other; what a model refuses is passed over.
VALUES: dict[str, list[Any]] = {
    "prompt": ["red circle", "circle circle red"],
    "negative_prompt": ["", "red red red", "circle"],
    "width": [64, 96],
    "height": [64, 96],
    "frames": [1, 5, 9],
    "steps": [STEPS, STEPS + 1],
    "guidance": [0.0, 0.5, 1.0, 3.0, 50.0],
    "guidance_2": [0.0, 1.0, 3.0, 50.0],
    "true_cfg_scale": [1.0, 2.0, 9.0],
    "flow_shift": [1.0, 9.0],
    "seed": [7, 8],
}
#: What is no setting of the frames, or has tests of its own.
ELSEWHERE = {
    "model",
    "sf",
    "full_steps",
    "basis_runs",
    "fps",
    "allow_uncalibrated",
    "truncate_prompt",
    "input_reference",
}
#: In which each of the others is looked at.
SURROUNDINGS: list[dict[str, Any]] = [
    {"guidance": 5.0, "negative_prompt": "red red"},
    {"guidance": 1.0, "negative_prompt": "red red"},
    {"guidance": 5.0, "true_cfg_scale": 2.0, "negative_prompt": "red red"},
    {"guidance": 5.0, "steps": 1, "negative_prompt": "red red"},
]


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
def model(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    variant.save(folder)
    entry = variant.entry(folder)
    return load_model(entry, families()[entry.family])


def test_every_setting_is_looked_at() -> None:
    assert VALUES.keys() | ELSEWHERE == GenerationRequest.model_fields.keys()


def test_each_setting_shapes_the_result_or_is_refused_or_is_named(model: LoadedModel, variant: Variant) -> None:
    made: dict[str, Frames] = {}

    def frames_of(request: GenerationRequest) -> Frames:
        key = request.model_dump_json()
        if key not in made:
            picture = variant.picture and variant.picture.resize((request.width, request.height))
            made[key] = generate(model, request, image=picture).frames
        return made[key]

    def accepted(**changes: Any) -> GenerationRequest | None:
        try:
            request = variant.request(model, **{"steps": STEPS, "sf": 100} | changes)
            Catalogue({model.entry.name: model.entry}, families()).check(request)
        except InvalidRequest:
            return None
        return request

    surroundings = [around for around in SURROUNDINGS if accepted(**around)]
    assert surroundings
    for around, (name, values) in product(surroundings, VALUES.items()):
        requests = [request for value in values if (request := accepted(**around | {name: value}))]
        for one, other in pairwise(requests):
            idle = [without_effect(model, request) for request in (one, other)]
            alike = np.array_equal(frames_of(one), frames_of(other))
            assert not alike or any(name in each for each in idle), f"{name}: {one!r} does what {other!r} does"
            assert alike or not all(name in each for each in idle), f"{name} is called idle: {one!r} and {other!r}"


def test_the_tokens_that_are_read_are_those_that_shape_the_result(model: LoadedModel, variant: Variant) -> None:
    request = variant.request(model, steps=2, sf=2)
    short = prompt_tokens(model, request)
    assert short and all(tokens.read == tokens.total for tokens in short)
    long = request.model_copy(update={"prompt": "red circle " * 200})
    cut = [tokens for tokens in prompt_tokens(model, long) if tokens.prompt == "prompt"]
    assert cut and all(tokens.read < tokens.total for tokens in cut)
    longer = request.model_copy(update={"prompt": long.prompt + "circle circle"})
    frames = [generate(model, each, image=variant.picture).frames for each in (request, long, longer)]
    assert np.array_equal(frames[1], frames[2]), "what is beyond is not read"
    assert not np.array_equal(frames[0], frames[1])
    readers = pickle.loads(
        pickle.dumps([reader.portable() for reader in model.family.readers(model.pipeline, model.entry)])
    )
    for prompt in (request.prompt, long.prompt, "  an &amp; in\u00e2\u20ac\u2122s \n two lines ", ""):
        counted = prompt_tokens(model, request.model_copy(update={"prompt": prompt}))
        expected = [(tokens.read, tokens.total) for tokens in counted if tokens.prompt == "prompt"]
        assert [reader.read_and_total(prompt) for reader in readers] == expected, "another process counts alike"
    with pytest.raises(RequestRefused, match=f"of which {cut[0].encoder} of {model.entry.name} reads {cut[0].read}"):
        prompt_tokens(model, long.model_copy(update={"truncate_prompt": False}))
