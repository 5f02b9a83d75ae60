"""Deleting from the store: only what lies where we write and is named as we name it, and never through a link.

A folder of results may be, by mistake, any folder of the host, or one that others use too.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from workers.jobs.job import AttemptKey, model_of

#: In place of an attempt's token: the folder of what a job came with, beside those of its attempts.
INPUT = "input"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,254}")
TOKEN = re.compile(rf"[0-9a-f]{{32}}|{INPUT}")
FILE = re.compile(r"(video\.mp4|image\.png|reference\.png|thumbnail\.webp|spritesheet\.webp)")
_OURS = re.compile(rf"{FILE.pattern}(\.[0-9a-f]{{8}}\.tmp)?")


def attempts(root: Path) -> Iterator[AttemptKey]:
    """Every folder that an attempt, or a job's input, has in the store. What cannot be read is left out."""
    for tenant in _folders(root):
        if TENANT.fullmatch(tenant):
            for job in _folders(root / tenant):
                if model_of(job) is not None:
                    for token in _folders(root / tenant / job):
                        if TOKEN.fullmatch(token):
                            yield AttemptKey(tenant, job, token)


def remove_attempt(root: Path, attempt: AttemptKey) -> bool:
    """Delete an attempt's files, then the folders that are empty without them; whether the attempt's folder is gone."""
    tenant = root / attempt.tenant
    folder = tenant / attempt.job_id / attempt.token
    if any(place.is_symlink() for place in (tenant, folder.parent, folder)):
        return False
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if _OURS.fullmatch(entry.name):
                with suppress(OSError):
                    Path(entry.path).unlink()  # Of a link the link itself.
    for emptied in (folder, folder.parent):
        with suppress(OSError):
            emptied.rmdir()
    return not folder.exists()


def remove_job(root: Path, tenant: str, job_id: str) -> None:
    """Delete the files of all attempts at a job, and of its input."""
    for token in _folders(root / tenant / job_id):
        if TOKEN.fullmatch(token):
            remove_attempt(root, AttemptKey(tenant, job_id, token))
    with suppress(OSError):
        (root / tenant / job_id).rmdir()


def _folders(parent: Path) -> list[str]:
    """The names of the folders in a folder, without links to folders."""
    try:
        with os.scandir(parent) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
