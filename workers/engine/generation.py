"""One generation: prompt to frames, accelerated where it can be, and an account of what happened."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from workers.engine.acceleration import Acceleration, accelerate
from workers.engine.latent_preview import LatentPreviewer, Previews
from workers.engine.loaded import LoadedModel
from workers.engine.observation import Observation
from workers.engine.plan import RunPlan, plan_run
from workers.engine.session import Attachment, Shareable
from workers.jobs.errors import NotFinite
from workers.jobs.group import Group
from workers.jobs.job import GenerationRequest, Misprediction, Reason, ReasonCode, RunReport, Stage, StepKind
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.products import NotFiniteOutput

Frames = NDArray[np.uint8]  # [frames, height, width, 3]


@dataclass(frozen=True)
class ProgressCallbacks:
    """What is called as a generation goes on. Raising from a call ends the generation at that point.

    stage: with each stage that begins.
    shown: with how far off a prediction of a step would have been, before `step` where that has shown it.
    step: with each denoising step that is done: its index from 0, its kind, and its time in seconds.
    """

    stage: Callable[[Stage], None] = lambda _stage: None
    step: Callable[[int, StepKind, float], None] = lambda _index, _kind, _seconds: None
    shown: Callable[[Misprediction], None] = lambda _shown: None


SILENT = ProgressCallbacks()


@dataclass(frozen=True)
class Generation:
    """What came out of a run.

    frames: as the pipeline made them, before anything is encoded: `[frames, height, width, 3]`, RGB from 0 to 255; an
        image is one frame.
    report: what happened, with the times of the stages so far.
    covariance: what an uncached run has shown of the model; None of an accelerated one, and where that is nothing.
    """

    frames: Frames
    report: RunReport
    covariance: MeasuredCovariance | None = None


@dataclass
class _Clock:
    """Time by stage, and by kind of step; all on the host, after the device has caught up."""

    device: torch.device
    timings: dict[Stage, float] = field(default_factory=dict)
    steps: dict[StepKind, list[float]] = field(default_factory=lambda: {"full": [], "predicted": []})
    _last: float = field(default_factory=time.perf_counter)
    _denoising: bool = False

    def begin_denoise(self, *_: Any) -> None:
        """A transformer is called; what the pipeline did before the first call, as encoding an image, is no step's."""
        if not self._denoising:
            self._denoising = True
            self.timings["encode_prompt"] += self.lap()

    def lap(self) -> float:
        # Without this a device runs ahead of the host, and progress, cancellation and times would not be true.
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return seconds

    @property
    def denoise(self) -> float:
        return sum(self.steps["full"]) + sum(self.steps["predicted"])


def generate(
    model: LoadedModel,
    request: GenerationRequest,
    callbacks: ProgressCallbacks = SILENT,
    image: Image | None = None,
    observed: Sequence[MeasuredCovariance] = (),
    previews: Previews | None = None,
) -> Generation:
    """Run a request.

    Raises what a callback raises, `UnsupportedPipeline`, `NotFinite`, `RequestRefused`, and what torch raises.

    observed: what uncached runs have shown of the model besides what its files say. previews: shown as it runs; None
        shows none.
    image: the picture that the result starts from, RGB and of exactly the request's width and height in pixels; there
        is one when the request has an `input_reference`, which is its SHA-256, and else None.
    """
    plan = plan_run(model, request)
    previewer = LatentPreviewer(model.family, plan, previews) if previews else None
    acceleration, before = accelerate(model, plan, observed), model.waited_seconds
    if acceleration.session is None:
        observation = Observation(plan)
        frames, clock = run_pipeline(model, plan, observation, callbacks, image, previewer)
        return Generation(frames, _report(request, acceleration, clock, model.group(before)), observation.shown())
    try:
        frames, clock = run_pipeline(model, plan, acceleration.session, callbacks, image, previewer)
        return Generation(frames, _report(request, acceleration, clock, model.group(before)))
    finally:
        acceleration.session.close()


# As the pipeline's own call: with gradients on, the text encoder takes other kernels, and the result another rounding.
@torch.no_grad()
def run_pipeline(
    model: LoadedModel,
    plan: RunPlan,
    attachment: Attachment | None,
    callbacks: ProgressCallbacks = SILENT,
    image: Image | None = None,
    previewer: LatentPreviewer | None = None,
) -> tuple[Frames, _Clock]:
    """Run the stock pipeline as planned, with an attachment on it or exactly as it is.

    callbacks, image: as for `generate`, and so is what it raises: no result holds a value that is not finite.
    Of a model that several compute, on all of them: rank 0 makes the others run the same, see `Share.together`.
    """
    if model.share is None:
        return _run(model, plan, attachment, callbacks, image, previewer)
    with model.share.together(plan.request, attachment, image, (callbacks.stage, callbacks.step)) as agreed:
        stage, step = agreed
        return _run(model, plan, attachment, replace(callbacks, stage=stage, step=step), image, previewer)


