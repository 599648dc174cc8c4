# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that no directory of SRC tells of, where the kernel has the old disk
in its page cache; and changes of attributes, which are none of a disk."""

import mmap
import os

import pytest

from support import judges, layout, sources
from support.held import cat

MIB = 1 << 20
SIZE = 3 * 4096
KERNEL = "kernels/bzImage"


def on_tmpfs(box):
    return box.tmpfs("host")


def on_ext4(box):
    return box.ext4("host", 64 * MIB)


@pytest.fixture(params=[on_tmpfs, on_ext4])
def host(box, request):
    """SRC and a directory beside it, with 40 directories before kernels/."""
    host = request.param(box)
    for number in range(40):
        sources.write(host / "src", f"a{number:02}/file", b"text")
    sources.write(host / "build", "bzImage", b"1" * SIZE)
    (host / "src/kernels").mkdir()
    return host


def shown(disk, path=KERNEL):
    """The file by way of the page cache, and in it from then on."""
    with open(disk.image, "rb", buffering=0) as file:
        start = layout.find(disk, f"/{path}", "file").start
        return os.pread(file.fileno(), SIZE, start)


def overwrite(path, byte):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, byte * SIZE, 0)
    os.close(fd)


def mapping(path):
    fd = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(fd, SIZE)
    finally:
        os.close(fd)


def assert_follows(disk, write):
    """Whatever is written, the next open has it, and no later one is other."""
    for byte in (b"2", b"3", b"4"):
        write(byte)
        assert shown(disk) == byte * SIZE


def assert_rests(disk):
    said = (disk.mnt / "info/generation").read_text()
    disk.read(0, 512)
    assert (disk.mnt / "info/generation").read_text() == said


def test_a_hard_link_to_a_build(dirdisk, host):
    os.link(host / "build/bzImage", host / "src" / KERNEL)
    disk = dirdisk(host / "src", None, "--no-grub")
    assert shown(disk) == b"1" * SIZE
    assert_follows(disk, lambda byte: overwrite(host / "build/bzImage", byte))
    assert_rests(disk)
    disk.unmount()


def test_a_hard_link_made_later(dirdisk, host):
    sources.write(host / "src", KERNEL, b"1" * SIZE)
    disk = dirdisk(host / "src", None, "--no-grub")
    assert shown(disk) == b"1" * SIZE
    os.link(host / "src" / KERNEL, host / "build/later")
    assert_follows(disk, lambda byte: overwrite(host / "build/later", byte))
    assert_rests(disk)
    disk.unmount()


@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_bind_mount(box, dirdisk, host, place):
    """In its own right, and of what it is in."""
    sources.write(host / "src", KERNEL, b"1" * SIZE)
    if place == "file":
        source, point = host / "src" / KERNEL, host / "build/bzImage"
        target = point
    else:
        source, point = host / "src/kernels", host / "build"
        target = point / "bzImage"
    disk = dirdisk(host / "src", None, "--no-grub")
    assert shown(disk) == b"1" * SIZE
    box.run(["mount", "--bind", source, point])
    try:
        assert_follows(disk, lambda byte: overwrite(target, byte))
        assert_rests(disk)
    finally:
        box.run(["umount", point])
    disk.unmount()


@pytest.mark.parametrize("kind", ["file", "link", "followed"])
@pytest.mark.parametrize("when", ["before", "later"])
def test_a_mapping(dirdisk, host, kind, when):
    """While it is there, and when it has gone."""
    target = host / "build/bzImage"
    if kind == "file":
        sources.write(host / "src", KERNEL, b"1" * SIZE)
        target = host / "src" / KERNEL
    elif kind == "link":
        os.link(target, host / "src" / KERNEL)
    else:
        (host / "src" / KERNEL).symlink_to(target)
    if when == "before":
        mapped = mapping(target)
        mapped[:] = b"1" * SIZE
    disk = dirdisk(host / "src", None, "--no-grub")
    assert shown(disk) == b"1" * SIZE
    if when == "later":
        mapped = mapping(target)

    def write(byte):
        mapped[:] = byte * SIZE

    assert_follows(disk, write)
    write(b"5")
    mapped.close()
    assert shown(disk) == b"5" * SIZE
    assert_rests(disk)
    disk.unmount()


def test_behind_a_followed_link(dirdisk, host):
    """By the target's name, and by another name of it."""
    os.link(host / "build/bzImage", host / "other")
    (host / "src" / KERNEL).symlink_to(host / "build/bzImage")
    disk = dirdisk(host / "src", None, "--no-grub")
    assert shown(disk) == b"1" * SIZE
    assert_follows(disk, lambda byte: overwrite(host / "build/bzImage", byte))
    assert_follows(disk, lambda byte: overwrite(host / "other", byte))
    assert_rests(disk)
    disk.unmount()


