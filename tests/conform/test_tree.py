# SPDX-License-Identifier: GPL-3.0-or-later
"""Every judge sees exactly the tree: e2fsck, sfdisk, GRUB, Linux, debugfs."""

import os
import random

import pytest

from support import judges, seeds, sources, trees

# Printed with each test's name; DIRDISK_SEED repeats a run.
FIRST_SEED = seeds.of(__file__)
SEEDS = range(FIRST_SEED, FIRST_SEED + seeds.trials(6, 100))
# debugfs fills the holes of `big` and cannot name all of `deep`.
RDUMP = ["kernels", "plain", "types", "links", "modes", "names", "many"]
RDUMP += ["empty", "times"]


@pytest.fixture(scope="module")
def rich(work_root):
    """The rich tree; made once, since nobody may change it."""
    return sources.rich(work_root / "rich")


@pytest.fixture
def disk(rich, dirdisk):
    disk = dirdisk(rich)
    yield disk
    disk.unmount()


@pytest.fixture(scope="module")
def expected(rich):
    return trees.split(trees.snapshot(rich))


@pytest.mark.parametrize("number", [1, 2])
def test_e2fsck_finds_nothing(box, disk, number):
    with judges.partition_device(box, disk.image, number) as device:
        judges.assert_fsck(box, device)


def test_sfdisk_finds_nothing(box, disk):
    judges.assert_table(box, disk.image)


@pytest.mark.parametrize("number, name", [(1, "boot"), (2, "kernels")])
def test_grub_reads(box, disk, rich, number, name):
    judges.assert_grub_reads(
        box, disk.image, number, f"/{name}", os.path.join(rich, name)
    )


def test_grub_reads_its_own_modules(box, disk):
    modules = box.dir("modules")
    box.run(["cp", judges.GRUB_DIR + "/normal.mod", modules])
    judges.assert_grub_reads(box, disk.image, 1, "/boot/grub/i386-pc", modules)


@pytest.mark.timeout(300)
def test_kernel_sees_partition_1(box, disk, expected):
    judges.assert_kernel_view(box, disk.image, 1, expected[0], grafted=True)


@pytest.mark.timeout(300)
def test_kernel_sees_partition_2(box, disk, expected):
    judges.assert_kernel_view(box, disk.image, 2, expected[1])


def test_ext4_driver_sees_the_same(box, disk):
    """The other driver, on what the first might be lenient with."""
    with judges.partition_mount(box, disk.image, 2, fstype="ext4") as point:
        for name, ns in sources.TIMES.items():
            assert os.lstat(point / "times" / f"file-{name}").st_mtime_ns == ns
        assert len(os.listdir(point / "many")) == 5000


def test_debugfs_takes_it_out(box, disk, expected):
    judges.assert_debugfs_view(box, disk.image, 2, expected[1], RDUMP)


def test_triple_indirect_by_another_reader(box, disk, rich):
    """GRUB's driver finds the last bytes behind the third level."""
    path = os.path.join(rich, "big", "triple")
    done = box.run(
        ["grub-fstest", str(disk.image), "--skip", str(sources.TRIPLE - 8192)]
        + ["cat", "(loop0,msdos2)/big/triple"],
        stderr=None,
    )
    with open(path, "rb") as file:
        file.seek(sources.TRIPLE - 8192)
        assert done.data == file.read()


def test_one_byte_wrong_is_seen(box, disk, rich):
    """The judges judge: a disk with one byte changed does not pass."""
    copy = box.root / "copy.img"
    box.run(["cp", "--sparse=always", disk.image, copy])
    path = os.path.join(rich, "kernels", "size-4097")
    with open(path, "rb") as file:
        start = file.read(512)
    with open(copy, "r+b") as file:
        part = judges.partitions(box, copy)[1]
        at, step = part.start * 512, 4096
        while os.pread(file.fileno(), 512, at) != start:
            at += step
        os.pwrite(file.fileno(), bytes([start[0] ^ 1]), at)
    with pytest.raises(AssertionError, match="compare fail"):
        judges.assert_grub_reads(
            box, copy, 2, "/kernels", os.path.join(rich, "kernels")
        )


def test_same_tree_same_bytes(box, dirdisk, rich):
    """Two mounts of one tree are one disk, to the byte."""
    seen = []
    for _ in range(2):
        disk = dirdisk(rich, box.dir(f"mnt{len(seen)}"))
        seen.append((disk.size, trees.digest(disk.image)))
        disk.unmount()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "owner, uid, gid", [("root", 0, 0), ("7:70000", 7, 70000)]
)
def test_owner(box, dirdisk, owner, uid, gid):
    src = box.dir("src")
    sources.modes(os.path.join(src, "modes"))
    disk = dirdisk(src, None, f"--owner={owner}")
    with judges.partition_mount(box, disk.image, 2) as point:
        seen = trees.snapshot(point)
        assert {
            (e.uid, e.gid)
            for path, e in seen.items()
            if path.startswith(b"modes")
        } == {(uid, gid)}
        mode = seen[b"modes/owner-70000-80000"].mode
        assert mode == 0o106755
    disk.unmount()


