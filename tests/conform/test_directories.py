# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of any size: right for all judges, and quick to look up in."""

import contextlib
import fcntl
import os
import random
import re

import pytest

from support import judges, seeds, sources

BLOCK = 4096
BLKFLSBUF = 0x1261
# Names of 255 bytes in one leaf; leaves in a root and in a node.
LONG_NAMES, ROOT, NODE = 15, 508, 511

# Printed with each test's name; DIRDISK_SEED repeats a run.
SEED = seeds.of(__file__)
SEEDS = range(SEED, SEED + seeds.trials(10, 300))

# debugfs says that of every index without checksums, its own too.
NO_CHECKSUM = re.compile(
    r"htree_dump_int_block: Directory block does not have space for checksum "
    r"while calculating checksum for .*"
)


@pytest.fixture
def large(box):
    """large(kind, number): a file system with such a directory, /d."""

    def make(kind, number):
        path = box.root / f"{kind}-{number}"
        program = os.environ["LARGE_DIRECTORY"]
        box.run([program, kind, str(number), str(path)])
        return path

    return make


@contextlib.contextmanager
def attached(box, path):
    device = box.loop(path, 0, os.stat(path).st_size, writable=True)
    try:
        yield device
    finally:
        box.loop_end(device)


@contextlib.contextmanager
def mounted(box, device, options="ro", fstype="ext4"):
    point = box.root / "mounted"
    point.mkdir(exist_ok=True)
    box.mount("-t", fstype, "-o", options, device, point)
    try:
        yield point
    finally:
        box.umount(point)


def forget(device):
    """Drops what is in memory of a device, but for what is in use."""
    fd = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, BLKFLSBUF, 0)
    finally:
        os.close(fd)


def blocks_read(device):
    """How many blocks were ever read from a loop device."""
    name = os.path.basename(device)
    with open(f"/sys/block/{name}/stat", encoding="ascii") as file:
        return int(file.read().split()[2]) * judges.SECTOR // BLOCK


def count_blocks(device, call):
    """How many are read for a call when none is in memory."""
    forget(device)
    before = blocks_read(device)
    call()
    return blocks_read(device) - before


def assert_lookups(box, device, path, names):
    """Each lookup in a directory that is not in memory reads few blocks.

    Where its blocks stand is known by then, so no indirect block is among
    them; that of the inode is, where there is one.
    """
    with mounted(box, device, "ro,inode_readahead_blks=0") as point:
        where = str(point) + path
        blocks = os.stat(where).st_size // BLOCK
        all_of_them = count_blocks(device, lambda: os.listdir(where))
        assert all_of_them >= blocks
        for name in names:
            there, other = f"{where}/{name}", f"{where}/{name}?"
            assert 3 <= count_blocks(device, lambda: os.stat(there)) <= 4
            missing = count_blocks(device, lambda: os.path.lexists(other))
            assert 2 <= missing <= 3


def assert_htree(box, device, path, entries):
    """debugfs goes through the index and finds that many entries."""
    done = box.run(["debugfs", "-R", f"htree_dump {path}", device])
    lines = done.text.splitlines()
    said = [
        line
        for line in lines
        if line.startswith("htree_dump") and not NO_CHECKSUM.fullmatch(line)
    ]
    assert not said and "Root node dump:" in lines, done.text[:2000]
    found = re.findall(r"\b\d+ 0x[0-9a-f]{8}-[0-9a-f]{8} \(", done.text)
    assert len(found) == entries
    return done.text


def assert_grub_lists(box, image, inside, names):
    done = box.run(["grub-fstest", str(image), "ls", inside], stderr=None)
    seen = [name.rstrip(b"/") for name in done.data.split()]
    assert sorted(seen) == sorted(os.fsencode(name) for name in names)


