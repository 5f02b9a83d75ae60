"""What is measured, in which order, and what makes it be measured again."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.measured.record import Record
from bench.measured.steps import MODELS, PROMPTS, Step, steps
from demo.vocabulary import unknown_words
from workers.measurement.prompts import read_prompts
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def planned() -> list[Step]:
    return steps(Catalogue.read(ROOT / "models.toml"), MODELS, ROOT)


def test_all_demo_checkpoints_are_measured() -> None:
    assert set(MODELS) == {folder.name for folder in (ROOT / "demo" / "checkpoints").iterdir()}


@pytest.mark.parametrize("model", MODELS)
def test_a_checkpoint_is_measured_with_words_that_it_knows(model: str) -> None:
    measured = MODELS[model]
    for name in filter(None, (measured.calibration, measured.bench, measured.image_calibration)):
        for prompt in read_prompts(ROOT / PROMPTS / name):
            assert unknown_words(ROOT / "demo" / "checkpoints" / model, prompt.text) == {}


def test_what_a_step_needs_is_there_or_made_by_a_step_before_it(planned: list[Step]) -> None:
    made = {path for step in planned for path in step.outputs}
    done: set[Path] = set()
    for step in planned:
        for path in step.inputs:
            assert path in done if path in made else (ROOT / path).is_file()
        done |= set(step.outputs)
    assert len(made) == sum(len(step.outputs) for step in planned)
    assert len({step.name for step in planned}) == len(planned)


def test_the_files_that_the_catalogue_serves_with_are_made(planned: list[Step]) -> None:
    made = {str(ROOT / path) for step in planned for path in step.outputs}
    for model in MODELS:
        entry = Catalogue.read(ROOT / "models.toml").entry(model)
        assert made >= {*entry.coefficients, str(entry.evaluation)}


def test_first_frames_count_among_what_a_step_depends_on(planned: list[Step]) -> None:
    [step] = [each for each in planned if each.name == "wan-ti2v-tiny: evaluation"]
    assert Path("demo/prompts/first_frames/bench-04.png") in step.inputs
    assert Path("alphas/wan-ti2v-tiny.image.json") in step.inputs
    assert not any(path.suffix == ".md" for path in step.inputs)


@pytest.fixture
def step(tmp_path: Path) -> Step:
    (tmp_path / "weights").write_text("1")
    (tmp_path / "table").write_text("made")
    return Step("a model: table", ("bench.table",), "{}", (Path("weights"),), (Path("table"),))


def test_a_finished_step_is_kept_until_anything_it_depends_on_or_made_is_another(step: Step, tmp_path: Path) -> None:
    record = Record(tmp_path / "record", tmp_path)
    assert not record.keeps(step)
    record.finish(step)
    assert Record(tmp_path / "record", tmp_path).keeps(step)
    for changed in (replace(step, command=("bench.other",)), replace(step, settings='{"steps": 4}')):
        assert not record.keeps(changed)
    for file in ("weights", "table"):
        before = (tmp_path / file).read_text()
        (tmp_path / file).write_text("another")
        assert not record.keeps(step)
        (tmp_path / file).write_text(before)
        assert record.keeps(step)
    (tmp_path / "table").unlink()
    assert not record.keeps(step)


def test_a_step_that_made_nothing_is_not_finished(step: Step, tmp_path: Path) -> None:
    record = Record(tmp_path / "record", tmp_path)
    (tmp_path / "table").unlink()
    with pytest.raises(FileNotFoundError, match="did not write table"):
        record.finish(step)
    assert not record.keeps(step)
