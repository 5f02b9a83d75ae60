"""What the offline commands print: what was measured, as tables."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from workers.jobs.job import GenerationRequest, RunReport
from workers.jobs.no_effect import idle_settings
from workers.measurement.examination import Examination
from workers.models.evaluation import Estimate, Evaluation
from workers.scalingcache.budget import full_steps
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.paper.coefficients import Coefficients

if TYPE_CHECKING:
    from workers.measurement.plan_choice import Tried


def of_covariance(measured: MeasuredCovariance) -> list[Table | str]:
    """What each sf is expected to keep, and what more runs would bring, or how to find that out."""
    expected = Table("sf", "full steps", "expected SNR of the latents, dB", title=f"{measured.steps} steps")
    for sf, decibels in measured.expected_snr.items():
        expected.add_row(str(sf), str(full_steps(sf, measured.steps)), f"{decibels:.1f}")
    if measured.covariance.runs == 1:
        return [expected, "From one run; measure a second (--prompts with two) to see what more bring."]
    if not measured.held_out:
        return [expected]
    more = Table("runs measured", "error on the others, over that without any", title="what more runs bring")
    for runs, error in measured.held_out.items():
        more.add_row(str(runs), f"{error:.3f}")
    return [expected, more]


def of_plans(tried: "Sequence[Tried]") -> Table:
    """What whole runs have shown of each plan, and which one it is now."""
    shares = {0.0: "measured", 1.0: "nothing measured"}
    table = Table("full steps", "planned by", "PSNR, dB", "worst prompt", "", title="by whole runs")
    for each in tried:
        for plan, share in sorted(each.shares.items(), key=lambda item: item[1]):
            values = f"{fmean(each.psnr[plan]):.1f}", f"{min(each.psnr[plan]):.1f}"
            table.add_row(str(each.count), shares.get(share, "both"), *values, "chosen" if share == each.best else "")
    return table


def of_coefficients(coefficients: Coefficients) -> list[Table]:
    """How many steps the paper's rule is expected to compute, and how stable α is across kinds of prompts."""
    expected = Table("sf", f"full steps, κ = {coefficients.kappa:g}", "full steps, κ = 1", title="expected of the rule")
    for sf, count in coefficients.expected_full_steps.items():
        expected.add_row(str(sf), f"{count:.1f}", f"{coefficients.expected_full_steps_kappa_1[sf]:.1f}")
    if not coefficients.groups:
        return [expected]
    groups = Table("prompts", "mean |α of these − α|", title="stability across kinds of prompts")
    for group, distance in coefficients.groups.items():
        groups.add_row(group, f"{distance:.4f}")
    return [expected, groups]


def of_evaluation(evaluation: Evaluation) -> Table:
    """A row an sf: means over prompts, with their 95 % intervals."""
    prompts = len({(pair.prompt, pair.seed) for pair in evaluation.pairs})
    table = Table(title=f"{evaluation.model}, {evaluation.steps} steps: means over {prompts} prompts, 95 % intervals")
    rows = evaluation.rows
    columns: dict[str, list[str]] = {
        "sf": [str(row.sf) for row in rows],
        "full steps": [f"{row.full_steps:.1f}" for row in rows],
        "speedup": [_interval(row.speedup, 2, "x") for row in rows],
        "predicted / full step": [f"{row.predicted_step_cost:.2%}" for row in rows],
        "PSNR, dB": [_interval(row.psnr, 2) for row in rows],
        "SSIM": [_interval(row.ssim, 4) for row in rows],
        "LPIPS": [_interval(row.lpips, 4) for row in rows],
        "CLIP (uncached)": [f"{_interval(row.clip, 2)} ({_interval(row.clip_uncached, 2)})" for row in rows],
        "cache, KiB": [f"{row.cache_bytes / 1024:.0f}" for row in rows],
    }
    if rows[0].lpips is None:
        del columns["LPIPS"]
    if rows[0].clip is None:
        del columns["CLIP (uncached)"]
    for name in columns:
        table.add_column(name, justify="right")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _interval(estimate: Estimate | None, digits: int, unit: str = "") -> str:
    if estimate is None:
        return "-"
    return f"{estimate.mean:.{digits}f}{unit} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def of_report(report: RunReport, request: GenerationRequest) -> Table:
    """What one generation was like: what the service's answer would say."""
    table = Table(show_header=False)
    table.add_row("prompt", request.prompt)
    for tokens in report.prompt_tokens:
        table.add_row(f"tokens of {tokens.prompt}", f"{tokens.encoder} read {tokens.read} of {tokens.total}")
    table.add_row("sf, seed", f"{request.sf}, {request.seed}")
    table.add_row("decisions", report.decisions)
    added = report.account.added_steps if report.account is not None else []
    table.add_row("full steps", f"{report.full_steps}, {len(added)} of them added" if added else str(report.full_steps))
    table.add_row("cached steps", str(report.cached_steps))
    table.add_row("speedup", f"{report.speedup_measured:.2f}x measured, {report.speedup_estimated:.2f}x by steps")
    if (group := report.parallel) is not None:
        table.add_row(
            "processes", f"{group.ranks}, of which the first waited {group.wait_seconds:.2f} s for the others"
        )
    if report.account is not None and (basis := report.account.basis) is not None:
        table.add_row("basis", f"{basis.kind}, {basis.runs} uncached runs, plan {basis.plan}")
    if report.account is not None and report.account.expected_snr is not None:
        table.add_row("expected", f"{report.account.expected_snr:.1f} dB signal to noise of the latents")
    if report.reason is not None:
        table.add_row("coefficients" if report.engaged else "not accelerated", str(report.reason))
    for setting, reason in idle_settings(request, report).items():
        table.add_row("no effect", f"{setting}: {reason}")
    for stage, seconds in report.timings.items():
        table.add_row(stage, f"{seconds:.2f} s")
    return table


