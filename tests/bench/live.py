# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes until a change of the tree is on the disk."""

import os
import re
import shutil
import signal
import subprocess
import time
from statistics import median

import by_hand
import child
import disk
import reading
import scale
import table

RENAMES = 101
RENAME_GOAL = 0.010
CHANGES = 11
CHANGE_GOAL = 0.15
# All files of the changed directory, itself and what leads to it; and again, as
# a file that is looked at within the tick of its change may change unseen.
STATX_GOAL = 4 * (scale.FILES_IN_EACH + 50)
OPENS = 2000
OPEN_GOAL = 100e-6


def first_byte(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        assert len(os.pread(fd, 1, 0)) == 1
    finally:
        os.close(fd)


def timed(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def generation(mount):
    """Text that differs from one generation to another."""
    with open(mount.point / "info" / "generation", "rb") as file:
        return file.read()


def show(name, seconds):
    table.line("", "ms", "min", "max")
    figures = median(seconds), min(seconds), max(seconds)
    table.line(name, *(f"{figure * 1000:.2f}" for figure in figures))


def changed(mount, change):
    """Seconds from a change until the new disk's first byte is there."""
    before = generation(mount)
    begin = time.perf_counter()
    change()
    first_byte(mount.image)
    seconds = time.perf_counter() - begin
    assert generation(mount) != before, "the disk is still the old one"
    return seconds


def kernels(bench):
    src = bench.guest.add(bench.dir("live-kernels"))
    kernel = src / "kernels" / bench.guest.kernel
    new = bench.root / "new"

    def rename():
        os.rename(new, kernel)

    seconds = []
    with disk.Mount(bench, src) as mount:
        for _ in range(RENAMES):
            shutil.copy(bench.guest.dir / "kernels" / kernel.name, new)
            seconds.append(changed(mount, rename))
    table.title(f"live: a new kernel's rename, median of {RENAMES}")
    show("until the disk's first byte", seconds)
    figure = median(seconds)
    return table.goal(
        f"at most {RENAME_GOAL * 1000:.0f} ms ({figure * 1000:.2f})",
        figure <= RENAME_GOAL,
    )


# ---- one file among a million ----


class Trace:
    """Counts a process's calls of statx while a `with` takes."""

    def __init__(self, bench, pid):
        self.log = bench.root / "strace"
        argv = ["strace", "-f", "-c", "-o", self.log, "-p", str(pid)]
        argv += ["-e", "trace=statx"]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE)

    def __enter__(self):
        assert b"attached" in self.process.stderr.readline()
        time.sleep(0.2)  # to each of its threads
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()

    @property
    def count(self):
        row = r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*\bstatx$"
        found = re.search(row, self.log.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0


def writer(src, number):
    """One byte of one file, in place."""

    def write():
        directory = src / f"{number // scale.FILES_IN_EACH:04}"
        with open(directory / f"{number:07}", "r+b", buffering=0) as file:
            file.write(b"x")

    return write


def worker(mount):
    """The process that looks at the tree: the one with the most memory."""
    return max(mount.pids, key=child.memory)


def million(bench):
    starts, changes = [], []
    with scale.cached(bench, scale.LARGE) as src:
        scale.grow(src, 0, scale.LARGE)
        for _ in range(bench.runs):
            with disk.Mount(bench, src) as mount:
                starts.append(mount.seconds)
        with disk.Mount(bench, src) as mount:
            for number in range(CHANGES):
                step = number * (scale.LARGE // CHANGES)
                changes.append(changed(mount, writer(src, step)))
            with Trace(bench, worker(mount)) as trace:
                changed(mount, writer(src, scale.LARGE - 1))
    ratio = median(changes) / median(starts)
    table.title(f"live: one file among {scale.LARGE} written")
    show("start-up", starts)
    show("until the disk's first byte", changes)
    held = [
        table.goal(
            f"at most {CHANGE_GOAL} of start-up ({ratio:.3f})",
            ratio <= CHANGE_GOAL,
        ),
        table.goal(
            f"at most {STATX_GOAL} calls of statx, for the changed directory "
            f"alone ({trace.count})",
            0 < trace.count <= STATX_GOAL,
        ),
    ]
    return all(held)


# ---- nothing changed ----


def opens(path):
    """Seconds that one open takes, and its close."""

    def run():
        begin = time.perf_counter()
        for _ in range(OPENS):
            os.close(os.open(path, os.O_RDONLY))
        return table.Run((time.perf_counter() - begin) / OPENS, 0)

    return run


def unchanged(bench):
    src = bench.guest.add(bench.dir("live-unchanged"))
    raw = bench.root / "large"
    with open(raw, "wb") as file:
        file.truncate(reading.LARGE)
    with disk.Mount(bench, src) as mount, reading.plain(bench, raw) as plain:
        found = table.turns(
            {"dirdisk": opens(mount.image), "plain FUSE": opens(plain)},
            max(bench.runs, 9),
        )
    raw.unlink()
    table.title(f"live: an open when nothing changed ({OPENS} each)")
    table.line("", "us", "min", "max")
    for name, runs in found.items():
        took = [run.seconds * 1e6 for run in runs]
        table.line(name, *(f"{f(took):.1f}" for f in (median, min, max)))
    more = median(
        own.seconds - other.seconds for own, other in zip(*found.values())
    )
    return table.goal(
        f"less than {OPEN_GOAL * 1e6:.0f} us more ({more * 1e6:.1f})",
        more < OPEN_GOAL,
    )


def measure(bench):
    parts = [kernels, unchanged, million, by_hand.measure]
    return all([part(bench) for part in parts])
