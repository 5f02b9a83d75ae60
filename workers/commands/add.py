"""`python -m workers add`: look at a checkpoint and write an entry for it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from workers.commands.console import console, quiet_warnings
from workers.commands.options import CatalogueOption, settings
from workers.jobs.errors import InvalidRequest
from workers.models.catalogue import Catalogue
from workers.models.hub.errors import HubError
from workers.models.hub.needed import INDEX, only_variant
from workers.models.hub.repository import Repository
from workers.models.identification import found
from workers.models.parts import Checkpoint
from workers.models.proposal import proposed, proposed_name
from workers.models.site_file import has_entry, write_entry
from workers.process.devices import device_memory


def add(
    source: Annotated[str, typer.Argument(help="A folder in the diffusers format, or a hub id.")],
    name: Annotated[str | None, typer.Option(help="Of the new entry; made of the source by default.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub id: a commit or a branch. Default: main.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="The file to write to. SCALINGCACHE_CATALOGUE_OVERRIDES, or site.toml.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="An entry of this name, if there is one.")] = False,
    catalogue: CatalogueOption = None,
) -> None:
    """Look at a checkpoint and write an entry for it: its family, defaults and limits, and this machine's device.

    Only its configurations are read. What they do not say is as on the family's model card: look at the entry, and
    change what you know better.
    """
    quiet_warnings()
    values = settings(catalogue)
    path = file or values.catalogue_overrides or Path("site.toml")
    new = name or proposed_name(source)
    models = values.model_copy(update={"catalogue_overrides": path if path.exists() else None}).whole_catalogue()
    itself = path.resolve() == values.catalogue.resolve()
    if new in models.layers[0].tables and not itself:  # Its other values would stay beneath those of the new entry.
        raise InvalidRequest("name", f"{new} is in {values.catalogue} already: choose another --name")
    if not replace and has_entry(path, new):
        raise InvalidRequest("name", f"{new} is in {path} already: give the new entry another --name, or --replace")
    checkpoint, commit, variant = _looked_at(source, revision)
    origin = source if commit else str(Path(source).resolve())
    entry = proposed(new, origin, commit, variant, checkpoint, models.families, cuda=bool(device_memory()))
    comment = f"{found(checkpoint)}; size, frames, fps, steps and guidance are the family's usual ones"

    def check(written: Path) -> None:
        Catalogue.read(written) if itself else Catalogue.read(values.catalogue, written)

    write_entry(path, entry, comment, check)
    console.print(f'wrote [models."{new}"] to {path}: family {entry.family}, {entry.shown()}', soft_wrap=True)
    if values.catalogue_overrides is None or values.catalogue_overrides.resolve() != path.resolve():
        console.print(f"to use it: export SCALINGCACHE_CATALOGUE_OVERRIDES={path}", soft_wrap=True)
    following = f"python -m workers fetch {new}" if commit else f"python -m workers check {new}"
    console.print(f"next: {following}", soft_wrap=True)


def _looked_at(source: str, revision: str | None) -> tuple[Checkpoint, str | None, str | None]:
    """The checkpoint's configurations, and of a hub id commit and variant. Raises `ModelLoadFailed`, `HubError`."""
    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise InvalidRequest("revision", f"--revision {revision}: {source} is a folder, which has no commits")
        return Checkpoint.read(folder), None, None
    if folder.is_absolute() or source.startswith("."):
        raise InvalidRequest("source", f"{source}: there is no such folder")
    try:
        repository = Repository.read(source, revision)
    except HubError as error:
        raise HubError(f"{error}; nor is there a folder {folder.resolve()}") from error
    index = repository.get(INDEX)
    parts = [part for part, value in json.loads(index.read_text()).items() if isinstance(value, list)]
    for remote in repository.files:
        part, _, file = remote.partition("/")
        if part in parts and file.endswith("config.json"):
            repository.get(remote)
    return Checkpoint.read(index.parent), repository.commit, only_variant("transformer", repository.files)
