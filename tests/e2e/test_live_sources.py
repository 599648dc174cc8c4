# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes show at the next open: on any file system, and of any kind."""

import mmap
import os
import shutil

import pytest

from support import sources
from support.held import BLOCK, Held, cat, listed

MIB = 1 << 20


def on_tmpfs(box):
    return box.tmpfs("src")


def on_ext4(box):
    src = box.ext4("src", 32 * MIB)
    os.rmdir(src / "lost+found")
    return src


def on_overlay(box):
    """Some of it stands in the lower layer, until it is written to."""
    root = box.tmpfs("layers")
    for name in ("lower", "upper", "work"):
        (root / name).mkdir()
    filled(root / "lower")
    src = box.dir("src")
    layers = f"lowerdir={root}/lower,upperdir={root}/upper,workdir={root}/work"
    box.mount("-t", "overlay", "-o", layers, "overlay", src)
    return src


def filled(src):
    sources.write(src, "kernels/note", b"note\n")
    sources.write(src, "dir/a", b"a" * 5000)
    sources.write(src, "dir/b", b"b" * 5000)
    sources.write(src, "dir/deeper/c", b"c" * 5000)
    return src


class Seen:
    """The disk, as who opens it now has it."""

    def __init__(self, box, disk):
        self.box = box
        self.image = disk.image

    def cat(self, path):
        return cat(self.box, self.image, path)

    def listed(self, path):
        return listed(self.box, self.image, path)

    def assert_clean(self):
        with Held(self.box, self.image) as held:
            held.assert_fsck()
            assert None not in held.blocks().values()


def change_content(src, seen):
    (src / "dir/a").write_bytes(b"other")
    assert seen.cat("dir/a") == b"other"
    with open(src / "dir/a", "ab") as file:
        file.write(b" and more")
    assert seen.cat("dir/a") == b"other and more"
    os.truncate(src / "dir/a", 3)
    assert seen.cat("dir/a") == b"oth"
    with open(src / "dir/b", "r+b") as file:
        file.write(b"B")
    assert seen.cat("dir/b") == b"B" + b"b" * 4999


def change_names(src, seen):
    os.rename(src / "dir/a", src / "dir/deeper/a")
    assert seen.listed("dir") == ["b", "deeper"]
    assert seen.listed("dir/deeper") == ["a", "c"]
    os.unlink(src / "dir/b")
    assert seen.listed("dir") == ["deeper"]
    os.link(src / "dir/deeper/c", src / "linked")
    assert seen.cat("linked") == b"c" * 5000
    os.symlink("dir/deeper/c", src / "link")
    assert seen.cat("link") == b"c" * 5000
    os.unlink(src / "link")
    os.symlink("linked", src / "link")
    (src / "linked").write_bytes(b"now this")
    assert seen.cat("link") == b"now this"
    assert seen.cat("dir/deeper/c") == b"now this"


def change_directories(src, seen):
    """New ones are watched from the first moment, moved ones go on to be."""
    os.makedirs(src / "new/of/several")
    (src / "new/of/several/file").write_bytes(b"deep")
    assert seen.cat("new/of/several/file") == b"deep"
    (src / "new/of/several/file").write_bytes(b"again")
    assert seen.cat("new/of/several/file") == b"again"
    os.rename(src / "new/of", src / "moved")
    assert seen.cat("moved/several/file") == b"again"
    (src / "moved/several/file").write_bytes(b"and again")
    assert seen.cat("moved/several/file") == b"and again"
    shutil.rmtree(src / "moved")
    shutil.rmtree(src / "new")
    assert seen.listed("new") == [] and seen.listed("moved") == []
    (src / "new").mkdir()
    (src / "new/file").write_bytes(b"same name")
    assert seen.cat("new/file") == b"same name"


def change_attributes(src, seen):
    """No judge but Linux shows them; so one looks at all of the disk."""

    def image():
        with Held(seen.box, seen.image) as held:
            return held.blocks()

    before = image()
    for change in (
        lambda: os.chmod(src / "dir/a", 0o600),
        lambda: os.chown(src / "dir/deeper", 7, 8),
        lambda: os.utime(src / "dir/b", ns=(0, 0)),
        lambda: os.chmod(src, 0o700),
        lambda: os.setxattr(src / "dir/b", "user.x", b"y" * 100),
        lambda: os.setxattr(src / "dir", "user.x", b"y" * 100),
    ):
        change()
        after = image()
        assert after != before
        before = after


CHANGES = [change_content, change_names, change_directories]


