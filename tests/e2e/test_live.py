# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree changes while it is mounted: generations."""

import concurrent.futures
import mmap
import os
import pathlib
import signal
import time

import pytest

from support import judges, layout, procs, sources, trees
from support.sandbox import NOBODY

BLOCK = 4096
# KiB that AddressSanitizer keeps back (quarantine_size_mb), with its notes.
FREED = 128 << 10 if os.environ.get("DIRDISK_SANITIZED") else 0
EIO, ESTALE = 5, 116


@pytest.fixture
def src(box):
    return sources.before(sources.small(box.dir("src")))


@pytest.fixture
def disk(dirdisk, src):
    disk = dirdisk(src, None, "--no-grub", "--size=64M")
    yield disk
    disk.unmount()


def block_of(disk, path, what="file"):
    """Where the first block of an entry is on the newest disk."""
    return layout.find(disk, path, what).start


# ---- what an open gives ----


def test_the_next_open_sees_what_is_new(box, disk, src):
    """... while who has the disk open keeps all of the old one."""
    before = disk.image.read_bytes()
    with open(disk.image, "rb", buffering=0) as old:
        sources.write(src, "kernels/new", b"a new file\n")
        with judges.partition_mount(box, disk.image, 2) as point:
            assert (point / "kernels/new").read_bytes() == b"a new file\n"
            assert (point / "kernels/README").read_bytes()
        assert old.readall() == before
        (src / "kernels/new").unlink()
        with judges.partition_mount(box, disk.image, 2) as point:
            assert os.listdir(point / "kernels") == ["README"]
        assert os.pread(old.fileno(), len(before), 0) == before


def test_nothing_changed_nothing_new(disk, src):
    """Not even where a change was taken back in its contents."""
    said = (disk.mnt / "info/generation").read_text()
    for _ in range(20):
        disk.read(0, 512)
    assert (disk.mnt / "info/generation").read_text() == said
    sources.write(src, "kernels/README", b"rewritten\n")
    disk.read(0, 512)
    assert (disk.mnt / "info/generation").read_text() != said


def test_one_file_to_those_who_look(box, disk, src):
    """cp compares what it saw with what it opens; nothing is torn."""
    number = os.stat(disk.image).st_ino
    copy, last = box.root / "copy.img", None
    for n in range(10):
        sources.write(src, f"kernels/{n}")
        assert os.stat(disk.image).st_ino == number
        with open(disk.image, "rb") as file:
            assert os.fstat(file.fileno()).st_ino == number
        box.run(["cp", "--sparse=always", disk.image, copy])
        assert copy.read_bytes() != last
        last = copy.read_bytes()
    with judges.partition_mount(box, copy, 2) as point:
        assert len(os.listdir(point / "kernels")) == 11


def test_copies_while_it_changes(box, disk, src):
    """Every copy is one disk, whole."""
    stop = []

    def change():
        number = 0
        while not stop:
            sources.write(src, f"kernels/{number}")
            (src / f"kernels/{number - 25}").unlink(missing_ok=True)
            number += 1
            time.sleep(0.02)
        return number

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        try:
            for n in range(10):
                copy = box.root / f"copy{n}.img"
                box.run(["cp", disk.image, copy])
                with judges.partition_device(box, copy, 2) as device:
                    judges.assert_fsck(box, device)
                copy.unlink()
        finally:
            stop.append(True)
        assert changes.result() > 10


def test_pages_of_generations_never_mix(disk, src):
    """A hundred, all open at once: each shows its own, however it is read."""
    held, names = [], []
    for number in range(100):
        name = f"entry{number:03}".encode()
        sources.write(src, name)
        names.append(name)
        file = open(disk.image, "rb", buffering=0)
        place = block_of(disk, "/", "directory")
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert name in mapped[place : place + BLOCK]
        held.append((file, mapped, place))
    for number, (file, mapped, place) in enumerate(held):
        seen = mapped[place : place + BLOCK]
        assert [name for name in names if name in seen] == names[: number + 1]
        assert os.pread(file.fileno(), BLOCK, place) == seen
        assert layout.read_past_cache(file.fileno(), place) == seen
    # In any order.
    for file, mapped, place in held[::2] + held[1::2]:
        mapped.close()
        file.close()


