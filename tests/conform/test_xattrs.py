# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes and ACLs, as the kernel and libext2fs see them."""

import os
import re
from dataclasses import replace

import pytest

from support import judges, sources, trees
from support.sandbox import NOBODY

SETUP = 3


@pytest.fixture(scope="module")
def adorned(work_root):
    """Every namespace, on every kind of entry; nobody may change it."""
    root = work_root / "adorned"
    root.mkdir()
    return sources.xattrs(root)


def kept(entries, keep):
    """What is left of the attributes."""
    return {
        path: replace(
            entry, xattrs=tuple(x for x in entry.xattrs if keep(x[0]))
        )
        for path, entry in entries.items()
    }


def all_names(entries):
    return {name for entry in entries.values() for name, _ in entry.xattrs}


def assert_shown(box, image, expected, fstype="ext2"):
    """Partition 2 as the expected tree, its lost+found aside."""
    with judges.partition_mount(box, image, 2, fstype=fstype) as point:
        seen = trees.snapshot(point)
        assert seen.pop(b"lost+found").xattrs == ()
        trees.assert_equal(expected, seen)


def test_every_judge(box, dirdisk, adorned):
    disk = dirdisk(adorned)
    judges.assert_whole_disk(box, disk.image, adorned)
    disk.unmount()


@pytest.mark.parametrize("fstype", ["ext2", "ext4"])
def test_kernel_shows_all(box, dirdisk, adorned, fstype):
    """By each name that the kernel has a driver for."""
    with open("/proc/filesystems", encoding="ascii") as known:
        assert fstype in known.read().split()
    expected = trees.split(trees.snapshot(adorned))[1]
    namespaces = {name.split(".")[0] for name in all_names(expected)}
    assert namespaces == {"user", "trusted", "security", "system"}
    disk = dirdisk(adorned)
    assert_shown(box, disk.image, expected, fstype)
    disk.unmount()


def test_acl_is_obeyed(box, dirdisk, adorned):
    """Linux goes by the ACL: user 70000 may not read, 1000 may."""
    disk = dirdisk(adorned)
    with judges.partition_mount(box, disk.image, 2) as point:
        for user, status in ((1000, 0), (70000, 1)):
            setpriv = ["setpriv", f"--reuid={user}", f"--regid={user}"]
            setpriv += ["--clear-groups", "cat", point / "set" / "acl"]
            done = box.run(list(map(str, setpriv)), check=False)
            assert done.returncode == status, done.text
    disk.unmount()


def test_debugfs_lists(box, dirdisk, adorned):
    disk = dirdisk(adorned)
    with judges.partition_device(box, disk.image, 2) as device:

        def listed(path):
            done = box.run(["debugfs", "-R", f"ea_list {path}", device])
            return done.text

        assert 'user.plain (5) = "value"' in listed("/set/file")
        assert "user.empty (0)" in listed("/set/file")
        assert "trusted.t (256)" in listed("/set/file")
        assert 'trusted.link (2) = "60"' in listed("/set/link-60")
        assert "system.posix_acl_default" in listed("/set")
        assert "system.posix_acl_access" in listed("/set/dir")
        assert "security.capability (20) = 01 00 00 02" in listed("/set/tool")
        out = box.root / "value"
        box.run(["debugfs", "-R", f"ea_get -f {out} /set/file trusted.t", device])
        assert out.read_bytes() == bytes(range(256))
    disk.unmount()


def test_none(box, dirdisk, adorned):
    disk = dirdisk(adorned, None, "--xattrs=none")
    system = trees.split(trees.snapshot(adorned))[1]
    assert_shown(box, disk.image, kept(system, lambda name: False))
    disk.unmount()


def test_user_alone(box, dirdisk, adorned):
    disk = dirdisk(adorned, None, "-o", "xattrs=user")
    system = trees.split(trees.snapshot(adorned))[1]
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    assert_shown(
        box, disk.image, kept(system, lambda name: name.startswith("user."))
    )
    disk.unmount()


