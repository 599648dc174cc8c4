#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures dirdisk beside others on this machine, as it is now.

    DIRDISK=build/fs/dirdisk tests/bench/bench.py [--runs N] [MEASURE...]

start   until the first sector can be read, beside mke2fs -d and nbdkit
scale   the same for trees of up to a million files, and the memory it takes
boot    until the guest is up, beside the same disk in a raw file
stored  what mount, boot and unmount write to storage
reading the disk's bytes, beside other FUSE servers and plain files
live    until a change is on the disk, and until it has booted

Machines are noisy and differ: contestants take turns, figures are medians, and
only ratios within one run are judged. Exit status 1 if a goal is missed.
"""

import argparse
import os
import pathlib
import shutil
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(1, str(TESTS))

import boot  # noqa: E402
import live  # noqa: E402
import reading  # noqa: E402
import scale  # noqa: E402
import start  # noqa: E402
import stored  # noqa: E402
from keep import keep  # noqa: E402
from support.guest import Guest  # noqa: E402

TOOLS = ["mke2fs", "nbdkit", "find", "cmp", "qemu-system-x86_64"]
TOOLS += ["fio", "nbdfuse", "qemu-storage-daemon", "qemu-img"]
TOOLS += ["grub-fstest", "losetup", "parted", "strace"]
MEASURES = {
    "start": start,
    "scale": scale,
    "boot": boot,
    "stored": stored,
    "reading": reading,
    "live": live,
}
# Longer than any of them takes on a slow machine.
DEADLINE = 580


class Bench:
    """What a measure works with: where, with what, and how often."""

    def __init__(self, root, program, options):
        self.root = root
        self.program = program
        self.files = options.files
        self.runs = options.runs
        self.full = options.full
        self.plot = options.plot
        # Where meson puts it beside the program.
        build = pathlib.Path(program).parent.parent
        self.walk = build / "tests" / "bench" / "walk"
        self.guest = Guest(root)

    def dir(self, name):
        path = self.root / name
        path.mkdir(parents=True)
        return path


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE")
    parser.add_argument(
        "--runs",
        type=int,
        default=int(os.environ.get("DIRDISK_BENCH_RUNS", 5)),
        help="of every contestant; of what is short, more; of boots, at\n"
        "least 5 (default: 5, or DIRDISK_BENCH_RUNS)",
    )
    parser.add_argument(
        "--files",
        type=int,
        default=int(os.environ.get("DIRDISK_BENCH_FILES", 100_000)),
        help="in the large tree (default: 100000, or DIRDISK_BENCH_FILES)",
    )
    parser.add_argument(
        "--full", action="store_true", help="scale: 2 million files too"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        default="scale.svg",
        help="scale: where to (default: scale.svg)",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.measures) - set(MEASURES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if options.runs < 1 or options.files < 1:
        parser.error("--runs and --files must be at least 1")
    return options


def main(arguments):
    options = parse(arguments)
    program = os.environ.get("DIRDISK")
    if not program:
        sys.exit("DIRDISK must name the program to measure")
    if os.geteuid() != 0:
        sys.exit("this mounts: run it as root")
    if missing := [name for name in TOOLS if not shutil.which(name)]:
        sys.exit(f"not installed: {', '.join(missing)}")

    def work(root):
        bench = Bench(root, os.path.realpath(program), options)
        names = options.measures or MEASURES
        goals = [MEASURES[name].measure(bench) for name in names]
        return 0 if all(goals) else 1

    return keep("dirdisk-bench", work, DEADLINE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
