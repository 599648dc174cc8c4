# SPDX-License-Identifier: GPL-3.0-or-later
"""From an edit until the guest is up: dirdisk, and disks made anew.

The article's script without its sleep, and mke2fs -d. Both are given what they
need of GRUB for nothing: sectors and files that an earlier disk had.
"""

import os
import shutil
import subprocess
import time
from statistics import median

import boot
import child
import disk
import table
from support.guest import READY

MOST_RUNS = 3  # of four machines each
MIB = 1 << 20
SIZE = 200 * MIB
PARTITIONS = {1: (1 * MIB, 18 * MIB), 2: (20 * MIB, 171 * MIB)}
SCRIPT = "mklabel msdos mkpart p ext2 1 20 set 1 boot on mkpart p ext2 21 200"
GRUB_DIR = "/usr/lib/grub/i386-pc"


def dd(source, target, *words):
    child.call("dd", f"if={source}", f"of={target}", "status=none", *words)


class Maker:
    """Ways from a tree to a disk that boots."""

    def __init__(self, bench, src, mount):
        self.bench = bench
        self.src = src
        self.mount = mount
        # What GRUB's installation would give, of a disk that is there.
        self.core = bench.root / "core"
        dd(mount.image, self.core, "bs=1M", "count=1")
        self.menu = bench.root / "grub.cfg"
        with open(self.menu, "wb") as file:
            argv = ["grub-fstest", mount.image, "cat"]
            argv += ["(loop0,msdos1)/boot/grub/grub.cfg"]
            subprocess.run(argv, stdout=file, check=True)
        self.kept = bench.root / "kept.img"
        dd(mount.image, self.kept, "bs=1M")
        self.made = bench.root / "made.img"

    def nothing(self):
        """What the machine takes by itself."""
        return self.kept

    def dirdisk(self):
        return self.mount.image

    def article(self):
        """dd, parted, losetup, mkfs, mount, GRUB, cp; as in the article."""
        dd("/dev/zero", self.made, "bs=1M", f"count={SIZE // MIB}")
        argv = ["parted", "--script", self.made, *SCRIPT.split()]
        # It asks for udevadm each time, which need not be there.
        subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
        loops = {number: self._loop(number) for number in PARTITIONS}
        for loop in loops.values():
            child.call("mkfs.ext2", "-q", loop)
        points = {number: self._mount(loops[number]) for number in loops}
        self._grub(points[1])
        shutil.copytree(self.src / "kernels", points[2] / "kernels")
        for number, point in points.items():
            child.call("umount", str(point))
            child.call("losetup", "-d", loops[number])
            point.rmdir()
        return self.made

    def _loop(self, number):
        start, size = PARTITIONS[number]
        argv = ["losetup", "-f", "--show", "-o", str(start)]
        argv += ["--sizelimit", str(size), self.made]
        return subprocess.check_output(argv, text=True).strip()

    def _mount(self, loop):
        point = self.bench.dir("by-hand-" + os.path.basename(loop))
        child.call("mount", loop, str(point))
        return point

    def _grub(self, point):
        """All that grub-install would do but for making the core image."""
        dd(self.core, self.made, "conv=notrunc", "bs=1M")
        directory = point / "boot/grub"
        shutil.copytree(GRUB_DIR, directory / "i386-pc")
        shutil.copy(self.menu, directory)

    def mke2fs(self):
        """The second partition alone, into the disk of the last time."""
        part = self.bench.root / "part.img"
        start, size = PARTITIONS[2]
        argv = ["mke2fs", "-qF", "-t", "ext2", "-b", "4096", "-d", self.src]
        child.run([*argv, part, f"{size >> 10}k"])
        dd(part, self.kept, "bs=1M", f"seek={start // MIB}", "conv=notrunc")
        part.unlink()
        return self.kept


def edit(bench, src):
    """Both kernel and initramfs are new files."""
    for name in (bench.guest.kernel, bench.guest.initrd):
        new = bench.root / name
        shutil.copy(bench.guest.dir / "kernels" / name, new)
        os.rename(new, src / "kernels" / name)


class Contestant:
    """An edit, a way to a disk, and the boot from it."""

    def __init__(self, bench, src, make):
        self.bench = bench
        self.src = src
        self.make = make
        self.made = []  # seconds from the edit until a machine could start

    def __call__(self):
        edit(self.bench, self.src)
        begin = time.perf_counter()
        image = self.make()
        disk.touch(image)
        self.made.append(time.perf_counter() - begin)
        ready = boot.until_ready(boot.qemu(image))
        seconds = time.perf_counter() - begin
        return table.Run(seconds, ready.cpu)


def measure(bench):
    src = bench.guest.add(bench.dir("by-hand-tree"))
    runs = min(bench.runs, MOST_RUNS)
    table.title(f"live: from an edit until {READY}, median of {runs}")
    with disk.Mount(bench, src, *boot.OPTIONS) as mount:
        maker = Maker(bench, src, mount)
        ways = {
            "a disk that is there": maker.nothing,
            "dirdisk": maker.dirdisk,
            "the article's script": maker.article,
            "mke2fs -d, dd": maker.mke2fs,
        }
        contestants = {
            name: Contestant(bench, src, make) for name, make in ways.items()
        }
        found = table.turns(contestants, runs)
    table.show(found, "dirdisk")
    return goal(contestants)


def goal(contestants):
    """What comes before the boot; the boot itself is a measure of its own."""
    made = {name: median(one.made[1:]) for name, one in contestants.items()}
    del made["a disk that is there"]
    for name, seconds in made.items():
        table.line(f"{name}: to a disk", f"{seconds * 1000:.1f}")
    own, *others = made.values()
    return table.goal(
        f"a disk sooner than both ({own / min(others):.3f})", own < min(others)
    )
