# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults by number: the n-th call of a function in a program that runs."""

import errno
import mmap
import os
import struct

from support import procs

# calls.h has the same order.
CALLS = (
    "malloc",
    "calloc",
    "realloc",
    "open",
    "openat",
    "openat2",
    "read",
    "pread",
    "statx",
    "getdents64",
    "mmap",
    "inotify_add_watch",
    "fcntl",
    "pthread_create",
    "sendmsg",
    "recvmsg",
    "write",
    "pwrite",
    "fsync",
)
MEMORY = ("malloc", "calloc", "realloc")

# What each may fail with on a machine that is short of something.
ERRORS = {
    "malloc": (errno.ENOMEM,),
    "calloc": (errno.ENOMEM,),
    "realloc": (errno.ENOMEM,),
    "open": (errno.EMFILE, errno.EIO),
    "openat": (errno.EMFILE, errno.EIO),
    "openat2": (errno.EMFILE, errno.EAGAIN),
    "read": (errno.EIO, errno.ENOMEM),
    "pread": (errno.EIO, errno.ENOMEM),
    "statx": (errno.EIO, errno.ENOMEM),
    "getdents64": (errno.EIO, errno.ENOMEM),
    "mmap": (errno.ENOMEM,),
    "inotify_add_watch": (errno.ENOSPC, errno.ENOMEM),
    "fcntl": (errno.EMFILE,),
    "pthread_create": (errno.EAGAIN,),
    "sendmsg": (errno.ENOBUFS, errno.ENOMEM),
    "recvmsg": (errno.ENOMEM,),
    "write": (errno.EIO, errno.ENOMEM),
    "pwrite": (errno.ENOSPC, errno.EIO),
    "fsync": (errno.EIO, errno.ENOSPC),
}


class Faults:
    """The file that inject.c maps: what is to fail, and what has been called."""

    # call, error, countdown, injected, calls..., pid, crashes,
    # place, crash
    _FORM = f"=IIqQ{len(CALLS)}QQQ4096s4096s"

    def __init__(self, path, library, program):
        self.path = os.fspath(path)
        with open(self.path, "wb") as file:
            file.truncate(struct.calcsize(self._FORM))
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.environment = {
            "LD_PRELOAD": procs.preload(program, library),
            "DIRDISK_FAULT": self.path,
            "DIRDISK_FAULT_IN": os.path.basename(program),
        }

    def _fields(self):
        return struct.unpack(self._FORM, self._map)

    def clear(self):
        self._map[:] = bytes(len(self._map))

    def arm(self, call, error, n):
        """The n-th call from now on fails."""
        struct.pack_into("=Q", self._map, 16, 0)
        struct.pack_into("=q", self._map, 8, 0)
        struct.pack_into("=II", self._map, 0, CALLS.index(call), error)
        struct.pack_into("=q", self._map, 8, n)

    def disarm(self):
        struct.pack_into("=q", self._map, 8, 0)

    @property
    def injected(self):
        return self._fields()[3]

    def count(self, call):
        return self._fields()[4 + CALLS.index(call)]

    @property
    def pid(self):
        return self._fields()[-4]

    @property
    def crashes(self):
        return self._fields()[-3]

    def traces(self):
        place, crash = self._fields()[-2:]
        return "fault:\n{}crash:\n{}".format(
            place.rstrip(b"\0").decode(), crash.rstrip(b"\0").decode()
        )


# ---- which of them ----

SOAK = bool(os.environ.get("DIRDISK_SOAK"))


def sample(count, few):
    """Numbers from 1 to count: all of them (soak), or so many, evenly."""
    if SOAK or count <= few:
        return range(1, count + 1)
    return sorted({1 + i * (count - 1) // (few - 1) for i in range(few)})


class Table:
    """What became of the faults of a phase, call by call; shows each line."""

    GOOD = ("served", "clean")
    BAD = ("crash", "hang", "wrong", "left", "silent")
    _FORM = "# {:<12} {:<18} {:>8} {:>7} {:>7} {:>7}"

    def __init__(self, phase, show):
        self.phase = phase
        self.counts = {}
        self.failures = []
        self._show = show
        show(
            self._FORM.format(
                "phase", "call", "injected", "clean", "served", "failure"
            )
        )

    def add(self, call, outcome, detail=""):
        row = self.counts.setdefault(call, {})
        row[outcome] = row.get(outcome, 0) + 1
        if outcome in self.BAD:
            self.failures.append(f"{self.phase}, {call}, {outcome}: {detail}")

    def _line(self, call, row):
        bad = sum(row.get(name, 0) for name in self.BAD)
        good = [row.get(name, 0) for name in ("clean", "served")]
        cells = [sum(row.values()), *good, bad]
        return self._FORM.format(self.phase, call, *cells)

    def end_call(self, call):
        """All faults of a call were tried."""
        if call in self.counts:
            self._show(self._line(call, self.counts[call]))

    def check(self):
        total = {}
        for row in self.counts.values():
            for name, number in row.items():
                total[name] = total.get(name, 0) + number
        self._show(self._line("all", total))
        shown = "\n".join(self.failures[:20])
        assert not self.failures, f"{len(self.failures)} failures:\n{shown}"
