"""Every metric of a worker, in a registry of its own. Labels never carry ids, paths or prompts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from prometheus_client import Info

from workers.build import build
from workers.jobs import errors
from workers.jobs.errors import AttemptFailed
from workers.jobs.job import GenerationRequest, ReasonCode, RunReport, StepKind
from workers.jobs.presence import WorkerState
from workers.jobs.reruns import End, Work
from workers.process import buckets
from workers.process.devices import DeviceCollector
from workers.process.events import StepDone
from workers.process.group_metrics import GroupMetrics

#: How an attempt ended: `released` at shutdown, `lost` to another worker (which counts it), `retried` after an error.
Outcome = Literal["completed", "failed", "cancelled", "released", "lost", "retried", "dead"]
#: What became of what an uncached run has shown; `known`: such a run of the request was seen before.
Seen = Literal["promoted", "held_back", "not_needed", "known"]
_FAILURES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AttemptFailed) and kind is not AttemptFailed
]
#: The error codes of attempts that end their job, and of those after which it is tried again.
FINAL = frozenset(failure.code for failure in _FAILURES if failure.max_attempts == 1)
RETRIED = frozenset(failure.code for failure in _FAILURES if failure.max_attempts > 1)


class Metrics(GroupMetrics):
    """What a worker counts. Lives in the supervisor process, so that it outlives a crash of the model's process.

    Counters of what should not happen are there from the start, at 0 for each of `models`: Prometheus sees no increase
    in a series that begins at 1.
    """

    def __init__(self, models: Sequence[str] = ()) -> None:
        super().__init__()
        self._count_jobs()
        self._measure_steps()
        self._measure_runs()
        self._count_idle_work()
        self._count_troubles()
        self._load_failed = self._gauge(
            "scalingcache_model_load_failed", "1 for a model that the worker cannot load; it goes on to try.", "model"
        )
        self._state = self._gauge("scalingcache_worker_state", "1 for the state that the worker is in.", "state")
        self._build = Info("scalingcache_build", "What is running.", registry=self.registry)
        self._build.info(build("worker", "torch", "diffusers"))
        self._devices = DeviceCollector()
        self.registry.register(self._devices)
        self._cold: set[tuple[str, StepKind]] = set()
        for model in models:
            self._begin(model)

    def _count_jobs(self) -> None:
        self._jobs = self._counter(
            "scalingcache_jobs_total",
            "Attempts that ended, each once, by how; `reason` is the error code of those that failed.",
            "model", "outcome", "reason",
        )  # fmt: skip
        self._wait = self._histogram(
            "scalingcache_job_wait_seconds", "From a job's acceptance to its first start.", buckets.WAIT, "model"
        )
        self._duration = self._histogram(
            "scalingcache_job_duration_seconds", "From a job's acceptance to its end.", buckets.JOB, "model", "outcome"
        )
        self._generation = self._histogram(
            "scalingcache_generation_seconds",
            "Work on a completed job, all stages without waiting.",
            buckets.JOB,
            "model", "sf",
        )  # fmt: skip
        self._stages = self._histogram(
            "scalingcache_stage_seconds", "Time in each stage of a completed job.", buckets.STAGE, "model", "stage"
        )
        self._load = self._histogram(
            "scalingcache_model_load_seconds", "Time to load a model and to warm it up.", buckets.LOAD, "model"
        )
        self._prompts = self._counter(
            "scalingcache_prompts_reused_total", "Completed jobs whose prompt was encoded for an earlier one.", "model"
        )

    def _measure_steps(self) -> None:
        self._steps = self._counter(
            "scalingcache_steps_total", "Denoising steps, computed in full or predicted.", "model", "kind"
        )
        self._step_seconds = self._histogram(
            "scalingcache_step_seconds",
            "Time of a denoising step, but for the first of each kind after loading.",
            buckets.STEP,
            "model", "kind",
        )  # fmt: skip
        self._warmup = self._histogram(
            "scalingcache_warmup_step_seconds",
            "Time of the first denoising step of each kind after loading, which warms up the device.",
            buckets.STEP,
            "model", "kind",
        )  # fmt: skip
        self._saved = self._counter(
            "scalingcache_device_seconds_saved_total",
            "Cached steps of completed jobs × (mean full step but a job's first - mean predicted step) × its GPUs.",
            "model",
        )

    def _measure_runs(self) -> None:
        self._cached_ratio = self._histogram(
            "scalingcache_cached_ratio",
            "Predicted steps over all steps of a completed job.",
            buckets.RATIO,
            "model", "sf",
        )  # fmt: skip
        self._speedup = self._histogram(
            "scalingcache_speedup_ratio",
            "Denoising without over with acceleration: measured in the job, and estimated from its steps.",
            buckets.SPEEDUP,
            "model", "sf", "kind",
        )  # fmt: skip
        self._sf = self._histogram(
            "scalingcache_sf_effective",
            "The sf of completed jobs as it was in force: the number of steps where nothing was predicted.",
            buckets.SF,
            "model",
        )
        self._acceleration = self._counter(
            "scalingcache_acceleration_total",
            "Completed jobs, by whether acceleration engaged, and why not.",
            "model", "engaged", "reason",
        )  # fmt: skip
        self._error = self._histogram(
            "scalingcache_misprediction_ratio",
            "How far predictions were off over what was expected, at each full step after predicted ones.",
            buckets.ERROR,
            "model",
        )
        self._added = self._counter(
            "scalingcache_added_steps_total",
            "Full steps beyond a job's plan, since predictions had been further off than expected.",
            "model",
        )
        self._cache_bytes = self._gauge(
            "scalingcache_cache_bytes", "Most memory that the cache held in the last job.", "model"
        )

    def _count_idle_work(self) -> None:
        self._reruns = self._counter(
            "scalingcache_reruns_total",
            "Completed jobs that this worker was to run again while idle, by what for and by how that ended.",
            "model", "work", "end",
        )  # fmt: skip
        self._rerun_seconds = self._counter(
            "scalingcache_rerun_seconds_total",
            "Time in these reruns, also in those that were given up.",
            "model",
            "work",
        )
        self._observed = self._counter(
            "scalingcache_observed_runs_total",
            "Uncached runs by what became of what they have shown of the model.",
            "model", "verdict",
        )  # fmt: skip
        self._psnr = self._histogram(
            "scalingcache_shadow_psnr_decibels",
            "Of delivered results against uncached ones, both as files; the mean over frames.",
            buckets.PSNR,
            "model", "sf",
        )  # fmt: skip
        self._ssim = self._histogram(
            "scalingcache_shadow_ssim_ratio",
            "As scalingcache_shadow_psnr_decibels: structural similarity.",
            buckets.SSIM,
            "model", "sf",
        )  # fmt: skip

    def _count_troubles(self) -> None:
        self._losses = self._counter(
            "scalingcache_lease_losses_total",
            "Running jobs that this worker lost; how the attempt ended counts where it was taken from it.",
            "model",
        )
        self._refused = self._counter(
            "scalingcache_stale_writes_refused_total",
            "Beats and results that came after the job was no longer this worker's.",
            "model",
        )
        self._reclaims = self._counter(
            "scalingcache_jobs_reclaimed_total", "Jobs that this worker took from one that fell silent.", "model"
        )

    def _begin(self, model: str) -> None:
        for counter in (self._losses, self._refused, self._reclaims, self._saved, self._prompts):
            counter.labels(model)
        self._load_failed.labels(model)
        for outcome in ("completed", "cancelled", "released"):
            self._jobs.labels(model, outcome, "")
        for outcome, codes in (("failed", FINAL), ("retried", RETRIED), ("dead", RETRIED)):
            for code in codes:
                self._jobs.labels(model, outcome, code)
        for kind in get_args(StepKind):
            self._steps.labels(model, kind)
        self._acceleration.labels(model, "true", "")
        for work in get_args(Work):
            self._rerun_seconds.labels(model, work)
            for end in get_args(End):
                self._reruns.labels(model, work, end)
        for verdict in get_args(Seen):
            self._observed.labels(model, verdict)
        for code in ReasonCode:
            self._acceleration.labels(model, str(code.accelerated).lower(), code)

    def started(self, model: str, waited_seconds: float) -> None:
        """A job's first attempt began, so long after the job was accepted."""
        self._wait.labels(model).observe(waited_seconds)

    def ended(self, model: str, outcome: Outcome, total_seconds: float | None = None, code: str | None = None) -> None:
        """An attempt ended.

        total_seconds: since the job was accepted; None when it goes on after this attempt.
        code: of the error that ended the attempt, where there was one.
        """
        reason = "" if code is None else code if code in FINAL | RETRIED else "other"
        if outcome == "lost":
            self._losses.labels(model).inc()
        else:
            self._jobs.labels(model, outcome, reason).inc()
        if total_seconds is not None:
            self._duration.labels(model, outcome).observe(total_seconds)

    def reclaimed(self, model: str) -> None:
        """This worker took a job from one whose lease had run out."""
        self._reclaims.labels(model).inc()

    def stale_write_refused(self, model: str) -> None:
        """The queue refused a beat or a result: the job was no longer this attempt's."""
        self._refused.labels(model).inc()

    def stepped(self, model: str, step: StepDone) -> None:
        """A denoising step is done; the first of each kind after loading counts as warm-up, not as a step's time."""
        self._steps.labels(model, step.kind).inc()
        first = (model, step.kind) in self._cold
        self._cold.discard((model, step.kind))
        (self._warmup if first else self._step_seconds).labels(model, step.kind).observe(step.seconds)

    def completed(self, request: GenerationRequest, report: RunReport, *, prompt_known: bool = False) -> None:
        """A job completed: what its run was like. report: with the times of all stages, in seconds. prompt_known:
        whether its prompt had not to be encoded."""
        model, sf = request.model, str(request.sf)
        self._waited(model, report)
        self._prompts.labels(model).inc(prompt_known)
        for stage, seconds in report.timings.items():
            self._stages.labels(model, stage).observe(seconds)
        self._generation.labels(model, sf).observe(sum(report.timings.values()))
        self._cached_ratio.labels(model, sf).observe(report.cached_steps / report.steps)
        self._speedup.labels(model, sf, "measured").observe(report.speedup_measured)
        self._speedup.labels(model, sf, "estimated").observe(report.speedup_estimated)
        self._sf.labels(model).observe(request.sf if report.engaged else report.steps)
        self._acceleration.labels(model, str(report.engaged).lower(), report.reason.code if report.reason else "").inc()
        self._cache_bytes.labels(model).set(report.cache_bytes)
        if report.predicted_step_seconds is not None:
            saved = report.cached_steps * (report.full_step_seconds - report.predicted_step_seconds)
            self._saved.labels(model).inc(max(0.0, saved) * (report.parallel.ranks if report.parallel else 1))
        self._added.labels(model).inc(len(report.account.added_steps) if report.account else 0)
        for each in report.account.mispredictions if report.account else []:
            if each.expected > 0:
                self._error.labels(model).observe(math.sqrt(each.measured / each.expected))

    def reran(self, model: str, work: Work, end: End, seconds: float) -> None:
        """A completed job was run again, or was to be, for so long."""
        self._reruns.labels(model, work, end).inc()
        self._rerun_seconds.labels(model, work).inc(seconds)

    def observed(self, model: str, verdict: Seen) -> None:
        """An uncached run has shown something of the model."""
        self._observed.labels(model, verdict).inc()

    def compared(self, request: GenerationRequest, psnr: float, ssim: float) -> None:
        """A delivered result was compared with the uncached one: PSNR in dB and SSIM."""
        self._psnr.labels(request.model, str(request.sf)).observe(psnr)
        self._ssim.labels(request.model, str(request.sf)).observe(ssim)

    def loaded(self, seconds: Mapping[str, float]) -> None:
        """The models are loaded, each in so many seconds."""
        for model, took in seconds.items():
            self._load.labels(model).observe(took)
            self._cold |= {(model, kind) for kind in get_args(StepKind)}

    def load_failures(self, loaded: Iterable[str], failed: Iterable[str]) -> None:
        """Show which of the models could be loaded, and which not."""
        for models, value in ((loaded, 0), (failed, 1)):
            for model in models:
                self._load_failed.labels(model).set(value)

    def set_state(self, current: WorkerState) -> None:
        """Show the worker as being in this state, and in no other."""
        for state in get_args(WorkerState):
            self._state.labels(state).set(state == current)
