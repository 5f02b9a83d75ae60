"""One job: model, generation, artifact. Runs in the process that holds the models."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from PIL import Image

from workers import logs
from workers.engine.generation import Generation, ProgressCallbacks, generate
from workers.engine.in_force import prompt_tokens, without_effect
from workers.engine.latent_colours import LatentColours
from workers.engine.latent_preview import Previews
from workers.engine.leader import Leader
from workers.engine.learning import ObservedRun, counting, learnt, readable
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.engine.prompt_cache import PromptCache
from workers.engine.tiny_decoder import load_tiny_decoder
from workers.jobs.artifact import Preview
from workers.jobs.errors import (
    DeviceError,
    GenerationFailed,
    JobCancelled,
    ModelLoadFailed,
    OutOfMemory,
    RequestRefused,
    ScalingCacheError,
    StorageUnavailable,
)
from workers.jobs.job import GenerationRequest, JobKey, Misprediction, Stage, StepKind
from workers.jobs.store import Store, StoreUnreachable
from workers.measurement import fidelity
from workers.media.animation import animation
from workers.media.formats import FORMATS
from workers.media.previews import previews_of
from workers.media.provenance import Embedded, comment_of
from workers.models.catalogue import Catalogue
from workers.models.prompt_reader import PromptReader
from workers.process.events import (
    Again,
    Done,
    Event,
    Learnt,
    LeftOut,
    Observed,
    PreviewMade,
    RanAgain,
    Run,
    StageStarted,
    StepDone,
    Warmed,
)
from workers.process.rerunner import Rerunner
from workers.process.warmup import warm_up

log = structlog.get_logger()


class Runner:
    """Holds the loaded models and runs one job at a time on them."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: Store,
        embedded: Embedded = "settings",
        prompt_cache_bytes: int = 0,
        *,
        previews: bool = False,
    ) -> None:
        """embedded: what files say of how they were made. prompt_cache_bytes: how much of encoded prompts is kept.
        previews: whether running jobs are shown as they form."""
        self._catalogue, self._store, self._embedded = catalogue, store, embedded
        self._prompts = PromptCache(prompt_cache_bytes)
        self._shows = previews
        self._previews: dict[str, Previews] = {}
        self._models: dict[str, LoadedModel] = {}
        self._observed: dict[str, list[ObservedRun]] = defaultdict(list)
        self._warmed: dict[str, Warmed] = {}
        self._leader: Leader | None = None  # One group for all models that have one.

    def load(self, names: Sequence[str]) -> list[str]:
        """Load models by their names in the catalogue and warm them up; returns the fingerprints of their weights.

        Raises `ModelLoadFailed`, `CoefficientsMismatch`.
        """
        for name in names:
            entry = self._catalogue.entry(name)
            if entry.shadow_share > 0 and not fidelity.available():
                raise ModelLoadFailed(f"model {name}: shadow_share needs scikit-image, of the extra `evaluate`")
            # One that this process reads beside its group keeps it from the others all the same.
            with self._leader.patient() if self._leader is not None else nullcontext():
                model = load_model(entry, self._catalogue.family(name), leader=self._leader)
            if model.share is not None:
                self._leader = model.share.leader
            if self._shows:
                self._previews[name] = _previews(model)
            warm = warm_up(model, self._catalogue, self._previews.get(name))
            log.info(
                "model loaded",
                model=name,
                source=entry.source,
                revision=entry.revision,
                switches=entry.shown(),
                fingerprint=model.fingerprint,
                method=entry.method,
                covariances=[f"{each.covariance.runs} runs: {each.kind.shown()}" for each in model.covariances],
                coefficients=[each.key.shown() for each in model.coefficients],
                warm_step_seconds=warm and round(warm[1].report.full_step_seconds, 4),
            )
            # A black first frame shows nothing of what clients send.
            if warm and not warm[0].input_reference and (shown := _learnt(model, *warm, ())) and shown.text:
                self._warmed[name] = Warmed(warm[0], shown.text)
            # The others of a group encode every prompt, and rank 0 would only wait for them.
            self._models[name] = model if model.share is not None else replace(model, prompts=self._prompts)
        return [self._models[name].fingerprint for name in names]

    def version(self, model: str) -> str:
        """What a loaded model computes with, and what its files say of that."""
        return f"{self._models[model].version}-{self._embedded}"

    def warmed(self, model: str) -> Warmed | None:
        """What a loaded model's warm-up has shown of it, if it had one."""
        return self._warmed.get(model)

    def readers(self, model: str) -> Sequence[PromptReader]:
        """What counts the tokens of a loaded model's prompts, in any process; empty where that cannot be had."""
        loaded = self._models[model]
        readers = [each.portable() for each in loaded.family.readers(loaded.pipeline, loaded.entry)]
        return [each for each in readers if each is not None] if None not in readers else []

    def observe(self, observed: Observed) -> None:
        """Take in what uncached runs of a model have shown, in the order in which all workers take it in."""
        if observed.anew:
            self._observed[observed.model].clear()
        self._observed[observed.model] += readable(observed.model, observed.texts)
        colours = self._colours(observed.model)
        if observed.colours is not None and colours is not None:
            try:
                colours.adopt(observed.colours)
            except (ValueError, KeyError, TypeError) as error:
                log.warning("colours of previews unreadable", model=observed.model, error=str(error))

    def run(self, run: Run, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> Done:
        """Generate and store one video, or one image.

        emit: told of every stage and step. stopped: asked at every step and stage; True ends the job.
        Raises `JobCancelled` then, and `AttemptFailed` when the generation fails.
        """
        with _named_errors():
            return self._run(run, _callbacks(run.key.job_id, emit, stopped), emit)

    def run_again(self, again: Again, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> RanAgain | LeftOut:
        """Run a completed job again, uncached, and store nothing. emit, stopped, errors: as for `run`."""
        model, observed = self._models[again.request.model], self._observed[again.request.model]

        def check() -> None:
            if stopped():
                raise JobCancelled("the rerun was given up")

        with _named_errors():
            try:
                image = self._reference(again.key, again.request)
            except RequestRefused:
                return LeftOut(again.id, "gone")
            rerunner = Rerunner(model, again.request, image, observed, _callbacks(again.id, emit, stopped), check)
            if again.delivered is None:
                if not rerunner.teaches():
                    return LeftOut(again.id, "not_needed")
                return RanAgain(again.id, rerunner.teach(), None)
            with ExitStack() as kept:
                try:
                    delivered = kept.enter_context(self._store.at_hand(again.delivered))
                except FileNotFoundError:
                    return LeftOut(again.id, "gone")
                except OSError as error:
                    raise StorageUnavailable(f"the result to compare with: {error.strerror}") from error
                return RanAgain(again.id, *rerunner.compare(delivered, FORMATS[model.family.media]))

    def _reference(self, key: JobKey, request: GenerationRequest) -> Image.Image | None:
        if request.input_reference is None:
            return None
        try:
            with Image.open(BytesIO(self._store.read_reference(key))) as image:
                return image.convert("RGB")
        except (StoreUnreachable, PermissionError) as error:
            raise StorageUnavailable(f"the image that the job starts from: {error.strerror}") from error
        except OSError as error:
            raise RequestRefused("the image that the job starts from is no longer kept") from error

    def _colours(self, model: str) -> LatentColours | None:
        """What learns how a model's previews are coloured, where that is not known."""
        previews = self._previews.get(model)
        return previews.painter if previews and isinstance(previews.painter, LatentColours) else None

    def _run(self, run: Run, callbacks: ProgressCallbacks, emit: Callable[[Event], None]) -> Done:
        request = run.request
        model, observed = self._models[request.model], self._observed[request.model]
        used = {"prompt_tokens": prompt_tokens(model, request), "no_effect": without_effect(model, request)}
        hits = self._prompts.hits
        image, basis = self._reference(run.key, request), counting(observed)

        def show(index: int, picture: bytes) -> None:
            emit(PreviewMade(run.key.job_id, index + 1, picture))

        previews, colours = self._previews.get(request.model), self._colours(request.model)
        previews = previews and replace(previews, show=show)
        fit = colours and colours.fit
        generation = generate(model, request, callbacks, image, basis, previews)
        known = self._prompts.hits > hits
        callbacks.stage("encode_video")
        encoding = encoded = time.perf_counter()
        small = _small(generation.frames)
        media = self._catalogue.family(request.model).media
        format = FORMATS[media]
        comment = comment_of(request, generation.report, self._embedded)

        def write(path: Path) -> None:
            nonlocal encoded
            format.write(path, generation.frames, request.fps, comment)
            encoded = time.perf_counter()

        artifact = self._store.publish(run.key, f"{media}{format.suffix}", write, format.media_type, small)
        stored = time.perf_counter()
        timings = generation.report.timings | {"encode_video": encoded - encoding, "store": stored - encoded}
        report = generation.report.model_copy(update=used | {"timings": timings})
        learnt_colours = colours.fit.text() if colours and colours.fit and colours.fit is not fit else None
        taught = _learnt(model, request, generation, observed)
        return Done(run.key.job_id, report, artifact, taught, known, learnt_colours)


def _learnt(
    model: LoadedModel, request: GenerationRequest, generation: Generation, observed: Sequence[ObservedRun]
) -> Learnt | None:
    """What becomes of what an uncached run has shown; None for an accelerated one."""
    if generation.covariance is None:
        return None
    verdict, run = learnt(model.covariances, observed, plan_run(model, request), generation.covariance)
    return Learnt(verdict, run.text() if run else None)


def _previews(model: LoadedModel) -> Previews:
    """How its running jobs are shown. Raises `ModelLoadFailed`."""
    animation(np.zeros((2, 8, 8, 3), np.uint8), 8, 8)  # The first one loads the codec, and would be some job's debt.
    if model.entry.preview_decoder is not None:
        return Previews(load_tiny_decoder(Path(model.entry.preview_decoder), model))
    return Previews(LatentColours(model.latent_channels, model.colours))


def _small(frames: NDArray[np.uint8]) -> dict[Preview, bytes]:
    """None where they cannot be made: no result is given up for them, and its record says which there are."""
    try:
        return previews_of(frames)
    except Exception as error:
        log.error("previews not made", frames=logs.frames_of(error))
        return {}


def _callbacks(id: str, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> ProgressCallbacks:
    """Tell of every stage and step, and raise `JobCancelled` where it is to be stopped."""

    def stage(name: Stage) -> None:
        if stopped():
            raise JobCancelled("the job was cancelled")
        emit(StageStarted(id, name))

    last: list[Misprediction] = []

    def step(index: int, kind: StepKind, seconds: float) -> None:
        emit(StepDone(id, index, kind, seconds, last.pop() if last else None))
        if stopped():
            raise JobCancelled(f"the job was cancelled after step {index + 1}")

    return ProgressCallbacks(stage, step, last.append)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Makes whatever torch or a pipeline raises an error of the job."""
    try:
        yield
    except ScalingCacheError:
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("the device ran out of memory for this size, length and model") from error
    except torch.AcceleratorError as error:
        raise DeviceError("the device failed") from error
    except Exception as error:
        raise GenerationFailed(f"the pipeline raised {type(error).__name__}") from error
