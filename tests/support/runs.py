# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk-run with a QEMU of the test's own, a shell script."""

import os
import struct
import time

from support import procs, seeds

SCRIPT = """#!/bin/sh
case "$*" in
*isa-debug-exit*)
	echo probe >>"{dir}/calls"
	{probe}
	exit 1
	;;
esac
printf '%s\\n' "$@" >"{dir}/arguments"
echo boot >>"{dir}/calls"
{body}
"""
DICE = seeds.dice(__file__)
FOR_EVER = "\nwhile :; do sleep 1000; done\n"


def kernel(size=40000):
    """A file that says of itself that it is a kernel of that size."""
    data = bytearray(DICE.randbytes(size))
    data[0x1F1] = 1
    struct.pack_into("<I", data, 0x1F4, (size - 1024) // 16)
    struct.pack_into("<H", data, 0x1FE, 0xAA55)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<HIHH", data, 0x206, 0x020F, 0, 0x1000, 0)
    data[0x211] = 1
    struct.pack_into("<I", data, 0x238, 2047)
    return bytes(data)


class Runs:
    """Starts the program on a tree; everything in the box's directories."""

    def __init__(self, box, program):
        self.box = box
        self.program = str(program)
        self.dir = box.dir("fake")
        self.dir.chmod(0o777)
        self.qemu = self.dir / "qemu"
        self.src = box.dir("src")
        (self.src / "kernels").mkdir()
        self.place(self.src / "kernels/vmlinuz-1.0", kernel())

    @staticmethod
    def place(path, data):
        """A file that is there at once, and whole."""
        part = path.parent.parent.parent / f"{path.name}.part"
        part.write_bytes(data)
        part.chmod(0o644)
        part.rename(path)

    def fake(self, body=FOR_EVER, probe=""):
        """What QEMU is from now on."""
        text = SCRIPT.format(dir=self.dir, body=body, probe=probe)
        part = self.dir / "qemu.part"
        part.write_text(text)
        part.chmod(0o755)
        part.rename(self.qemu)

    def environment(self, **extra):
        extra = {"XDG_RUNTIME_DIR": None, "DIRDISK": None, **extra}
        return self.box.environment(**extra)

    def argv(self, *options, src=None, own=True):
        argv = [self.program, src or self.src]
        if own:
            argv += [f"--qemu={self.qemu}"]
        return [os.fspath(word) for word in [*argv, *options]]

    def start(self, *options, src=None, own=True, env=None, **more):
        argv = self.argv(*options, src=src, own=own)
        env = self.environment(**(env or {}))
        return self.box.start(argv, name="run", env=env, **more)

    def __call__(self, *options, timeout=60, **more):
        """Runs it to its end; nothing may be left."""
        process = self.start(*options, **more)
        process.wait(timeout)
        process.text = process.log.read_text(errors="replace")
        self.assert_gone()
        return process

    # ---- what QEMU was told ----

    def calls(self):
        path = self.dir / "calls"
        return path.read_text().split() if path.exists() else []

    def boots(self):
        return self.calls().count("boot")

    def arguments(self):
        return (self.dir / "arguments").read_text().splitlines()

    def wait_boots(self, process, count=1, timeout=20):
        self.box.wait_for(lambda: self.boots() >= count, process, timeout)

    # ---- who is there ----

    def disk(self):
        """(supervisor, worker) of dirdisk."""
        roles = procs.roles()
        return roles["supervisor"], roles["worker"]

    def loop(self, process):
        """The child that starts the others, and ends them."""
        for pid, (parent, _) in procs.descendants().items():
            if parent == process.pid and procs.runs(pid, "dirdisk-run"):
                return pid
        raise AssertionError(f"there is none: {self.box.processes()}")

    def watcher(self, process):
        """Its child that reads from the mount."""
        loop = self.loop(process)
        for pid, (parent, _) in procs.descendants().items():
            if parent == loop and procs.runs(pid, "dirdisk-run"):
                return pid
        raise AssertionError(f"there is none: {self.box.processes()}")

    def qemu_pid(self):
        for pid, command in self.box.processes().items():
            if str(self.qemu) in command and not procs.runs(pid, "dirdisk-run"):
                return pid
        raise AssertionError(f"no QEMU: {self.box.processes()}")

    # ---- the end ----

    def assert_gone(self):
        """No process, no mount, no directory."""
        self.box.wait_no_process()
        assert self.box.mounts() == []
        assert list(self.box.tmp.iterdir()) == []


def wait_until(what, timeout=20):
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, "it never comes"
        time.sleep(0.01)
