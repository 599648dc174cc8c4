# SPDX-License-Identifier: GPL-3.0-or-later
"""Random disks before e2fsck, Linux and GRUB: exactly the tree that each has.

DIRDISK_SEED repeats a run; DIRDISK_SOAK=1 tries more. The trees are made in
memory by made_disk, which compares as well: it has the tree, we the mounts.
"""

import contextlib
import ctypes
import os
import random
import stat

import pytest

from support import judges, seeds

TREES = seeds.trials(500, 5000)
MADE_DISK = os.environ["MADE_DISK"]
# Two programs share the trees; without that, one has them all.
PART, PARTS = map(int, os.environ.get("DIRDISK_PART", "0/1").split("/"))

# What GRUB is asked to read whole; it reads holes as if they were data.
GRUB_READS = 9 << 20
# Beyond PATH_MAX GRUB's host side cannot name a file.
LONGEST = 3800
LISTED = 4  # directories of a partition

MS_BIND = 4096


# Printed with each test's name.
SEED = seeds.of(__file__)
SEEDS = range(SEED + PART, SEED + TREES, PARTS)


def bind(source, point):
    """mount --bind, a thousand times a second."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(point), None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), "mount", point)


@pytest.fixture(scope="module")
def memory(work_root):
    """A directory in memory for the disks: no test waits for a real one."""
    point = work_root / "memory"
    point.mkdir()
    os.system(f"mount -t tmpfs -o mode=755 tmpfs {point}")
    yield point
    os.system(f"umount -l {point}")


@contextlib.contextmanager
def mounted(box, disk, part, number, fstype):
    """A partition, by one mount(8); its loop device ends with it."""
    point = box.dir(f"{fstype}-{number}")
    where = f"offset={part.start * 512},sizelimit={part.size * 512}"
    box.mount("-t", fstype, "-o", f"ro,loop,{where}", disk, point)
    try:
        yield point
    finally:
        # What was bound below goes first.
        box.run(["umount", "-R", str(point)])


def assert_fsck(box, disk, part):
    judges.assert_fsck(box, f"{disk}?offset={part.start * 512}")


def compare(box, name, number, point, holes):
    verb = "compare-holes" if holes else "compare"
    box.run([MADE_DISK, verb, str(name), str(number), str(point)])


# ---- GRUB ----


def hide_from_grub(box, point):
    """Binds what GRUB cannot, or should not, read; gives the directories."""
    nothing = box.root / "nothing"
    nothing.mkdir(exist_ok=True)
    kept, todo = [], [os.fsencode(point)]
    while todo:
        directory = todo.pop()
        kept.append(directory)
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                if len(entry.path) > LONGEST - 256:
                    bind(nothing, entry.path)
                else:
                    todo.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                if entry.stat().st_size > GRUB_READS:
                    # grub-fstest passes special files over.
                    bind("/dev/null", entry.path)
    return kept


def grub(box, disk, *arguments):
    return box.run(["grub-fstest", str(disk), "--", *arguments], timeout=300)


def assert_grub_bytes(box, disk, number, point):
    """Each file that Linux shows has the same bytes for GRUB."""
    done = grub(box, disk, "cmp", f"(loop0,msdos{number})/", str(point))
    assert not done.data, done.text


def assert_grub_names(box, disk, number, point, directory):
    """GRUB lists a directory as Linux does: those names and no others.

    It writes names as they are, so they are looked for, not cut out.
    """
    inside = directory[len(os.fsencode(point)) :] + b"/"
    where = b"(loop0,msdos%d)%s" % (number, inside)
    listed = grub(box, disk, "ls", "-a", where).data
    wanted = [b"./", b"../"]
    for name in os.listdir(directory):
        mode = os.lstat(os.path.join(directory, name)).st_mode
        wanted.append(name + b"/" * stat.S_ISDIR(mode))
    missing = [name for name in wanted if name + b" " not in listed]
    assert not missing, (where, missing, listed)
    assert len(listed) == sum(len(name) + 1 for name in wanted) + 1, where


def assert_grub(box, disk, number, point, seed):
    directories = hide_from_grub(box, point)
    # It looks each name up from the beginning of its directory.
    if max(len(os.listdir(path)) for path in directories) < 1000:
        assert_grub_bytes(box, disk, number, point)
    chosen = random.Random(seed).sample(
        directories[1:], min(LISTED - 1, len(directories) - 1)
    )
    for directory in [directories[0], *chosen]:
        assert_grub_names(box, disk, number, point, directory)


# ---- the trees ----


def assert_disk(box, memory, name, seed=0):
    """Every judge, on both partitions. Linux by one name of its driver each."""
    disk = memory / f"{name}.img"
    box.run([MADE_DISK, "write", str(name), str(disk)], timeout=300)
    try:
        parts = judges.partitions(box, disk)
        for number, fstype in ((1, "ext2"), (2, "ext4")):
            part = parts[number - 1]
            assert_fsck(box, disk, part)
            with mounted(box, disk, part, number, fstype) as point:
                compare(box, name, number, point, holes=fstype == "ext4")
                assert_grub(box, disk, number, point, seed)
    finally:
        disk.unlink()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_tree(box, memory, seed):
    assert_disk(box, memory, seed, seed)


# What does not come by chance; one of the two programs has it.
if PART == 0:

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("name", ["ends", "deep", "links"])
    def test_tree_at_the_limits(box, memory, name):
        assert_disk(box, memory, name)

    def test_last_bytes_by_grub(box, memory):
        """The ends of the largest files, which GRUB cannot read whole."""
        disk = memory / "ends.img"
        box.run([MADE_DISK, "write", "ends", str(disk)])
        part = judges.partitions(box, disk)[1]
        with mounted(box, disk, part, 2, "ext2") as point:
            for path in sorted((point / "ends").iterdir()):
                size = path.stat().st_size
                skip = max(0, size - 5000)
                with open(path, "rb") as file:
                    file.seek(skip)
                    wanted = file.read()
                where = f"(loop0,msdos2)/ends/{path.name}"
                done = box.run(
                    ["grub-fstest", str(disk), "--skip", str(skip)]
                    + ["cat", where]
                )
                assert done.data == wanted, path
        disk.unlink()

    def test_another_tree_is_seen(box, memory):
        """The comparison compares: two random trees are not the same."""
        disk = memory / "other.img"
        box.run([MADE_DISK, "write", "7", str(disk)])
        part = judges.partitions(box, disk)[1]
        with mounted(box, disk, part, 2, "ext4") as point:
            compare(box, 7, 2, point, True)
            done = box.run(
                [MADE_DISK, "compare", "8", "2", str(point)], check=False
            )
            assert done.returncode == 1 and "differences" in done.text
        disk.unlink()
