# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of others that say whether a disk is right."""

import contextlib
import json
import os
import re
from collections import namedtuple

from support import trees

SECTOR = 512
GRUB_DIR = "/usr/lib/grub/i386-pc"

Partition = namedtuple("Partition", "start size type bootable")


def partitions(box, image):
    """What sfdisk finds in the table; units are sectors."""
    found = box.run(["sfdisk", "--json", str(image)], stderr=None)
    table = json.loads(found.text)["partitiontable"]
    assert table["label"] == "dos"
    return [
        Partition(p["start"], p["size"], p["type"], p.get("bootable", False))
        for p in table["partitions"]
    ]


def assert_table(box, image):
    """sfdisk --verify has nothing to say."""
    said = box.run(["sfdisk", "--verify", str(image)]).text.splitlines()
    allowed = r"(.*\.img:|No errors detected\.|Remaining \d+ unallocated .*)"
    surprises = [line for line in said if not re.fullmatch(allowed, line)]
    assert "No errors detected." in said and not surprises, said


@contextlib.contextmanager
def partition_device(box, image, number, writable=False):
    """A loop device on partition 1 or 2."""
    part = partitions(box, image)[number - 1]
    start, size = part.start * SECTOR, part.size * SECTOR
    device = box.loop(image, start, size, writable)
    try:
        yield device
    finally:
        box.loop_end(device)


@contextlib.contextmanager
def partition_mount(box, image, number, writable=False, fstype="ext2"):
    """Partition 1 or 2, mounted by the kernel."""
    point = box.root / f"part{number}"
    point.mkdir(exist_ok=True)
    with partition_device(box, image, number, writable) as device:
        mode = "rw" if writable else "ro"
        box.mount("-t", fstype, "-o", mode, device, point)
        try:
            yield point
        finally:
            box.umount(point)


# What e2fsck says of a file system without fault, line by line.
FSCK_CLEAN = re.compile(
    rb"e2fsck \d.*|Pass \d: .*|"
    rb"\S+: \d+/\d+ files \(.*non-contiguous\), \d+/\d+ blocks|"
)


def assert_fsck(box, device):
    """e2fsck -fn finds nothing, offers no repair and warns of nothing."""
    done = box.run(["e2fsck", "-fn", device], timeout=300, check=False)
    surprises = [
        line
        for line in done.data.splitlines()
        if not FSCK_CLEAN.fullmatch(line)
    ]
    assert done.returncode == 0 and not surprises, done.text


def assert_grub_reads(box, image, number, inside, host):
    """GRUB's own code finds each host file below `inside`, byte for byte.

    grub-fstest walks the host directory; it cannot tell of files too many,
    so the kernel's view has to say that.
    """
    where = f"(loop0,msdos{number}){inside}"
    done = box.run(
        ["grub-fstest", str(image), "cmp", where, str(host)], timeout=300
    )
    errors = [line for line in done.text.splitlines() if "error" in line]
    assert not errors, done.text


def assert_kernel_view(box, image, number, expected, grafted=False):
    """The kernel's view of a partition is the expected tree."""
    with partition_mount(box, image, number) as point:
        seen = trees.snapshot(point)
        root = seen.pop(b"")
        if b"" in expected:
            expected = dict(expected)
            trees.assert_equal({b"": expected.pop(b"")}, {b"": root})
        assert_lost_and_found(seen.pop(b"lost+found"))
        if grafted:
            expected = trees.count_links(expected, seen)
            take_grafts(seen, expected)
        trees.assert_equal(expected, seen)
        trees.assert_one_time(point)
        assert not os.listdir(point / "lost+found")


def assert_lost_and_found(entry):
    """As mke2fs makes it: four blocks, root's own."""
    assert entry.mode == 0o40700
    assert (entry.uid, entry.gid, entry.links) == (0, 0, 2)
    assert entry.size == 16384


def take_grafts(seen, expected):
    """Removes GRUB's files from seen, once they are what they should be."""
    if b"boot" not in expected:
        assert seen.pop(b"boot").mode == 0o40755
    assert seen[b"boot/grub/grub.cfg"].size > 0
    shown = 0
    for path in list(seen):
        if path in expected or not path.startswith(b"boot/grub"):
            continue
        entry = seen.pop(path)
        directory, _, name = path.rpartition(b"/")
        if directory != b"boot/grub/i386-pc":
            continue
        host = os.path.join(GRUB_DIR, os.fsdecode(name))
        if os.path.exists(host):
            assert entry.digest == trees.digest(host), path
            shown += 1
    assert shown > 100, "GRUB's modules are not all there"


def assert_debugfs_view(box, image, number, expected, directories):
    """debugfs rdump takes these directories out as they are.

    It ends with status 0 whatever happens, so what it says is read. It keeps
    no links, devices, nanoseconds or set-id bits, and times modulo 2^32.
    """
    out = box.dir("rdump")
    source = "/" + " /".join(directories)
    with partition_device(box, image, number) as device:
        done = box.run(
            ["debugfs", "-R", f"rdump {source} {out}", device], timeout=300
        )
    said = [
        line
        for line in done.text.splitlines()
        if line and not line.startswith("debugfs 1.")
    ]
    assert not said, done.text
    wanted = tuple(os.fsencode(name) for name in directories)
    trees.assert_equal(
        trees.as_rdump(
            {
                path: entry
                for path, entry in expected.items()
                if path.split(b"/")[0] in wanted
            }
        ),
        trees.as_rdump(trees.snapshot(out)),
    )
    box.run(["rm", "-rf", "--one-file-system", str(out)])


def assert_whole_disk(box, image, src, rdump=None, grub=True):
    """Every judge, on both partitions, against the host tree."""
    boot, system = trees.split(trees.snapshot(src))
    assert_table(box, image)
    for number in (1, 2):
        with partition_device(box, image, number) as device:
            assert_fsck(box, device)
    assert_kernel_view(box, image, 1, boot, grafted=grub)
    assert_kernel_view(box, image, 2, system)
    for number, name in ((1, "boot"), (2, "kernels")):
        if os.path.isdir(os.path.join(src, name)):
            assert_grub_reads(
                box, image, number, f"/{name}", os.path.join(src, name)
            )
    if rdump is None:
        rdump = [
            os.fsdecode(path)
            for path, entry in system.items()
            if path and b"/" not in path and entry.is_dir()
        ]
    if rdump:
        assert_debugfs_view(box, image, 2, system, rdump)