def test_an_old_disk_is_clean(box, disk, src):
    """e2fsck, on what a handle leads to."""
    judged = 0
    with open(disk.image, "rb") as old:
        for number in range(200):
            sources.write(src, f"{number}/{number}", b"x" * number)
        with open(disk.image, "rb") as young:
            parts = judges.partitions(box, disk.image)
            for file in (old, young):
                for part in parts:
                    path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
                    where = f"{path}?offset={part.start * judges.SECTOR}"
                    judges.assert_fsck(box, where)
                    judged += 1
    assert judged == 4


def test_a_confined_scan_sees_all(box, disk, src):
    """The process that looks again has given up most of what it may do."""
    os.makedirs(src / "later/deep")
    sources.write(src, "later/deep/file", b"content")
    os.setxattr(src / "later/deep/file", "user.note", b"a value")
    sources.sparse(src, "later/sparse", 1 << 20, [(1 << 19, b"middle")])
    (src / "later/link").symlink_to("deep/file")
    os.link(src / "later/deep/file", src / "later/hard")
    os.mkfifo(src / "later/fifo")
    expected = trees.split(trees.snapshot(src))[1]
    judges.assert_kernel_view(box, disk.image, 2, expected)
    with judges.partition_mount(box, disk.image, 2) as point:
        value = os.getxattr(point / "later/hard", "user.note")
    assert value == b"a value"


def test_mounted_inside_of_the_source(box, dirdisk, src):
    """It never looks into itself, however often it looks."""
    (src / "mnt").mkdir()
    disk = dirdisk(src, src / "mnt", "--no-grub")
    for number in range(3):
        sources.write(src, f"kernels/{number}")
        os.utime(src)
        with judges.partition_mount(box, disk.image, 2) as point:
            assert os.listdir(point / "mnt") == []
            assert len(os.listdir(point / "kernels")) == number + 2
    disk.unmount()


# ---- writing ----


def test_writes_are_of_one_generation(disk, src):
    """An old disk stays writable for who has it so, and is his alone."""
    place = disk.size - (1 << 20)
    old = os.open(disk.image, os.O_RDWR)
    os.pwrite(old, b"before", place)
    sources.write(src, "new")
    assert disk.read(place, 6) == bytes(6)
    os.pwrite(old, b"behind", place + 512)
    os.fsync(old)
    new = os.open(disk.image, os.O_RDWR)
    os.pwrite(new, b"of new", place)
    assert os.pread(old, 6, place) == b"before"
    assert os.pread(old, 6, place + 512) == b"behind"
    assert os.pread(new, 6, place) == b"of new"
    assert os.pread(new, 6, place + 512) == bytes(6)
    # Another handle of the same disk sees the same.
    assert disk.read(place, 6) == b"of new"
    os.close(new)
    assert disk.read(place, 6) == b"of new"
    os.close(old)


def test_only_the_newest_is_opened_for_writing(disk, src):
    old = os.open(disk.image, os.O_RDWR)
    again = f"/proc/self/fd/{old}"
    os.close(os.open(again, os.O_RDWR))
    sources.write(src, "new")
    os.close(os.open(disk.image, os.O_RDWR))
    for mode in (os.O_RDWR, os.O_WRONLY):
        with pytest.raises(OSError) as error:
            os.open(again, mode)
        assert error.value.errno == ESTALE
    os.close(os.open(again, os.O_RDONLY))
    os.close(old)


def test_open_for_writing_while_it_changes(disk, src):
    """Who opens by name never sees that there are generations."""
    for number in range(100):
        sources.write(src, f"new{number}")
        with open(disk.image, "r+b", buffering=0) as file:
            file.write(b"x")


def test_owner_and_mode_stay(disk, src):
    os.chmod(disk.image, 0o600)
    os.chown(disk.image, 12, 34)
    sources.write(src, "new")
    found = os.stat(disk.image)
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (
        0o600,
        12,
        34,
    )


# ---- files that change in place ----


def lines_of(disk, word):
    text = (disk.mnt / "info/log").read_text()
    return [line for line in text.splitlines() if word in line]


