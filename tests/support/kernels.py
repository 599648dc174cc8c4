# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels that are none, but for what their headers say."""

import re
import struct


def bzimage(version="", size=0):
    """A whole bzImage of `size` bytes at least, with that version inside."""
    setup = 5 * 512
    units = max(1, (size - setup + 15) // 16)
    image = bytearray(setup + units * 16)
    image[0x1F1] = setup // 512 - 1
    struct.pack_into("<I", image, 0x1F4, units)
    struct.pack_into("<H", image, 0x1FE, 0xAA55)
    struct.pack_into("<4sH", image, 0x202, b"HdrS", 0x020F)
    image[0x211] = 1
    struct.pack_into("<I", image, 0x238, 2047)
    if version:
        struct.pack_into("<H", image, 0x20E, 0x100)
        text = version.encode() + b" (me@here) #1\0"
        image[0x300 : 0x300 + len(text)] = text
    return bytes(image)


def table(text):
    """[(version, kernel, [initrds])] of an info/kernels; none has blanks."""
    found = []
    for line in text.partition("\n\n")[0].splitlines()[1:]:
        version, kernel, initrds = re.split(" {2,}", line, maxsplit=2)
        found.append((version, kernel, initrds.split(", ")))
    return [(v, k, [] if i == ["-"] else i) for v, k, i in found]


def rejects(text):
    """{path: reason} of an info/kernels."""
    lines = text.partition("\nNot in the menu:\n")[2].splitlines()
    return dict(line.split(": ", 1) for line in lines)
