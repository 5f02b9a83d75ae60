"""Workers: what they do, whether they live, what they hold, what fails on them."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.board import Panels, board, with_rows
from deploy.grafana.panels import curves, listing, timeline

_M = 'model=~"$model"'
_R = "[$__rate_interval]"
_STATES = {
    1: ("loading", "yellow"),
    2: ("idle", "green"),
    3: ("busy", "blue"),
    4: ("draining", "purple"),
    5: ("failed", "red"),
}


def build() -> dashboard.Dashboard:
    """The page with its rows and panels."""
    page = board("scalingcache-workers", "ScalingCache: Workers", "State, heartbeat, memory, step times, failures.")
    return with_rows(
        page,
        (
            ("State", _state()),
            ("Load", [*_devices(), *_steps(), *_loading()]),
            ("Several GPUs for one job", _groups()),
            ("What fails", [*_failures(), *_unloadable()]),
        ),
    )


def _state() -> Panels:
    numbered = " or ".join(
        f'scalingcache_worker_state{{state="{word}"}} * {value}' for value, (word, _) in _STATES.items()
    )
    return [
        timeline(
            "State of each worker",
            "Loading its models, idle, busy, draining after SIGTERM, or failed: models not loaded, or no storage.",
            _STATES,
            (f"sum by (instance) ({numbered})", "{{instance}}"),
        ),
        curves(
            "Last sign of life",
            "Age of each worker's last announcement in Redis. It announces every 5 s and counts as gone after 20 s.",
            "s",
            ("max by (worker) (scalingcache_worker_heartbeat_age_seconds)", "{{worker}}"),
            width=12,
        ),
        curves(
            "Live workers by model",
            "As the queue sees them; neither idle nor busy ones means that jobs of the model wait.",
            "none",
            (f"max by (model, state) (scalingcache_workers{{{_M}}})", "{{model}} {{state}}"),
            width=12,
        ),
        listing(
            "What runs",
            "Version of each process.",
            "scalingcache_build_info",
        ),
    ]


def _devices() -> Panels:
    return [
        curves(
            "Device memory",
            "Used and there, on NVIDIA devices.",
            "bytes",
            ("sum by (instance, device) (scalingcache_device_memory_used_bytes)", "{{instance}} {{device}} used"),
            ("sum by (instance, device) (scalingcache_device_memory_size_bytes)", "{{instance}} {{device}} there"),
        ),
        curves(
            "Device utilisation",
            "Part of the time in which the device computed, on NVIDIA devices.",
            "percentunit",
            ("max by (instance, device) (scalingcache_device_utilisation_ratio)", "{{instance}} {{device}}"),
        ),
        curves(
            "Memory of the cache",
            "Peak of what the cache held in the last job.",
            "bytes",
            (f"max by (instance, model) (scalingcache_cache_bytes{{{_M}}})", "{{instance}} {{model}}"),
        ),
    ]


def _steps() -> Panels:
    return [
        curves(
            "Time of a step by worker",
            "Mean, full and predicted. One worker that is slower than the others has a problem of its own.",
            "s",
            (
                f"sum by (instance, model, kind) (rate(scalingcache_step_seconds_sum{{{_M}}}{_R})) "
                f"/ (sum by (instance, model, kind) (rate(scalingcache_step_seconds_count{{{_M}}}{_R})) > 0)",
                "{{instance}} {{model}} {{kind}}",
            ),
        ),
        curves(
            "Busy",
            "Seconds of denoising per second.",
            "percentunit",
            (f"sum by (instance) (rate(scalingcache_step_seconds_sum{_R}))", "{{instance}}"),
        ),
    ]


def _loading() -> Panels:
    return [
        curves(
            "Loading and warm-up",
            "Mean time to load a model since the worker started, and of its first step of each kind after that.",
            "s",
            (
                f"sum by (instance, model) (scalingcache_model_load_seconds_sum{{{_M}}}) "
                f"/ (sum by (instance, model) (scalingcache_model_load_seconds_count{{{_M}}}) > 0)",
                "{{instance}} {{model}} load",
            ),
            (
                f"sum by (instance, model, kind) (scalingcache_warmup_step_seconds_sum{{{_M}}}) "
                f"/ (sum by (instance, model, kind) (scalingcache_warmup_step_seconds_count{{{_M}}}) > 0)",
                "{{instance}} {{model}} first {{kind}} step",
            ),
        ),
    ]


def _unloadable() -> Panels:
    return [
        curves(
            "Models that cannot be loaded",
            "By worker, which goes on to try; its log names the file or setting. Its other models are served.",
            "none",
            (f"max by (instance, model) (scalingcache_model_load_failed{{{_M}}})", "{{instance}} {{model}}"),
            width=24,
        ),
    ]


def _groups() -> Panels:
    return [
        curves(
            "Several GPUs for one job",
            "How many compute a job of each model together, and groups that ended as one of them was lost, by cause.",
            "none",
            (f"max by (model) (scalingcache_group_ranks{{{_M}}}) > 1", "{{model}} GPUs"),
            (f"sum by (cause) (increase(scalingcache_group_failures_total{_R})) > 0", "lost: {{cause}}"),
            width=12,
        ),
        curves(
            "Waiting for each other",
            "How long a step the first process of a group waited for the others at its end, on average.",
            "s",
            (
                f"sum by (model) (rate(scalingcache_group_wait_seconds_sum{{{_M}}}{_R})) "
                f"/ (sum by (model) (rate(scalingcache_group_wait_seconds_count{{{_M}}}{_R})) > 0)",
                "{{model}}",
            ),
            width=12,
        ),
    ]


def _failures() -> Panels:
    def events(counter: str, legend: str, label: str = "") -> tuple[str, str]:
        return f"sum by (model) (increase(scalingcache_{counter}_total{{{label}{_M}}}{_R}))", legend

    failed = f'scalingcache_jobs_total{{outcome=~"failed|dead|retried",{_M}}}'
    return [
        curves(
            "Attempts that failed",
            "By reason: the error code that a client sees. Retried ones run again.",
            "none",
            (f"sum by (outcome, reason) (increase({failed}{_R})) > 0", "{{outcome}} {{reason}}"),
            stacked=True,
        ),
        curves(
            "Retries and dead letters",
            "Attempts that were put back after an error, and jobs that failed on every attempt.",
            "none",
            events("jobs", "{{model}} retried", 'outcome="retried",'),
            events("jobs", "{{model}} dead", 'outcome="dead",'),
        ),
        curves(
            "Leases",
            "Lost: this worker was silent for too long. Reclaimed: it took a silent worker's job away. "
            "Refused: a write that came after the loss.",
            "none",
            events("lease_losses", "lost {{model}}"),
            events("jobs_reclaimed", "reclaimed {{model}}"),
            events("stale_writes_refused", "refused {{model}}"),
        ),
        curves(
            "Out of memory",
            "Attempts that ended because the device had too little memory.",
            "none",
            events("jobs", "{{model}}", 'reason="out_of_memory",'),
            width=12,
        ),
        curves(
            "Dead letters kept",
            "Jobs in the dead-letter stream, and entries that no job belongs to; the last 1000 of each model.",
            "none",
            (f"max by (model) (scalingcache_dead_letter_jobs{{{_M}}})", "{{model}}"),
            (f"max by (model) (scalingcache_set_aside_entries{{{_M}}})", "{{model}}, of no job"),
            width=12,
        ),
    ]