def _run(
    model: LoadedModel,
    plan: RunPlan,
    attachment: Attachment | None,
    callbacks: ProgressCallbacks,
    image: Image | None,
    previewer: LatentPreviewer | None,
) -> tuple[Frames, _Clock]:
    family, request = model.family, plan.request
    pipeline = family.pipeline(model.pipeline, request)
    clock = _Clock(pipeline._execution_device)

    callbacks.stage("encode_prompt")
    embeddings = model.encode(pipeline, request)
    clock.timings["encode_prompt"] = clock.lap()

    def end_step(_pipeline: Any, index: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        kind: StepKind = "full"
        if attachment is not None:
            if shown := attachment.end_step():
                callbacks.shown(shown)
            kind = "full" if attachment.decisions[index] == "F" else "predicted"
        seconds = clock.lap()
        if previewer is not None:
            with model.aside():
                previewer.stepped(index, kind)
            seconds += clock.lap()
        clock.steps[kind].append(seconds)
        callbacks.step(index, kind, seconds)
        if index == request.steps - 1:
            callbacks.stage("decode")
        return {}

    callbacks.stage("denoise")
    with _not_finite(), _prepared(model, pipeline, plan, attachment, previewer, clock):
        output = pipeline(
            **embeddings,
            **family.arguments(request, model.entry),
            **({} if image is None else {"image": image}),
            num_inference_steps=request.steps,
            generator=torch.Generator().manual_seed(request.seed),
            callback_on_step_end=end_step,
            callback_on_step_end_tensor_inputs=[],
            output_type="np",
        )
    clock.timings["denoise"] = clock.denoise
    clock.timings["decode"] = clock.lap()
    pictures = family.pictures(output)
    if not np.isfinite(pictures).all():
        raise NotFinite("the decoded frames are not finite")
    frames = (pictures * 255).round().astype(np.uint8)
    if previewer is not None:
        previewer.learn(frames)
    return frames, clock


@contextmanager
def _prepared(
    model: LoadedModel,
    pipeline: Any,
    plan: RunPlan,
    attachment: Attachment | None,
    previewer: LatentPreviewer | None,
    clock: _Clock,
) -> Iterator[None]:
    """Inside, the pipeline has the run's scheduler and what is attached to it; outside, it is as it was."""
    with ExitStack() as undo:
        undo.callback(setattr, pipeline, "scheduler", pipeline.scheduler)
        pipeline.scheduler = plan.scheduler
        # A pipeline sends offloaded weights back at its end alone, which a cancelled run does not reach; and only the
        # loaded one knows what of it is offloaded.
        undo.callback(model.pipeline.maybe_free_model_hooks)
        transformers = model.family.transformers(pipeline)
        for transformer in transformers:
            undo.callback(transformer.register_forward_pre_hook(clock.begin_denoise).remove)
        methods = [] if attachment is None else [attachment.attached(model.family, transformers, plan.scheduler)]
        if model.share is not None:
            undo.enter_context(model.share.watched(model.family, transformers))
            # Outermost are the streams where each is predicted by the ranks that compute it.
            at = len(methods) if isinstance(attachment, Shareable) and attachment.by_stream else 0
            methods.insert(at, model.share.streams(transformers, model.family.guided(plan.request)))
        for method in methods:
            undo.enter_context(method)
        if previewer is not None:
            undo.enter_context(previewer.attached(pipeline, plan.scheduler))
        yield


@contextmanager
def _not_finite() -> Iterator[None]:
    """Makes what a method finds in a model's outputs an error of the job."""
    try:
        yield
    except NotFiniteOutput as error:
        raise NotFinite(str(error)) from error


def _report(
    request: GenerationRequest, acceleration: Acceleration, clock: _Clock, group: Group | None = None
) -> RunReport:
    session, reason = acceleration.session, acceleration.reason
    if session is not None and not clock.steps["predicted"]:
        reason = Reason(code=ReasonCode.NO_STEP_PREDICTED)
    full, predicted = clock.steps["full"], clock.steps["predicted"]
    # The first step may warm up the device, and would make each predicted one look as if it had saved that, too.
    usual = full[1:] or full
    full_seconds = sum(usual) / len(usual)
    return RunReport(
        steps=request.steps,
        full_steps=len(full),
        cached_steps=len(predicted),
        decisions=session.decisions if session else "F" * request.steps,
        engaged=bool(predicted),
        reason=reason,
        speedup_measured=full_seconds * request.steps / clock.denoise if predicted else 1.0,
        speedup_estimated=request.steps / len(full),
        full_step_seconds=full_seconds,
        predicted_step_seconds=sum(predicted) / len(predicted) if predicted else None,
        cache_bytes=session.peak_cache_bytes if session is not None else 0,
        timings=dict(clock.timings),
        account=session.account() if session else None,
        parallel=group,
    )
