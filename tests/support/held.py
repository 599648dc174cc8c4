# SPDX-License-Identifier: GPL-3.0-or-later
"""A handle on disk.img that is held while the tree changes."""

import errno
import mmap
import os

from support import judges

BLOCK = 4096
SPAN = 1 << 20


class Held:
    """An open disk.img, read past the page cache."""

    def __init__(self, box, image):
        self.box = box
        self.fd = os.open(image, os.O_RDONLY | os.O_DIRECT)
        self.size = os.fstat(self.fd).st_size
        self._page = mmap.mmap(-1, BLOCK)
        self._span = mmap.mmap(-1, SPAN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    @property
    def path(self):
        """Another way to the same generation, for programs."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def _read(self, buffer, offset):
        length = os.preadv(self.fd, [buffer], offset)
        assert length == min(len(buffer), self.size - offset)
        return bytes(buffer[:length])

    def _runs(self):
        """(offset, end) of what is data, in whole blocks."""
        offset = 0
        while True:
            try:
                offset = os.lseek(self.fd, offset, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == errno.ENXIO
                return
            end = os.lseek(self.fd, offset, os.SEEK_HOLE)
            yield offset // BLOCK * BLOCK, end
            offset = end

    def blocks(self):
        """{offset: its bytes}; None where it reads as an I/O error."""
        found = {}
        for begin, end in self._runs():
            for offset in range(begin, end, SPAN):
                found.update(self._span_blocks(offset, end))
        return found

    def _span_blocks(self, offset, end):
        places = range(offset, min(offset + SPAN, end), BLOCK)
        try:
            data = self._read(self._span, offset)
            return {at: data[at - offset :][:BLOCK] for at in places}
        except OSError as error:
            assert error.errno == errno.EIO
        return {at: self._block(at) for at in places}

    def _block(self, offset):
        try:
            return self._read(self._page, offset)
        except OSError as error:
            assert error.errno == errno.EIO
            return None

    def assert_fsck(self):
        """e2fsck has nothing to say of either partition."""
        for part in judges.partitions(self.box, self.path):
            start = part.start * judges.SECTOR
            judges.assert_fsck(self.box, f"{self.path}?offset={start}")


def cat(box, image, path, enter=()):
    """The file of partition 2 as who opens the disk now has it, or None.

    enter: a command before the program, to go where the mount is.
    """
    done = box.run(
        [*enter, "grub-fstest", str(image), "cat", f"(loop0,msdos2)/{path}"],
        stderr=None,
        check=False,
    )
    return done.data if done.returncode == 0 else None


def listed(box, image, path, enter=()):
    """The names in a directory of partition 2, likewise."""
    done = box.run(
        [*enter, "grub-fstest", str(image), "ls", f"(loop0,msdos2)/{path}/"],
        stderr=None,
        check=False,
    )
    return sorted(os.fsdecode(name.rstrip(b"/")) for name in done.data.split())