def of_examination(found: Examination) -> list[Table]:
    """What a model is, its parts, and what its acceleration rests on."""
    return [_facts(found), _parts(found), _coefficients(found)]


def _facts(found: Examination) -> Table:
    table = _plain_table(title=found.model, show_header=False)
    schedule = ", ".join(f"{name} {value}" for name, value in found.scheduler.items() if name != "class")
    table.add_row("source", Text(found.source))
    table.add_row("family", f"{found.family}, {found.blocks} blocks, {found.streams or '?'} streams")
    table.add_row("found", Text(found.found))
    table.add_row("loaded with", Text(found.switches))
    table.add_row("scheduler", Text(f"{found.scheduler['class']}: {schedule}"))
    if (loaded := found.loaded) is not None:
        levels = loaded.noise_levels
        first, middle, last = levels[0], levels[len(levels) // 2], levels[-1]
        table.add_row("noise levels", f"{len(levels)}, from {first:g} over {middle:g} to {last:g}")
        if len(loaded.segments) > 1:
            table.add_row("steps of each expert", " and ".join(map(str, loaded.segments)))
        table.add_row("fingerprint", loaded.fingerprint)
        table.add_row("a step", f"{loaded.step_seconds:.3f} s in full; decoding {loaded.decode_seconds:.2f} s")
    return table


def _parts(found: Examination) -> Table:
    table = _plain_table("part", "class", "parameters", "stored", "files", "loaded as", "memory")
    for part in found.parts:
        stored = ", ".join(part.stored or {}) + (f" ({part.variant})" if part.variant else "")
        table.add_row(
            part.name,
            part.class_name,
            "" if part.parameters is None else f"{part.parameters:,}",
            f"{part.tokens:,} tokens" if part.tokens is not None else stored,
            _size(part.file_bytes),
            part.dtype or "",
            _size(part.memory_bytes),
        )
    known = [part.memory_bytes for part in found.parts if part.memory_bytes is not None]
    together = "in all" if found.ranks == 1 else f"in all, for each of {found.ranks} processes"
    table.add_row(together, "", "", "", "", "", _size(sum(known)) if known else "not on this machine")
    return table


def _coefficients(found: Examination) -> Table:
    table = _plain_table("acceleration rests on", "runs", "steps", "size class", "shift", "measured")
    for file in found.coefficients:
        if (each := file.measured) is None:
            table.add_row(Text(file.file), "", "", "", "", Text(file.problem or ""))
            continue
        guided = "with guidance" if each.guidance else "without guidance"
        kind = f"{guided}, from images" if each.input_reference else guided
        shift = "any" if each.method == "covariance" else f"{each.flow_shift or '-'}"
        said = kind if file.unused is None else f"{kind}; {file.unused}"
        table.add_row(Text(file.file), str(each.runs), str(each.steps), str(each.size_class), shift, said)
    if not found.coefficients:
        table.add_row("a prior, until runs are measured: python -m workers calibrate", *[""] * 5)
    return table


def _plain_table(*columns: str, title: str | None = None, show_header: bool = True) -> Table:
    return Table(*columns, title=title, title_justify="left", show_header=show_header, box=box.SIMPLE, pad_edge=False)


def _size(size_bytes: int | None) -> str:
    """In the unit that says it in few digits."""
    if size_bytes is None:
        return ""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.2f} MB"
