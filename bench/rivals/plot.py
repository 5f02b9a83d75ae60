"""Fidelity over speedup of all rivals of a model: the nearer to the top right, the better."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.rivals.ablation import parts
from bench.rivals.comparison import Measure, curve, mean
from bench.rivals.records import Outcomes
from bench.rivals.report import BASELINE
from bench.rivals.rival import SPEEDUPS

_OURS = "tab:red"
_STYLES = {"ours-prior": ":", "ours-one-run": "--"}
_OTHERS = [colormaps["tab20"](number) for number in range(20) if number not in (6, 7)]  # those are red


def save_plot(model: str, outcomes: Sequence[Outcomes], path: Path) -> None:
    """PSNR and 1 - SSIM over the speedup by multiply-adds; what is there for the ablation alone is left out."""
    shown = [each for each in outcomes if each.rows and each.rival not in parts()]
    figure = Figure(figsize=(15, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, shown, lambda row: row.fidelity.psnr, "PSNR, dB")
    _draw(right, shown, lambda row: 1 - row.fidelity.ssim, "1 − SSIM")
    right.set_yscale("log")
    right.invert_yaxis()
    figure.suptitle(f"{model}: fidelity to the uncached run over speedup by multiply-adds in blocks")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw(axes: Axes, outcomes: Sequence[Outcomes], measure: Measure, label: str) -> None:
    for number, each in enumerate(outcomes):
        points = curve(each.rows, measure)
        ours, paper = each.rival.startswith("ours"), each.rival == BASELINE
        again, colour = divmod(number, len(_OTHERS))
        axes.plot(
            [1 / point.cost for point in points],
            [mean(point.values) for point in points],
            marker="o" if ours or paper else ".",
            linewidth=2.5 if ours or paper else 1.0,
            linestyle=_STYLES.get(each.rival, "-." if again and not (ours or paper) else "-"),
            color=_OURS if ours else "black" if paper else _OTHERS[colour],
            label=each.title,
        )
    axes.set(xlabel="speedup", ylabel=label, xscale="log")
    axes.set_xticks(SPEEDUPS, [f"{speedup:g}x" for speedup in SPEEDUPS], minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
