"""Pages show what was measured: the figures of the result files, and nothing typed by hand."""

from pathlib import Path

import pytest

from bench.measured.pages import PAGES, UnknownPart, filled
from bench.measured.tables import markdown, of_evaluation, of_following, of_headline, of_paper, summary
from bench.prompt_following import Following
from workers.models.evaluation import Evaluation, Pair, summarise

ROOT = Path(__file__).parents[3]
MADE = {"command": "python -m x", "date": "2026-11-26", "device": "x86_64", "threads": "2", "torch": "2.13.0"}


def pair(sf: int, psnr: float, group: str | None, speedup: float = 2.5) -> Pair:
    return Pair(
        prompt=f"{group} {psnr}", group=group, sf=sf, seed=0, decisions="F" * sf + "P" * 3, reason=None,
        speedup=speedup, predicted_step_cost=0.004, psnr=psnr, ssim=0.99, lpips=None, clip=None, clip_uncached=None,
        cache_bytes=1,
    )  # fmt: skip


def evaluation(pairs: list[Pair], model: str = "m") -> Evaluation:
    return Evaluation(
        model=model, fingerprint="f", steps=50, size="8x8", frames=1, guidance=1.0, rows=summarise(pairs), pairs=pairs,
        provenance=MADE,
    )  # fmt: skip


@pytest.mark.parametrize(
    "page", sorted(path for pattern in PAGES for path in ROOT.glob(pattern)), ids=lambda page: str(page.parent.name)
)
def test_a_page_shows_what_was_measured(page: Path) -> None:
    assert page.read_text() == filled(page.read_text(), ROOT), "run python -m bench.measured --pages"


@pytest.mark.parametrize("model", [folder.name for folder in (ROOT / "demo" / "checkpoints").iterdir()])
def test_a_card_has_a_place_for_what_its_checkpoint_makes_of_prompts(model: str) -> None:
    card = (ROOT / "demo" / "checkpoints" / model / "README.md").read_text()
    assert f"<!-- measured: following {model} -->" in card and f"<!-- measured: summary {model} -->" in card


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "alphas").mkdir()
    evaluation([pair(10, 40.0, None)]).save(tmp_path / "alphas" / "m.evaluation.json")
    page = "before\n<!-- measured: summary m -->\nold\n<!-- end of measured -->\nbetween\n"
    page += "<!-- measured: summary other -->\nnot measured\n<!-- end of measured -->\nafter\n"
    once = filled(page, tmp_path)
    assert once.startswith("before\n<!-- measured: summary m -->\n\nAt `sf=10` 2.50 times faster at 40.0 dB")
    assert "old" not in once
    assert once.endswith("\n\n<!-- end of measured -->" + page.split("<!-- end of measured -->", 1)[1])
    assert filled(once, tmp_path) == once


@pytest.mark.parametrize("name", ["speed wan-tiny", "evaluation", "headlines"])
def test_a_part_that_nobody_measures_is_an_error(name: str) -> None:
    with pytest.raises(UnknownPart, match=name):
        filled(f"<!-- measured: {name} -->\n<!-- end of measured -->", ROOT)


def test_groups_of_prompts_have_columns_of_their_own() -> None:
    pairs = [pair(10, 40.0, "easy"), pair(10, 30.0, "hard"), pair(10, 32.0, "hard")]
    head, _, row = of_evaluation(evaluation(pairs)).splitlines()[-3:]
    assert head.endswith("| SSIM | PSNR, easy | PSNR, hard |") and row.endswith("| 0.9900 | 40.00 | 31.00 |")
    assert row.startswith("| 10 | 10 | 2.50x [2.50, 2.50] | 0.40 % | 34.00 [")
    alone = of_evaluation(evaluation([pair(10, 40.0, "easy")]))
    assert "easy" not in alone and "means over 1 prompts" in alone


def test_the_papers_table_names_each_model_once() -> None:
    measured = [evaluation([pair(sf, 40.0, None) for sf in (4, 6, 10)], name) for name in "ab"]
    rows = (of_paper(measured) or "").splitlines()[2:]
    assert [row.partition(" 2.50x")[0] for row in rows] == [
        "| a | 4 | 4.0 |", "| | 10 | 10.0 |", "| b | 4 | 4.0 |", "| | 10 | 10.0 |",
    ]  # fmt: skip
    assert of_paper([]) is None


def test_the_first_page_says_the_range_over_models() -> None:
    models = [evaluation([pair(10, psnr, None, speedup)]) for psnr, speedup in ((40.0, 2.52), (50.0, 2.78))]
    both, one = (of_headline(measured) or "" for measured in (models, models[:1]))
    assert "| `10`: the default | 10 | 2.5 to 2.8 | 40 to 50 | 2 prompts, 2 checkpoints |" in both
    assert "| `10`: the default | 10 | 2.5 | 40 | 1 prompts, 1 checkpoint |" in one
    assert "| `6` |" not in both and of_headline([]) is None
    assert summary(models[0]).endswith("(`python -m x`, 2026-11-26, x86_64, 2 threads, torch 2.13.0).")


def test_prompt_following_says_how_long_an_uncached_run_takes() -> None:
    following = Following(
        model="m", fingerprint="f", prompts=60, provenance=MADE,
        agreement={
            "uncached": {"colour": 98.3, "first frame kept": 29.7},
            "sf=10": {"colour": 100.0, "first frame kept": 29.6},
        },
        uncached_seconds={"encode_prompt": 0.5, "denoise": 8.0, "decode": 1.5},
    )  # fmt: skip
    text = of_following(following)
    assert "| colour | 98.3 % | 100.0 % |" in text and "| first frame kept | 29.7 dB | 29.6 dB |" in text
    assert text.endswith("An uncached run takes 10.0 s there (median), 20 % of it for text and VAE.")


def test_a_table_aligns_words_left_and_figures_right() -> None:
    assert markdown(["a", "b"], [["x", "1"], ["", "2"]], left=1) == "| a | b |\n|---|---:|\n| x | 1 |\n| | 2 |"
