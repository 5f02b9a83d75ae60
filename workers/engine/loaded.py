"""A model in memory: the stock pipeline, its family, and what was measured of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import torch
from diffusers import DiffusionPipeline
from torch import nn

from workers.engine import adapters, switches
from workers.engine.coefficient_files import Files, check_blocks, check_colours, check_weights, files_of
from workers.engine.completeness import whole_checkpoint
from workers.engine.fingerprint import fingerprint, fingerprint_of_files, plain
from workers.engine.leader import Leader
from workers.engine.prompt_cache import Embeddings, PromptCache
from workers.engine.share import Share, joined
from workers.engine.version import version_of
from workers.jobs.errors import ModelLoadFailed
from workers.jobs.group import Group
from workers.jobs.job import GenerationRequest
from workers.models import preview_decoder
from workers.models.catalogue import families
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.identification import Contents, check_family, check_parts, check_whole
from workers.models.parts import Checkpoint
from workers.models.source import settings_folder, whole_folder
from workers.scalingcache.measured import Array, MeasuredCovariance
from workers.scalingcache.paper.coefficients import Coefficients
from workers.scalingcache.paper.shard import WHOLE, Shard

log = structlog.get_logger()


@dataclass(frozen=True)
class LoadedModel:
    """Everything that outlives a job.

    covariances: what the entry's files hold for the covariance method; coefficients: for the paper's.
    latent_channels: how many its latents have.
    share: this process's, of a model that several compute.
    version: see `workers.engine.version`. prompts: what was made of earlier prompts, where that is kept.
    """

    entry: ModelEntry
    family: Family
    pipeline: DiffusionPipeline
    fingerprint: str
    version: str
    covariances: tuple[MeasuredCovariance, ...]
    coefficients: tuple[Coefficients, ...]
    latent_channels: int
    share: Share | None = None
    prompts: PromptCache | None = None

    def encode(self, pipeline: DiffusionPipeline, request: GenerationRequest) -> Embeddings:
        """The text embeddings, as the arguments of the pipeline's call that replace its prompts."""
        if self.prompts is None:
            return self.family.encode(pipeline, request, self.entry)
        guided = request.guidance > 1, request.true_cfg_scale > 1  # else some families encode no second prompt
        prompts = request.prompt, request.negative_prompt, self.entry.defaults.max_sequence_length
        return self.prompts.get(
            (self.entry.name, prompts, guided),
            pipeline._execution_device,
            lambda: self.family.encode(pipeline, request, self.entry),
        )

    def shard(self, request: GenerationRequest) -> Shard:
        """This process's part of the tokens and streams of a run."""
        return WHOLE if self.share is None else self.share.shard(self.family.guided(request))

    def aside(self) -> AbstractContextManager[None]:
        """Inside, this process does what others of its group do not, and they wait for as long as it takes."""
        return nullcontext() if self.share is None else self.share.world.progress.aside()

    @property
    def waited_seconds(self) -> float:
        """How long this process has waited for others of its group so far."""
        return 0.0 if self.share is None else self.share.world.waited_seconds

    def group(self, waited_before: float) -> Group | None:
        """The processes that computed a run, before which this one had waited so long for the others."""
        if self.share is None or self.entry.parallel is None:
            return None
        degrees, waited = self.entry.parallel, self.waited_seconds - waited_before
        return Group(ranks=degrees.ranks, **degrees.model_dump(), wait_seconds=waited)

    @property
    def colours(self) -> Array | None:
        """What its files say of how previews are coloured, see `MeasuredCovariance`."""
        return next((each.colours for each in self.covariances if each.colours is not None), None)

    @property
    def blocks(self) -> int:
        """How many blocks a transformer of this model has."""
        return len(self.family.layout().blocks(self.pipeline.transformer))


def load_model(
    entry: ModelEntry, family: Family, *, coefficients: bool = True, leader: Leader | None = None
) -> LoadedModel:
    """Load an entry of the catalogue, with its coefficient files unless they are about to be measured.

    leader: of the group that is to compute an entry with `parallel`; without one, such an entry starts its own.

    Raises `ModelLoadFailed` when the checkpoint is another family's, is not whole, or cannot be read, or when a switch
    of the entry cannot be had here; `CoefficientsMismatch` when a coefficient file is broken or was measured on other
    weights, latents or blocks; one that is missing is logged. What small files tell comes before anything that takes
    long.
    """
    files = files_of(entry) if coefficients else []
    if entry.parallel is None:
        return _loaded(entry, family, files)
    with _named(entry):
        switches.check_device(entry)
        group = leader or Leader.start(entry)
    try:
        return _loaded_together(group, entry, family, files)
    except BaseException:
        if leader is None:
            group.end()
        raise