def test_a_changed_file_is_an_error(disk, src):
    """... with one line for each file and generation."""
    for name in ("one", "two"):
        sources.write(src, name, b"1" * (3 * BLOCK))
    for generation in range(1, 4):
        with open(disk.image, "rb", buffering=0) as old:
            places = [block_of(disk, name) for name in ("/one", "/two")]
            for name in ("one", "two"):
                data = b"%d" % (generation + 1) * (3 * BLOCK)
                sources.write(src, name, data)
            for place in places:
                for at in range(place, place + 3 * BLOCK, BLOCK):
                    with pytest.raises(OSError) as error:
                        layout.read_past_cache(old.fileno(), at)
                    assert error.value.errno == EIO
            assert layout.read_past_cache(old.fileno(), BLOCK)
            assert len(lines_of(disk, "src/one: ")) == generation
            assert len(lines_of(disk, "src/two: ")) == generation
        assert disk.read(block_of(disk, "/one"), BLOCK) == data[:BLOCK]
    assert len(lines_of(disk, "src/")) == 6


def test_stale_serve(dirdisk, src):
    """Who prefers bytes gets them, and is told, once a generation."""
    sources.write(src, "data", b"a" * (3 * BLOCK))
    disk = dirdisk(src, None, "--no-grub", "--stale=serve")
    with open(disk.image, "rb", buffering=0) as old:
        place = block_of(disk, "/data")
        assert layout.read_past_cache(old.fileno(), place) == b"a" * BLOCK
        assert lines_of(disk, "src/data: ") == []
        sources.write(src, "data", b"b" * (3 * BLOCK))
        for at in range(place, place + 3 * BLOCK, BLOCK):
            assert layout.read_past_cache(old.fileno(), at) == b"b" * BLOCK
        assert len(lines_of(disk, "src/data: ")) == 1
    assert disk.read(block_of(disk, "/data"), BLOCK) == b"b" * BLOCK
    assert len(lines_of(disk, "src/data: ")) == 1
    disk.unmount()


# ---- a tree that cannot be shown ----


def test_a_tree_that_does_not_fit(dirdisk, src):
    """The open fails, and one line says why, until it is mended."""
    disk = dirdisk(src, None, "--no-grub", "--size=64M")
    with open(disk.image, "rb", buffering=0) as old:
        before = old.readall()
        for round_ in (1, 2):
            sources.write(src, "large", b"x" * (80 << 20))
            for _ in range(3):
                with pytest.raises(OSError) as error:
                    open(disk.image, "rb")
                assert error.value.errno == EIO
                with pytest.raises(OSError) as error:
                    (disk.mnt / "info/layout").read_bytes()
                assert error.value.errno == EIO
            assert len(lines_of(disk, "--size")) == round_
            assert os.pread(old.fileno(), len(before), 0) == before
            (src / "large").unlink()
            assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def test_the_source_is_removed(box, disk, src):
    """What is open stays; no other disk is made of nothing."""
    with open(disk.image, "rb", buffering=0) as old:
        before = layout.read_past_cache(old.fileno(), 0)
        box.run(["rm", "-r", src])
        for _ in range(3):
            with pytest.raises(OSError) as error:
                open(disk.image, "rb")
            assert error.value.errno == EIO
        assert layout.read_past_cache(old.fileno(), 0) == before
    assert len(lines_of(disk, str(src))) == 1


def test_an_ordinary_user(box, dirdisk):
    src = sources.small(box.dir("src", NOBODY))
    for path in (src / "kernels", src / "boot"):
        os.chown(path, NOBODY, NOBODY)
    disk = dirdisk(src, None, "--no-grub", user=NOBODY)
    path = disk.mnt / "info/generation"
    for number in range(1, 4):
        said = box.run(["cat", path], user=NOBODY).text
        assert said.startswith(f"number: {number}\n")
        sources.write(src, f"kernels/{number}")
    disk.unmount(user=NOBODY)


# ---- opens that wait, and what they cost ----