def test_an_ordinary_user_s_view(box, dirdisk, adorned):
    """What is trusted is not shown to one who may not see it: no error."""
    image = box.root / "copy.img"
    mnt = box.dir("mnt", NOBODY)
    disk = dirdisk(adorned, mnt, "--unreadable=skip", user=NOBODY)
    with open(image, "wb") as out:
        box.run(["cat", disk.image], user=NOBODY, stdout=out)
    disk.unmount("fusermount3", "-u", user=NOBODY)
    with judges.partition_mount(box, image, 2) as point:
        seen = trees.snapshot(point)
    expected = trees.split(trees.snapshot(adorned))[1]
    assert b"set/file" in seen and b"set/link-1" in seen
    for path, entry in kept(
        expected, lambda name: not name.startswith("trusted.")
    ).items():
        if path in seen:
            assert seen[path].xattrs == entry.xattrs, path
    assert not [n for n in all_names(seen) if n.startswith("trusted.")]


def test_thousands_share(box, dirdisk):
    """More than a block's count holds: copies, each with its own users."""
    src = box.dir("src")
    os.mkdir(src / "crowd")
    for number in range(2500):
        path = src / "crowd" / f"{number:04}"
        path.touch()
        os.setxattr(path, "user.label", b"same")
        if number % 500 == 0:
            os.setxattr(path, "user.number", b"%d" % number)
    disk = dirdisk(src)
    judges.assert_whole_disk(box, disk.image, src)
    with judges.partition_device(box, disk.image, 2) as device:
        stats = "".join(f"stat /crowd/{n:04}\n" for n in range(2500))
        script = box.root / "script"
        script.write_text(stats)
        said = box.run(["debugfs", "-f", str(script), device]).text
    blocks = re.findall(r"File ACL: (\d+)", said)
    counts = sorted(blocks.count(block) for block in set(blocks))
    assert counts == [1] * 5 + [2495 - 2048, 1024, 1024]
    disk.unmount()


def test_same_attributes_same_bytes(box, dirdisk):
    """Whatever the order in which they were set."""
    digests = []
    for order in (1, -1):
        src = box.dir(f"src{order}")
        path = sources.write(src, "file")
        for name in ["user.b", "trusted.a", "user.aa", "security.c"][::order]:
            os.setxattr(path, name, name.encode())
        sources.stamp(path, 10**18)
        sources.stamp(src, 10**18)
        disk = dirdisk(src, box.dir(f"mnt{order}"))
        digests.append(trees.digest(disk.image))
        disk.unmount()
    assert digests[0] == digests[1]


def test_too_large_is_refused(box, dirdisk):
    """tmpfs and others hold more than one block of ext2."""
    src = box.dir("large")
    box.mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", src)
    path = sources.write(src, "sub/file")
    for number in range(3):
        os.setxattr(path, f"trusted.{number}", bytes(2000))
    mnt, before = box.dir("mnt"), box.mounts()
    done = dirdisk.run(src, mnt, check=False)
    assert done.returncode == SETUP
    assert re.fullmatch(
        r"dirdisk: .*/large/sub/file: .*4096 bytes.*--xattrs=none\n", done.text
    ), done.text
    assert box.mounts() == before
    disk = dirdisk(src, mnt, "--xattrs=user")
    judges.assert_table(box, disk.image)
    disk.unmount()
    os.removexattr(path, "trusted.0")
    disk = dirdisk(src, mnt)
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


@pytest.mark.parametrize("fstype", ["ext2", "ext4"])
def test_a_guest_changes_one(box, dirdisk, adorned, fstype):
    """A shared block is parted from, joined and dropped as it should be."""
    disk = dirdisk(adorned)
    with judges.partition_mount(
        box, disk.image, 2, writable=True, fstype=fstype
    ) as point:
        os.setxattr(point / "set" / "file", "user.plain", b"other")
        os.setxattr(point / "kernels" / "a" / "file", "user.new", b"n")
        os.removexattr(point / "set" / "odd", "user." + "n" * 250)
        os.remove(point / "set" / "many")
        (point / "joins").write_bytes(b"")
        for name, value in (("user.plain", b"value"), ("user.empty", b"")):
            os.setxattr(point / "joins", name, value)
        os.mkdir(point / "set" / "inherits")
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        get = os.getxattr
        assert get(point / "set" / "file", "user.plain") == b"other"
        assert get(point / "kernels/a/file", "user.plain") == b"value"
        assert get(point / "kernels/a/file", "user.new") == b"n"
        inherited = get(point / "set/inherits", "system.posix_acl_default")
        assert inherited == sources.ACL
    disk.unmount()
