"""Which generations are compared, and which ones rivals may be fitted on. The two never share a prompt."""

import hashlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from bench.prompt_following import read_prompts as read_held_out
from bench.rivals.rival import Case
from demo.prompt_files import HELD_OUT
from workers.measurement.prompts import Prompt, read_prompts
from workers.media.first_frame import fitted
from workers.models.catalogue import Catalogue

FOLDER = Path("demo/prompts")
_SWEEP = "bench{}.txt"
_FITTING = "calibration{}.txt"
_ENDINGS = {"videos": "", "pictures": "_pictures", "first frames": "_first_frames"}
"""Of both files, by what a model makes; the last are videos that go on from a given first frame."""
FITTED = 2
"""How many of the fitting prompts a rival's own calibration takes; what it measures hardly varies with them."""


class SharedPrompt(ValueError):
    """A prompt is compared on and fitted on."""


def sweep_cases(catalogue: Catalogue, model: str, count: int, steps: int | None) -> list[Case]:
    """The first prompts of the benchmark, each with a seed of its own."""
    prompts = read_prompts(_file(_SWEEP, catalogue, model), count)
    return [_case(catalogue, model, each.text, _opened(each), seed, steps) for seed, each in enumerate(prompts)]


def fitting_cases(catalogue: Catalogue, model: str, steps: int | None) -> list[Case]:
    """What rivals are fitted on, with seeds that nothing else has."""
    prompts = read_prompts(_file(_FITTING, catalogue, model), FITTED)
    return [
        _case(catalogue, model, each.text, _opened(each), 5000 + number, steps) for number, each in enumerate(prompts)
    ]


def held_out_cases(catalogue: Catalogue, model: str, count: int, seeds: int, steps: int | None) -> list[Case]:
    """Prompts of the held-out file that neither the sweep nor any calibration has, each with several seeds."""
    taken = {*texts(read_prompts(_file(_SWEEP, catalogue, model))), *fitting_texts()}
    held_out = read_held_out(HELD_OUT, _makes(catalogue, model) == "first frames")
    left = [each for each in held_out if _plain(each.text) not in taken][:count]
    pictures = [None if each.first_frame is None else Image.fromarray(each.first_frame) for each in left]
    return [
        _case(catalogue, model, each.text, picture, 1000 * (seed + 1) + number, steps)
        for number, (each, picture) in enumerate(zip(left, pictures, strict=True))
        for seed in range(seeds)
    ]


def fitting_texts() -> set[str]:
    """All prompts that coefficients, covariances or rivals may have been fitted on."""
    files = [FOLDER / _FITTING.format(ending) for ending in _ENDINGS.values()]
    return texts(prompt for path in files for prompt in read_prompts(path))


def texts(prompts: Iterable[Prompt]) -> set[str]:
    """The prompts' texts, however they are spaced and written large."""
    return {_plain(prompt.text) for prompt in prompts}


def check_disjoint(cases: Sequence[Case], fitted_on: Iterable[str]) -> None:
    """Raise `SharedPrompt` when a case's prompt is among the texts that something was fitted on."""
    known = {_plain(text) for text in fitted_on}
    for case in cases:
        if _plain(case.request.prompt) in known:
            raise SharedPrompt(f"prompt {case.request.prompt!r} is fitted on and must not be compared on")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _makes(catalogue: Catalogue, model: str) -> str:
    if catalogue.family(model).input_reference != "none":
        return "first frames"
    return "pictures" if catalogue.request(model, "any").frames == 1 else "videos"


def _file(name: str, catalogue: Catalogue, model: str) -> Path:
    return FOLDER / name.format(_ENDINGS[_makes(catalogue, model)])


def _opened(prompt: Prompt) -> Image.Image | None:
    return None if prompt.image is None else Image.open(prompt.image)


def _case(
    catalogue: Catalogue, model: str, text: str, picture: Image.Image | None, seed: int, steps: int | None
) -> Case:
    """A request that runs uncached; every other field is the model's default."""
    reference = None if picture is None else hashlib.sha256(picture.tobytes()).hexdigest()
    request = catalogue.request(model, text, seed=seed, steps=steps, input_reference=reference)
    request = request.model_copy(update={"sf": max(2, request.steps)})
    return Case(request, None if picture is None else _in_size(picture, request.width, request.height))


def _in_size(picture: Image.Image, width: int, height: int) -> Image.Image:
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    with Image.open(BytesIO(fitted(buffer.getvalue(), width, height))) as sized:
        return sized.convert("RGB")
