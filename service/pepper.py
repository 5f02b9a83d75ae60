"""The secret that API keys are hashed with: a file of its own, so that whoever reads Redis alone can test no key."""

import stat
from pathlib import Path

from workers.configuration import ConfigurationError, variable

LEAST_BYTES = 32
MOST_BYTES = 4096
#: What Docker and compose mount here is seen by one container alone, whatever its mode says.
MOUNTED = Path("/run/secrets")
HOW = "make one with: head -c 32 /dev/urandom | base64 > pepper && chmod 600 pepper"


def read_pepper(path: Path | None) -> bytes:
    """The file's content without the white space around it. Raises `ConfigurationError` for one that is no secret."""
    name = variable("pepper_file")
    if path is None:
        raise ConfigurationError(
            f"{name} is not set: API keys need it. {HOW}. "
            f"{variable('authentication')}=none serves without keys, on loopback alone"
        )
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            pepper = file.read(MOST_BYTES + 1).strip()
    except OSError as error:
        raise ConfigurationError(f"{name}: {path} cannot be read: {error.strerror}; {HOW}") from error
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{name}: {path} is no regular file")
    if mode & stat.S_IROTH and not path.is_relative_to(MOUNTED):
        raise ConfigurationError(
            f"{name}: {path} has the mode {stat.S_IMODE(mode):04o}, so that everybody on this host can read it; "
            f"chmod 600, or mount it below {MOUNTED}"
        )
    if not LEAST_BYTES <= len(pepper) <= MOST_BYTES:
        size = "more" if len(pepper) > MOST_BYTES else len(pepper)
        raise ConfigurationError(f"{name}: {path} must have {LEAST_BYTES} to {MOST_BYTES} bytes, not {size}; {HOW}")
    return pepper
