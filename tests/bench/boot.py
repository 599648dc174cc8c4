# SPDX-License-Identifier: GPL-3.0-or-later
"""From QEMU's exec until the guest is up, beside a raw file."""

import os
import signal
import time

import child
import disk
import table
from support.guest import READY

GOAL = 1.05
BOOT_TIMEOUT = 180
# The menu shall not wait: its seconds would hide a difference.
OPTIONS = ["--timeout=0"]


def qemu(image, options="readonly=on"):
    """TCG everywhere: KVM within a virtual machine is slower than none."""
    drive = f"if=virtio,format=raw,file={image},{options}"
    return ["qemu-system-x86_64", "-accel", "tcg", "-m", "1G"] + [
        *("-display", "none", "-monitor", "none", "-serial", "stdio"),
        *("-nic", "none", "-drive", drive),
    ]


def until_ready(argv, env=None):
    """Boots until the guest is up, then ends the machine; a Run."""
    mine, theirs = os.pipe()
    begin = time.perf_counter()
    pid = child.spawn(argv, out=theirs, env=env)
    os.close(theirs)
    try:
        child.read_until(mine, READY.encode(), BOOT_TIMEOUT)
        return table.Run(time.perf_counter() - begin, child.cpu(pid))
    finally:
        os.kill(pid, signal.SIGKILL)
        child.wait(pid)
        os.close(mine)


def measure(bench):
    src = bench.guest.add(bench.dir("boot-tree"))
    raw = bench.root / "raw.img"
    with disk.Mount(bench, src, *OPTIONS) as mount:
        child.call("cp", "--sparse=always", str(mount.image), str(raw))
        child.call("cmp", str(mount.image), str(raw))

    def from_mount():
        # A new mount for each: no page of it is in the cache yet.
        with disk.Mount(bench, src, *OPTIONS) as mount:
            before = mount.cpu()
            run = until_ready(qemu(mount.image))
            return run._replace(cpu=run.cpu + mount.cpu() - before)

    def from_file():
        return until_ready(qemu(raw))

    runs = max(bench.runs + 2, 5)
    table.title(f"boot until {READY} (TCG, virtio), median of {runs} pairs")
    found = table.turns(
        {"dirdisk, just mounted": from_mount, "raw file, cached": from_file},
        runs,
    )
    raw.unlink()
    table.show(found, "raw file, cached")
    ratio = table.ratio(*found.values())
    return table.goal(
        f"at most {GOAL} of the raw file ({ratio:.3f})", ratio <= GOAL
    )
