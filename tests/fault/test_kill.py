# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of each process at each phase: nothing is left but what the manual
says, which is a dead mount where the process that unmounts was killed."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time

import pytest
from support import procs, sources

SOAK = bool(os.environ.get("DIRDISK_SOAK"))
SEED = int(os.environ.get("DIRDISK_SEED") or (random.randrange(10**9) if SOAK else 1))
DISKS = 120 if SOAK else 25
RUNS = 80 if SOAK else 15
GONE = 20  # seconds; a worker that does not end is forced after five

PHASES = ("starting", "serving", "reading", "writing", "unmounting")
WHO = ("launcher", "supervisor", "worker", "opener")
ROUNDS = [
    (phase, who)
    for phase, who in itertools.product(PHASES, WHO)
    if phase == "starting" or who != "launcher"
]


def kill(find):
    """SIGKILL to the process whose number find() gives; whether it was there."""
    for process in procs.hold(filter(None, [find()])):
        # Held, it is still the one that was looked for.
        if find() == process.pid:
            process.signal(signal.SIGKILL)
            return True
    return False


def kill_role(launcher, who):
    """As soon as it is there; False when the launcher ends without it."""
    ended = False
    while not ended:
        ended = launcher.poll() is not None
        if who == "launcher" and not ended:
            launcher.kill()
            return True
        if kill(lambda: procs.roles().get(who)):
            return True
    return False


def busy(box, image, phase):
    """A process that reads or writes the disk for as long as it is there."""
    if phase == "reading":
        command = 'while cat "$0" >/dev/null 2>&1; do :; done'
    else:
        command = (
            'while dd if=/dev/zero of="$0" bs=5000 count=200 conv=notrunc,nocreat'
            " 2>/dev/null; do :; done"
        )
    return box.start(["sh", "-c", command, image], name="busy")


def wait_gone(box, what):
    try:
        box.wait_no_process(timeout=GONE)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error


@pytest.mark.timeout(3600)
def test_dirdisk(box, program, dirdisk):
    src, mnt = box.dir("src"), box.dir("mnt")
    for number in range(200):
        sources.write(src, f"set/{number}", b"%d" % number * 3000)
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    pidfile = box.root / "pid"
    argv = [program, f"--pidfile={pidfile}", src, mnt]
    for _, (phase, who) in zip(range(DISKS), itertools.cycle(ROUNDS)):
        delay = dice.uniform(0, 0.12)
        what = f"{phase}, {who}, {delay:.3f} s"
        launcher = subprocess.Popen(
            [os.fspath(word) for word in argv],
            env=box.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        box.known.add(launcher.pid)
        reader = None
        if phase != "starting":
            assert launcher.wait(60) == 0, what
        if phase in ("reading", "writing"):
            reader = busy(box, mnt / "disk.img", phase)
        time.sleep(delay)
        if phase == "unmounting":
            subprocess.call(["umount", mnt])
        killed = kill_role(launcher, who)
        launcher.wait(60)
        assert killed or who == "launcher" or phase == "unmounting", what
        # A launcher that is killed late has done its work.
        if (who == "launcher" or not killed) and box.mounts():
            subprocess.call(["umount", "-l", mnt])
        if reader:
            reader.wait(60)
        wait_gone(box, what)
        if who != "supervisor":
            assert box.mounts() == [], what
            assert not pidfile.exists(), what
        assert list(box.tmp.iterdir()) == [], what
        if box.mounts():
            # It is dead, and the next start takes it away.
            with pytest.raises(OSError):
                os.stat(mnt / "disk.img")
            dirdisk(src, mnt).unmount()
        pidfile.unlink(missing_ok=True)
        assert box.mounts() == [], what


RUN_PHASES = ("starting", "running", "ending")
RUN_WHO = ("dirdisk-run", "keeper", "supervisor", "worker", "opener", "qemu")


def run_family(runs, process):
    """{name: pid} of all that a dirdisk-run has by now."""
    found = {"dirdisk-run": process.pid, **procs.roles()}
    for pid in procs.alive():
        with contextlib.suppress(OSError):
            if procs.runs(pid, "dirdisk-run") and pid != process.pid:
                own = os.getsid(pid) == pid
                found["keeper" if own else "watch"] = pid
            elif str(runs.qemu) in procs.command_of(pid):
                found["qemu"] = pid
    return found


@pytest.mark.timeout(3600)
def test_dirdisk_run(runs):
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    rounds = itertools.cycle(itertools.product(RUN_PHASES, RUN_WHO))
    runs.fake("sleep 1000 &\nexec sleep 1000", probe="sleep 0.05\nexit 33")
    for number, (phase, who) in zip(range(RUNS), rounds):
        delay = dice.uniform(0, 0.3)
        what = f"{phase}, {who}, {delay:.3f} s"
        process = runs.start("--no-grub")
        if phase != "starting":
            boots = runs.boots()
            runs.wait_boots(process, boots + 1, timeout=60)
        else:
            time.sleep(delay)
        if phase == "ending":
            process.terminate()
            time.sleep(delay / 10)
        killed = kill(lambda: run_family(runs, process).get(who))
        if phase != "ending" and who == "keeper":
            # It goes on: it can do by itself what the keeper would have done.
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        # It may have been a QEMU that was asked what it can do.
        if not killed or (phase, who) == ("starting", "qemu"):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            left = runs.box.processes()
            raise AssertionError(f"{what}: it does not end: {left}") from None
        wait_gone(runs.box, what)
        assert runs.box.mounts() == [], what
        assert list(runs.box.tmp.iterdir()) == [], what
