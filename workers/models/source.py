"""Where an entry's checkpoint lies on this machine: its folder, or what the hub's library keeps of it."""

from pathlib import Path

from workers.jobs.errors import ModelLoadFailed
from workers.models.entry import ModelEntry
from workers.models.hub.errors import explained

#: What says whose a checkpoint is: a few kilobytes.
_SETTINGS = ("model_index.json", "*config.json")


def settings_folder(entry: ModelEntry) -> Path:
    """A folder with at least the checkpoint's index and configurations. Raises `ModelLoadFailed`, `HubError`.

    A path that is no folder is refused, which diffusers would take for a hub id.
    """
    if (folder := _local(entry)) is not None:
        return folder
    from huggingface_hub import snapshot_download

    with explained(entry.source, entry.revision):
        return Path(snapshot_download(entry.source, revision=entry.revision, allow_patterns=list(_SETTINGS)))


def whole_folder(entry: ModelEntry) -> Path:
    """A folder with all that loading needs, fetched from the hub where it is not there. Raises as above."""
    if (folder := _local(entry)) is not None:
        return folder
    from diffusers import DiffusionPipeline

    with explained(entry.source, entry.revision):
        fetched = DiffusionPipeline.download(
            entry.source, revision=entry.revision, variant=entry.variant, use_safetensors=True, trust_remote_code=False
        )
    return Path(fetched)


def missing_folder(source: str) -> str | None:
    """What to say of a relative path that is there no longer, or never was; None for what may be a hub id."""
    path_alone = source.startswith((".", "~")) or source.endswith("/") or source.count("/") > 1
    return f"{source}: there is no such folder" if path_alone and not Path(source).is_dir() else None


def _local(entry: ModelEntry) -> Path | None:
    path = Path(entry.source)
    if path.is_dir():
        return path
    if path.is_absolute():
        raise ModelLoadFailed("there is no such folder")
    if (missing := missing_folder(entry.source)) is not None:
        raise ModelLoadFailed(missing)
    return None
