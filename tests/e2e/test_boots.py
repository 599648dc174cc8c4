# SPDX-License-Identifier: GPL-3.0-or-later
"""What the menu starts, and the root that the kernel then finds."""

import re
import shutil

import pytest

from support import judges, sources
from support.machine import QEMU, TCG, Machine, virtio_line

DOWN = "\x1b[B"
NEW, OLD = "9.9.9", "8.8.8"


@pytest.fixture
def editions(box, guest):
    """A tree with two kernels, and what each says of itself."""
    src = box.dir("src")
    said = {}
    for version, mark in ((OLD, "older"), (NEW, "newer")):
        kernel, initrd, release = guest.edition(mark)
        sources.write(src, f"kernels/vmlinuz-{version}", kernel)
        sources.write(src, f"kernels/initrd.img-{version}", initrd)
        said[version] = [release, mark]
    return src, said


def who_runs(qemu):
    qemu.ready()
    qemu.shell()
    return qemu.shell("uname -r; cat /edition").split()[:2]


def readonly(disk):
    return virtio_line(disk.image, ",readonly=on")


def titles(disk):
    """The menu's lines, as GRUB shows them."""
    menu = (disk.mnt / "info" / "menu").read_text()
    return re.findall(r"^\s*menuentry '([^']*)'", menu, re.M)


@pytest.mark.parametrize("wanted", [None, OLD])
def test_starts_by_itself(box, dirdisk, editions, wanted):
    """The newest, or the one that --default names, with its own initrd."""
    src, said = editions
    options = [] if wanted is None else [f"--default={wanted}"]
    disk = dirdisk(src, None, "--timeout=1", *options)
    with Machine(box, readonly(disk)) as qemu:
        assert who_runs(qemu) == said[wanted or NEW]
    disk.unmount()


def test_chosen_on_the_serial_line(box, dirdisk, editions):
    """The (recovery) of the older: the last line, by the arrow keys."""
    src, said = editions
    disk = dirdisk(src, None, "--timeout=-1")
    lines = titles(disk)
    wanted = lines.index(f"Linux {OLD} (recovery)")
    with Machine(box, readonly(disk)) as qemu:
        qemu.expect("GNU GRUB")
        for title in lines:
            qemu.expect(re.escape(title))
        for _ in range(wanted):
            qemu.type(DOWN)
            qemu.expect(r"\*Linux")
        qemu.type("\r")
        assert who_runs(qemu) == said[OLD]
        words = qemu.shell("cat /proc/cmdline").split()
        assert words[0] == f"BOOT_IMAGE=/kernels/vmlinuz-{OLD}"
        assert words[-1] == "single"
    disk.unmount()


# ---- a root file system ----

INIT = r"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
export PATH=/bin PS1='(initramfs) '
echo DIRDISK-GUEST-READY
exec /bin/busybox sh -i
"""


@pytest.fixture
def root(box, guest):
    """A root file system: busybox, /sbin/init, the kernel without initrd."""
    src = guest.add(box.dir("src"))
    (src / "kernels" / guest.initrd).unlink()
    for name in ("proc", "dev", "sys", "tmp", "bin"):
        (src / name).mkdir()
    shutil.copy(shutil.which("busybox"), src / "bin" / "busybox")
    for name in ("cat", "sync", "mount", "poweroff", "grep", "umount"):
        (src / "bin" / name).symlink_to("busybox")
    sources.write(src, "sbin/init", INIT.encode(), 0o755)
    return src


def signature(box, disk):
    told = box.run(["sfdisk", "-d", disk.image]).text
    return re.search(r"^label-id: 0x([0-9a-f]{8})$", told, re.M)[1]


def nvme(disk):
    """The disk that the distribution's kernel has a driver for, built in."""
    ours = f"format=raw,file={disk.image},if=none,id=disk"
    adapter = ["-device", "nvme,drive=disk,serial=dirdisk", "-no-reboot"]
    return [QEMU, *TCG, "-m", "1G", "-drive", ours, *adapter]


def test_root_on_partition_2(box, dirdisk, root):
    """The kernel by itself finds it, mounts it for writing and runs init."""
    disk = dirdisk(root)
    word = f"root=PARTUUID={signature(box, disk)}-02"
    assert word in (disk.mnt / "info" / "menu").read_text()
    with Machine(box, nvme(disk)) as qemu:
        qemu.ready()
        qemu.shell()
        words = qemu.shell("cat /proc/cmdline").split()
        assert word in words and "rw" in words
        (mount,) = [
            line.split()
            for line in qemu.shell("cat /proc/mounts").splitlines()
            if line.split()[1:2] == ["/"]
        ]
        assert mount[3].split(",")[0] == "rw"
        qemu.shell("echo kept >/written; cat /proc/version >>/written")
        qemu.shell("mount -o remount,ro /")
        qemu.type("poweroff -f\n")
        assert qemu.end() == 0
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        assert (point / "written").read_text().startswith("kept\nLinux ")
    assert not (root / "written").exists()
    disk.unmount()