# ---- attributes ----


def copied_as_links(box, host, path):
    box.run(["cp", "-al", host / "src", host / "snapshot"])


def dpkg(box, host, path):
    os.link(path, f"{path}.dpkg-tmp")
    os.unlink(f"{path}.dpkg-tmp")


def restored_labels(box, host, path):
    os.setxattr(path, "user.label", b"another")


def mode(box, host, path):
    box.run(["chmod", "-R", "g-w,o-w", host / "src"])
    os.chmod(path, 0o600)


def owner(box, host, path):
    box.run(["chown", "-R", "1:1", host / "src"])


@pytest.mark.parametrize(
    "change", [copied_as_links, dpkg, restored_labels, mode, owner]
)
def test_attributes_are_no_content(box, dirdisk, host, change):
    """A disk that is open reads on, kernels and all others."""
    if change is restored_labels and on_tmpfs_without_xattrs(host):
        pytest.skip("tmpfs has no user.* attributes here")
    sources.write(host / "src", KERNEL, b"1" * SIZE)
    sources.write(host / "src", "data", b"1" * SIZE)
    disk = dirdisk(host / "src", None, "--no-grub")
    with open(disk.image, "rb", buffering=0) as old:
        places = {
            path: layout.find(disk, f"/{path}", "file").start
            for path in (KERNEL, "data")
        }
        for path in places:
            change(box, host, host / "src" / path)
            box.run(["rm", "-rf", host / "snapshot"])
        for path, place in places.items():
            read = layout.read_past_cache(old.fileno(), place, SIZE)
            assert read == b"1" * SIZE, path
        # The next one too, at once, and e2fsck finds nothing.
        for path in places:
            assert shown(disk, path) == b"1" * SIZE
        with judges.partition_device(box, disk.image, 2) as device:
            judges.assert_fsck(box, device)
        # A write is a write, whoever sets the time back.
        for path, place in places.items():
            before = os.stat(host / "src" / path)
            overwrite(host / "src" / path, b"2")
            os.utime(
                host / "src" / path,
                ns=(before.st_atime_ns, before.st_mtime_ns),
            )
            change(box, host, host / "src" / path)
            box.run(["rm", "-rf", host / "snapshot"])
            with pytest.raises(OSError):
                layout.read_past_cache(old.fileno(), place, SIZE)
            assert shown(disk, path) == b"2" * SIZE
    log = (disk.mnt / "info/log").read_text()
    assert all(str(host / "src" / path) in log for path in places)
    disk.unmount()


def on_tmpfs_without_xattrs(host):
    try:
        os.setxattr(host, "user.x", b"")
    except OSError:
        return True
    return False


# ---- overlay ----


def test_an_overlay_is_told_of(box, dirdisk):
    """One line, and changes through the mount are seen."""
    host = box.tmpfs("host")
    for name in ("lower", "upper", "work", "merged"):
        (host / name).mkdir()
    sources.write(host / "lower", "data", b"1" * SIZE)
    layers = ",".join(
        f"{what}dir={host / what}" for what in ("lower", "upper", "work")
    )
    point = host / "merged"
    box.run(["mount", "-t", "overlay", "none", "-o", layers, point])
    try:
        disk = dirdisk(point, None, "--no-grub")
        said = (disk.mnt / "info/log").read_text().splitlines()
        assert len([line for line in said if "overlay" in line]) == 1, said
        overwrite(point / "data", b"2")
        assert cat(box, disk.image, "data") == b"2" * SIZE
        disk.unmount()
    finally:
        box.run(["umount", point])
