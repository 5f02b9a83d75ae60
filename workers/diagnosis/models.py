"""Whether each model of the catalogue fits this machine."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from workers.diagnosis.finding import Finding, State, gibibytes
from workers.diagnosis.memory import PartSize, alternatives, decoding_bytes, device_bytes, part_sizes
from workers.jobs.errors import ModelLoadFailed
from workers.models.entry import ModelEntry
from workers.models.parts import INDEX, Checkpoint
from workers.models.source import missing_folder

#: Of a device's memory what is for activations, the CUDA context and what does not fit without gaps.
HEADROOM = 0.15


class ModelNeed(BaseModel):
    """needs: by switches how many bytes of weights are on the device at the same time; empty where nothing is known.

    decoding: by whether it is tiled about how many bytes the decoding of a default result takes on top.
    ranks: how many processes compute a job together, each with all weights on a device of its own.
    """

    model: str
    device: str
    served: bool
    here: bool
    needs: dict[str, int]
    decoding: dict[str, int]
    ranks: int = 1

    def devices(self) -> list[str]:
        """The numbers of its GPUs; none for the CPU."""
        first = int(self.device.partition(":")[2] or "0")
        return [] if self.device == "cpu" else [str(first + rank) for rank in range(self.ranks)]


def need_of(entry: ModelEntry, served: bool) -> tuple[ModelNeed, str | None]:
    """What a model needs, and what is wrong with its files."""
    empty = ModelNeed(model=entry.name, device=entry.device, served=served, here=False, needs={}, decoding={})
    empty.ranks = entry.devices
    folder = local_folder(entry)
    if folder is None:
        return empty, None if Path(entry.source).is_absolute() else missing_folder(entry.source)
    try:
        checkpoint = Checkpoint.read(folder)
        sizes = part_sizes(checkpoint, entry.variant)
    except ModelLoadFailed as error:
        return empty, str(error)
    return _known(empty, entry, checkpoint, sizes), None


def _known(empty: ModelNeed, entry: ModelEntry, checkpoint: Checkpoint, sizes: Mapping[str, PartSize]) -> ModelNeed:
    needs = {"as configured": device_bytes(entry, sizes)}
    needs |= {name: device_bytes(other, sizes) for name, other in alternatives(entry).items()}
    tiled = {"whole": False, "tiled": True}
    decoding = {
        name: decoding_bytes(entry.model_copy(update={"vae_tiling": on}), checkpoint) for name, on in tiled.items()
    }
    return empty.model_copy(update={"here": True, "needs": needs, "decoding": decoding})


def local_folder(entry: ModelEntry) -> Path | None:
    """Where the checkpoint lies on this machine; None for one that was not fetched."""
    if (folder := Path(entry.source)).is_dir():
        return folder
    if folder.is_absolute():
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(entry.source, INDEX, revision=entry.revision or "main")
    except HFValidationError:  # A path that is not there, or a typing error: one entry must not end the whole look.
        return None
    return Path(found).parent if isinstance(found, str) else None


def judged(need: ModelNeed, problem: str | None, devices: Mapping[str, int], host_bytes: int, tiled: bool) -> Finding:
    """devices: memory in bytes by number. A model that is not served is told of, and never a failure."""
    name = f"model {need.model}"
    bad: State = "failed" if need.served else "warning"
    if problem is not None:
        again = f"{name}: python -m workers fetch {need.model}, or copy the checkpoint again"
        return Finding.bad(name, problem, again, bad)
    if missing := [number for number in need.devices() if number not in devices]:
        where = (
            need.device if need.ranks == 1 else f"{need.ranks} GPUs: {', '.join(f'cuda:{each}' for each in missing)}"
        )
        elsewhere = f"{name}: set device to one that is there, or serve it on another machine"
        if need.ranks > 1:
            elsewhere = f"{name}: lower the degrees of parallel, or serve it on a machine with {need.ranks} GPUs"
        return Finding.bad(name, f"needs {where}, which this machine does not have", elsewhere, bad)
    room = min((devices[number] for number in need.devices()), default=host_bytes // need.ranks)
    if not need.here:
        unknown = "its checkpoint is not on this machine, so its size is not known"
        return Finding.bad(name, unknown, f"{name}: python -m workers fetch {need.model}", bad)
    wanted = need.needs["as configured"] + need.decoding["tiled" if tiled else "whole"]
    where = f"on {need.device}" if need.ranks == 1 else f"for each of its {need.ranks} processes, from {need.device} on"
    says = f"needs about {gibibytes(wanted)} of {gibibytes(room)} {where}"
    if wanted <= room * (1 - HEADROOM):
        return Finding(name=name, says=says)
    return Finding.bad(name, f"{says}: too much", f"{name}: {_way_out(need, room)}", bad)


def _way_out(need: ModelNeed, room: int) -> str:
    if need.device == "cpu":
        return "more memory, or a machine with a GPU"
    for tiled, decoding in need.decoding.items():
        for switch, size in need.needs.items():
            if switch != "as configured" and size + decoding <= room * (1 - HEADROOM):
                alone = ", without parallel" if need.ranks > 1 and switch.startswith("offload") else ""
                return switch + alone + (", vae_tiling = true" if tiled == "tiled" else "")
    return "no switch makes it fit: use a device with more memory"
