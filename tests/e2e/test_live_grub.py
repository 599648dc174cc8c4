# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's core image and its modules stay one set while the disk is mounted."""

import errno
import os
import shutil

import pytest

from support import judges, sources

SECTOR = 512
MODULES = "/boot/grub/i386-pc"


def installed(box):
    """A copy of GRUB's directory, and of what a disk shows of it."""
    grub = box.dir("grub") / "i386-pc"
    shutil.copytree(judges.GRUB_DIR, grub)
    shown = box.dir("shown")
    for path in grub.iterdir():
        if path.suffix in (".mod", ".lst") or path.name == "modinfo.sh":
            shutil.copy2(path, shown)
    return grub, shown


def head(disk):
    """Boot sector and core image, but for the table and the signature."""
    with open(disk.image, "rb") as file:
        data = file.read(2048 * SECTOR)
    return data[:440] + data[SECTOR:]


def each_file(grub, change):
    """What a core image is made of, and what it loads."""
    for path in list(grub.iterdir()):
        if path.suffix in (".mod", ".lst", ".img"):
            change(path)


def by_rename(grub):
    """As dpkg does: all are unpacked beside the old ones, then renamed."""

    def unpack(path):
        data = path.read_bytes()
        path.with_name(path.name + ".dpkg-new").write_bytes(data[::-1])

    each_file(grub, unpack)
    for path in list(grub.glob("*.dpkg-new")):
        path.rename(path.with_suffix(""))


def in_place(grub):
    """Times are those of before."""

    def rewrite(path):
        status = path.stat()
        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    each_file(grub, rewrite)


def directory_replaced(grub):
    other = grub.with_name("other")
    other.mkdir()
    each_file(grub, lambda path: (other / path.name).write_bytes(b"other"))
    grub.rename(grub.with_name("old"))
    other.rename(grub)


def directory_gone(grub):
    shutil.rmtree(grub)


def one_gone(grub):
    (grub / "normal.mod").unlink()


UPGRADES = [by_rename, in_place, directory_replaced, directory_gone, one_gone]


@pytest.mark.parametrize(
    "upgrade, given",
    [(upgrade, False) for upgrade in UPGRADES] + [(by_rename, True)],
)
def test_upgrade(box, dirdisk, upgrade, given):
    grub, shown = installed(box)
    src = sources.small(box.dir("src"))
    options = [f"--grub-dir={grub}"]
    if given:
        core = box.dir("core") / "core.img"
        box.run(
            ["grub-mkimage", "-O", "i386-pc", "-d", grub, "-o", core]
            + ["-p", "(,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2"]
        )
        options.append(f"--core-image={core}")
    disk = dirdisk(src, None, *options)
    before = head(disk)
    with open(disk.image, "rb") as old:
        upgrade(grub)
        # The disk that is open, of which nothing was read yet.
        name = f"/proc/{os.getpid()}/fd/{old.fileno()}"
        judges.assert_grub_reads(box, name, 1, MODULES, shown)
    # And the next one.
    sources.write(src, "kernels/later", b"later\n")
    assert head(disk) == before
    judges.assert_grub_reads(box, disk.image, 1, MODULES, shown)
    with judges.partition_mount(box, disk.image, 1) as point:
        there = sorted(os.listdir(f"{point}{MODULES}"))
    assert there == sorted(os.listdir(shown))
    disk.unmount()


def test_modules_of_the_users(box, dirdisk):
    """They may be there as long as they are GRUB's own, byte for byte."""
    grub, shown = installed(box)
    src = sources.small(box.dir("src"))
    own = src / MODULES.lstrip("/")
    disk = dirdisk(src, None, f"--grub-dir={grub}")
    shutil.copytree(shown, own)
    judges.assert_grub_reads(box, disk.image, 1, MODULES, shown)
    data = (own / "normal.mod").read_bytes()
    (own / "normal.mod").write_bytes(data[::-1])
    for _ in range(2):
        with pytest.raises(OSError) as error:
            open(disk.image, "rb")
        assert error.value.errno == errno.EIO
    line = f"{MODULES.lstrip('/')}/normal.mod: is not of the GRUB"
    assert line in (disk.mnt / "info/log").read_text()
    (own / "normal.mod").unlink()
    judges.assert_grub_reads(box, disk.image, 1, MODULES, shown)
    shutil.rmtree(own)
    judges.assert_grub_reads(box, disk.image, 1, MODULES, shown)
    disk.unmount()
    # Mounted again it has a core image that needs none of them.
    shutil.copytree(shown, own)
    (own / "normal.mod").write_bytes(data[::-1])
    disk = dirdisk(src, box.dir("again"), f"--grub-dir={grub}")
    with judges.partition_mount(box, disk.image, 1) as point:
        there = f"{point}{MODULES}/normal.mod"
        with open(there, "rb") as file:
            assert file.read() == data[::-1]
    assert len(head(disk).rstrip(b"\0")) > 100000
    disk.unmount()
