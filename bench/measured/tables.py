"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from bench.measured.steps import PAPER_SF
from bench.prompt_following import Following, table
from workers.models.evaluation import Estimate, Evaluation, Pair, SfResult

DEFAULT_SF = 10
#: What the first page shows.
HEADLINE_SF = (6, DEFAULT_SF, 14)


def of_evaluation(evaluation: Evaluation) -> str:
    """A row an sf, with 95 % intervals; of prompts in groups also the PSNR of each group."""
    groups = list(dict.fromkeys(pair.group for pair in evaluation.pairs if pair.group))
    head = ["sf", "full steps", "speedup", "predicted step / full step", "PSNR, dB", "SSIM"]
    head += [f"PSNR, {group}" for group in groups] if len(groups) > 1 else []
    rows = [
        [
            str(row.sf),
            f"{row.full_steps:.3g}",
            _interval(row.speedup, "x"),
            f"{100.0 * row.predicted_step_cost:.2f} %",
            _interval(row.psnr),
            f"{row.ssim.mean:.4f}",
            *(f"{_psnr(evaluation.pairs, row.sf, group):.2f}" for group in groups if len(groups) > 1),
        ]
        for row in evaluation.rows
    ]
    prompts = len({(pair.prompt, pair.seed) for pair in evaluation.pairs})
    return f"{_made(evaluation.provenance)}; means over {prompts} prompts.\n\n{markdown(head, rows)}"


def summary(evaluation: Evaluation) -> str:
    """The default sf in a sentence."""
    [row] = [row for row in evaluation.rows if row.sf == DEFAULT_SF]
    return (
        f"At `sf={row.sf}` {row.speedup.mean:.2f} times faster at {row.psnr.mean:.1f} dB, SSIM {row.ssim.mean:.4f} "
        f"({_made(evaluation.provenance)})."
    )


def of_paper(evaluations: Iterable[Evaluation]) -> str | None:
    """A few sf of each model by the paper's method."""
    rows = []
    for evaluation in evaluations:
        few = [row for row in evaluation.rows if row.sf in PAPER_SF]
        for number, row in enumerate(few):
            full, decibels = f"{row.full_steps:.1f}", f"{row.psnr.mean:.2f}"
            name = "" if number else evaluation.model
            rows.append([name, str(row.sf), full, f"{row.speedup.mean:.2f}x", decibels, f"{row.ssim.mean:.4f}"])
    head = ["model", "sf", "full steps", "speedup", "PSNR, dB", "SSIM"]
    return markdown(head, rows, left=1) if rows else None


def of_following(following: Following) -> str:
    """Agreement with the prompt, and how long an uncached run takes."""
    whole = sum(following.uncached_seconds.values())
    beside = 1.0 - following.uncached_seconds["denoise"] / whole
    return (
        f"{_made(following.provenance)}; {_prompts(following)}, seed = line number.\n\n"
        f"{table(following.agreement)}\n\n"
        f"An uncached run takes {whole:.1f} s there (median), {100.0 * beside:.0f} % of it for text and VAE."
    )


def _prompts(following: Following) -> str:
    held_out = f"{following.prompts - following.emoji} held-out prompts"
    return f"{held_out} and {following.emoji} of emoji" if following.emoji else held_out


def of_headline(evaluations: Sequence[Evaluation]) -> str | None:
    """What an sf brings and costs, and on what evidence, for the first page."""
    rows = [_headline(sf, evaluations) for sf in HEADLINE_SF if any(_of(sf, evaluations))]
    if not rows:
        return None
    steps = str(evaluations[0].steps)
    rows.append([f"`{steps}`: the plain pipeline", steps, "1", "the same bytes", "a test compares them"])
    head = [f"`sf`, of {steps} steps", "computed in full", "times faster", "PSNR to uncached, dB", "measured on"]
    return markdown(head, rows, left=1)


def _headline(sf: int, evaluations: Sequence[Evaluation]) -> list[str]:
    rows, measured = _of(sf, evaluations), [each for each in evaluations if _of(sf, [each])]
    prompts = sum(len({(pair.prompt, pair.seed) for pair in each.pairs if pair.sf == sf}) for each in measured)
    return [
        f"`{sf}`: the default" if sf == DEFAULT_SF else f"`{sf}`",
        _span([round(row.full_steps) for row in rows], "d"),
        _span([row.speedup.mean for row in rows], ".1f"),
        _span([row.psnr.mean for row in rows], ".0f"),
        f"{prompts} prompts, {len(measured)} checkpoint{'' if len(measured) == 1 else 's'}",
    ]


def _of(sf: int, evaluations: Sequence[Evaluation]) -> list[SfResult]:
    return [row for evaluation in evaluations for row in evaluation.rows if row.sf == sf]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> str:
    """A table; left: how many columns, from the first, have words in them."""
    rule = "---|" * left + "---:|" * (len(head) - left)
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{rule}", *(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)]
    )


def _psnr(pairs: Iterable[Pair], sf: int, group: str | None) -> float:
    return fmean(pair.psnr for pair in pairs if (pair.sf, pair.group) == (sf, group))


def _interval(estimate: Estimate, unit: str = "") -> str:
    return f"{estimate.mean:.2f}{unit} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _span(values: Sequence[float], digits: str) -> str:
    ends = dict.fromkeys(f"{edge(values):{digits}}" for edge in (min, max))
    return " to ".join(ends)


def _made(provenance: Mapping[str, str]) -> str:
    machine = f"{provenance['device']}, {provenance['threads']} threads, torch {provenance['torch']}"
    return f"`{provenance['command']}`, {provenance['date']}, {machine}"
