"""`generate` takes what a request may say, and makes of it what the service would."""

import inspect
from pathlib import Path

import pytest

from tests.catalogues import a_model, catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.evaluations import a_pair, an_evaluation
from tests.workers.micro_wan import micro_entry
from workers.commands.generate import generate
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest
from workers.media.mp4 import read_mp4


@pytest.fixture
def folder(micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models.toml").write_text(catalogue_text(micro_entry(micro_folder)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_setting_of_a_request_is_an_option() -> None:
    settings = set(GenerationRequest.model_fields) - {"full_steps", "input_reference"}
    assert settings - set(inspect.signature(generate).parameters) == set()
    assert {"target_speedup", "seconds", "image"} <= set(inspect.signature(generate).parameters)


def test_options_reach_the_run_and_what_it_was_like_is_told(folder: Path) -> None:
    output = run("generate", "--model", "micro-wan", "--prompt", "red circle circle", "--seconds", "1.1", "--fps", "4",
                 "--target-speedup", "2", "--guidance", "1", "--negative-prompt", "red", "--flow-shift", "2",
                 "--basis-runs", "0", "--seed", "3", "-o", "x.mp4")  # fmt: skip
    assert read_mp4(folder / "x.mp4").shape[0] == 5
    lines = [" ".join(line.strip("│ ").split()) for line in output.splitlines()]
    for start in ("full steps │ 6", "basis │ ", "tokens of prompt │ text_encoder read 3 of 3",
                  "no effect │ negative_prompt: guidance 1 is not"):  # fmt: skip
        assert any(line.startswith(start) for line in lines), (start, lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-speedup", "2", "--sf", "4"], "--target-speedup and --sf: set only one of them"),
        (["--seconds", "1", "--frames", "5"], "--seconds and --frames: set only one of them"),
        (["--target-speedup", "30"], "12 steps are at most 6 times faster, with 2 in full"),
        (["--seconds", "60"], "micro-wan makes at most 9 frames"),
        (["--no-truncate-prompt", "--prompt", "red " * 20], "prompt has 20 tokens, of which text_encoder .* reads 8"),
    ],
)
def test_what_cannot_be_is_refused_as_the_service_refuses_it(folder: Path, options: list[str], message: str) -> None:
    prompt = [] if "--prompt" in options else ["--prompt", "red"]
    with pytest.raises(Exception, match=message) as refused:
        run("generate", "--model", "micro-wan", *prompt, *options, "-o", "x.mp4")
    assert isinstance(refused.value, InvalidRequest) or type(refused.value).__name__ == "RequestRefused"
    assert not (folder / "x.mp4").exists()


@pytest.mark.parametrize("with_image", [0, 1])
def test_a_speedup_is_looked_up_for_prompts_of_every_kind_in_a_file(folder: Path, with_image: int) -> None:
    (folder / "first.png").write_bytes(b"nothing decodes it")
    lines = ["red", "circle"]
    lines[with_image] += "\tfirst.png"
    (folder / "prompts.txt").write_text("\n".join(lines))
    an_evaluation([a_pair(2, 2.0, 30.0)]).save(folder / "evaluation.json")
    entry = a_model(family="wan-ti2v", method="paper", evaluation="evaluation.json", defaults={"steps": 7, "sf": 2})
    (folder / "models.toml").write_text(catalogue_text(entry))
    with pytest.raises(InvalidRequest, match="wan-test was evaluated without input_reference; set sf instead"):
        run("generate", "--model", "wan-test", "--prompts", "prompts.txt", "--target-speedup", "2", "-o", "out")
