# SPDX-License-Identifier: GPL-3.0-or-later
"""One call fails, once, while a disk is served: reads, rescans, writes."""

import mmap
import os
import time

import pytest
from faults import CALLS, ERRORS, Faults, Table, sample
from support import procs, sources
from support.daemon import Disk

HANG = 15
FEW = 8
SMALL = ["--no-grub", "--size=8M", "--boot-size=2M", "--free=1M"]
BLOCK = 4096
# Three writes: into one block, over an end, of whole blocks.
WRITES = ((512 * 5 + 7, 300), (3 * BLOCK - 100, 900), (7 * BLOCK, 4 * BLOCK))


class Served:
    """A disk that is served, and the two states that its tree has."""

    def __init__(self, box, program, label):
        self.box = box
        self.program = program
        self.faults = Faults(
            box.root / f"faults-{label}", os.environ["INJECT"], program
        )
        self.label = label
        self.src = box.dir(f"src-{label}")
        for part in ("boot", "kernels", "set/deeper", "other"):
            sources.write(self.src, f"{part}/file", b"of " + part.encode() * 99)
        for number in range(40):
            sources.write(self.src, f"many/{number:02}/file", b"m" * 5000)
        os.setxattr(self.src / "set/deeper", "user.x", b"y")
        self.turn(0)
        # A byte of each state, from programs that nothing fails in.
        self.states = []
        for state in (0, 1):
            self.turn(state)
            disk = self.start(f"reference-{state}", faults=False)
            self.states.append(self.read(disk))
            disk.unmount()
        self.turn(0)
        self.disk = self.start("served")

    def start(self, name, faults=True):
        mnt = self.box.dir(f"mnt-{self.label}-{name}")
        before = set(procs.alive())
        env = self.box.environment(
            **(self.faults.environment if faults else {})
        )
        argv = [self.program, *SMALL, self.src, mnt]
        launcher = self.box.run(
            [os.fspath(word) for word in argv], name="dirdisk", env=env
        )
        return Disk(self.box, mnt, launcher, set(procs.alive()) - before)

    def turn(self, state):
        """The tree in state 0 or 1, its times included."""
        new = self.box.root / f"new-{self.label}"
        new.write_bytes(b"%d" % state * (3000 + 3000 * state))
        os.utime(new, (10**9 + state, 10**9 + state))
        os.rename(new, self.src / "set/deeper/changes")
        extra = self.src / "many/extra"
        if state and not extra.exists():
            extra.mkdir()
            os.utime(extra, (10**9, 10**9))
        if not state and extra.exists():
            extra.rmdir()
        for path in ("set/deeper", "many"):
            os.utime(self.src / path, (10**9 + state, 10**9 + state))

    @staticmethod
    def read_fd(fd):
        """All bytes, past the page cache; those of errors are None."""
        size = os.fstat(fd).st_size
        piece = 128 << 10
        buffer = mmap.mmap(-1, piece)
        pieces = []
        for offset in range(0, size, piece):
            try:
                n = os.preadv(fd, [buffer], offset)
                pieces.append(buffer[:n])
            except OSError:
                pieces.append(None)
        return pieces

    def read(self, disk):
        fd = os.open(disk.image, os.O_RDONLY | os.O_DIRECT)
        try:
            return self.read_fd(fd)
        finally:
            os.close(fd)

    def descriptors(self):
        (worker,) = self.disk.workers
        return len(os.listdir(f"/proc/{worker}/fd"))

    def lives(self):
        return all(
            procs.command_of(pid)
            for pid in (self.disk.supervisor, *self.disk.workers)
        )


def compare(got, want):
    """(wrong, failed): pieces with other bytes, and without any."""
    wrong = sum(
        1 for a, b in zip(got, want) if a is not None and bytes(a) != bytes(b)
    )
    return wrong + abs(len(got) - len(want)), got.count(None)


# ---- what is done, with a fault in it ----


def do_reads(served, step):
    """Of a descriptor that is open before."""
    fd = os.open(served.disk.image, os.O_RDONLY | os.O_DIRECT)
    try:
        step.begin()
        got = served.read_fd(fd)
        step.end()
    finally:
        os.close(fd)
    wrong, failed = compare(got, served.states[0])
    return "wrong" if wrong else "clean" if failed else "served"