def use_as_guest(where, names, make, remove):
    """Adds names and takes others away, as a guest does; what is left."""
    dice = random.Random(SEED)
    gone = dice.sample(sorted(names), min(2000, len(names) // 2))
    new = [f"new-{number}-{'y' * (number % 90)}" for number in range(3000)]
    for name, other in zip(gone, new):
        remove(os.path.join(where, name))
        make(os.path.join(where, other))
    for name in new[len(gone) :]:
        make(os.path.join(where, name))
    return (set(names) - set(gone)) | set(new)


def make_file(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def assert_names(where, names):
    """All of them are listed, and each is found."""
    assert set(os.listdir(where)) == set(names)
    where = os.open(where, os.O_RDONLY)
    try:
        for name in names:
            os.stat(name, dir_fd=where, follow_symlinks=False)
        with pytest.raises(FileNotFoundError):
            os.stat("none of them", dir_fd=where)
    finally:
        os.close(where)


def assert_writable(box, device, names, make=make_file, remove=os.unlink):
    """A guest may change it, and it stays as it should be."""
    with mounted(box, device, "rw") as point:
        left = use_as_guest(point / "d", names, make, remove)
    judges.assert_fsck(box, device)
    with mounted(box, device, fstype="ext2") as point:
        assert_names(point / "d", left)


def numbers(count):
    return [str(number) for number in range(count)]


# ---- directories that the host has not ----


def test_names_of_one_hash(box, large):
    """Real ones: the index tells that a hash goes on in the next leaf."""
    image = large("pairs", 150)
    with attached(box, image) as device:
        judges.assert_fsck(box, device)
        assert "(**)" in assert_htree(box, device, "/d", 150)
        with mounted(box, device) as point:
            names = os.listdir(point / "d")
            assert len(names) == 150
            assert_names(point / "d", names)
        assert_grub_lists(box, image, "(loop0)/d/", names)
        assert_writable(box, device, names)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_names(box, large, seed):
    image = large("random", seed)
    with attached(box, image) as device:
        judges.assert_fsck(box, device)
        with mounted(box, device) as point:
            names = os.listdir(os.fsencode(point / "d"))
            assert_names(os.fsencode(point / "d"), names)


@pytest.mark.parametrize("leaves", [ROOT, ROOT + 1, NODE, NODE + 1])
def test_full_index(box, large, leaves):
    """Just before and just after a block of the index is full."""
    count = leaves * LONG_NAMES
    with attached(box, large("long", count)) as device:
        judges.assert_fsck(box, device)
        with mounted(box, device) as point:
            names = os.listdir(point / "d")
            assert len(names) == count
            nodes = 0 if leaves <= ROOT else 1 if leaves <= NODE else 2
            blocks = 1 + nodes + leaves
            assert os.stat(point / "d").st_size == blocks * BLOCK
        assert_writable(box, device, names)


def test_100_000_names(box, large):
    image = large("names", 100_000)
    names = numbers(100_000)
    with attached(box, image) as device:
        judges.assert_fsck(box, device)
        assert_htree(box, device, "/d", len(names))
        assert_lookups(box, device, "/d", names[::4999])
        assert_writable(box, device, names)


@pytest.mark.timeout(300)
def test_1_000_000_names(box, large):
    """Two levels of index; so many names also share some hashes."""
    image = large("names", 1_000_000)
    names = numbers(1_000_000)
    with attached(box, image) as device:
        judges.assert_fsck(box, device)
        assert_lookups(box, device, "/d", names[::49_999])
        with mounted(box, device) as point:
            assert set(os.listdir(point / "d")) == set(names)
        with mounted(box, device, "rw") as point:
            use_as_guest(point / "d", names, make_file, os.unlink)
        judges.assert_fsck(box, device)


@pytest.mark.parametrize("count, links", [(40_000, 40_002), (70_000, 1)])
def test_subdirectories(box, large, count, links):
    """More than a link count holds, too: then it is 1."""
    image = large("subdirs", count)
    with attached(box, image) as device:
        judges.assert_fsck(box, device)
        with mounted(box, device) as point:
            assert os.stat(point / "d").st_nlink == links
            assert_names(point / "d", numbers(count))
        assert_writable(box, device, numbers(count), os.mkdir, os.rmdir)


# ---- directories of the host ----


def test_20_000_empty_files(box, dirdisk):
    src = box.dir("src")
    os.mkdir(src / "files")
    for number in range(20_000):
        make_file(src / "files" / f"{number:x}{'-' * (number % 60)}")
    disk = dirdisk(src)
    judges.assert_whole_disk(box, disk.image, src)
    with judges.partition_device(box, disk.image, 2) as device:
        assert_htree(box, device, "/files", 20_000)
    assert_grub_lists(
        box, disk.image, "(loop0,msdos2)/files/", os.listdir(src / "files")
    )
    disk.unmount()


def test_3_000_symlinks(box, dirdisk):
    """Up to 59 bytes stand in the inode, longer ones in a block."""
    src = box.dir("src")
    os.mkdir(src / "links")
    for number in range(3_000):
        os.symlink("t" * (1 + number % 300), src / "links" / f"link{number}")
    disk = dirdisk(src)
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


def test_100_000_files(box, dirdisk):
    """The same of a real directory, and a guest that writes to it."""
    src = box.tmpfs("src", "size=256m")
    os.mkdir(src / "d")
    names = [f"{number:07}-name" for number in range(100_000)]
    for name in names:
        make_file(src / "d" / name)
    disk = dirdisk(src, None, "--free=64M")
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
        assert_lookups(box, device, "/d", names[::4999])
    assert_grub_lists(box, disk.image, "(loop0,msdos2)/d/", names)
    with judges.partition_device(box, disk.image, 2, writable=True) as device:
        assert_writable(box, device, names)
    disk.unmount()


def test_lost_and_found_of_the_host(box, dirdisk):
    """Where it holds names beyond its four blocks, it has an index too."""
    src = sources.small(box.dir("src"))
    for number in range(600):
        sources.write(src, f"lost+found/#{number}")
    disk = dirdisk(src)
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
        with mounted(box, device) as point:
            assert_names(
                point / "lost+found", os.listdir(src / "lost+found")
            )
    disk.unmount()
