"""`python -m workers fetch`: bring a model's checkpoint from the hub onto this machine, whole."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from workers.commands.console import console, interruptible, quiet_warnings
from workers.commands.options import CatalogueOption, settings
from workers.jobs.errors import InvalidRequest
from workers.models.entry import Lora, ModelEntry
from workers.models.hub.download import check_room, download, gigabytes
from workers.models.hub.errors import KEPT, HubError
from workers.models.hub.needed import INDEX, is_list, missing_shards, needed
from workers.models.hub.repository import RemoteFile, Repository
from workers.models.identification import check_whole
from workers.models.parts import Checkpoint


def fetch(
    model: Annotated[str, typer.Argument(help="A model of the catalogue whose source is a hub id.")],
    catalogue: CatalogueOption = None,
) -> None:
    """Bring a model's checkpoint, and its LoRAs, from the hub: only the files that are read, each checked by its hash.

    They lie where the hub's library keeps them (HF_HOME). An interrupted command goes on after those that are whole.
    """
    quiet_warnings()
    entry = settings(catalogue).whole_catalogue().entry(model)
    wanted = [(entry.source, entry.revision)] if _on_hub(entry.source) else []
    loras = [lora for lora in entry.loras if _on_hub(lora.source)]
    if not wanted and not loras:
        raise InvalidRequest("model", f"{model} lies in {entry.source}: nothing of it is on the hub")
    folder = None
    for name, revision in wanted:
        folder = _fetched_checkpoint(name, revision, entry)
    for lora in loras:
        _fetched_lora(lora)
    if wanted and entry.revision is None:
        console.print(_pin(entry, Path(folder or "").name), soft_wrap=True)
    console.print(f"next: python -m workers check {model}", soft_wrap=True)


def _on_hub(source: str) -> bool:
    return not Path(source).is_absolute() and not Path(source).exists()


def _pin(entry: ModelEntry, commit: str) -> str:
    return f'the entry names no commit; to keep these weights, write into its table: revision = "{commit}"'


def _fetched_checkpoint(name: str, revision: str | None, entry: ModelEntry) -> Path:
    repository = Repository.read(name, revision)
    index = json.loads(repository.get(INDEX).read_text())
    chosen = needed(repository.files, index, entry.variant)
    for path in filter(is_list, chosen):
        table = json.loads(repository.get(path).read_text())
        if missing := missing_shards(table, path.rpartition("/")[0], repository.files):
            raise HubError(f"{name} at {repository.commit} is not whole: {path} names {missing[0]}, which is not there")
    folder = _downloaded(repository, [repository.files[path] for path in chosen])
    check_whole(Checkpoint.read(folder), entry.variant)  # The hub may have files whole that were cut before they came.
    return folder


def _fetched_lora(lora: Lora) -> None:
    repository = Repository.read(lora.source, lora.revision)
    files = [path for path in repository.files if path.endswith(".safetensors")]
    chosen = lora.weight_name or (files[0] if len(files) == 1 else None)
    if chosen not in files:
        raise HubError(f"{lora.source} has {', '.join(files) or 'no safetensors'}: set weight_name to one of its files")
    _downloaded(repository, [repository.files[chosen]])


def _downloaded(repository: Repository, files: Sequence[RemoteFile]) -> Path:
    """The folder of the commit, in which all of the files are and are what the hub says."""
    check_room(repository, files)
    total = sum(file.size_bytes for file in files)
    there = 0

    def count(arrived: int) -> None:
        nonlocal there
        there = arrived
        bar.update(task, completed=arrived)

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with interruptible(lambda: f"{gigabytes(there)} of {gigabytes(total)} are there; {KEPT}"):
        with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(repository.name, total=total)
            [first, *_] = download(repository, files, count)
        folder = first.parents[len(Path(files[0].path).parts) - 1]
        console.print(
            f"{repository.name} at {repository.commit}: {len(files)} files, {gigabytes(total)}, all as the hub says",
            soft_wrap=True,
        )
        console.print(f"in {folder}", soft_wrap=True)
    return folder
