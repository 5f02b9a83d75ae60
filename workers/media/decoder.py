"""python -m workers.media.decoder WIDTH HEIGHT: an image from standard input, fitted, to standard output.

A process of its own for one image of a stranger: what makes a decoder run wild ends this process and no other. Exits
with 0, with `REFUSED` and the reason in place of the image, or by a signal when it went beyond its limits.
"""

import resource
import sys

from workers.jobs.errors import InvalidRequest
from workers.media.first_frame import fitted, too_costly

REFUSED = 3
#: Some four times what the largest images that are allowed take.
CPU_SECONDS = 6
MEMORY_BYTES = 640 << 20


def main() -> int:
    """The process's exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    width, height = map(int, sys.argv[1:])
    try:
        sys.stdout.buffer.write(fitted(sys.stdin.buffer.read(), width, height))
    except InvalidRequest as error:
        sys.stdout.write(str(error))
        return REFUSED
    except MemoryError:
        sys.stdout.write(str(too_costly()))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