def do_rescan(served, step):
    """The tree is in its other state: the next open shows that, or fails."""
    state = step.number % 2
    served.turn(state)
    step.begin()
    try:
        got = served.read(served.disk)
    except OSError:
        got = None
    step.end()
    # Whatever it came to, the next one is right.
    deadline = time.monotonic() + HANG
    while True:
        try:
            again = served.read(served.disk)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                step.note = f"no open succeeds any more: {error}"
                return "left"
            time.sleep(0.01)
    if any(compare(again, served.states[state])):
        return "wrong"
    if got is None:
        return "clean"
    wrong, failed = compare(got, served.states[state])
    return "wrong" if wrong else "clean" if failed else "served"


def do_writes(served, step):
    """Each block has the old bytes or the new ones; the new, if it said so."""
    path = served.disk.image
    fill = bytes([1 + step.number % 250])
    failed = False
    fd = os.open(path, os.O_RDWR | os.O_SYNC)
    try:
        old = os.pread(fd, 16 * BLOCK, 0)
        new = bytearray(old)
        done = []
        step.begin()
        for offset, length in WRITES:
            try:
                n = os.pwrite(fd, fill * length, offset)
            except OSError:
                n, failed = 0, True
            done.append(n)
        try:
            os.fsync(fd)
        except OSError:
            failed = True
        step.end()
        direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, 16 * BLOCK)
        os.preadv(direct, [buffer], 0)
        os.close(direct)
        got = buffer[:]
    finally:
        os.close(fd)
    sure = bytearray(old)
    for (offset, length), n in zip(WRITES, done):
        new[offset : offset + length] = fill * length
        sure[offset : offset + n] = fill * n
    for at in range(16 * BLOCK):
        # What was said to be written is there; the rest is old or new.
        if got[at] != sure[at] and not (
            failed and sure[at] == old[at] and got[at] == new[at]
        ):
            return "wrong"
    return "clean" if failed else "served"


INFO = [f"info/{n}" for n in ("generation", "kernels", "layout", "log", "menu")]
INFO += ["disk.vmdk"]


def do_info(served, step):
    step.begin()
    failed = False
    for name in INFO:
        try:
            (served.disk.mnt / name).read_bytes()
        except OSError:
            failed = True
    step.end()
    return "clean" if failed else "served"


PHASES = {
    "read": do_reads,
    "rescan": do_rescan,
    "write": do_writes,
    "info": do_info,
}


class Step:
    """One run of a phase; the fault lies between begin and end."""

    def __init__(self, served, number, fault=None):
        self.served = served
        self.number = number
        self.fault = fault
        self.note = ""

    def begin(self):
        self.served.faults.clear()
        if self.fault:
            self.served.faults.arm(*self.fault)

    def end(self):
        self.counts = {c: self.served.faults.count(c) for c in CALLS}
        self.served.faults.disarm()


def show(capfd):
    def print_there(text):
        with capfd.disabled():
            print(text, flush=True)

    return print_there


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("phase", PHASES)
def test_served(box, program, capfd, phase):
    table = Table(phase, show(capfd))
    do = PHASES[phase]
    generation = 0
    served = Served(box, program, generation)
    for number in (0, 1):
        assert do(served, Step(served, number)) == "served"
    step = Step(served, 2)
    do(served, step)
    counts = step.counts
    descriptors = served.descriptors()
    number = 3
    for call in CALLS:
        for n in sample(counts[call], FEW):
            fault = (call, ERRORS[call][n % len(ERRORS[call])], n)
            number += 1
            start = time.monotonic()
            step = Step(served, number, fault)
            outcome = do(served, step)
            took = time.monotonic() - start
            detail = f"{fault}, {took:.1f} s; {step.note}"
            injected = served.faults.injected
            if served.faults.crashes or not served.lives():
                outcome = "crash"
                detail += served.faults.traces()
            elif took > HANG:
                outcome = "hang"
            if outcome in Table.BAD:
                detail += served.faults.traces()
            if injected:
                table.add(call, outcome, detail)
            if outcome in ("crash", "left"):
                generation += 1
                box.sweep()
                served = Served(box, program, generation)
        table.end_call(call)
    # Nothing was left open on the way.
    assert do(served, Step(served, 0)) == "served"
    assert do(served, Step(served, 2)) == "served"
    # The last generation but one ends when the kernel forgets it.
    end = time.monotonic() + 10
    while (
        served_now := served.descriptors()
    ) > descriptors + 2 and time.monotonic() < end:
        time.sleep(0.01)
    if served_now > descriptors + 2:
        table.add("all", "left", f"{served_now} of {descriptors}")
    table.check()
    served.disk.unmount()
