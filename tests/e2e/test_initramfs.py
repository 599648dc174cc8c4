# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that the kernel gets as its initial file system."""

import os
import pathlib
import stat

import pytest

from support import judges, sources
from support.machine import Machine, virtio_line

MODULE = "virtio_blk.ko"


def unpack(box, guest, where):
    """The small guest's initramfs as a tree."""
    packed = guest.dir / "kernels" / guest.initrd
    where.mkdir(parents=True)
    box.run(
        ["sh", "-c", 'zcat "$0" | cpio -id --quiet', str(packed)], cwd=where
    )
    return where


def add_nodes(tree):
    """Devices, one that takes root to make and one by the list; links."""
    nodes = tree / "nodes"
    nodes.mkdir()
    os.mknod(nodes / "made", stat.S_IFCHR | 0o640, os.makedev(1, 5))
    sources.write(
        tree,
        "devices",
        b"# name mode uid gid type major minor\n"
        b"nod /nodes/listed 0604 3 4 c 1 5\n"
        b"nod /deeper/nodes/block 0600 0 0 b 7 9\n",
    )
    sources.write(tree, "nodes/one", b"linked\n")
    os.link(nodes / "one", nodes / "two")
    (nodes / "soft").symlink_to("two")


def take_module(tree, target):
    """The driver of the disk: out of init's list, into a tree of modules."""
    target.mkdir(parents=True)
    (tree / "modules" / MODULE).rename(target / MODULE)
    order = tree / "modules" / "order"
    words = order.read_text().split()
    order.write_text("\n".join(w for w in words if w != MODULE) + "\n")


def depmod(box, base, version):
    box.run(["depmod", "-b", str(base), version])


def edition(tree, text):
    (tree / "edition").write_text(text + "\n")


NODES = {
    "/nodes/made": "crw-r----- 0:0 1:5",
    "/nodes/listed": "crw----r-- 3:4 1:5",
    "/deeper/nodes/block": "brw------- 0:0 7:9",
}


def lines(qemu, command):
    """What it says; the terminal has 80 columns, the prompt some of them."""
    assert len(command) < 60
    return qemu.shell(command).splitlines()


def assert_nodes(qemu):
    for path, shown in NODES.items():
        form = "'%A %u:%g %t:%T'"
        assert lines(qemu, f"stat -c {form} {path}")[0] == shown
    for path in ("/nodes/made", "/nodes/listed"):
        assert "00 00" in qemu.shell(f"head -c 2 {path} | od -An -tx1")
    one, two = lines(qemu, "stat -c '%h %i' /nodes/one /nodes/two")[:2]
    assert one == two and one.startswith("2 ")
    assert "linked" in qemu.shell("cat /nodes/soft")
    assert "No such file" in qemu.shell("ls /devices")


def assert_module(qemu, load):
    """No disk until the module that came beside the initramfs is there."""
    assert "vda" not in qemu.shell("ls /sys/block")
    qemu.shell(load)
    assert "vda" in qemu.shell("ls /sys/block")
    assert "virtio_blk" in qemu.shell("cat /proc/modules")
    qemu.shell("mount -t ext4 -o ro /dev/vda2 /mnt")


def boot(box, disk):
    return Machine(box, virtio_line(disk.image, ",readonly=on"))


def started(qemu, mark):
    qemu.ready()
    qemu.shell()
    assert mark in qemu.shell("cat /edition").split()


@pytest.mark.timeout(300)
def test_over_an_initrd(box, dirdisk, guest):
    """
    kernels/initrd.img-V.d goes over initrd.img-V, and modules-V over both; what
    is edited there is in the next boot.
    """
    src = guest.add(box.dir("src"))
    version = guest.version
    kernels = src / "kernels"
    over = kernels / f"{guest.initrd}.d"
    whole = unpack(box, guest, box.root / "whole")
    modules = box.root / "base/lib/modules" / version
    take_module(whole, modules / "kernel/drivers/block")
    depmod(box, box.root / "base", version)
    modules.rename(kernels / f"modules-{version}")
    (over / "modules").mkdir(parents=True)
    (whole / "modules/order").rename(over / "modules/order")
    add_nodes(over)
    edition(over, "first")
    disk = dirdisk(src, None, "--timeout=0")
    with boot(box, disk) as qemu:
        started(qemu, "first")
        assert_nodes(qemu)
        assert_module(qemu, "modprobe virtio_blk")
        files = lines(qemu, "find /mnt/kernels -type f | sort")
        names = sorted(os.listdir(kernels))
        assert files[: len(names)] == [f"/mnt/kernels/{n}" for n in names]
    edition(over, "second")
    sources.write(over, "new/file", b"is new\n")
    (over / "nodes/two").unlink()
    with boot(box, disk) as qemu:
        started(qemu, "second")
        assert "is new" in qemu.shell("cat /new/file")
        assert "No such file" in qemu.shell("cat /nodes/two")
        assert qemu.shell("stat -c %h /nodes/one").split() == ["1"]
    disk.unmount()


def test_bare_names(box, dirdisk, guest):
    """kernels/bzImage, initramfs.d and modules: nothing has a version."""
    src = box.dir("src")
    kernels = src / "kernels"
    tree = unpack(box, guest, kernels / "initramfs.d")
    add_nodes(tree)
    edition(tree, "bare")
    base = kernels / "modules"
    path = pathlib.Path("lib/modules") / guest.version / "kernel"
    take_module(tree, base / path)
    depmod(box, base, guest.version)
    kernel = guest.dir / "kernels" / guest.kernel
    (kernels / "bzImage").write_bytes(kernel.read_bytes())
    disk = dirdisk(src, None, "--timeout=0")
    with boot(box, disk) as qemu:
        started(qemu, "bare")
        assert_nodes(qemu)
        assert_module(qemu, f"insmod /{path / MODULE}")
    with judges.partition_mount(box, disk.image, 2) as point:
        files = sorted(os.listdir(point / "kernels"))
        assert files == ["bzImage", "initramfs.d", "modules"]
        assert all((point / "kernels" / name).is_file() for name in files)
    disk.unmount()
