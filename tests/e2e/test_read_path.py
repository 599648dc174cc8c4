# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads that span much, or that need not reach the program at all."""

import ctypes
import mmap
import os
import pathlib
import random

import pytest

from support import seeds, sources
from support.sandbox import NOBODY

MIB = 1 << 20
BLOCK = 4096
FILES = 5000


@pytest.fixture
def many(box, dirdisk):
    """A disk of many small files, and what each one holds."""
    dice = seeds.dice(__file__)
    src, contents = sources.small(box.dir("src")), []
    for number in range(FILES):
        data = number.to_bytes(4, "big") + b"small file "
        data += dice.randbytes(dice.choice((1, 3000, 4081, 9000)))
        place = f"{number % 7}/deeper/{number % 3}" if number % 2 else "flat"
        sources.write(src, f"{place}/{number}", data)
        contents.append(data)
    disk = dirdisk(src, None, "--no-grub")
    yield disk, contents
    disk.unmount()


def read_direct(fd, buffer, offset):
    """One request of the size of the buffer, or of what there is."""
    return bytes(buffer[: os.preadv(fd, [buffer], offset)])


def test_requests_that_span_many_files(many):
    """What the files hold, at any offset, buffered and not."""
    disk, contents = many
    plain = disk.image.read_bytes()
    assert len(plain) == disk.size
    found = {}
    for offset in range(0, len(plain), BLOCK):
        if plain[offset + 4 : offset + 15] == b"small file ":
            found[int.from_bytes(plain[offset : offset + 4], "big")] = offset
    assert len(found) == FILES
    for number, data in enumerate(contents):
        padded = data + bytes(-len(data) % BLOCK)
        offset = found[number]
        assert plain[offset : offset + len(padded)] == padded, number
    buffer = mmap.mmap(-1, MIB)
    fd = os.open(disk.image, os.O_RDONLY | os.O_DIRECT)
    begin, end = min(found.values()), max(found.values())
    dice = seeds.dice(__file__)
    offsets = list(range(begin - 1, end, MIB))
    offsets += [dice.randrange(begin - MIB, end) | 1 for _ in range(60)]
    for offset in offsets:
        assert read_direct(fd, buffer, offset) == plain[offset : offset + MIB]
    os.close(fd)


def test_one_changed_file_among_many(many):
    """The requests that reach it fail; those beside it do not."""
    disk, contents = many
    fd = os.open(disk.image, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, MIB)
    place, number = 0, None
    while number is None:
        data = read_direct(fd, buffer, place)
        at = data.find(b"small file ", 200 * BLOCK)
        if at >= 0 and at % BLOCK == 4:
            number = int.from_bytes(data[at - 4 : at], "big")
            at += place - 4
        place += MIB
    paths = pathlib.Path(disk.box.root / "src").rglob(str(number))
    path = next(path for path in paths if path.is_file())
    path.write_bytes(contents[number])  # the same, but written since
    page = mmap.mmap(-1, BLOCK)
    for offset, long in (at, page), (at - 100 * BLOCK, buffer):
        with pytest.raises(OSError) as error:
            read_direct(fd, long, offset)
        assert error.value.errno == 5
    assert any(read_direct(fd, page, at - BLOCK))
    os.close(fd)


def readahead_of(image):
    device = os.stat(image).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    path = pathlib.Path("/sys/class/bdi", name, "read_ahead_kb")
    return int(path.read_text("ascii"))


@pytest.mark.parametrize("foreground", [False, True])
def test_root_reads_far_ahead(box, dirdisk, foreground):
    start = dirdisk.foreground if foreground else dirdisk
    disk = start(sources.small(box.dir("src")))
    assert readahead_of(disk.image) == 1024
    disk.unmount()


def pages_in_cache(path, length):
    """How many pages of a file's beginning the kernel has."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "r+b") as file:
        mapped = mmap.mmap(file.fileno(), length)
    there = (ctypes.c_ubyte * (length // mmap.PAGESIZE))()
    first = ctypes.c_char.from_buffer(mapped)
    failed = libc.mincore(
        ctypes.c_void_p(ctypes.addressof(first)),
        ctypes.c_size_t(length),
        there,
    )
    del first
    mapped.close()
    assert failed == 0
    return sum(page & 1 for page in there)


def test_pages_outlive_the_handle(box, dirdisk):
    """
    Read once, closed, opened again: the pages stay. Not all of them, as the
    kernel may reclaim some at any time; a cache that was dropped has none.
    """
    src = sources.small(box.dir("src"))
    sources.write(src, "data", random.Random(13).randbytes(20 * MIB))
    disk = dirdisk(src)
    length = disk.size // MIB * MIB
    with open(disk.image, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert pages_in_cache(disk.image, length) < length // 2 // BLOCK
        while file.read(MIB):
            pass
    assert pages_in_cache(disk.image, length) > length // BLOCK * 9 // 10
    with open(disk.image, "rb") as file:
        file.seek(length // 2)
        assert len(file.read(MIB)) == MIB
    assert pages_in_cache(disk.image, length) > length // BLOCK * 9 // 10
    disk.unmount()


def test_an_ordinary_user_reads_all_the_same(box, dirdisk):
    """Nothing is said about what only root may raise."""
    src = sources.small(box.dir("src", NOBODY))
    disk = dirdisk(src, None, "--no-grub", user=NOBODY)
    assert disk.launcher.text == ""
    disk.unmount()
