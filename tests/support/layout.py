# SPDX-License-Identifier: GPL-3.0-or-later
"""What info/layout says of a mounted disk, and what is there."""

import mmap
import os
from collections import namedtuple

Region = namedtuple("Region", "start end kind partition what path")


def regions(disk):
    """All regions of the newest disk, in order."""
    found = []
    for line in (disk.mnt / "info/layout").read_text().splitlines():
        fields = line.split("\t")
        assert len(fields) == 6, line
        start, end, kind, partition, what, path = fields
        found.append(
            Region(int(start), int(end), kind, int(partition), what, path)
        )
    return found


def find(disk, path, what, partition=2):
    """The first region of an entry."""
    for region in regions(disk):
        if (region.path, region.partition) == (path, partition):
            if region.what == what:
                return region
    raise AssertionError(f"{path}: no {what} on the disk")


def read_past_cache(fd, offset, length=4096):
    """What the program itself says, not the kernel's pages."""
    buffer = mmap.mmap(-1, length)
    direct = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECT)
    try:
        return buffer[: os.preadv(direct, [buffer], offset)]
    finally:
        os.close(direct)
