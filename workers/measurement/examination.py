"""What a model of the catalogue is made of and what it rests on: from its small files, and of a loaded one measured."""

from pathlib import Path
from typing import Any

from workers.engine.coefficient_files import check_blocks, check_colours, file_of, method_of
from workers.jobs.errors import CoefficientsMismatch, InvalidRequest
from workers.jobs.frozen import Frozen
from workers.jobs.job import GenerationRequest
from workers.models import preview_decoder
from workers.models.basis import Measured, read_measured
from workers.models.catalogue import Catalogue, families
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.models.identification import Contents, check_family, check_parts, check_whole, found
from workers.models.parts import Checkpoint, Part
from workers.models.precision import bytes_each, dtype_of
from workers.models.source import settings_folder, whole_folder

#: Stands for the digest of a picture where a request must have one.
ANY_PICTURE = "0" * 64
#: Steps that are run to time one: the first one is slower, and two experts have a turn each.
TIMED_STEPS = 3
_SCHEDULE = ("flow_shift", "shift", "use_dynamic_shifting", "solver_order", "num_train_timesteps")


class PartShown(Frozen):
    """One part. Sizes are in bytes; None where the weights were not looked at.

    stored: by safetensors' name of a type how many parameters are in it. memory_bytes: of the weights as the entry has
    them loaded. tokens: that a tokenizer knows.
    """

    name: str
    class_name: str
    parameters: int | None = None
    stored: dict[str, int] | None = None
    file_bytes: int | None = None
    variant: str | None = None
    dtype: str | None = None
    memory_bytes: int | None = None
    tokens: int | None = None


class FileShown(Frozen):
    """A coefficients file that the entry names: what it was measured on, or why it cannot be used.

    unused: why one that is whole does nothing here; None where it does.
    """

    file: str
    measured: Measured | None
    problem: str | None
    unused: str | None = None


class LoadedShown(Frozen):
    """What only a loaded model tells.

    segments: how many steps of the default request each expert computes. noise_levels: of these steps.
    step_seconds: of a full step of the default request.
    """

    fingerprint: str
    blocks: int
    segments: list[int]
    noise_levels: list[float]
    step_seconds: float
    decode_seconds: float


class Examination(Frozen):
    """The answer. `problems` are what keeps the model, or its default request, from being served.

    ranks: how many processes compute a job together, each with the memory of all parts.
    """

    model: str
    source: str
    family: str
    found: str
    switches: str
    parts: list[PartShown]
    scheduler: dict[str, Any]
    blocks: int
    streams: int | None
    coefficients: list[FileShown]
    loaded: LoadedShown | None
    problems: list[str]
    ranks: int = 1


def examine(catalogue: Catalogue, model: str, *, meta: bool) -> Examination:
    """Look at a model; without `meta` load it and run a few steps of its default request.

    Raises `ModelLoadFailed` for a checkpoint that could not be loaded, `CoefficientsMismatch`, `ModelNotFound`.
    """
    entry, family = catalogue.entry(model), catalogue.family(model)
    checkpoint = Checkpoint.read(settings_folder(entry))
    check_family(checkpoint, family, families())
    check_parts(checkpoint, family)
    contents = check_whole(checkpoint, entry.variant) if Path(entry.source).is_dir() else None
    files = [_file(Path(path), entry, family, checkpoint) for path in entry.coefficients]
    problems = [each.problem for each in files if each.problem is not None and Path(each.file).exists()]
    problems += _split_problems(entry, family, checkpoint)
    if entry.preview_decoder is not None:
        unfit = preview_decoder.complaint(Path(entry.preview_decoder), family.latent_channels(checkpoint))
        problems += [] if unfit is None else [unfit]
    request = None
    try:
        picture = ANY_PICTURE if family.input_reference == "required" else None
        request = catalogue.request(model, "a", seed=0, input_reference=picture).uncached
    except InvalidRequest as error:
        problems.append(f"its default request: {error}")
    loaded = None if meta or request is None else _loaded(catalogue, request)
    if loaded is not None and contents is None:
        contents = check_whole(Checkpoint.read(whole_folder(entry)), entry.variant)
    return Examination(
        model=model,
        source=entry.source,
        family=entry.family,
        found=found(checkpoint),
        switches=entry.shown(),
        parts=[_part(part, entry, contents) for part in checkpoint.parts.values()],
        scheduler=_scheduler(checkpoint),
        blocks=loaded.blocks if loaded else _blocks(checkpoint),
        streams=None if request is None else 1 + family.guided(request),
        coefficients=files,
        loaded=loaded,
        problems=problems,
        ranks=entry.devices,
    )


