"""The page of a model: tables of all rivals at equal cost, times, the ablation, and who refused or failed."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import median

from bench.rivals.ablation import FORECASTS, RULES, parts, rival_of
from bench.rivals.comparison import Measure, Values, at, curve, difference, mean, worst
from bench.rivals.records import Outcomes, Row
from bench.rivals.rival import SPEEDUPS
from bench.rivals.sweep import mean_costs

BASELINE = "paper"
HEADLINE = 2.5
MEASURES: dict[str, tuple[str, Measure, Callable[[Values], float], int]] = {
    "PSNR": ("dB, mean over prompts", lambda row: row.fidelity.psnr, mean, 1),
    "PSNR of the worst prompt": ("dB", lambda row: row.fidelity.psnr, worst, 1),
    "SSIM": ("mean over prompts", lambda row: row.fidelity.ssim, mean, 4),
    "MS-SSIM": ("mean over prompts", lambda row: row.fidelity.ms_ssim, mean, 4),
    "VMAF": ("mean over prompts", lambda row: row.fidelity.vmaf or 0.0, mean, 1),
    "SNR of the final latents": ("dB, mean over prompts", lambda row: row.fidelity.snr, mean, 1),
}
"""By title: the unit, a row's value, how cases become one number, decimals."""
GATES = ("PSNR of the worst prompt", "SSIM")
AGAINST = ("PSNR", "SSIM")


