# SPDX-License-Identifier: GPL-3.0-or-later
"""The article, step by step, without making any of it."""

import re

import pytest

from support import judges, sources
from support.machine import (
    QEMU,
    SERIAL,
    TCG,
    Machine,
    article_line,
    virtio_line,
)

NOTHING = ["-display", "none", "-serial", "none", "-monitor", "none"]
ROOT = ["kernels/", "lost+found/"]
PAUSED = ["-S", "-display", "none", "-serial", "none", "-monitor", "stdio"]


@pytest.fixture
def kernels(box, guest):
    """The article's tree: kernels/ and nothing else."""
    return guest.add(box.dir("src"))


def test_partitions(box, dirdisk, kernels):
    disk = dirdisk(kernels)
    assert disk.size == 409600 * 512
    assert judges.partitions(box, disk.image) == [
        judges.Partition(2048, 38911 - 2048 + 1, "83", True),
        judges.Partition(40960, 391167 - 40960 + 1, "83", False),
    ]
    disk.unmount()


def test_table_is_libparted_s_own(box, dirdisk, kernels):
    """The entries, CHS fields and all, are those of the article's parted."""
    made = box.root / "made.img"
    with open(made, "wb") as file:
        file.truncate(409600 * 512)
    script = "mklabel msdos mkpart p ext2 1 20 set 1 boot on"
    script += " mkpart p ext2 21 200"
    box.run(["parted", "--script", made, *script.split()])
    disk = dirdisk(kernels)
    with open(made, "rb") as file:
        sector = file.read(512)
    assert disk.read(0, 512)[0x1BE:] == sector[0x1BE:]
    disk.unmount()


def test_grub_prompt(box, dirdisk):
    """No kernel to boot: the prompt comes by itself, as in the article."""
    src = box.dir("src")
    sources.write(src, "kernels/README", b"none yet\n")
    disk = dirdisk(src)
    with Machine(box, article_line(disk.image)) as qemu:
        qemu.expect("grub> ")
        listed = qemu.grub("ls")
        assert "(hd0,msdos1)" in listed and "(hd0,msdos2)" in listed
        qemu.grub("set root=(hd0,msdos2)")
        assert sorted(qemu.grub("ls /").split()) == ROOT
        assert "README" in qemu.grub("ls /kernels/")
        assert "none yet" in qemu.grub("cat /kernels/README")
        qemu.grub("set root=(hd0,msdos1)")
        assert sorted(qemu.grub("ls /").split()) == ["boot/", "lost+found/"]
    disk.unmount()


def test_typed_by_hand(box, dirdisk, kernels, guest):
    """linux, initrd, boot at the prompt behind the menu."""
    disk = dirdisk(kernels, None, "--timeout=-1")
    with Machine(box, article_line(disk.image)) as qemu:
        qemu.press_c()
        listed = qemu.grub("ls")
        assert "(hd0,msdos1)" in listed and "(hd0,msdos2)" in listed
        qemu.grub("set root=(hd0,msdos2)")
        assert sorted(qemu.grub("ls /").split()) == ROOT
        found = qemu.grub("ls /kernels/").split()
        assert {guest.kernel, guest.initrd} <= set(found)
        qemu.grub(f"linux /kernels/{guest.kernel} console=ttyS0")
        said = qemu.grub(f"initrd /kernels/{guest.initrd}")
        assert "error" not in said
        qemu.type("boot\r")
        qemu.ready()
        qemu.shell()
        assert "root=" not in qemu.shell("cat /proc/cmdline")
    disk.unmount()


LINES = {
    "article": article_line,
    "article-nographic": article_line,
    "virtio-readonly": lambda image: virtio_line(image, ",readonly=on"),
    "virtio-snapshot": lambda image: virtio_line(image, ",snapshot=on"),
    "virtio-cache-none": lambda image: virtio_line(image, ",cache=none"),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("line", LINES)
def test_menu_untouched(box, dirdisk, kernels, guest, line):
    """Nobody types anything, and the guest's shell is there."""
    disk = dirdisk(kernels)
    extra = ["-nographic"] if line.endswith("nographic") else SERIAL
    with Machine(box, LINES[line](disk.image), extra) as qemu:
        qemu.ready()
        qemu.shell()
        name = "vda" if "virtio" in line else "sda"
        shown = qemu.shell(f"cat /sys/block/{name}/size; uname -r")
        assert re.findall(r"\S+", shown)[:2] == ["409600", guest.version]
    disk.unmount()


def test_modules_of_another_grub(box, dirdisk, kernels):
    """The tree's own modules win, and may be of a GRUB that is not ours."""
    for name in ("normal.mod", "linux.mod", "command.lst"):
        sources.write(kernels, f"boot/grub/i386-pc/{name}", b"not for you\n")
    disk = dirdisk(kernels)
    with Machine(box, article_line(disk.image)) as qemu:
        qemu.ready()
    disk.unmount()


def test_two_writers(box, dirdisk, kernels):
    """Two QEMUs do not write to one disk."""
    disk = dirdisk(kernels)
    with Machine(box, [*article_line(disk.image), *TCG], PAUSED) as first:
        first.expect(r"\(qemu\) ")
        second = box.run(
            [*article_line(disk.image), *NOTHING, *TCG], check=False
        )
        assert second.returncode == 1
        assert 'Failed to get "write" lock' in second.text
        assert first.child.isalive()
    # The lock goes with its holder.
    with Machine(box, [*article_line(disk.image), *TCG], PAUSED) as third:
        third.expect(r"\(qemu\) ")
    disk.unmount()


def test_two_readers(box, dirdisk, kernels):
    disk = dirdisk(kernels)
    line = virtio_line(disk.image, ",readonly=on")
    with Machine(box, line, PAUSED) as one, Machine(box, line, PAUSED) as two:
        for qemu in (one, two):
            qemu.expect(r"\(qemu\) ")
            qemu.type("info block\n")
            assert "(raw, read-only)" in qemu.expect(r"\(qemu\) ")
    disk.unmount()


def test_changed_kernel_boots_next(box, dirdisk, kernels, guest):
    """A kernel that is added is in the menu of the next start of QEMU."""
    disk = dirdisk(kernels, None, "--append=dirdisk.mark=new")
    before = disk.size
    for name in (guest.kernel, guest.initrd):
        (kernels / "kernels" / name).rename(
            kernels / "kernels" / name.replace(guest.version, "99.1-mine")
        )
    assert disk.size == before
    with Machine(box, [QEMU, *TCG, *article_line(disk.image)[1:]]) as qemu:
        qemu.ready()
        qemu.shell()
        assert "dirdisk.mark=new" in qemu.shell("cat /proc/cmdline")
        assert "99.1-mine" in qemu.shell("cat /proc/cmdline")
    disk.unmount()
