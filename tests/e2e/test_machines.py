# SPDX-License-Identifier: GPL-3.0-or-later
"""One disk, whatever QEMU puts it behind."""

import hashlib

import pytest

from support import sources
from support.machine import QEMU, TCG, Machine

WHO = "one disk for all\n"


@pytest.fixture
def src(box, guest):
    src = guest.add(box.dir("src"))
    sources.write(src, "who", WHO.encode())
    return src


def machine(*words):
    return [QEMU, *TCG, "-m", "1G", *words]


def drive(path, *more):
    return ["-drive", ",".join(["format=raw", f"file={path}", *more])]


def ahci(disk):
    return machine("-M", "q35", *drive(disk.image))


def q35_virtio(disk):
    return machine("-M", "q35", *drive(disk.image, "if=virtio"))


def scsi(disk):
    adapter = ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=disk"]
    return machine(*drive(disk.image, "if=none", "id=disk"), *adapter)


def nvme(disk):
    adapter = ["-device", "nvme,drive=disk,serial=dirdisk"]
    ours = drive(disk.image, "if=none", "id=disk")
    return machine("-M", "q35", *ours, *adapter)


def vmdk(disk, *more):
    path = disk.mnt / "disk.vmdk"
    words = [f"file={path}", "format=vmdk", *more]
    return machine("-drive", ",".join(words))


def vmdk_snapshot(disk):
    return vmdk(disk, "snapshot=on")


def vmdk_readonly(disk):
    return vmdk(disk, "readonly=on", "if=virtio")


# Line, name of the disk, the driver that must be there for it.
LINES = {
    "ahci": (ahci, "sda", "ahci"),
    "q35-virtio": (q35_virtio, "vda", None),
    "virtio-scsi": (scsi, "sda", None),
    "nvme": (nvme, "nvme0n1", None),
    "vmdk-snapshot": (vmdk_snapshot, "sda", None),
    "vmdk-readonly": (vmdk_readonly, "vda", None),
}


def assert_tree(qemu, src, guest, partition):
    """The guest's kernel reads partition 2 by its own drivers."""
    qemu.shell(
        f"mount -t ext2 -o ro {partition} /mnt || "
        f"mount -t ext4 -o ro {partition} /mnt"
    )
    assert WHO.strip() in qemu.shell("cat /mnt/who")
    seen = qemu.shell(f"sha256sum /mnt/kernels/{guest.kernel}")
    kernel = (src / "kernels" / guest.kernel).read_bytes()
    assert hashlib.sha256(kernel).hexdigest() in seen
    qemu.shell("umount /mnt")


@pytest.mark.parametrize("line", LINES)
def test_boots_and_mounts(box, dirdisk, src, guest, line):
    make, name, driver = LINES[line]
    disk = dirdisk(src, None, "--timeout=0")
    with Machine(box, make(disk)) as qemu:
        qemu.ready()
        qemu.shell()
        # Distributions leave out of small kernels what clouds do not have.
        drivers = qemu.shell("ls /sys/bus/pci/drivers").split()
        if driver is None or driver in drivers:
            separator = "p" if name[-1].isdigit() else ""
            size = qemu.shell(f"cat /sys/block/{name}/size").split()
            assert size == ["409600"]
            assert_tree(qemu, src, guest, f"/dev/{name}{separator}2")
        else:
            assert f"/sys/block/{name}" not in qemu.shell("echo /sys/block/*")
    disk.unmount()


def test_descriptor_is_not_written(box, dirdisk, src):
    """What QEMU says to who would write by way of disk.vmdk."""
    disk = dirdisk(src)
    words = ["-display", "none", "-serial", "none", "-monitor", "none"]
    done = box.run([*vmdk(disk), *words], check=False)
    assert done.returncode == 1
    assert "Permission denied" in done.text
    disk.unmount()


def test_second_disk(box, dirdisk, src, guest):
    """Ours is the second on the bus, and the BIOS is told to start it."""
    other = box.dir("other")
    sources.write(other, "who", b"somebody else\n")
    first = dirdisk(other, box.dir("mnt-other"))
    ours = dirdisk(src, None, "--timeout=0")
    disks = []
    for index, disk in enumerate((first, ours)):
        disks += drive(disk.image, "if=none", f"id=disk{index}")
    argv = machine(
        *disks,
        *["-device", "virtio-blk-pci,drive=disk0,bootindex=2"],
        *["-device", "virtio-blk-pci,drive=disk1,bootindex=1"],
    )
    with Machine(box, argv) as qemu:
        qemu.ready()
        qemu.shell()
        assert_tree(qemu, src, guest, "/dev/vdb2")
        qemu.shell("mount -t ext4 -o ro /dev/vda2 /mnt")
        assert "somebody else" in qemu.shell("cat /mnt/who")
    for disk in (first, ours):
        box.run(["fusermount3", "-u", disk.mnt])
    box.assert_nothing_left()


def test_twins(box, dirdisk, src, guest):
    """
    Two disks that are the same to the last byte, the second started by the
    first one's GRUB: each GRUB finds what is its own on the disk it came from.
    """
    disk = dirdisk(src, None, "--timeout=-1")
    both = drive(disk.image, "if=virtio", "readonly=on")
    with Machine(box, machine(*both, *both)) as qemu:
        qemu.press_c()
        assert "hd0 (hd0,msdos1)/boot/grub" in qemu.grub("echo $drive $prefix")
        # It tells the other the drive that is root.
        qemu.grub("set root=(hd1)")
        assert "error" not in qemu.grub("chainloader +1")
        qemu.type("boot\r")
        qemu.press_c()
        assert "hd1 (hd1,msdos1)/boot/grub" in qemu.grub("echo $drive $prefix")
        qemu.type("\x1b")
        qemu.expect("GNU GRUB")
        qemu.type("\r")
        qemu.ready()
        qemu.shell()
        assert_tree(qemu, src, guest, "/dev/vdb2")
    disk.unmount()
