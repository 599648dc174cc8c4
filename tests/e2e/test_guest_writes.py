# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest writes: it finds its data, and the source never does."""

import errno
import hashlib
import mmap
import os
import random
import time

import pytest

from support import judges, layout, seeds, sources, trees
from support.machine import Machine, article_line, virtio_line

WRITTEN = (b"dirdisk\n" * (10485760 // 8 + 1))[:10485760]


@pytest.fixture
def source(box, guest):
    return guest.add(sources.small(box.dir("src")))


@pytest.mark.timeout(400)
def test_guest_finds_what_it_wrote(box, dirdisk, source):
    """In its own boot, in the next one, and seen from the host."""
    before = trees.fingerprint(source)
    disk = dirdisk(source, None, "--append=dirdisk.run=write")
    with Machine(box, article_line(disk.image)) as qemu:
        qemu.expect("DIRDISK-WRITE-(OK|FAILED)")
        assert qemu.child.match[1] == "OK"
        qemu.shell()
        qemu.shell("mount /dev/sda2 /mnt && mv /mnt/written /mnt/kept")
        qemu.shell("umount /mnt")
    with Machine(box, virtio_line(disk.image)) as qemu:
        qemu.expect("DIRDISK-WRITE-(OK|FAILED)")
        assert qemu.child.match[1] == "OK"
        qemu.shell()
        seen = qemu.shell("mount /dev/vda2 /mnt; sha256sum /mnt/kept/file")
        assert hashlib.sha256(WRITTEN).hexdigest() in seen
    with judges.partition_mount(box, disk.image, 2) as point:
        assert (point / "kept" / "file").read_bytes() == WRITTEN
        assert (point / "written" / "file").read_bytes() == WRITTEN
    disk.unmount()
    assert trees.fingerprint(source) == before

    disk = dirdisk(source, disk.mnt)
    with judges.partition_mount(box, disk.image, 2) as point:
        assert sorted(os.listdir(point)) == ["kernels", "lost+found"]
    disk.unmount()
    assert trees.fingerprint(source) == before


def test_kernel_of_the_host_writes(box, dirdisk):
    """Linux writes through a loop device; e2fsck is content afterwards."""
    src = sources.small(box.dir("src"))
    data = random.Random(3).randbytes(3_000_001)
    sources.write(src, "old", data)
    before = trees.fingerprint(src)
    disk = dirdisk(src)
    with judges.partition_mount(box, disk.image, 2, writable=True) as point:
        (point / "new").mkdir()
        (point / "new" / "file").write_bytes(data)
        os.rename(point / "old", point / "new" / "moved")
        os.remove(point / "kernels" / "README")
        for n in range(400):
            (point / "new" / f"many-{n}").touch()
    for number in (1, 2):
        with judges.partition_device(box, disk.image, number) as device:
            judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        assert (point / "new" / "file").read_bytes() == data
        assert (point / "new" / "moved").read_bytes() == data
        assert len(os.listdir(point / "new")) == 402
        assert os.listdir(point / "kernels") == []
    disk.unmount()
    assert trees.fingerprint(src) == before


def test_writes_of_any_size_and_place(box, dirdisk):
    """Random writes read back as they would from a plain file."""
    dice = seeds.dice(__file__)
    disk = dirdisk(sources.small(box.dir("src")))
    plain = box.root / "plain.img"
    box.run(["cp", "--sparse=always", disk.image, plain])
    with open(disk.image, "r+b", 0) as one, open(plain, "r+b", 0) as two:
        for _ in range(400):
            length = dice.choice(
                (1, 511, 512, 4095, 4096, 4097, 70000, 1 << 20)
            )
            offset = dice.randrange(disk.size - length + 1)
            if dice.random() < 0.5:
                offset -= offset % 4096
            data = dice.randbytes(length)
            for file in (one, two):
                assert os.pwrite(file.fileno(), data, offset) == length
        os.fsync(one.fileno())
    box.run(["cmp", disk.image, plain])
    box.run(
        ["qemu-img", "compare", "-f", "raw", "-F", "raw", disk.image, plain]
    )
    box.run(
        [
            "dd",
            f"if={disk.image}",
            f"of={box.root}/copy",
            "bs=1M",
            "iflag=direct",
        ]
    )
    box.run(["cmp", box.root / "copy", plain])
    disk.unmount()


def test_two_handles_see_one_disk(box, dirdisk):
    disk = dirdisk(sources.small(box.dir("src")))
    with open(disk.image, "r+b", 0) as one, open(disk.image, "rb", 0) as two:
        os.pwrite(one.fileno(), b"seen", 1_000_000)
        assert os.pread(two.fileno(), 4, 1_000_000) == b"seen"
    assert disk.read(1_000_000, 4) == b"seen"
    disk.unmount()


def test_fsync_and_shared_mapping(box, dirdisk):
    """The barriers a guest sends, and a write through a mapping."""
    disk = dirdisk(sources.small(box.dir("src")))
    with open(disk.image, "r+b", 0) as file:
        os.pwrite(file.fileno(), b"a" * 8192, 4096)
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
        with mmap.mmap(file.fileno(), 1 << 20) as shared:
            shared[12345:12350] = b"below"
            shared.flush()
    fd = os.open(disk.image, os.O_RDWR | os.O_DSYNC)
    os.pwrite(fd, b"dsync", 999)
    os.close(fd)
    assert disk.read(12345, 5) == b"below" and disk.read(999, 5) == b"dsync"
    disk.unmount()


def test_the_disk_keeps_its_size(box, dirdisk):
    """No write behind the end, no truncation: it is a disk."""
    disk = dirdisk(sources.small(box.dir("src")))
    size = disk.size
    with open(disk.image, "r+b", 0) as file:
        for offset in (size, size + 1, size + (1 << 30)):
            with pytest.raises(OSError) as error:
                os.pwrite(file.fileno(), b"x", offset)
            assert error.value.errno in (errno.ENOSPC, errno.EFBIG, errno.EIO)
        with pytest.raises(OSError):
            os.ftruncate(file.fileno(), size // 2)
        with pytest.raises(OSError):
            os.ftruncate(file.fileno(), size + 4096)
    assert disk.size == size
    # QEMU and shells open with O_TRUNC at times; that must not end the disk.
    with pytest.raises(OSError):
        open(disk.image, "wb").close()
    assert disk.size == size and disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def disk_over(box, dirdisk, directory, *options):
    """A disk whose writes are stored in that directory."""
    env = box.environment(TMPDIR=str(directory))
    return dirdisk(sources.small(box.dir("src")), None, *options, env=env)


@pytest.mark.parametrize(
    "place", ["nowhere", "file", "read-only", "closed", "/proc"]
)
def test_no_temporary_directory(box, dirdisk, place):
    """One that is set and cannot be used is not replaced in silence."""
    path = box.root / place
    if place == "closed":  # to root too, without its capabilities
        path.mkdir(0o500)
    if place == "file":
        path.touch()
    if place == "read-only":
        path = box.tmpfs(place, "ro")
    disk = disk_over(box, dirdisk, path)
    (said,) = (
        line for line in disk.launcher.text.splitlines() if "TMPDIR" in line
    )
    assert said.startswith(f"dirdisk: {path}: ") and "/tmp" in said
    with open(disk.image, "r+b", 0) as file:
        os.pwrite(file.fileno(), b"there", START)
    assert disk.read(START, 5) == b"there"
    disk.unmount()


def test_full_temporary_directory(box, dirdisk):
    """ENOSPC to the writer; the daemon lives, and what was written stays."""
    tiny = box.tmpfs("tiny", "size=1m")
    disk = disk_over(box, dirdisk, tiny, "--overlay-limit=1G")
    start = disk.read(0, 4096)
    written = 0
    with open(disk.image, "r+b", 0) as file:
        with pytest.raises(OSError) as error:
            for n in range(1000):
                offset = (60000 + n * 16) * 512
                os.pwrite(file.fileno(), bytes([n % 255 + 1]) * 8192, offset)
                written += 1
        assert error.value.errno == errno.ENOSPC
        assert 0 < written < 129
        for n in range(written):
            data = os.pread(file.fileno(), 8192, (60000 + n * 16) * 512)
            assert data == bytes([n % 255 + 1]) * 8192
        assert os.pread(file.fileno(), 4096, 0) == start
        # What has its place already can still be written.
        os.pwrite(file.fileno(), b"again", 60000 * 512)
    assert disk.read(60000 * 512, 5) == b"again"
    assert trees.digest(disk.image, trust_holes=False)
    disk.unmount()


# ---- --overlay-limit ----

PIECE = 8192
START = 60000 * 512


def write_pieces(fd, first, count, byte):
    """Pieces until there is no room for one, or count; how many."""
    for n in range(first, first + count):
        try:
            os.pwrite(fd, bytes([byte]) * PIECE, START + n * PIECE)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            return n - first
    return count


def limit_lines(disk):
    text = (disk.mnt / "info/log").read_text()
    return [line for line in text.splitlines() if "--overlay-limit" in line]


def test_limit(box, dirdisk):
    """ENOSPC to the write that is too much; all before it stays."""
    src = sources.small(box.dir("src"))
    disk = dirdisk(src, None, "--overlay-limit=1M", "--no-grub")
    before = disk.read(START + 128 * PIECE, PIECE)
    with open(disk.image, "r+b", 0) as file:
        assert write_pieces(file.fileno(), 0, 1000, 1) == 128
        assert len(limit_lines(disk)) == 1
        # What is stored already costs nothing.
        assert write_pieces(file.fileno(), 0, 1000, 2) == 128
        os.fsync(file.fileno())
        for n in range(128):
            at = START + n * PIECE
            held = os.pread(file.fileno(), PIECE, at)
            assert held == b"\2" * PIECE
            assert layout.read_past_cache(file.fileno(), at) == held[:4096]
        assert os.pread(file.fileno(), PIECE, START + 128 * PIECE) == before
        with pytest.raises(OSError) as error:
            os.pwrite(file.fileno(), b"part", 512 * 2048)
        assert error.value.errno == errno.ENOSPC
    assert len(limit_lines(disk)) == 1
    disk.unmount()


def test_generations_share_the_limit(box, dirdisk):
    """Until one ends, which gives back what it had."""
    src = sources.small(box.dir("src"))
    disk = dirdisk(src, None, "-o", "overlay-limit=1024K", "--no-grub")
    with open(disk.image, "r+b", 0) as old:
        assert write_pieces(old.fileno(), 0, 100, 1) == 100
        sources.write(src, "new", b"another generation")
        with open(disk.image, "r+b", 0) as new:
            assert write_pieces(new.fileno(), 0, 1000, 2) == 28
            assert write_pieces(old.fileno(), 100, 1, 1) == 0
            assert os.pread(old.fileno(), 9, START) == b"\1" * 9
            assert len(limit_lines(disk)) == 1
            old.close()
            # The kernel tells of the last close a moment later.
            written = 28
            end = time.monotonic() + 60
            while written < 128 and time.monotonic() < end:
                written += write_pieces(new.fileno(), written, 1000, 2)
                time.sleep(0.01)
            assert written == 128
            for n in range(128):
                data = os.pread(new.fileno(), PIECE, START + n * PIECE)
                assert data == b"\2" * PIECE
    assert len(limit_lines(disk)) == 1
    disk.unmount()


def test_reserve_of_the_temporary_directory(box, dirdisk):
    """Without the option, 256 MiB of it stay free, whoever takes the rest."""
    room = box.tmpfs("room", "size=272m")
    disk = disk_over(box, dirdisk, room, "--no-grub")
    (room / "other").write_bytes(b"x" * (8 << 20))
    with open(disk.image, "r+b", 0) as file:
        written = write_pieces(file.fileno(), 0, 4000, 1)
        assert 7 << 20 <= written * PIECE <= 8 << 20
        assert len(limit_lines(disk)) == 1
        found = os.statvfs(room)
        assert found.f_bavail * found.f_frsize >= 255 << 20
        os.remove(room / "other")
        more = write_pieces(file.fileno(), written, 4000, 1)
        assert 15 << 20 <= (written + more) * PIECE <= 16 << 20
    disk.unmount()


def test_temporary_directory_smaller_than_the_reserve(box, dirdisk):
    """Nothing can be written, and the log says what to do."""
    tiny = box.tmpfs("tiny", "size=64m")
    disk = disk_over(box, dirdisk, tiny, "--no-grub")
    start = disk.read(START, PIECE)
    with open(disk.image, "r+b", 0) as file:
        assert write_pieces(file.fileno(), 0, 10, 1) == 0
    assert disk.read(START, PIECE) == start
    assert "TMPDIR" in limit_lines(disk)[0]
    disk.unmount()


def test_temporary_directory_that_becomes_read_only(box, dirdisk):
    """Reads work; a write is an error, and the daemon lives on."""
    tmp = box.tmpfs("became-read-only")
    disk = disk_over(box, dirdisk, tmp)
    box.mount("-o", "remount,ro", tmp)
    with open(disk.image, "r+b", 0) as file:
        for _ in range(2):
            with pytest.raises(OSError) as error:
                os.pwrite(file.fileno(), b"x" * 4096, 1 << 20)
            assert error.value.errno in (errno.EROFS, errno.EIO)
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()
