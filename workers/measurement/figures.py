"""The figures of a calibration and of an evaluation, as people of the field know them from the paper."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workers.models.evaluation import Estimate, Evaluation
from workers.scalingcache import priors
from workers.scalingcache.budget import full_steps
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.paper.coefficients import Coefficients
from workers.scalingcache.planning import planned


def save_figures(coefficients: Coefficients, stem: Path) -> list[Path]:
    """Write `<stem>.convergence.png`, `.heatmap.png` and `.profile.png`; returns their paths."""
    drawn = {"convergence": _convergence, "heatmap": _heatmap, "profile": _profile}
    paths = []
    for name, draw in drawn.items():
        path = stem.with_name(f"{stem.name}.{name}.png")
        with _figure(path) as axes:
            draw(coefficients, axes)
        paths.append(path)
    return paths


def save_covariance_figures(measured: MeasuredCovariance, stem: Path) -> list[Path]:
    """Write `<stem>.covariance.png` and `.schedules.png`; returns their paths."""
    drawn = {"covariance": _covariance, "schedules": _schedules}
    paths = []
    for name, draw in drawn.items():
        path = stem.with_name(f"{stem.name}.{name}.png")
        with _figure(path) as axes:
            draw(measured, axes)
        paths.append(path)
    return paths


def _covariance(measured: MeasuredCovariance, axes: Axes) -> None:
    matrix = measured.covariance.matrix
    size = np.sqrt(np.diag(matrix))
    image = axes.imshow(matrix / np.outer(size, size), origin="lower", cmap="viridis", vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="cosine")
    runs = measured.covariance.runs
    title = f"{measured.kind.model}: how alike outputs are, {runs} run{'s' * (runs > 1)}"
    axes.set(xlabel="denoising step", ylabel="denoising step", title=title)


def _schedules(measured: MeasuredCovariance, axes: Axes) -> None:
    start = priors.combined(measured.covariance, measured.covariance.sigmas)
    for row, (sf, decibels) in enumerate(measured.expected_snr.items()):
        count = full_steps(sf, measured.steps)
        full = planned(start, count, measured.prior_shares.get(count, 0.0))
        axes.barh([row] * measured.steps, 0.9, left=range(measured.steps), height=0.7, color="lightgray")
        axes.barh([row] * len(full), 0.9, left=full, height=0.7, color="tab:blue")
        axes.text(measured.steps + 0.5, row, f"{len(full)} full, {decibels:.0f} dB", va="center")
    axes.set_yticks(range(len(measured.expected_snr)), [str(sf) for sf in measured.expected_snr])
    axes.set(
        xlim=(0, measured.steps * 1.25),
        xlabel="denoising step",
        ylabel="sf",
        title=f"{measured.kind.model}: full steps",
    )


@contextmanager
def _figure(path: Path) -> Iterator[Axes]:
    figure = Figure(figsize=(7, 4), layout="constrained")
    yield figure.subplots()
    figure.savefig(path, dpi=110)


def _convergence(coefficients: Coefficients, axes: Axes) -> None:
    samples, distance = zip(*coefficients.convergence, strict=True)
    axes.plot(samples, distance, marker="o")
    axes.set(
        xlabel="generations used",
        ylabel="mean |α − final α|",
        title=f"{coefficients.key.model}: convergence of α ({coefficients.estimator.replace('_', ' ')})",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)


def _heatmap(coefficients: Coefficients, axes: Axes) -> None:
    image = axes.imshow(
        coefficients.alpha[2:].T.numpy(),
        aspect="auto",
        origin="lower",
        cmap="RdBu_r",
        vmin=0.5,
        vmax=1.5,
        extent=(1.5, coefficients.key.steps - 0.5, 0.5, coefficients.alpha.shape[1] + 0.5),
    )
    axes.figure.colorbar(image, ax=axes, label="α")
    axes.set(xlabel="denoising step", ylabel="block", title=f"{coefficients.key.model}: α per step and block")


def _profile(coefficients: Coefficients, axes: Axes) -> None:
    steps = range(coefficients.key.steps)
    axes.plot(steps[1:], coefficients.relative_change[1:], color="tab:blue", label="relative change ē")
    axes.set(xlabel="denoising step", ylabel="relative change ē", ylim=(0, None))
    axes.set_title(f"{coefficients.key.model}: how the hidden states change, and how well one step is predicted")
    other = axes.twinx()
    other.plot(steps[2:], coefficients.prediction_error, color="tab:red", label="prediction error")
    other.set(ylabel="|y − ŷ|² / |y − y before|²  (last block)", ylim=(0, None))
    axes.legend(handles=[*axes.lines, *other.lines], loc="upper center")
    axes.grid(alpha=0.3)


def save_curve(evaluation: Evaluation, path: Path) -> None:
    """Fidelity and speedup over sf, with their confidence intervals."""
    sf = [row.sf for row in evaluation.rows]
    with _figure(path) as axes:
        _line(axes, sf, [row.psnr for row in evaluation.rows], color="tab:blue", label="PSNR against uncached")
        axes.set(xlabel="sf", ylabel="PSNR, dB", xticks=sf, title=f"{evaluation.model}: the speed knob")
        other = axes.twinx()
        _line(other, sf, [row.speedup for row in evaluation.rows], color="tab:red", label="speedup")
        other.set(ylabel="speedup of denoising", ylim=(1, None))
        axes.legend(handles=[*axes.lines, *other.lines], loc="center right")
        axes.grid(alpha=0.3)


def _line(axes: Axes, x: list[int], estimates: list[Estimate], *, color: str, label: str) -> None:
    axes.plot(x, [e.mean for e in estimates], marker="o", color=color, label=label)
    axes.fill_between(x, [e.low for e in estimates], [e.high for e in estimates], color=color, alpha=0.15, linewidth=0)
