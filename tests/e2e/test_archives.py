# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories in kernels/ that are one file on the disk: cpio archives."""

import contextlib
import os
import subprocess

import pytest

from support import judges, seeds, sources
from support.sandbox import NOBODY

EIO = 5
INITRAMFS = "kernels/initramfs.d"


@pytest.fixture
def src(box):
    src = sources.before(box.dir("src"))
    sources.write(src, f"{INITRAMFS}/init", b"#!/bin/sh\n", mode=0o755)
    program = seeds.dice(__file__).randbytes(300_000)
    sources.write(src, f"{INITRAMFS}/bin/busybox", program)
    sources.write(src, f"{INITRAMFS}/etc/empty")
    os.link(src / INITRAMFS / "bin/busybox", src / INITRAMFS / "bin/sh")
    os.symlink("../bin/sh", src / INITRAMFS / "etc/shell")
    os.mkfifo(src / INITRAMFS / "pipe", 0o600)
    sources.write(src, "kernels/other.d/file", b"no archive\n")
    return src


def names(root):
    """Every name below root, parents first, bytewise sorted."""
    found = [b"."]
    for where, dirs, files in os.walk(os.fsencode(root)):
        inside = os.path.relpath(where, os.fsencode(root))
        for name in dirs + files:
            found.append(os.path.normpath(os.path.join(inside, name)))
    return sorted(found, key=lambda path: path.split(b"/"))