def test_empty_tree(box, dirdisk):
    disk = dirdisk(box.dir("src"))
    judges.assert_whole_disk(box, disk.image, box.root / "src")
    disk.unmount()


def test_no_grub(box, dirdisk):
    """--no-grub: a table and two file systems, and nothing of GRUB's."""
    src = sources.small(box.dir("src"))
    disk = dirdisk(src, None, "--no-grub")
    judges.assert_whole_disk(box, disk.image, src, grub=False)
    assert disk.read(0, 440) == bytes(440)
    assert disk.read(512, 2047 * 512) == bytes(2047 * 512)
    disk.unmount()


def test_user_s_file_wins_over_ours(box, dirdisk):
    src = box.dir("src")
    sources.write(src, "boot/grub/grub.cfg", b"echo mine\n")
    sources.write(src, "boot/grub/i386-pc/normal.mod", b"my own\n")
    disk = dirdisk(src)
    with judges.partition_mount(box, disk.image, 1) as point:
        grub = point / "boot" / "grub"
        assert (grub / "grub.cfg").read_bytes() == b"echo mine\n"
        assert (grub / "i386-pc/normal.mod").read_bytes() == b"my own\n"
        assert (grub / "i386-pc/linux.mod").stat().st_size > 1000
    disk.unmount()


@pytest.mark.parametrize(
    "options",
    [
        ["--size=1G"],
        ["--size=10G", "--boot-size=3G"],
        ["--size=64G"],
        ["--free=3G"],
        ["--free=0"],
        ["--boot-size=100M"],
    ],
    ids=" ".join,
)
def test_sizes(box, dirdisk, options):
    """Any geometry is a clean one, with the free space asked for."""
    src = sources.small(box.dir("src"))
    sources.write(src, "data", random.Random(1).randbytes(300000))
    disk = dirdisk(src, None, *options)
    given = dict(option[2:].split("=") for option in options)
    sizes = {
        "1G": 1 << 30,
        "64G": 64 << 30,
        "10G": 10 << 30,
        "3G": 3 << 30,
        "100M": 100 << 20,
    }
    if "size" in given:
        assert disk.size == sizes[given["size"]]
    parts = judges.partitions(box, disk.image)
    if "boot-size" in given:
        assert parts[0].size * 512 == sizes[given["boot-size"]]
    assert parts[0].start == 2048
    assert (parts[1].start + parts[1].size) * 512 <= disk.size
    with judges.partition_mount(box, disk.image, 2) as point:
        room = os.statvfs(point)
        free = {"3G": 3 << 30, "0": 0}.get(given.get("free"), 16 << 20)
        assert room.f_bfree * room.f_bsize >= free
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


def test_largest_disk(box, dirdisk):
    """The last sector that an MBR can name; e2fsck would take minutes."""
    src = sources.small(box.dir("src"))
    disk = dirdisk(src, None, "--size=2199023255040")
    assert disk.size == (2 << 40) - 512
    boot, system = trees.split(trees.snapshot(src))
    judges.assert_table(box, disk.image)
    judges.assert_kernel_view(box, disk.image, 1, boot, grafted=True)
    judges.assert_kernel_view(box, disk.image, 2, system)
    if seeds.SOAK:
        judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


def test_times_that_no_ext2_holds(box, dirdisk):
    """What lies outside is shown as the nearest time; e2fsck is content."""
    src = sources.small(box.tmpfs("src"))
    limits = {"early": -(2**31), "late": sources.LAST_TIME}
    for name, seconds in limits.items():
        path = sources.write(src, name)
        step = -1 if seconds < 0 else 1
        sources.stamp(path, (seconds + step * 2 * 10**9) * 10**9)
    disk = dirdisk(src)
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        for name, seconds in limits.items():
            assert os.lstat(point / name).st_mtime_ns // 10**9 == seconds
    disk.unmount()


def test_disk_grows_with_the_tree(box, dirdisk):
    """More than the article's disk holds: a larger one, 1 MiB aligned."""
    src = box.dir("src")
    sources.write(src, "kernels/large", bytes(range(256)) * 4096 * 250)
    sources.write(src, "boot/large", bytes(range(255)) * 4096 * 40)
    disk = dirdisk(src)
    assert disk.size > 409600 * 512
    for part in judges.partitions(box, disk.image):
        assert part.start % 2048 == 0
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_tree(box, dirdisk, seed):
    src = box.dir("src")
    sources.chance(src, seed)
    disk = dirdisk(src)
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


def test_long_path(box, dirdisk):
    """As long as one that a system call takes: 4,000 bytes."""
    src = sources.small(box.dir("src"))
    names = ["p" * 199] * 19 + ["q" * 195]
    assert len("/".join(["", *names, "last"])) == 4001
    sources.descend(src, names, "last", b"the end of a long way\n")
    _, system = trees.split(trees.snapshot(src))
    disk = dirdisk(src)
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    judges.assert_kernel_view(box, disk.image, 2, system)
    disk.unmount()
