"""The page of a model, made from made-up rows."""

from pathlib import Path

import pytest

from bench.rivals.ablation import parts, rival_of
from bench.rivals.plot import save_plot
from bench.rivals.records import Outcomes, Results
from bench.rivals.report import consistent, page
from tests.bench.rivals.made_up import a_row, some_outcomes

PROVENANCE = {"command": "make bench-rivals", "date": "2026-11-25", "processor": "a processor", "threads": "2"}
REFUSING = Outcomes(rival="sea", title="SeaCache", knob="threshold", refused="no | sigma\nis given")


def rows_of(text: str, section: str) -> dict[str, list[str]]:
    """The cells of a section's table by its rows' first cells."""
    lines = text.split(f"## {section}")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {row[0].strip("| "): row[1:] for row in cells}


def test_a_table_has_values_and_paired_differences_at_equal_cost() -> None:
    text = page("m", [some_outcomes("paper"), some_outcomes("other", gain=2.5), REFUSING], PROVENANCE)
    table = rows_of(text, "PSNR, dB")
    assert table["rival"] == ["1.5x", "2x", "2.5x", "3x", "4x", "6x"]
    # The mean over prompts is 1.5 dB above the first one's: 51.5 at half the cost, 46.5 at a quarter.
    assert table["the paper"][1] == "51.5"
    assert table["the other"][1] == "54.0 (+2.5 [+2.5, +2.5])"
    assert table["the paper"][4] == "46.5"
    assert table["the paper"][5] == "–"
    # Halfway between 2x and 4x on a logarithmic scale is 2.83x; 3x lies 58 % of the way.
    assert float(table["the paper"][3]) == pytest.approx(51.5 - 5 * 0.585, abs=0.051)
    assert "SeaCache" not in table


def test_the_worst_prompt_has_its_own_table() -> None:
    text = page("m", [some_outcomes("paper"), some_outcomes("other", gain=1.0)], PROVENANCE)
    assert rows_of(text, "PSNR of the worst prompt")["the other"][1] == "51.0"


def test_the_best_of_each_speedup_is_named_without_the_ablation_s_parts() -> None:
    outcomes = [some_outcomes("paper"), some_outcomes("other", gain=1.0), some_outcomes("reuse-fixed", gain=9.0)]
    table = rows_of(page("m", outcomes, PROVENANCE), "Ahead of all others")
    assert table["PSNR"] == [table["PSNR"][0], "the other, 52.5", *table["PSNR"][2:5], "–"]


def test_ours_is_held_against_the_best_of_the_others_alone() -> None:
    ahead, behind = some_outcomes("tea", gain=2.0), some_outcomes("easy", gain=-3.0)
    part = some_outcomes("reuse-fixed", gain=9.0)
    text = page("m", [some_outcomes("ours-prior", gain=1.5), ahead, behind, part], PROVENANCE)
    table = rows_of(text, "Ours against the best of the others")
    assert table["PSNR, the ours-prior"][1] == "-0.5 [-0.5, -0.5] to the tea"
    assert table["PSNR, the ours-prior"][5] == "–"
    assert table["SSIM, the ours-prior"][1].startswith("-0.0050")
    assert "against the best" not in page("m", [ahead, behind], PROVENANCE)


def test_where_ours_is_below_the_paper_is_said_by_worst_prompt_and_ssim() -> None:
    ours = some_outcomes("ours-prior", gain=1.0)
    worse = [row for row in ours.rows if row.setting != 2.0 or row.prompt != "prompt 0"]
    collapsed = a_row("ours-prior", 2.0, 0.5, 49.9, prompt="prompt 0")
    text = page("m", [some_outcomes("paper"), ours.model_copy(update={"rows": (*worse, collapsed)})], PROVENANCE)
    gates = text.split("## Where ours is below the paper")[1].split("\n## ")[0]
    assert "PSNR of the worst prompt at 2x: 49.9 where the paper has 50.0" in gates
    assert "SSIM" not in gates and "1.5x" not in gates
    assert "\n\nNowhere." in page("m", [some_outcomes("paper"), ours], PROVENANCE)
    assert "below the paper" not in page("m", [some_outcomes("paper")], PROVENANCE)


def test_vmaf_has_a_table_where_every_picture_was_large_enough() -> None:
    measured = some_outcomes("paper")
    near = measured.rows[0].fidelity.model_copy(update={"vmaf": 90.0})
    rows = tuple(row.model_copy(update={"fidelity": near}) for row in measured.rows)
    large = measured.model_copy(update={"rows": rows, "headline": ()})
    assert rows_of(page("m", [large], PROVENANCE), "VMAF")["the paper"][1] == "90.0"
    assert "VMAF" not in page("m", [large, some_outcomes("small")], PROVENANCE)


def test_what_a_rival_refuses_is_said_in_one_line() -> None:
    text = page("m", [some_outcomes("paper"), REFUSING], PROVENANCE)
    assert "| SeaCache | no \\| sigma is given |" in text


def test_times_are_medians_of_paired_ratios_beside_the_counted_speedup() -> None:
    text = page("m", [some_outcomes("paper")], PROVENANCE)
    assert rows_of(text, "Times")["the paper"] == ["threshold 2", "2.00x", "2.00x", "1.60, 2.50", "3"]


def test_the_headline_says_on_how_many_prompts_and_seeds_it_stands() -> None:
    text = page("m", [some_outcomes("paper"), some_outcomes("other", gain=1.0)], PROVENANCE)
    assert "4 prompts that nothing was fitted or swept on, 1 seed each." in text
    assert rows_of(text, "2.5x on held-out prompts")["the other"][0].endswith("(+1.0 [+1.0, +1.0])")


def test_a_rival_held_against_other_uncached_runs_is_not_compared() -> None:
    outcomes = [some_outcomes("paper"), some_outcomes("b"), some_outcomes("patched", gain=9.0, reference="other")]
    checked = {each.rival: each for each in consistent(outcomes)}
    assert checked["b"].refused is None
    assert checked["patched"].rows == ()
    assert "other uncached runs than the others were, on 4 prompts" in str(checked["patched"].refused)
    assert "the patched" not in rows_of(page("m", outcomes, PROVENANCE), "PSNR, dB")


def test_the_ablation_has_a_cell_for_each_forecast_and_rule() -> None:
    assert rival_of("alpha", "rule") == "paper"
    assert rival_of("weights-4", "guarded") == "ours-measured"
    assert rival_of("weights-2", "fixed") == "weights-2-fixed"
    text = page("m", [some_outcomes("paper"), some_outcomes("reuse-fixed", gain=-7.0)], PROVENANCE)
    table = rows_of(text, "Ablation")
    assert table["forecast"] == ["fixed interval", "paper's rule", "schedule", "schedule and guard"]
    assert table["reuse of the last output"] == ["42.9", "–", "–", "–"]
    assert table["α"][1] == "49.9"
    assert len(parts()) == 18 and not parts() & {"paper", "ours-measured"}


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = Results(model="m", provenance=PROVENANCE, outcomes=(some_outcomes("paper"), REFUSING))
    results.save(tmp_path / "m.json")
    assert Results.load(tmp_path / "m.json") == results


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    save_plot("m", [some_outcomes("paper"), some_outcomes("ours-prior", 3.0), REFUSING], tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