def packed(root, leave_out=()):
    """What GNU cpio makes of a directory."""
    listed = [name for name in names(root) if name not in leave_out]
    done = subprocess.run(
        ["cpio", "-o0", "-H", "newc", "--reproducible", "--quiet"],
        cwd=root,
        input=b"".join(name + b"\0" for name in listed),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def listing(data):
    """What GNU cpio finds in an archive, a line each."""
    done = subprocess.run(
        ["cpio", "-itv", "--quiet", "--numeric-uid-gid"],
        input=data,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert not done.stderr, done.stderr
    return done.stdout.decode().splitlines()


@contextlib.contextmanager
def system(box, disk):
    """Partition 2, mounted, when it has been found to be right."""
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        yield point


def test_what_cpio_makes(box, dirdisk, src):
    """... byte for byte, at the very path of the directory."""
    os.mknod(src / INITRAMFS / "console", 0o020600, os.makedev(5, 1))
    disk = dirdisk(src)
    with system(box, disk) as point:
        assert (point / INITRAMFS).read_bytes() == packed(src / INITRAMFS)
        latest = max(
            os.lstat(src / INITRAMFS / os.fsdecode(name)).st_mtime_ns
            for name in names(src / INITRAMFS)
        )
        assert os.stat(point / INITRAMFS).st_mtime_ns == latest
        assert (point / "kernels/other.d/file").read_bytes()
    disk.unmount()


def test_edits_show_at_the_next_open(box, dirdisk, src):
    """... and not to those who have the disk open."""
    disk = dirdisk(src, None, "--no-grub")
    archive = src / INITRAMFS
    with open(disk.image, "rb", buffering=0) as old:
        before = disk.image.read_bytes()
        for change in (
            lambda: sources.write(src, f"{INITRAMFS}/deep/er/file", b"new\n"),
            lambda: os.replace(archive / "etc/empty", archive / "init"),
            lambda: os.unlink(archive / "bin/sh"),
            lambda: os.chmod(archive / "init", 0o700),
            lambda: os.rename(archive / "deep", archive / "below"),
        ):
            change()
            with system(box, disk) as point:
                assert (point / INITRAMFS).read_bytes() == packed(archive)
        said = (disk.mnt / "info/generation").read_text()
        assert f"{INITRAMFS}/below: moved here" in said
        assert old.readall() == before
    os.rename(archive, src / "kernels/mine.d")
    with system(box, disk) as point:
        assert not (point / INITRAMFS).exists()
        assert (point / "kernels/mine.d/below").is_dir()
    disk.unmount()


def test_written_in_place(box, dirdisk, src):
    """A file of an archive that changed is an error that names it."""
    disk = dirdisk(src, None, "--no-grub")
    with open(disk.image, "rb", buffering=0) as old:
        with open(src / INITRAMFS / "bin/busybox", "r+b") as file:
            file.write(b"changed")
        with pytest.raises(OSError) as error:
            old.readall()
        assert error.value.errno == EIO
    log = (disk.mnt / "info/log").read_text()
    assert f"{INITRAMFS}/bin/busybox: was" in log, log
    with system(box, disk) as point:
        assert (point / INITRAMFS).read_bytes() == packed(src / INITRAMFS)
    disk.unmount()


def test_several_archives(box, dirdisk, src):
    """Beside each other and in directories, with a link from one to all."""
    busybox = src / INITRAMFS / "bin/busybox"
    alone = box.root / "alone"
    box.run(["cp", "-a", src / INITRAMFS, alone])
    for path in ("kernels/initrd.img-6.1.d", "kernels/mine/initramfs-x.d"):
        os.makedirs(src / path)
        os.link(busybox, src / path / "one")
    sources.write(src, "kernels/modules-6.1/modules.dep", b"")
    sources.write(src, "kernels/modules-6.1/kernel/x.ko", b"module")
    os.link(busybox, src / "busybox")
    disk = dirdisk(src)
    with system(box, disk) as point:
        assert (point / INITRAMFS).read_bytes() == packed(alone)
        for path in ("kernels/initrd.img-6.1.d", "kernels/mine/initramfs-x.d"):
            lines = listing((point / path).read_bytes())
            assert [line.split()[-1] for line in lines] == [".", "one"]
            assert lines[1].split()[1] == "1", lines
        modules = listing((point / "kernels/modules-6.1").read_bytes())
        paths = [line.split()[8] for line in modules]
        assert "lib/modules/6.1/kernel/x.ko" in paths, modules
        assert os.stat(point / "busybox").st_nlink == 1
    disk.unmount()


def test_devices_of_an_ordinary_user(box, dirdisk):
    src = box.dir("src", NOBODY)
    sources.write(
        src,
        f"{INITRAMFS}/devices",
        b"# for the first messages\nnod /dev/console 0600 0 0 c 5 1\n",
    )
    sources.write(src, f"{INITRAMFS}/init", b"#!/bin/sh\n", mode=0o755)
    for where, dirs, files in os.walk(src):
        for name in dirs + files:
            os.chown(os.path.join(where, name), NOBODY, NOBODY)
    disk = dirdisk(src, None, "--no-grub", user=NOBODY)
    # Root cannot look into the mount of another.
    data = box.run(["cat", disk.image], user=NOBODY).data
    copy = box.root / "copy.img"
    copy.write_bytes(data)
    with judges.partition_mount(box, copy, 2) as point:
        lines = listing((point / INITRAMFS).read_bytes())
    console = [line for line in lines if line.endswith("dev/console")]
    assert console and console[0].startswith("crw-------"), lines
    assert console[0].split()[2:6] == ["0", "0", "5,", "1"], console
    assert not [line for line in lines if line.endswith("devices")]
    disk.unmount(user=NOBODY)


def test_wrong_list_of_devices(box, dirdisk, src):
    """At the start, and while it is mounted: until it is mended."""
    wrong = b"nod /dev/console 0600 0 0 c 5 1\nnod /dev/null 0666 0 0 z 1 3\n"
    sources.write(src, f"{INITRAMFS}/devices", wrong)
    done = dirdisk.run(src, box.dir("none"), check=False)
    assert done.returncode == 3
    assert f"{INITRAMFS}/devices:2: " in done.text, done.text
    sources.write(src, f"{INITRAMFS}/devices", b"")
    disk = dirdisk(src, None, "--no-grub")
    sources.write(src, f"{INITRAMFS}/devices", wrong)
    with pytest.raises(OSError):
        disk.read(0, 512)
    assert f"{INITRAMFS}/devices:2: " in (disk.mnt / "info/log").read_text()
    sources.write(src, f"{INITRAMFS}/devices", b"")
    with system(box, disk) as point:
        have = (point / INITRAMFS).read_bytes()
        assert have == packed(src / INITRAMFS, [b"devices"])
    disk.unmount()


def test_list_of_a_hundred_thousand_levels(box, dirdisk, src):
    """Each level would be a directory of its own: it is refused at once."""
    deep = b"pipe " + b"a/" * 100000 + b"b 0600 0 0\n"
    line = f"{INITRAMFS}/devices:1: NAME of 200001 bytes: 4095 at most"
    sources.write(src, f"{INITRAMFS}/devices", deep)
    done = dirdisk.run(
        "--no-grub", src, box.dir("none"), check=False, timeout=60
    )
    assert done.returncode == 3 and line in done.text, done.text
    sources.write(src, f"{INITRAMFS}/devices", b"")
    disk = dirdisk(src, None, "--no-grub")
    sources.write(src, f"{INITRAMFS}/devices", deep)
    with pytest.raises(OSError):
        disk.read(0, 512)
    assert line in (disk.mnt / "info/log").read_text()
    sources.write(src, f"{INITRAMFS}/devices", b"")
    disk.read(0, 512)
    disk.unmount()
