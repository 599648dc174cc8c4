# SPDX-License-Identifier: GPL-3.0-or-later
"""One call fails, once, while dirdisk starts or ends."""

import errno
import os
import subprocess
import time

import pytest
from faults import CALLS, ERRORS, Faults, Table, sample
from support import procs, sources

# A start takes a tenth of a second; five are a hang, and more a busy machine.
HANG = 15


class Starts:
    """Starts and ends it, and says how that went."""

    def __init__(self, box, program, *options):
        self.box = box
        self.program = program
        self.options = options
        self.mnt = box.dir("mnt")
        self.src = box.dir("src")
        for part in ("boot", "kernels", "set/deeper"):
            sources.write(self.src, f"{part}/file", b"of " + part.encode())
        os.symlink("file", self.src / "set/link")
        os.link(self.src / "set/deeper/file", self.src / "set/twin")
        os.setxattr(self.src / "set/deeper", "user.x", b"y")
        self.faults = Faults(
            box.root / "faults", os.environ["INJECT"], program
        )
        self.pidfile = box.root / "pid"
        self.first = None
        self.log = box.log("dirdisk")

    def start(self):
        argv = [self.program, *self.options, f"--pidfile={self.pidfile}"]
        argv += [self.src, self.mnt]
        with open(self.log, "wb") as log:
            process = subprocess.Popen(
                [os.fspath(word) for word in argv],
                env=self.box.environment(**self.faults.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.box.known.add(process.pid)
        return process

    def said(self):
        return self.log.read_text(errors="replace").strip()

    def content(self):
        """The disk's bytes; None: an error, which is an answer too."""
        try:
            with open(self.mnt / "disk.img", "rb", buffering=0) as file:
                return file.read()
        except OSError:
            return None

    def all_gone(self):
        end = time.monotonic() + HANG
        while procs.alive():
            procs.reap()
            if time.monotonic() > end:
                return False
            time.sleep(0.003)
        procs.reap()
        return True

    def left(self):
        """What there is although nothing should be."""
        found = []
        if not self.all_gone():
            found.append(f"processes: {self.box.processes()}")
        if self.box.mounts():
            found.append(f"mounts: {self.box.mounts()}")
        if self.pidfile.exists():
            found.append("the pid file")
        return ", ".join(found)

    def clear(self):
        """Whatever the last one left, so that the next is judged alone."""
        self.box.sweep()
        procs.reap()
        self.pidfile.unlink(missing_ok=True)

    def outcome(self, armed=None, ending=None):
        """(outcome, detail) of a start and an end, with a fault in one."""
        self.faults.clear()
        if armed:
            self.faults.arm(*armed)
        process = self.start()
        try:
            code = process.wait(HANG)
        except subprocess.TimeoutExpired:
            return "hang", f"start; {self.said()}"
        served = None
        if code == 0:
            served = self.content()
            if self.first is None:
                self.first = served
            if ending:
                self.faults.arm(*ending)
            subprocess.call(
                ["umount", self.mnt], stderr=subprocess.DEVNULL
            )
        left = self.left()
        detail = f"status {code}; {self.said()}; {left}"
        if self.faults.crashes or code < 0:
            return "crash", f"{detail}; {self.faults.traces()}"
        if left:
            return "left", detail
        if served is not None and served != self.first:
            return "wrong", detail
        if code == 0:
            return "served" if served is not None else "clean", detail
        return "clean" if self.said() else "silent", detail

    def calls(self):
        """{call: how often it is called by a start and a first read}."""
        outcome, detail = self.outcome()
        assert outcome == "served", detail
        return {call: self.faults.count(call) for call in CALLS}


SMALL = ["--no-grub", "--size=8M", "--boot-size=2M", "--free=1M"]
WITH_GRUB = ["--size=24M", "--free=1M"]


@pytest.fixture
def starts(box, program):
    return Starts(box, program, *SMALL)


def show(capfd):
    def print_there(text):
        with capfd.disabled():
            print(text, flush=True)

    return print_there


def try_fault(starts, table, *fault):
    when = "ending" if table.phase == "unmount" else "armed"
    outcome, detail = starts.outcome(**{when: fault})
    bad = outcome in Table.BAD
    # If not injected, a thread took another way this time.
    if starts.faults.injected or bad:
        table.add(fault[0], outcome, f"{fault}: {detail}")
    if bad:
        starts.clear()


def try_all(starts, table, counts, few):
    for call in CALLS:
        for n in sample(counts[call], few):
            error = ERRORS[call][n % len(ERRORS[call])]
            try_fault(starts, table, call, error, n)
        table.end_call(call)


@pytest.mark.timeout(7200)
def test_start(starts, capfd):
    table = Table("start", show(capfd))
    try_all(starts, table, starts.calls(), 7)
    table.check()


@pytest.mark.timeout(7200)
def test_start_with_grub(box, program, capfd):
    starts = Starts(box, program, *WITH_GRUB)
    table = Table("start, GRUB", show(capfd))
    try_all(starts, table, starts.calls(), 2)
    table.check()


def test_looks_at_the_mount(starts, capfd):
    """The last calls of statx, which check the mount and the pid file."""
    table = Table("start, end", show(capfd))
    count = starts.calls()["statx"]
    for n in range(count - 23, count + 1):
        try_fault(starts, table, "statx", errno.ENOMEM, n)
    table.check()


def test_looks_for_grub(box, program, capfd):
    """What cannot be opened or looked at is not taken for what is not there."""
    starts = Starts(box, program, *WITH_GRUB)
    count = starts.calls()["statx"]
    table = Table("GRUB, look", show(capfd))
    for n in range(8, 24):
        try_fault(starts, table, "open", errno.EMFILE, n)
    # Those of the list of modules are all alike; its end is what matters.
    for n in [*range(1, 9), *range(count // 2 - 32, count // 2 - 16)]:
        try_fault(starts, table, "statx", errno.EIO, n)
    table.check()


@pytest.mark.timeout(3600)
def test_unmount(starts, capfd):
    """From the moment when the mount goes."""
    table = Table("unmount", show(capfd))
    starts.outcome()
    starts.start().wait(HANG)
    before = {call: starts.faults.count(call) for call in CALLS}
    subprocess.call(["umount", starts.mnt])
    assert not starts.left()
    counts = {
        call: starts.faults.count(call) - before[call] for call in CALLS
    }
    try_all(starts, table, counts, 5)
    table.check()


def test_a_fault_is_a_fault(starts):
    """The library does fail what it is told to, and the test sees it."""
    counts = starts.calls()
    # A sanitizer's malloc is out of reach; fault_library's is not.
    sanitized = bool(os.environ.get("DIRDISK_SANITIZED"))
    assert (counts["malloc"] > 100) != sanitized, counts
    assert counts["sendmsg"] > 0, counts
    starts.outcome(armed=("open", 24, 1))
    assert starts.faults.injected == 1
