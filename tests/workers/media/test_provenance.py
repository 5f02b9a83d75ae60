"""What a file says of how it was made, read with the libraries that players and viewers are made of."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.workers.factories import a_report, a_request
from workers.jobs.job import Account, GenerationRequest
from workers.media.formats import FORMATS
from workers.media.provenance import Embedded, comment_of
from workers.models.catalogue import families

REPORT = a_report().model_copy(update={"account": Account(method="covariance"), "engaged": True})
FRAMES = np.full((5, 32, 48, 3), 128, np.uint8)


def request(**fields: Any) -> GenerationRequest:
    return a_request().model_copy(update={"prompt": "a secret product", "negative_prompt": "grey fog"} | fields)


def comment_in(path: Path) -> str | None:
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return container.metadata.get("comment")
    with Image.open(path) as image:
        return image.info.get("Comment")


def written(tmp_path: Path, media: Any, embedded: Embedded) -> Path:
    path = tmp_path / f"{embedded}{FORMATS[media].suffix}"
    FORMATS[media].write(path, FRAMES[: 1 if media == "image" else 5], 8, comment_of(request(), REPORT, embedded))
    return path


@pytest.mark.parametrize("media", ["video", "image"])
def test_a_file_says_which_settings_made_it_and_not_with_which_prompt(tmp_path: Path, media: str) -> None:
    path = written(tmp_path, media, "settings")
    told = json.loads(comment_in(path) or "")
    software = told.pop("software")
    assert software.startswith("ScalingCache Serve ")
    assert told == {
        "model": request().model,
        "seed": request().seed,
        "steps": request().steps,
        "sf": request().sf,
        "schedule": REPORT.decisions,
        "method": "covariance",
        "parallel": None,
    }
    assert b"secret product" not in path.read_bytes()


@pytest.mark.parametrize("media", ["video", "image"])
def test_prompts_are_in_a_file_where_that_was_asked_for_and_nothing_where_not(tmp_path: Path, media: str) -> None:
    told = json.loads(comment_in(written(tmp_path, media, "prompt")) or "")
    assert (told["prompt"], told["negative_prompt"], told["seed"]) == ("a secret product", "grey fog", request().seed)
    silent = written(tmp_path, media, "none")
    assert comment_in(silent) is None and b"ScalingCache" not in silent.read_bytes()


@pytest.mark.parametrize("media", ["video", "image"])
def test_equal_results_have_equal_bytes(tmp_path: Path, media: str) -> None:
    first = written(tmp_path, media, "settings").read_bytes()
    assert written(tmp_path, media, "settings").read_bytes() == first


def test_a_long_prompt_in_any_script_is_kept_whole(tmp_path: Path) -> None:
    prompt = "红色的圆 — ein Kreis\n" * 1500
    comment = comment_of(request(prompt=prompt), REPORT, "prompt")
    for media in FORMATS.values():
        path = tmp_path / f"long{media.suffix}"
        media.write(path, FRAMES[:1], 8, comment)
        assert json.loads(comment_in(path) or "")["prompt"] == prompt


def test_a_run_without_predictions_names_no_method() -> None:
    plain = REPORT.model_copy(update={"engaged": False})
    assert json.loads(comment_of(request(), plain, "settings") or "")["method"] is None


def test_every_size_that_a_model_takes_is_one_that_the_encoder_takes() -> None:
    multiples = {family.name: family.size_multiple for family in families().values() if family.media == "video"}
    assert multiples and all(multiple % 2 == 0 for multiple in multiples.values()), multiples