@pytest.mark.parametrize("place", [on_tmpfs, on_ext4, on_overlay])
@pytest.mark.parametrize("change", [*CHANGES, change_attributes])
def test_change_shows(box, dirdisk, place, change):
    src = place(box)
    if place is not on_overlay:
        filled(src)
    if place is on_overlay and change is change_attributes:
        os.setxattr(src / "kernels", "user.x", b"y")  # or: no xattrs here
    disk = dirdisk(src, None, "--no-grub")
    seen = Seen(box, disk)
    change(src, seen)
    seen.assert_clean()
    disk.unmount()


@pytest.mark.parametrize("place", [on_tmpfs, on_ext4])
def test_same_size_again_and_again(box, dirdisk, place):
    """Times are coarse: two writes within a tick look the same."""
    src = place(box)
    path = sources.write(src, "dir/a", b"first of all".ljust(BLOCK))
    disk = dirdisk(src, None, "--no-grub")
    with Held(box, disk.image) as held:
        offset = next(
            at
            for at, block in held.blocks().items()
            if block.startswith(b"first of all")
        )
    with open(path, "r+b", buffering=0) as file:
        for number in range(1000):
            for half in (b"%10d-" % number, b"%10d+" % number):
                os.pwrite(file.fileno(), half, 0)
            assert disk.read(offset, len(half)) == half
    disk.unmount()


def test_written_through_a_mapping(box, dirdisk):
    """No event tells of it, the file's times do: then nobody gets both."""
    src = box.tmpfs("src")
    path = sources.write(src, "dir/a", b"old!" * 2048)
    disk = dirdisk(src, None, "--no-grub")
    assert cat(box, disk.image, "dir/a") == b"old!" * 2048
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[:] = b"new!" * 2048
        with Held(box, disk.image) as held:
            seen = set(held.blocks().values())
        assert b"old!" * 1024 not in seen
        assert b"new!" * 1024 in seen or None in seen
    assert cat(box, disk.image, "dir/a") == b"new!" * 2048
    disk.unmount()


def test_written_by_a_name_elsewhere(box, dirdisk):
    """No directory of the tree tells of it: the file has a watch of its own."""
    src = box.tmpfs("host") / "src"
    path = sources.write(src, "dir/a", b"old!" * 2048)
    other = box.root / "host/other"
    os.link(path, other)
    disk = dirdisk(src, None, "--no-grub")
    other.write_bytes(b"new!" * 2048)
    with Held(box, disk.image) as held:
        seen = set(held.blocks().values())
    assert b"old!" * 1024 not in seen
    assert cat(box, disk.image, "dir/a") == b"new!" * 2048
    disk.unmount()


def test_mount_point_within_the_tree(box, dirdisk):
    """It is an empty directory in itself, and is not looked into."""
    src = filled(box.dir("src"))
    (src / "dir/mnt").mkdir()
    disk = dirdisk(src, src / "dir/mnt", "--no-grub")
    seen = Seen(box, disk)
    assert seen.listed("dir/mnt") == []
    change_content(src, seen)
    assert seen.listed("dir") == ["a", "b", "deeper", "mnt"]
    assert seen.listed("dir/mnt") == []
    change_directories(src, seen)
    seen.assert_clean()
    disk.unmount()


def test_file_systems_below_the_tree(box, dirdisk):
    """Mounted before and after: empty directories, until they are gone."""
    src = filled(box.dir("src"))
    for name in ("before", "after"):
        sources.write(src, f"dir/{name}/hidden", name.encode())
    box.mount("-t", "tmpfs", "tmpfs", src / "dir/before")
    sources.write(src, "dir/before/of the other", b"")
    disk = dirdisk(src, None, "--no-grub")
    seen = Seen(box, disk)
    assert seen.listed("dir/before") == []
    assert seen.cat("dir/after/hidden") == b"after"
    box.mount("-t", "tmpfs", "tmpfs", src / "dir/after")
    sources.write(src, "dir/after/of the other", b"")
    assert seen.listed("dir/after") == []
    box.umount(src / "dir/before")
    assert seen.cat("dir/before/hidden") == b"before"
    sources.write(src, "dir/before/hidden", b"and watched")
    assert seen.cat("dir/before/hidden") == b"and watched"
    box.umount(src / "dir/after")
    assert seen.cat("dir/after/hidden") == b"after"
    # One that shows other files of the tree's own file system.
    box.mount("--bind", src / "dir/deeper", src / "dir/after")
    assert seen.listed("dir/after") == []
    box.umount(src / "dir/after")
    seen.assert_clean()
    disk.unmount()
