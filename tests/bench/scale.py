# SPDX-License-Identifier: GPL-3.0-or-later
"""What start-up takes, in seconds and memory, as trees grow."""

import contextlib
import os
import pathlib
import shutil
from statistics import median

import child
import disk
import plot
import start
import table

SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000]
FULL = 2_000_000
FILES_IN_EACH = 500
ONE_DIRECTORY = 100_000
# What the goals of the large tree are about.
LARGE = 1_000_000
WALK_GOAL = 1.5
FIND_GOAL = 1
ONE_GOAL = 1.5
MEMORY_GOAL = 150_000_000
# A page, an inode and a name on a tmpfs, and some left for everybody else.
BYTES_PER_FILE = 6_000


@contextlib.contextmanager
def cached(bench, files):
    """A directory for that many files: in memory, where there is enough."""
    path = bench.dir("scale")
    with open("/proc/meminfo", encoding="ascii") as file:
        figures = dict(line.split(":") for line in file)
    free = int(figures["MemAvailable"].split()[0]) * 1024
    memory = free > 2 * files * BYTES_PER_FILE
    if memory:
        size = f"size={files * BYTES_PER_FILE},nr_inodes=0"
        child.call("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path))
    try:
        yield path
    finally:
        if memory:
            child.call("umount", "-l", str(path))
        shutil.rmtree(path)


def fill(directory, first, count):
    """Files of 512 bytes."""
    directory.mkdir()
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for number in range(first, first + count):
        file = os.open(f"{number:07}", flags, 0o644, dir_fd=fd)
        os.write(file, b"%08d" % number * 64)
        os.close(file)
    os.close(fd)


def grow(src, have, want):
    for first in range(have, want, FILES_IN_EACH):
        number = first // FILES_IN_EACH
        fill(src / f"{number:04}", first, min(FILES_IN_EACH, want - first))


class Contestants(start.Contestants):
    """dirdisk, with the most memory that it ever had, and two floors."""

    def __init__(self, bench, src):
        super().__init__(bench, src)
        self.memory = 0

    def dirdisk(self, *options):
        mount = disk.Mount(self.bench, self.src, *options)
        self.memory = max(self.memory, *map(child.memory, mount.pids))
        ended = mount.end()
        return table.Run(mount.seconds, sum(process.cpu for process in ended))

    def no_xattrs(self):
        return self.dirdisk("--xattrs=none")

    def walk(self, *more):
        return self.timed([self.bench.walk, "2", self.src, *more])

    def walk_xattrs(self):
        return self.walk("xattrs")

    def turns(self, large):
        contestants = {
            "dirdisk": self.dirdisk,
            "walk, 2 threads (statx)": self.walk,
            "find -printf": self.find,
        }
        if large:
            contestants["dirdisk --xattrs=none"] = self.no_xattrs
            contestants["walk (statx, listxattrat)"] = self.walk_xattrs
        return table.turns(contestants, self.bench.runs)


def seconds(runs):
    return median(run.seconds for run in runs)


def compare(bench, name, src, large=False):
    table.title(f"start: {name}, cached, median of {bench.runs}")
    run = Contestants(bench, src)
    found = run.turns(large)
    table.show(found, "dirdisk")
    table.note(f"dirdisk: at most {run.memory / 1e6:.1f} MB resident")
    return list(found.values()), run.memory


def one_directory(bench):
    with cached(bench, ONE_DIRECTORY) as root:
        fill(root / "one", 0, ONE_DIRECTORY)
        name = f"{ONE_DIRECTORY} files in one directory"
        (own, _, find), _ = compare(bench, name, root)
    ratio = table.ratio(own, find)
    return table.goal(
        f"below {ONE_GOAL} of find ({ratio:.3f})", ratio < ONE_GOAL
    )


def large_goals(found, memory):
    own, walk, find, no_xattrs, walk_xattrs = found
    to_walk = table.ratio(own, walk)
    to_find = table.ratio(own, find)
    table.note(
        f"--xattrs=none: {table.ratio(no_xattrs, walk):.3f} of the walk; "
        f"dirdisk: {table.ratio(own, walk_xattrs):.3f} of one with xattrs"
    )
    held = [
        table.goal(
            f"at most {WALK_GOAL} of the walk ({to_walk:.3f})",
            to_walk <= WALK_GOAL,
        ),
        table.goal(f"below find ({to_find:.3f})", to_find < FIND_GOAL),
        table.goal(
            f"at most {MEMORY_GOAL / 1e6:.0f} MB ({memory / 1e6:.1f})",
            memory <= MEMORY_GOAL,
        ),
    ]
    return all(held)


def report(bench, rows):
    """rows: {files: ([runs of each contestant], memory)}."""
    table.title("cost against size")
    table.line("files", "dirdisk", "walk", "find", "ms/1000", "MB", "B/file")
    for files, (found, memory) in rows.items():
        own = seconds(found[0])
        table.line(
            f"{files}",
            *(f"{seconds(runs) * 1000:.0f}" for runs in found[:3]),
            f"{own / files * 1e6:.2f}",
            f"{memory / 1e6:.1f}",
            f"{memory / files:.0f}",
        )
    times = {
        name: [(files, seconds(row[0][i])) for files, row in rows.items()]
        for i, name in enumerate(["dirdisk", "walk", "find -printf"])
    }
    sizes = [(files, row[1] / 1e6) for files, row in rows.items()]
    path = pathlib.Path(bench.plot)
    plot.write(
        path,
        [
            ("From exec to a readable disk", "files", "seconds", times),
            ("Most memory", "files", "MB", {"dirdisk": sizes}),
        ],
    )
    table.note(f"plot: {path.resolve()}")


def sizes(bench):
    wanted = SIZES + ([FULL] if bench.full else [])
    rows = {}
    have = 0
    with cached(bench, wanted[-1]) as root:
        for files in wanted:
            grow(root, have, files)
            have = files
            name = f"{files} files in {files // FILES_IN_EACH} directories"
            rows[files] = compare(bench, name, root, files == LARGE)
            if files == LARGE:
                held = large_goals(*rows[files])
    report(bench, rows)
    return held


def measure(bench):
    held = one_directory(bench)
    return sizes(bench) and held
