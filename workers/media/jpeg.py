"""How often a JPEG file has its decoder go over the whole image, told without decoding it."""

import re

_START_OF_SCAN, _END = 0xDA, 0xD9
#: The next marker behind a scan's data, where 0xFF stands before 0x00 (a plain 0xFF), a restart, or another 0xFF.
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")


def scans(content: bytes) -> int:
    """The scans of the first image in the file: one in most, some ten in a progressive one.

    Each costs as much as the image is large, however few bytes it has itself. A torn file gives what is left of it.
    """
    count, position = 0, 2
    while found := _MARKER.search(content, position):
        marker, position = found[1][0], found.end()
        if marker == _END:
            break
        count += marker == _START_OF_SCAN
        if marker != 0x01:  # All others but this have a length, in which they count it too.
            position += int.from_bytes(content[position : position + 2], "big")
    return count
