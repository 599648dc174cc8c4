# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: a kernel is put where it was before, QEMU started again."""

import hashlib
import os
import shutil

import pytest

from support.machine import Machine, virtio_line
from support.sandbox import NOBODY

ENTRY = "vmlinuz-9.9.9", "initrd.img-9.9.9"
OTHER = "vmlinuz-8.8.8", "initrd.img-8.8.8"


class Build:
    """Where a kernel and its initramfs come from, again and again."""

    def __init__(self, box, guest, where, names, user=None):
        self.box = box
        self.guest = guest
        self.user = user
        self.paths = [where / name for name in names]

    def make(self, mark, put):
        """Another edition of both; gives what the guest will say."""
        kernel, initrd, release = self.guest.edition(mark)
        for path, data in zip(self.paths, (kernel, initrd)):
            put(self.box, path, data)
            if self.user is not None:
                os.chown(path, self.user, self.user)
        return [release, mark]


def by_rename(box, path, data):
    """As `install` and most programs replace a file."""
    new = box.root / "new"
    new.write_bytes(data)
    os.rename(new, path)


def in_place(box, path, data):
    """As `cp` does, and `make install` with `cat >`."""
    new = box.root / "new"
    new.write_bytes(data)
    box.run(["cp", new, path])


def boot(box, disk, line=virtio_line):
    """What the guest says of itself."""
    with Machine(box, line(disk.image, ",readonly=on")) as qemu:
        qemu.ready()
        qemu.shell()
        return qemu.shell("uname -r; cat /edition").split()[:2]


def info(disk, name):
    return (disk.mnt / "info" / name).read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", [by_rename, in_place])
def test_new_kernel_boots(box, dirdisk, guest, put):
    src = box.dir("src")
    (src / "kernels").mkdir()
    build = Build(box, guest, src / "kernels", ENTRY)
    first = build.make("first", put)
    disk = dirdisk(src, None, "--timeout=0")
    assert boot(box, disk) == first
    for mark in ("second", "third"):
        said = build.make(mark, put)
        assert said != first
        assert boot(box, disk) == said
    disk.unmount()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("put", [by_rename, in_place])
def test_link_to_a_build(box, dirdisk, guest, put):
    """Of an ordinary user's, to a directory beside SRC."""
    src = box.dir("src", NOBODY)
    (src / "kernels").mkdir()
    where = box.dir("linux/arch/x86/boot", NOBODY)
    names = "bzImage", "initrd.img"
    build = Build(box, guest, where, names, NOBODY)
    first = build.make("first", put)
    for name in names:
        os.symlink(where / name, src / "kernels" / name)
        os.chown(src / "kernels" / name, NOBODY, NOBODY, follow_symlinks=False)
    disk = dirdisk(src, None, "--timeout=0", user=NOBODY)

    def boot_as_nobody():
        # Nobody but the one who mounted may come near.
        copy = box.tmp / "disk.img"
        box.run(["cp", "--sparse=always", disk.image, copy], user=NOBODY)
        with Machine(box, virtio_line(copy, ",snapshot=on")) as qemu:
            qemu.ready()
            qemu.shell()
            return qemu.shell("uname -r; cat /edition").split()[:2]

    assert boot_as_nobody() == first
    second = build.make("second", put)
    assert second != first
    assert boot_as_nobody() == second
    disk.unmount(user=NOBODY)


@pytest.mark.timeout(300)
def test_deleted_kernel_is_off_the_menu(box, dirdisk, guest):
    src = box.dir("src")
    (src / "kernels").mkdir()
    for names in (ENTRY, OTHER):
        Build(box, guest, src / "kernels", names).make("any", by_rename)
    disk = dirdisk(src, None, "--timeout=-1")

    def on_the_serial_line():
        with Machine(box, virtio_line(disk.image, ",readonly=on")) as qemu:
            return qemu.expect(r"Linux 8\.8\.8")

    assert "Linux 9.9.9" in info(disk, "menu")
    assert "Linux 9.9.9" in on_the_serial_line()
    for name in ENTRY:
        (src / "kernels" / name).unlink()
    assert "9.9.9" not in info(disk, "menu")
    assert "Linux 8.8.8" in info(disk, "menu")
    assert "9.9.9" not in on_the_serial_line()
    for name in OTHER:
        (src / "kernels" / name).unlink()
    assert "8.8.8" not in info(disk, "menu")
    with Machine(box, virtio_line(disk.image, ",readonly=on")) as qemu:
        qemu.expect("grub> ")
        assert qemu.grub("ls (hd0,msdos2)/kernels/").split() == []
    disk.unmount()


@pytest.mark.timeout(300)
def test_machine_that_runs_keeps_its_disk(box, dirdisk, guest):
    """What it booted from is replaced and deleted under it."""
    src = box.dir("src")
    (src / "kernels").mkdir()
    build = Build(box, guest, src / "kernels", ENTRY)
    first = build.make("first", by_rename)
    disk = dirdisk(src, None, "--timeout=0")
    with Machine(box, virtio_line(disk.image, ",readonly=on")) as qemu:
        qemu.ready()
        qemu.shell()
        second = build.make("second", by_rename)
        assert boot(box, disk) == second
        shutil.rmtree(src / "kernels")
        qemu.shell(
            "mount -t ext2 -o ro /dev/vda2 /mnt || "
            "mount -t ext4 -o ro /dev/vda2 /mnt"
        )
        said = qemu.shell("sha256sum /mnt/kernels/*")
        said += qemu.shell("uname -r; cat /edition")
        for data in guest.edition("first")[:2]:
            assert hashlib.sha256(data).hexdigest() in said
        assert said.split()[-2:] == first
    disk.unmount()
