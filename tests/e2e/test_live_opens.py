# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever opens the disk while the tree changes gets one, every time."""

import contextlib
import os
import re
import threading
import time

import pytest

from support import seeds, sources

OPENS = 2_000_000 if seeds.SOAK else 100_000
TIMES = 10 if seeds.SOAK else 1
MIB = 1 << 20


class Changes(threading.Thread):
    """Changes the tree all the time, for as long as the `with` takes.

    Files with content are in kernels/ alone, and replaced by rename: so all of
    a disk that was opened can be read, however late.
    """

    def __init__(self, src):
        super().__init__()
        self.src = src
        self.dice = seeds.dice(__file__)
        self.count = 0
        self._over = threading.Event()

    def run(self):
        while not self._over.is_set():
            self.dice.choice((self._kernel, self._empty, self._moved))()
            self.count += 1
            time.sleep(self.dice.random() * 0.02)

    def _kernel(self):
        new = self.src.parent / "new"
        new.write_bytes(self.dice.randbytes(self.dice.randrange(100_000)))
        os.rename(new, self.src / "kernels" / f"{self.dice.randrange(5)}")

    def _empty(self):
        path = self.src / f"dir/{self.dice.randrange(100)}"
        if path.exists():
            path.rmdir()
        else:
            path.mkdir()

    def _moved(self):
        where, there = self.src / "here", self.src / "dir/there"
        if where.exists():
            os.rename(where, there)
        elif there.exists():
            os.rename(there, where)
        else:
            where.mkdir()
            (where / "empty").touch()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


@pytest.fixture
def changing(box, dirdisk):
    """A disk whose tree changes, and who changes it."""

    @contextlib.contextmanager
    def start():
        src = box.tmpfs("host") / "src"
        sources.write(src, "kernels/0", b"first")
        (src / "dir").mkdir()
        disk = dirdisk(src, None, "--no-grub")
        with Changes(src) as changes:
            yield disk, changes
        disk.unmount()

    return start


@pytest.mark.timeout(300 * TIMES)
def test_opens_as_cp_does(box, changing):
    argv = [os.environ["OPEN_OFTEN"]]
    with changing() as (disk, changes):
        before = changes.count
        done = box.run(
            [*argv, disk.image, str(OPENS), "4"], timeout=240 * TIMES
        )
        print(done.text, changes.count - before, "changes")
        counted = dict(re.findall(r"(\S+) (\d+)", done.text))
        assert counted["failures"] == "0"
        assert changes.count - before > 50


COMMANDS = {
    "cp": (60, "cp --sparse=always {0} {1}/copy"),
    "cp-plain": (20, "cp {0} {1}/copy"),
    "tar": (60, "tar -cSf {1}/copy -C {0.parent} {0.name}"),
    "info": (200, "qemu-img info -f raw {0}"),
    "info-locked": (
        50,
        "qemu-img info --image-opts driver=raw,file.driver=file"
        ",file.filename={0},file.locking=on",
    ),
    "convert": (60, "qemu-img convert -f raw -O raw {0} {1}/copy"),
    "dd-direct": (20, "dd if={0} of={1}/copy bs=1M iflag=direct"),
}


@pytest.mark.timeout(240 * TIMES)
@pytest.mark.parametrize("name", COMMANDS)
def test_programs(box, changing, name):
    """To the end, with nothing to say of a file that changed."""
    times, command = COMMANDS[name]
    with changing() as (disk, _):
        argv = command.format(disk.image, box.tmpfs("copies", "size=1g"))
        for _ in range(times * TIMES):
            done = box.run(argv.split())
            for word in ("replaced", "changed", "truncated", "rror"):
                assert word not in done.text
