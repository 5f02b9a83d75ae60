"""Speed knob: what each sf gives, by model."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.board import Panels, board, variable, with_rows
from deploy.grafana.panels import curves, heat

_M = 'model=~"$model"'
_S = f'{_M},sf=~"$sf"'
_R = "[$__rate_interval]"
_BY = "{{model}} sf={{sf}}"


def build() -> dashboard.Dashboard:
    """The page with its rows and panels."""
    page = board("scalingcache-speed-knob", "ScalingCache: Speed knob", "Speedup, cached steps and latency by sf.")
    served = 'label_values(scalingcache_speedup_ratio_count{model=~"$model"}, sf)'
    page.with_variable(variable("sf", "sf", served, models.VariableSort.NUMERICAL_ASC))
    return with_rows(
        page,
        (
            ("What sf gives", _gives()),
            ("Is it still near?", _is_near()),
            ("Distributions", _distributions()),
            ("Does it engage?", _engages()),
        ),
    )


def _gives() -> Panels:
    return [
        curves(
            "Speedup by sf",
            "Mean over completed jobs: time of the job's full steps but its first × steps / its denoising time.",
            "suffix:×",
            (_mean("scalingcache_speedup_ratio", f'kind="measured",{_S}', "model, sf"), _BY),
        ),
        curves(
            "Cached steps by sf",
            "Mean part of a job's steps that was predicted.",
            "percentunit",
            (_mean("scalingcache_cached_ratio", _S, "model, sf"), _BY),
        ),
        curves(
            "Latency by sf",
            "Work on a completed job, without waiting: half of the jobs and 95 of 100 are faster.",
            "s",
            *[(_quantile(q, "scalingcache_generation_seconds", _S, "model, sf"), f"{q} % {_BY}") for q in (50, 95)],
        ),
        curves(
            "Speedup: measured against estimated",
            "Estimated is steps / full steps. Measured lies below it by what predicted steps and the rest cost.",
            "suffix:×",
            (_mean("scalingcache_speedup_ratio", _S, "model, kind"), "{{model}} {{kind}}"),
        ),
        curves(
            "Time of a step",
            "Median and 95 of 100, full and predicted. The first step of each kind after loading is left out.",
            "s",
            *[
                (_quantile(q, "scalingcache_step_seconds", _M, "model, kind"), f"{q} % {{{{model}}}} {{{{kind}}}}")
                for q in (50, 95)
            ],
        ),
        curves(
            "Steps",
            "Denoising steps per second, computed in full or predicted.",
            "ops",
            (f"sum by (model, kind) (rate(scalingcache_steps_total{{{_M}}}{_R}))", "{{model}} {{kind}}"),
            stacked=True,
        ),
    ]


def _is_near() -> Panels:
    near, alike = "scalingcache_shadow_psnr_decibels", "scalingcache_shadow_ssim_ratio"
    ends = f"sum by (model, work, end) (increase(scalingcache_reruns_total{{{_M}}}[1h])) > 0"
    seen = f"sum by (model, verdict) (increase(scalingcache_observed_runs_total{{{_M}}}[1h])) > 0"
    busy = f"sum by (model, work) (rate(scalingcache_rerun_seconds_total{{{_M}}}{_R}))"
    return [
        curves(
            "PSNR of delivered results",
            "Against the uncached ones, both as files; the mean of what idle workers compared within an hour. Encoded "
            "videos stay below what an evaluation finds of frames.",
            "dB",
            (_mean(near, _S, "model, sf", "[1h]"), _BY),
            (f"max by (model, sf) (scalingcache_evaluated_psnr_decibels{{{_S}}})", f"{_BY} evaluated"),
        ),
        curves(
            "SSIM of delivered results",
            "Against the uncached ones, both as files; the mean of what idle workers compared within an hour.",
            "none",
            (_mean(alike, _S, "model, sf", "[1h]"), _BY),
        ),
        heat("PSNR", "How many compared results had which PSNR.", "dB", _buckets(near, _S)),
        curves(
            "Runs again while idle",
            "Completed jobs that idle workers were to run again within an hour, by how that ended.",
            "none",
            (ends, "{{model}} {{work}} {{end}}"),
            stacked=True,
        ),
        curves(
            "What uncached runs taught",
            "Within an hour: promoted ones count from then on, and those held back before with them.",
            "none",
            (seen, "{{model}} {{verdict}}"),
            stacked=True,
        ),
        curves(
            "Time in runs again",
            "Part of the workers' time, given-up ones included: 1 is one worker all the time.",
            "none",
            (busy, "{{model}} {{work}}"),
            stacked=True,
        ),
    ]


def _distributions() -> Panels:
    return [
        heat(
            "Speedup",
            "How many completed jobs had which measured speedup.",
            "suffix:×",
            _buckets("scalingcache_speedup_ratio", f'kind="measured",{_S}'),
        ),
        heat(
            "Cached part of the steps",
            "How many completed jobs had which part of their steps predicted.",
            "percentunit",
            _buckets("scalingcache_cached_ratio", _S),
        ),
        heat(
            "Latency",
            "How many completed jobs took how long, without waiting.",
            "s",
            _buckets("scalingcache_generation_seconds", _S),
        ),
        heat("sf asked for", "The sf of accepted jobs.", "none", _buckets("scalingcache_sf_requested", _M)),
        heat(
            "sf in force",
            "The sf of completed jobs; a job that ran uncached counts with its number of steps.",
            "none",
            _buckets("scalingcache_sf_effective", _M),
        ),
        heat(
            "Predictions off, over expected",
            "At each full step after predicted ones: around 1 the model behaves as it was measured; far above 1 the "
            "prompts are harder than those, or the weights have changed.",
            "none",
            _buckets("scalingcache_misprediction_ratio", _M),
        ),
    ]


def _engages() -> Panels:
    done = f"increase(scalingcache_acceleration_total{{{_M}}}{_R})"
    engaged = f'increase(scalingcache_acceleration_total{{engaged="true",{_M}}}{_R})'
    return [
        curves(
            "Engaged",
            "Part of the completed jobs in which at least one step was predicted.",
            "percentunit",
            (
                f"(sum by (model) ({engaged}) or 0 * sum by (model) ({done})) / (sum by (model) ({done}) > 0)",
                "{{model}}",
            ),
        ),
        curves(
            "Why not",
            "Completed jobs that ran uncached, by reason; not_requested is sf = steps.",
            "none",
            (
                f'sum by (model, reason) (increase(scalingcache_acceleration_total{{engaged="false",{_M}}}{_R})) > 0',
                "{{model}} {{reason}}",
            ),
            stacked=True,
        ),
        curves(
            "Full steps added",
            "A completed job, beyond its plan, since predictions were further off than expected. Much above 0: measure "
            "the model again, on prompts like those.",
            "none",
            (
                f"sum by (model) (rate(scalingcache_added_steps_total{{{_M}}}{_R})) / "
                f"(sum by (model) (rate(scalingcache_acceleration_total{{{_M}}}{_R})) > 0)",
                "{{model}}",
            ),
        ),
        curves(
            "sf: asked for and in force",
            "Means. They differ where jobs with an sf below their steps ran uncached.",
            "none",
            (_mean("scalingcache_sf_requested", _M, "model"), "{{model}} asked for"),
            (_mean("scalingcache_sf_effective", _M, "model"), "{{model}} in force"),
        ),
    ]


def _mean(histogram: str, selector: str, by: str, over: str = _R) -> str:
    total, count = (f"sum by ({by}) (rate({histogram}_{part}{{{selector}}}{over}))" for part in ("sum", "count"))
    return f"{total} / ({count} > 0)"


def _quantile(percent: int, histogram: str, selector: str, by: str) -> str:
    rates = f"sum by (le, {by}) (rate({histogram}_bucket{{{selector}}}{_R}))"
    return f"histogram_quantile({percent / 100:g}, {rates})"


def _buckets(histogram: str, selector: str) -> str:
    return f"sum by (le) (increase({histogram}_bucket{{{selector}}}{_R}))"