def _split_problems(entry: ModelEntry, family: Family, checkpoint: Checkpoint) -> list[str]:
    """Why the transformer cannot be computed by as many GPUs as the entry says."""
    if entry.parallel is None or entry.parallel.shards == 1:
        return []
    from workers.parallel.sequence import complaint

    heads = int(checkpoint.setting("transformer", "num_attention_heads", 0))
    unfit = complaint(heads, entry.parallel.ulysses, entry.parallel.ring, family.sequence_plan())
    return [] if unfit is None else [f"parallel: {unfit}"]


def _part(part: Part, entry: ModelEntry, contents: Contents | None) -> PartShown:
    shown = PartShown(name=part.name, class_name=part.class_name)
    if contents is None:
        return shown
    if part.kind == "tokenizer":
        return shown.model_copy(update={"tokens": contents.tokens[part.name]})
    if part.kind != "weights":
        return shown
    weights, dtype = contents.weights[part.name], dtype_of(entry, part.name)
    return shown.model_copy(
        update={
            "parameters": weights.parameters,
            "stored": dict(weights.dtypes),
            "file_bytes": weights.size_bytes,
            "variant": weights.variant,
            "dtype": dtype,
            "memory_bytes": weights.parameters * bytes_each(entry, part.name),
        }
    )


def _scheduler(checkpoint: Checkpoint) -> dict[str, Any]:
    part = checkpoint.parts["scheduler"]
    return {"class": part.class_name} | {name: part.config[name] for name in _SCHEDULE if name in part.config}


def _blocks(checkpoint: Checkpoint) -> int:
    """Of a transformer; FLUX and HunyuanVideo have two kinds."""
    return sum(int(checkpoint.setting("transformer", name, 0)) for name in ("num_layers", "num_single_layers"))


def _file(path: Path, entry: ModelEntry, family: Family, checkpoint: Checkpoint) -> FileShown:
    """As loading the model reads it, which compares the weights as well."""
    if not path.exists():
        return FileShown(file=str(path), measured=None, problem="not written yet: python -m workers calibrate")
    try:
        file = file_of(path, entry.name)
        check_colours([file], family.latent_channels(checkpoint), entry.name)
        if blocks := _blocks(checkpoint):
            check_blocks([file], blocks, entry.name)
    except CoefficientsMismatch as error:
        return FileShown(file=str(path), measured=None, problem=str(error))
    method = method_of(file[1])
    unused = None if method == entry.method else f"not used: it is of method {method}, the entry's is {entry.method}"
    return FileShown(file=str(path), measured=read_measured(path), problem=None, unused=unused)


def _loaded(catalogue: Catalogue, request: GenerationRequest) -> LoadedShown:
    from PIL import Image

    from workers.engine.generation import generate
    from workers.engine.loaded import load_model
    from workers.engine.plan import plan_run

    model = load_model(catalogue.entry(request.model), catalogue.family(request.model))
    plan = plan_run(model, request)
    few = request.model_copy(update={"steps": min(TIMED_STEPS, request.steps)}).uncached
    image = Image.new("RGB", (request.width, request.height)) if request.input_reference else None
    report = generate(model, few, image=image).report
    return LoadedShown(
        fingerprint=model.fingerprint,
        blocks=model.blocks,
        segments=list(plan.segments),
        noise_levels=[round(level, 4) for level in plan.sigmas.tolist()],
        step_seconds=report.full_step_seconds,
        decode_seconds=report.timings["decode"],
    )
