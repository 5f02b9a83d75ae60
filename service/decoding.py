"""A stranger's image is decoded in a process of its own, which lives no longer than the call that brought it."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from io import BytesIO
from pathlib import Path
from typing import IO

import anyio

import workers
from workers.jobs.errors import InvalidRequest
from workers.media import decoder
from workers.media.first_frame import too_costly

#: Many times the decoder's limit on CPU time: it may have to share the CPU.
WAIT_SECONDS = 60.0
#: It gets nothing of this process's environment, which may hold secrets.
_ENVIRONMENT = {"PYTHONPATH": str(Path(workers.__path__[0]).parent)}


async def fitted(file: IO[bytes], width: int, height: int) -> bytes:
    """As `workers.media.first_frame.fitted`, of a file that is read from its start. Raises `InvalidRequest`.

    The process reads a file on disk itself, so that this one never holds it.
    """
    file.seek(0)
    source, content = (PIPE, file.read()) if isinstance(file, BytesIO) else (file, None)
    command = (sys.executable, "-m", decoder.__name__, str(width), str(height))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=source, stdout=PIPE, stderr=DEVNULL, env=_ENVIRONMENT
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            output, _ = await process.communicate(content)
    except TimeoutError:
        raise too_costly() from None
    finally:
        if process.returncode is None:
            process.kill()
            with anyio.CancelScope(shield=True):
                await process.communicate()
    if process.returncode == decoder.REFUSED:
        raise InvalidRequest("input_reference", output.decode())
    if process.returncode != 0:
        raise too_costly()
    return output