def test_reads_go_on_while_opens_wait(box, dirdisk, odd_source):
    """However many wait for a file system that does not answer."""
    src = box.dir("src")
    server = odd_source(src)
    held = procs.Process(server.pid)
    disk = dirdisk(src, None, "--no-grub", "--xattrs=none")
    with open(disk.image, "rb", buffering=0) as file:
        place = block_of(disk, "/", "directory")
        held.stop()
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            try:
                opens = [pool.submit(disk.read, 0, 512) for _ in range(60)]
                time.sleep(0.5)
                for n in range(200):
                    layout.read_past_cache(file.fileno(), place)
                waiting = [one for one in opens if not one.done()]
            finally:
                held.signal(signal.SIGCONT)
            assert len(waiting) == 60
            assert {len(one.result(60)) for one in opens} == {512}
    box.run(["fusermount3", "-u", disk.mnt])
    assert disk.status() == 0
    box.run(["umount", src])
    assert server.wait(20) == 0


# Threads of the server, which start when they are needed: a channel each.
CHANNELS = 16


def memory_of(pid):
    """Resident memory in KiB, and the number of open files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = [line for line in status.splitlines() if "VmRSS" in line][0]
    return int(line.split()[1]), len(os.listdir(f"/proc/{pid}/fd"))


# Each takes as long as the clock of file systems takes to move on.
GENERATIONS = 10_000


@pytest.mark.timeout(600)
def test_thousands_of_generations(disk, src):
    """Those that nobody has open any more cost nothing."""
    (pid,) = disk.workers
    levels = []
    for number in range(GENERATIONS):
        os.utime(src / "kernels", ns=(number, number))
        with open(disk.image, "rb", buffering=0) as file:
            file.read(512)
        if (number + 1) % (GENERATIONS // 10) == 0:
            levels.append(memory_of(pid))
    said = (disk.mnt / "info/generation").read_text()
    assert int(said.split()[1]) >= GENERATIONS
    first, last = levels[0], levels[-1]
    assert last[0] < first[0] + 4096 + FREED, levels
    assert last[1] <= first[1] + CHANNELS, levels


@pytest.mark.timeout(300)
def test_many_generations_held_at_once(disk, src):
    """What a thousand of them took comes back with their handles."""
    (pid,) = disk.workers
    disk.read(0, 512)
    before, held = memory_of(pid), []
    for _ in range(2):
        for number in range(300):
            sources.write(src, f"many/{number}")
            held.append(open(disk.image, "rb", buffering=0))
        high = memory_of(pid)
        while held:
            held.pop().close()
    sources.write(src, "many/last")
    disk.read(0, 512)
    # The kernel tells of what it has forgotten when it finds the time.
    end = time.monotonic() + 20
    while memory_of(pid)[1] > before[1] + CHANNELS and time.monotonic() < end:
        time.sleep(0.05)
    after = memory_of(pid)
    assert high[1] > before[1] + 300
    assert after[1] <= before[1] + CHANNELS, (before, high, after)
    assert after[0] < before[0] + 8192 + FREED, (before, high, after)


# ---- links to builds ----


def test_a_link_to_a_build_is_the_build(box, dirdisk, src):
    """... whichever way that is made anew; --no-follow shows the link."""
    build = box.dir("build")
    sources.write(build, "bzImage", b"first build")
    (src / "kernels/bzImage").symlink_to(build / "bzImage")
    disk = dirdisk(src, None, "--no-grub")

    def shown():
        with judges.partition_mount(box, disk.image, 2) as point:
            assert not (point / "kernels/bzImage").is_symlink()
            return (point / "kernels/bzImage").read_bytes()

    assert shown() == b"first build"
    with open(build / "bzImage", "wb") as file:
        file.write(b"in place")
    assert shown() == b"in place"
    sources.write(build, "new", b"by rename")
    (build / "new").rename(build / "bzImage")
    assert shown() == b"by rename"
    build.rename(box.root / "other")
    with judges.partition_mount(box, disk.image, 2) as point:
        assert (point / "kernels/bzImage").is_symlink()
    (box.root / "other").rename(build)
    assert shown() == b"by rename"
    disk.unmount()
    disk = dirdisk(src, disk.mnt, "--no-grub", "--no-follow")
    with judges.partition_mount(box, disk.image, 2) as point:
        target = os.readlink(point / "kernels/bzImage")
    assert target == str(build / "bzImage")
    disk.unmount()
