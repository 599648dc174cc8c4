# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has disk.img open keeps the tree of that moment."""

import errno
import os
import shutil

import pytest

from support import seeds, sources
from support.held import BLOCK, Held, cat, listed

SIZE = 300_001


@pytest.fixture
def content():
    """content(): other bytes each time, so that each block is one's own."""
    dice = seeds.dice(__file__)
    return lambda size=SIZE: dice.randbytes(size)


@pytest.fixture
def src(box, content):
    src = box.dir("src")
    for path in ("kernels/a", "kernels/b", "kernels/linked", "boot/c"):
        sources.write(src, path, content())
    for path in ("data/written", "data/deleted", "data/left"):
        sources.write(src, path, content())
    os.link(src / "kernels/linked", box.root / "elsewhere")
    return src


@pytest.fixture
def disk(dirdisk, src):
    disk = dirdisk(src, None, "--no-grub")
    yield disk
    disk.unmount()


def replace(box, path, data):
    new = box.root / "new"
    new.write_bytes(data)
    os.rename(new, path)


def places(blocks, data):
    """Where the blocks of a file are."""
    wanted = {
        data[at : at + BLOCK].ljust(BLOCK, b"\0")
        for at in range(0, len(data), BLOCK)
    }
    found = {at for at, block in blocks.items() if block in wanted}
    assert len(found) == len(wanted)
    return found


def failing(blocks):
    return [at for at in blocks if blocks[at] is None]


def differing(before, after):
    assert before.keys() == after.keys()
    return {at for at in before if before[at] != after[at]}


def test_replaced_and_deleted_kernels_stay(box, disk, src, content):
    """Of kernels/ and boot/, where descriptors are kept."""
    with Held(box, disk.image) as held:
        before = held.blocks()
        assert not failing(before)
        new = content(5000)
        replace(box, src / "kernels/a", new)
        replace(box, src / "boot/c", new)
        os.unlink(src / "kernels/b")
        os.unlink(src / "kernels/linked")
        sources.write(src, "kernels/added", new)
        sources.write(src, "more/added", new)
        assert listed(box, disk.image, "kernels") == ["a", "added"]
        assert cat(box, disk.image, "kernels/a") == new
        assert not differing(before, held.blocks())
        held.assert_fsck()
        shutil.rmtree(src / "kernels")
        assert listed(box, disk.image, "kernels") == []
        assert not differing(before, held.blocks())
        held.assert_fsck()
        with Held(box, disk.image) as other:
            other.assert_fsck()
            assert not failing(other.blocks())


@pytest.mark.parametrize("how", ["written", "appended", "cut", "deleted"])
def test_only_its_own_blocks_fail(box, disk, src, content, how):
    """What cannot be had any more is an I/O error; all else is as it was."""
    path = src / "data" / ("deleted" if how == "deleted" else "written")
    old = path.read_bytes()
    with Held(box, disk.image) as held:
        before = held.blocks()
        mine = places(before, old)
        if how == "written":
            with open(path, "r+b") as file:
                file.write(b"other")
        elif how == "appended":
            with open(path, "ab") as file:
                file.write(b"more")
        elif how == "cut":
            os.truncate(path, 10_000)
        else:
            path.unlink()
        after = held.blocks()
        assert differing(before, after) == mine
        assert {after[at] for at in mine} == {None}
        held.assert_fsck()
        now = path.read_bytes() if how != "deleted" else None
        assert cat(box, disk.image, f"data/{path.name}") == now
        assert differing(before, held.blocks()) == mine
        with Held(box, disk.image) as other:
            other.assert_fsck()
            assert not failing(other.blocks())


def test_each_of_many_keeps_its_own(box, disk, src, content):
    """A handle after each change, read when all of them were made."""
    made, handles = [], []
    try:
        for _ in range(20):
            made.append(content(9000))
            replace(box, src / "kernels/a", made[-1])
            handles.append(Held(box, disk.image))
        for data, held in zip(made, handles):
            blocks = held.blocks()
            assert not failing(blocks)
            places(blocks, data)
            held.assert_fsck()
        inodes = {os.fstat(held.fd).st_ino for held in handles}
        assert len(inodes) == 1  # cp and others compare it
    finally:
        for held in handles:
            os.close(held.fd)


def test_nothing_is_left_of_generations_that_ended(box, disk, src, content):
    """Descriptors are given back with the last handle."""
    worker = disk.workers[0]

    def change_and_read():
        replace(box, src / "kernels/a", content(9000))
        with Held(box, disk.image) as held:
            held.blocks()
        return len(os.listdir(f"/proc/{worker}/fd"))

    few = max(change_and_read() for _ in range(3))
    # One may end a little later: a descriptor left of each would be 50.
    assert max(change_and_read() for _ in range(50)) <= few + 8


def test_no_change_no_generation(box, disk, src):
    """Looking at the tree, and reading the disk, changes nothing."""
    info = disk.mnt / "info/generation"
    before = info.read_text()
    for _ in range(3):
        with Held(box, disk.image) as held:
            held.blocks()
        box.run(["find", src, "-ls"])
        box.run(["cat", src / "data/left"], stdout=-3)
    assert info.read_text() == before
    sources.write(src, "data/another", b"")
    assert info.read_text() != before


def test_back_and_forth(box, disk, src):
    """A file that came and went leaves the tree as another generation."""
    before = listed(box, disk.image, "data")
    sources.write(src, "data/passing", b"here")
    assert cat(box, disk.image, "data/passing") == b"here"
    os.unlink(src / "data/passing")
    assert listed(box, disk.image, "data") == before
    assert cat(box, disk.image, "data/passing") is None


def test_a_writer_goes_on_by_itself(box, disk, src):
    """What it wrote is its own, and nobody opens that one to write again."""
    offset = disk.size - 4 * BLOCK
    with open(disk.image, "r+b", buffering=0) as writer:
        os.pwrite(writer.fileno(), b"mine" * 1024, offset)
        assert disk.read(offset, 4) == b"mine"
        sources.write(src, "data/another", b"")
        assert disk.read(offset, 4) == bytes(4)
        os.pwrite(writer.fileno(), b"more" * 1024, offset + BLOCK)
        os.fsync(writer.fileno())
        assert os.pread(writer.fileno(), 4, offset) == b"mine"
        assert disk.read(offset + BLOCK, 4) == bytes(4)
        path = f"/proc/self/fd/{writer.fileno()}"
        with pytest.raises(OSError) as error:
            os.close(os.open(path, os.O_RDWR))
        assert error.value.errno == errno.ESTALE
        with open(disk.image, "r+b", buffering=0) as other:
            os.pwrite(other.fileno(), b"ours" * 1024, offset)
            assert os.pread(writer.fileno(), 4, offset) == b"mine"
        assert disk.read(offset, 4) == b"ours"