def page(model: str, outcomes: Sequence[Outcomes], provenance: dict[str, str]) -> str:
    """Markdown."""
    compared = consistent(outcomes)
    sections = [f"# Rivals on {model}", _how(provenance, compared)]
    sections += [_best_table(compared), _against_the_best(compared), _gates(compared)]
    sections += [_sweep_table(title, compared) for title in _measured(compared)]
    sections += [_headline_table(compared), _ablation_table(compared), _times_table(compared), _not_measured(compared)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _measured(outcomes: Sequence[Outcomes]) -> list[str]:
    """The measures' titles; VMAF only where no picture was too small for it."""
    rows = [row for each in outcomes for row in (*each.rows, *each.headline)]
    small = any(row.fidelity.vmaf is None for row in rows)
    return [title for title in MEASURES if not (small and title == "VMAF")]


def consistent(outcomes: Sequence[Outcomes]) -> list[Outcomes]:
    """The same, but a rival that was held against other uncached runs than most is refused."""
    digests: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for each in outcomes:
        for key, digest in {((row.prompt, row.seed), row.reference) for row in (*each.rows, *each.headline)}:
            digests[key][digest] += 1
    usual = {key: counter.most_common(1)[0][0] for key, counter in digests.items()}

    def checked(each: Outcomes) -> Outcomes:
        other = {row.prompt for row in (*each.rows, *each.headline) if row.reference != usual[row.prompt, row.seed]}
        if not other:
            return each
        reason = f"it was held against other uncached runs than the others were, on {len(other)} prompts"
        return Outcomes(rival=each.rival, title=each.title, knob=each.knob, refused=reason)

    return [checked(each) for each in outcomes]


def _how(provenance: dict[str, str], outcomes: Sequence[Outcomes]) -> str:
    prompts = {row.prompt for each in outcomes for row in each.rows}
    made = ", ".join(f"{name} {value}" for name, value in provenance.items() if name not in ("command", "date"))
    return (
        f"`{provenance['command']}`, {provenance['date']}, {made}.\n\n"
        f"Every rival ran in a process of its own, on the same {len(prompts)} prompts against the same uncached runs.\n"
        "A speedup is the multiply-adds of an uncached run in the transformer's blocks over the rival's.\n"
        "Values are interpolated between a rival's own settings; a dash is beyond them.\n"
        f"In brackets: the difference to ScalingCache as published (`{BASELINE}`), paired by prompt, with its 95 % "
        "interval."
    )


def _best_table(outcomes: Sequence[Outcomes]) -> str:
    """Who is ahead; what is there for the ablation alone does not compete."""
    competing = _competing(outcomes)
    lines = ["## Ahead of all others", "", _row("by", *(f"{speedup:g}x" for speedup in SPEEDUPS)), _rule(len(SPEEDUPS))]
    for title in _measured(outcomes):
        _unit, measure, summary, digits = MEASURES[title]
        cells = []
        for speedup in SPEEDUPS:
            values = {each.title: at(curve(each.rows, measure), 1 / speedup) for each in competing}
            scores = {name: summary(value) for name, value in values.items() if value is not None}
            first = max(scores, key=lambda name: scores[name], default=None)
            cells.append("–" if first is None else f"{first}, {scores[first]:.{digits}f}")
        lines.append(_row(title, *cells))
    return "\n".join(lines)


def _competing(outcomes: Sequence[Outcomes]) -> list[Outcomes]:
    return [each for each in outcomes if each.rows and each.rival not in parts()]


def _is_ours(outcomes: Outcomes) -> bool:
    return outcomes.rival.startswith("ours-")


def _against_the_best(outcomes: Sequence[Outcomes]) -> str:
    """Ours less the best of the others at each speedup, paired by prompt."""
    others = [each for each in _competing(outcomes) if not _is_ours(each)]
    ours = [each for each in _competing(outcomes) if _is_ours(each)]
    lines = ["## Ours against the best of the others", "", "Where it is negative, that one is ahead.", ""]
    lines += [_row("", *(f"{speedup:g}x" for speedup in SPEEDUPS)), _rule(len(SPEEDUPS))]
    for title in AGAINST:
        _unit, measure, _summary, digits = MEASURES[title]
        for own in ours:
            cells = [_against(own, others, measure, 1 / speedup, digits) for speedup in SPEEDUPS]
            lines.append(_row(f"{title}, {own.title}", *cells))
    return "\n".join(lines) if ours and others else ""


def _against(own: Outcomes, others: Sequence[Outcomes], measure: Measure, cost: float, digits: int) -> str:
    values = at(curve(own.rows, measure), cost)
    reached = {each.title: found for each in others if (found := at(curve(each.rows, measure), cost)) is not None}
    if values is None or not reached:
        return "–"
    best = max(reached, key=lambda title: mean(reached[title]))
    gain = difference(values, reached[best])
    if gain is None:
        return "–"
    return f"{gain.mean:+.{digits}f} [{gain.low:+.{digits}f}, {gain.high:+.{digits}f}] to {best}"


def _gates(outcomes: Sequence[Outcomes]) -> str:
    """Where ours falls behind the paper in what no mean may hide."""
    ours = [each for each in outcomes if _is_ours(each) and each.rows]
    if not ours:
        return ""
    paper = next((each.rows for each in outcomes if each.rival == BASELINE), ())
    found = []
    for each in ours:
        for title in GATES:
            _unit, measure, summary, digits = MEASURES[title]
            for speedup in SPEEDUPS:
                own, base = (at(curve(rows, measure), 1 / speedup) for rows in (each.rows, paper))
                if own is not None and base is not None and summary(own) < summary(base):
                    values = f"{summary(own):.{digits}f} where the paper has {summary(base):.{digits}f}"
                    found.append(f"- {each.title}, {title} at {speedup:g}x: {values}")
    return "\n".join(["## Where ours is below the paper", "", *(found or ["Nowhere."])])


def _sweep_table(title: str, outcomes: Sequence[Outcomes]) -> str:
    unit, measure, summary, digits = MEASURES[title]
    curves = {each.rival: curve(each.rows, measure) for each in outcomes}
    base = {speedup: at(curves.get(BASELINE, []), 1 / speedup) for speedup in SPEEDUPS}
    lines = [f"## {title}, {unit}", "", _row("rival", *(f"{speedup:g}x" for speedup in SPEEDUPS)), _rule(len(SPEEDUPS))]
    for each in outcomes:
        if each.rows:
            values = [(at(curves[each.rival], 1 / speedup), base[speedup]) for speedup in SPEEDUPS]
            compare = summary is mean and each.rival != BASELINE
            lines.append(_row(each.title, *(_cell(v, b if compare else None, summary, digits) for v, b in values)))
    return "\n".join(lines)


def _cell(values: Values | None, baseline: Values | None, summary: Callable[[Values], float], digits: int) -> str:
    if values is None:
        return "–"
    shown = f"{summary(values):.{digits}f}"
    gain = None if baseline is None else difference(values, baseline)
    if gain is None:
        return shown
    return f"{shown} ({gain.mean:+.{digits}f} [{gain.low:+.{digits}f}, {gain.high:+.{digits}f}])"


def _headline_table(outcomes: Sequence[Outcomes]) -> str:
    ran = [each for each in outcomes if each.headline]
    if not ran:
        return ""
    keys = {(row.prompt, row.seed) for each in ran for row in each.headline}
    prompts = {prompt for prompt, _ in keys}
    seeds = len(keys) // len(prompts)
    titles = _measured(ran)
    lines = [
        f"## {HEADLINE:g}x on held-out prompts",
        "",
        f"{len(prompts)} prompts that nothing was fitted or swept on, {seeds} seed{'s' * (seeds > 1)} each.",
        "",
        _row("rival", *titles),
        _rule(len(titles)),
    ]
    for each in ran:
        cells = []
        for _unit, measure, summary, digits in (MEASURES[title] for title in titles):
            base = next((at(curve(o.headline, measure), 1 / HEADLINE) for o in ran if o.rival == BASELINE), None)
            compare = summary is mean and each.rival != BASELINE
            values = at(curve(each.headline, measure), 1 / HEADLINE)
            cells.append(_cell(values, base if compare else None, summary, digits))
        lines.append(_row(each.title, *cells))
    return "\n".join(lines)


def _ablation_table(outcomes: Sequence[Outcomes]) -> str:
    curves = {each.rival: curve(each.rows, _psnr) for each in outcomes}
    lines = [f"## Ablation: PSNR at {HEADLINE:g}x, dB", "", _row("forecast", *RULES.values()), _rule(len(RULES))]
    for forecast, title in FORECASTS.items():
        cells = [_cell(at(curves.get(rival_of(forecast, rule), []), 1 / HEADLINE), None, mean, 1) for rule in RULES]
        lines.append(_row(title, *cells))
    return "\n".join(lines)


def _times_table(outcomes: Sequence[Outcomes]) -> str:
    lines = [
        "## Times",
        "",
        "Denoising, uncached and accelerated one after the other in one process; the median of the pairs' ratios.",
        "",
        _row("rival", "setting", "by multiply-adds", "by time", "lowest, highest", "pairs"),
        _rule(5),
    ]
    for each in outcomes:
        costs = mean_costs(each.rows)
        for setting in dict.fromkeys(timing.setting for timing in each.timings):
            ratios = [timing.speedup for timing in each.timings if timing.setting == setting]
            counted, timed = f"{1 / costs[setting]:.2f}x", f"{median(ratios):.2f}x"
            knob = f"{each.knob} {setting:g}" if isinstance(setting, float) else f"{each.knob} {setting}"
            spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
            lines.append(_row(each.title, knob, counted, timed, spread, str(len(ratios))))
    return "\n".join(lines) if len(lines) > 6 else ""


def _not_measured(outcomes: Sequence[Outcomes]) -> str:
    told = {
        "## What rivals refuse": [(each.title, each.refused) for each in outcomes if each.refused is not None],
        "## Rivals that failed": [(each.title, each.failed) for each in outcomes if each.failed is not None],
    }
    tables = []
    for heading, reasons in told.items():
        rows = [_row(title, why.replace("|", "\\|").replace("\n", " ")) for title, why in reasons]
        tables += ["\n".join([heading, "", _row("rival", "why"), _rule(1, align="---"), *rows])] if rows else []
    return "\n\n".join(tables)


def _psnr(row: Row) -> float:
    return row.fidelity.psnr


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(columns: int, align: str = "---:") -> str:
    return "|---|" + f"{align}|" * columns
