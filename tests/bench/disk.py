# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk, mounted and unmounted, and its disk read."""

import os
import signal
import time

import child
from support import procs

SECTOR = 512


def partition_start(sector, number):
    """In bytes, by the table in sector 0."""
    entry = 0x1BE + 16 * (number - 1)
    return SECTOR * int.from_bytes(sector[entry + 8 : entry + 12], "little")


def touch(path):
    """Reads the first sector, and one byte in partition 2 if there is one."""
    fd = os.open(path, os.O_RDONLY)
    try:
        sector = os.pread(fd, SECTOR, 0)
        assert len(sector) == SECTOR, f"{path}: no first sector"
        if sector[0x1FE:] == b"\x55\xaa":
            # The magic number of the ext2 superblock.
            place = partition_start(sector, 2) + 1024 + 0x38
            assert os.pread(fd, 1, place) == b"\x53", f"{path}: no ext2"
    finally:
        os.close(fd)


class Mount:
    """A mounted SRC; .seconds from exec until its disk was read."""

    def __init__(self, bench, src, *options, tmp=None):
        self.point = bench.root / "mnt"
        self.point.mkdir(exist_ok=True)
        self.image = self.point / "disk.img"
        before = procs.alive()
        begin = time.perf_counter()
        self.launcher = child.run(
            [bench.program, *options, src, self.point],
            env={"TMPDIR": str(tmp or bench.root)},
        )
        touch(self.image)
        self.seconds = time.perf_counter() - begin
        self.pids = procs.alive(before)

    def cpu(self):
        """What its processes have had of the processor until now."""
        return sum(child.cpu(pid) for pid in self.pids)

    def end(self):
        """Unmounts; gives what each process took, the launcher's first."""
        child.call("umount", str(self.point))
        ended = [self.launcher, *child.wait_orphans()]
        # What reads the first sector for the launcher is killed at its end.
        for process in ended:
            assert process.status in (0, -signal.SIGKILL), ended
        assert self.launcher.status == 0, ended
        return ended

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.end()
