"""A completed job once more, uncached: what it shows of its model, and how near what was delivered is to it."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL.Image import Image

from workers.engine.generation import Frames, ProgressCallbacks, generate, run_pipeline
from workers.engine.interruption import interruptible
from workers.engine.learning import ObservedRun, known_runs, learnt
from workers.engine.loaded import LoadedModel
from workers.engine.observation import Observation
from workers.engine.plan import plan_run
from workers.jobs import observations
from workers.jobs.job import GenerationRequest, Stage
from workers.measurement.fidelity import psnr, ssim
from workers.media.formats import Format
from workers.process.events import Fidelity, Learnt
from workers.scalingcache import budget
from workers.scalingcache.measured import MeasuredCovariance


class Rerunner:
    """One rerun. check: called at every step, layer and frame; what it raises ends the rerun there.

    observed: what uncached runs have shown of the model besides what its files say.
    """

    def __init__(
        self,
        model: LoadedModel,
        request: GenerationRequest,
        image: Image | None,
        observed: Sequence[ObservedRun],
        callbacks: ProgressCallbacks,
        check: Callable[[], None],
    ) -> None:
        self._model, self._request, self._image = model, request.uncached, image
        self._observed, self._callbacks, self._check = observed, callbacks, check

    def teaches(self) -> bool:
        """Whether another run of this kind would bring anything, and there is room for what it shows."""
        plan = plan_run(self._model, self._request)
        known = known_runs(self._model.covariances, self._observed, plan)
        room = len(self._observed) < observations.MOST
        return room and self._request.steps >= budget.LEAST_STEPS and known < budget.CALIBRATION_RUNS

    def teach(self) -> Learnt:
        """Denoise, and look at that alone: nothing is decoded."""
        plan = plan_run(self._model, self._request)
        observation = Observation(plan)
        callbacks = ProgressCallbacks(self._until_decoding, self._callbacks.step)
        with interruptible(self._model, self._check):
            try:
                run_pipeline(self._model, plan, observation, callbacks, self._image)
            except _Denoised:
                return self._learnt(observation.shown())
        raise AssertionError("the pipeline ended without decoding")

    def compare(self, delivered: Path, format: Format) -> tuple[Learnt, Fidelity]:
        """Run all of it, and compare both results as files: what a client would have got, with what one got.

        Raises `OSError` and what the decoder raises where the delivered file is not there any more.
        """
        before = format.read(delivered)
        with interruptible(self._model, self._check):
            generation = generate(self._model, self._request, self._callbacks, self._image)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"uncached{format.suffix}"
            format.write(path, generation.frames, self._request.fps, None)
            uncached = format.read(path)
        return self._learnt(generation.covariance), self._fidelity(before, uncached)

    def _fidelity(self, delivered: Frames, uncached: Frames) -> Fidelity:
        near, alike = [], []
        for one, other in zip(delivered, uncached, strict=True):
            self._check()
            near.append(psnr(one[None], other[None]))
            alike.append(ssim(one[None], other[None]))
        return Fidelity(sum(near) / len(near), sum(alike) / len(alike))

    def _learnt(self, shown: MeasuredCovariance | None) -> Learnt:
        plan = plan_run(self._model, self._request)
        verdict, run = learnt(self._model.covariances, self._observed, plan, shown)
        return Learnt(verdict, run.text() if run else None)

    def _until_decoding(self, stage: Stage) -> None:
        if stage == "decode":
            raise _Denoised
        self._callbacks.stage(stage)


class _Denoised(Exception):
    """All steps are over. Never leaves this file."""