def _loaded_together(group: Leader, entry: ModelEntry, family: Family, files: Files) -> LoadedModel:
    with group.patient():
        with _named(entry):
            share, number = joined(group, entry)
        model = _loaded(_placed(entry, share), family, files, share)
        with _named(entry):
            group.loaded(number, model.fingerprint)
    return replace(model, entry=entry)


def load_share(entry: ModelEntry, family: Family, share: Share) -> LoadedModel:
    """As `load_model`, on the ranks that follow. Raises the same."""
    return _loaded(_placed(entry, share), family, [], share)


def _placed(entry: ModelEntry, share: Share) -> ModelEntry:
    return entry.model_copy(update={"device": str(share.world.device)})


def _loaded(entry: ModelEntry, family: Family, files: Files, share: Share | None = None) -> LoadedModel:
    with _named(entry):
        switches.check_device(entry)
        checkpoint, contents = _checked(entry, family)
        stored = _fingerprint_of_files(entry, checkpoint, contents) if files else None
        channels = family.latent_channels(checkpoint)
        if entry.preview_decoder and (unfit := preview_decoder.complaint(Path(entry.preview_decoder), channels)):
            raise ValueError(unfit)
    if stored is not None:
        check_weights(files, stored, entry.name)
    check_colours(files, channels, entry.name)
    with _named(entry):
        local = entry.model_copy(update={"source": str(checkpoint.folder), "revision": None})
        with whole_checkpoint():
            pipeline = family.load(local)
        pipeline.set_progress_bar_config(disable=True)
        adapters.fuse(pipeline, entry.loras)
        _check_finite(pipeline)
        transformers = family.transformers(pipeline)
        weights = fingerprint(*transformers)  # Before they are moved: offloaded weights are not all in one place.
        version = version_of(entry, pipeline, weights, [path for path, _ in files])
    check_weights(files, weights, entry.name)
    for transformer in transformers:
        check_blocks(files, len(family.layout().blocks(transformer)), entry.name)
    with _named(entry):
        switches.apply(pipeline, transformers, entry)
        if share is not None:
            share.split(family, transformers)
    covariances = tuple(each for _, each in files if isinstance(each, MeasuredCovariance))
    coefficients_of_paper = tuple(each for _, each in files if isinstance(each, Coefficients))
    if unused := len(coefficients_of_paper if entry.method == "covariance" else covariances):
        log.warning("coefficients of the other method are unused", model=entry.name, method=entry.method, files=unused)
    measured = covariances, coefficients_of_paper
    return LoadedModel(entry, family, pipeline, weights, version, *measured, channels, share)


def _checked(entry: ModelEntry, family: Family) -> tuple[Checkpoint, Contents]:
    """The whole checkpoint, which is the family's. Raises `ModelLoadFailed`, and what the hub raises."""
    checkpoint = Checkpoint.read(settings_folder(entry))
    check_family(checkpoint, family, families())
    check_parts(checkpoint, family)
    whole = Checkpoint.read(whole_folder(entry))
    return whole, check_whole(whole, entry.variant)


def _fingerprint_of_files(entry: ModelEntry, checkpoint: Checkpoint, contents: Contents) -> str | None:
    """What `fingerprint` will say of the weights; None where loading changes them, or rounds them twice."""
    if entry.loras or entry.quantization or entry.dtype == "float16":
        return None
    experts = checkpoint.config.get("boundary_ratio") is not None
    names = ("transformer", "transformer_2") if experts else ("transformer",)
    if any("quantization_config" in checkpoint.parts[name].config for name in names):
        return None
    try:
        return fingerprint_of_files([(checkpoint.parts[name], contents.weights[name].files) for name in names])
    except Exception as error:  # Loading decides, and says what is wrong with the checkpoint.
        log.warning("fingerprint not told by the files", model=entry.name, error=str(error))
        return None


def _check_finite(pipeline: DiffusionPipeline) -> None:
    """Raise `ValueError` where a weight is NaN or infinite: whatever such a model makes looks black."""
    for part, module in pipeline.components.items():
        if isinstance(module, nn.Module):
            for name, weight in module.named_parameters():
                if not bool(torch.isfinite(plain(weight)).all()):
                    raise ValueError(f"{part}: weight {name} holds values that are not finite")


@contextmanager
def _named(entry: ModelEntry) -> Iterator[None]:
    """Whatever the readers of files and diffusers raise becomes `ModelLoadFailed`, which says of which model."""
    try:
        yield
    except Exception as error:
        raise ModelLoadFailed(f"model {entry.name} from {entry.source}: {error}") from error
