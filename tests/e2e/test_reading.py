# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of reading the disk gives the same bytes."""

import concurrent.futures
import json
import os
import random
import subprocess
import time

import pytest

from support import judges, seeds, sources

SEED = seeds.of(__file__)


@pytest.fixture
def dumped(box, dirdisk):
    """A disk with all kinds of blocks, and what a plain reader gets of it."""
    dice = random.Random(SEED)
    src = sources.small(box.dir("src"))
    for size in sources.SIZES:
        sources.write(src, f"boot/{size}", dice.randbytes(size))
    sources.write(src, "data", dice.randbytes(30_000_001))
    sources.sparse(src, "sparse", 9_000_000, [(5_000_000, b"middle")])
    disk = dirdisk(src)
    dump = box.root / "dump.img"
    box.run(["dd", f"if={disk.image}", f"of={dump}", "bs=1M"])
    assert dump.stat().st_size == disk.size
    yield disk, dump
    disk.unmount()


def test_blocks_are_honest(dumped):
    disk, dump = dumped
    taken = os.stat(disk.image).st_blocks * 512
    assert 33_000_000 < taken < disk.size // 2
    full = 0
    with open(dump, "rb") as file:
        while sector := file.read(512):
            full += 512 if any(sector) else 0
    assert full <= taken


def test_holes_are_holes(dumped):
    """SEEK_DATA and SEEK_HOLE leave nothing out, and much indeed."""
    disk, dump = dumped
    holes = 0
    with open(disk.image, "rb") as image, open(dump, "rb") as plain:
        offset = 0
        while offset < disk.size:
            try:
                data = os.lseek(image.fileno(), offset, os.SEEK_DATA)
            except OSError as error:
                assert error.errno == 6  # ENXIO: none to the end
                data = disk.size
            assert data >= offset
            assert not any(os.pread(plain.fileno(), data - offset, offset))
            holes += data - offset
            if data == disk.size:
                break
            offset = os.lseek(image.fileno(), data, os.SEEK_HOLE)
            assert data < offset <= disk.size
        for beyond in (disk.size, disk.size + 1):
            for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                with pytest.raises(OSError) as error:
                    os.lseek(image.fileno(), beyond, whence)
                assert error.value.errno == 6
        assert os.lseek(image.fileno(), 0, os.SEEK_END) == disk.size
    assert holes > disk.size // 2


@pytest.mark.parametrize(
    "command",
    [
        "cp --sparse=always {0} {1}",
        "cp --sparse=auto {0} {1}",
        "cp --sparse=never {0} {1}",
        "qemu-img convert -f raw -O raw {0} {1}",
        "qemu-img convert -f raw -O raw -T none -t none {0} {1}",
        "qemu-img convert -f raw -O raw -S 0 {0} {1}",
        "dd if={0} of={1} bs=1M iflag=direct",
        "dd if={0} of={1} bs=4k iflag=direct",
        "dd if={0} of={1} bs=12345",
    ],
)
def test_copies_are_the_disk(box, dumped, command):
    disk, dump = dumped
    copy = box.root / "copy.img"
    box.run(command.format(disk.image, copy).split())
    box.run(["cmp", copy, dump])
    if "sparse=auto" in command or command.endswith("O raw {0} {1}"):
        assert copy.stat().st_blocks * 512 < disk.size // 2


def test_qemu_img_map(box, dumped):
    disk, dump = dumped
    said = box.run(
        ["qemu-img", "map", "--output=json", "-f", "raw", disk.image]
    )
    runs = json.loads(said.text)
    assert sum(run["length"] for run in runs) == disk.size
    zeroes = [run for run in runs if run["zero"]]
    assert sum(run["length"] for run in zeroes) > disk.size // 2
    with open(dump, "rb") as plain:
        for run in zeroes:
            plain.seek(run["start"])
            assert not any(plain.read(run["length"]))


def test_many_readers_at_once(dumped):
    """Random ranges from several threads and handles, buffered and direct."""
    disk, dump = dumped

    def reader(seed):
        dice = random.Random(SEED + seed)
        with open(disk.image, "rb", 0) as image, open(dump, "rb", 0) as plain:
            for _ in range(300):
                length = dice.choice((1, 512, 4096, 70001, 1 << 20))
                offset = dice.randrange(disk.size - 1)
                if os.pread(image.fileno(), length, offset) != os.pread(
                    plain.fileno(), length, offset
                ):
                    return f"seed {seed}: {length} bytes at {offset}"
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader, range(8))) == [None] * 8


def test_fio_verifies(box, dirdisk):
    """fio's own checksums, written on the host, read on the disk."""
    src = sources.small(box.dir("src"))
    path = src / "pattern"
    common = ["fio", "--name=verify", "--size=48m", "--bs=16k", "--randseed=7"]
    common += ["--verify=crc32c", "--verify_fatal=1", "--verify_dump=0"]
    box.run(
        [*common, f"--filename={path}", "--rw=write", "--do_verify=0"],
        cwd=box.root,
    )
    disk = dirdisk(src)
    with judges.partition_mount(box, disk.image, 2) as point:
        for direct in (0, 1):
            done = box.run(
                [*common, f"--filename={point}/pattern", "--rw=randread"]
                + ["--readonly", "--numjobs=4", f"--direct={direct}"],
                cwd=box.root,
            )
            assert done.text.count("err= 0") == 4
    disk.unmount()


def test_fio_writes_and_verifies(box, dirdisk):
    """Several writers on parts of their own, each verified as it goes."""
    disk = dirdisk(sources.small(box.dir("src")))
    done = box.run(
        ["fio", "--name=overlay", f"--filename={disk.image}", "--size=12m"]
        + ["--offset=60m", "--offset_increment=16m", "--numjobs=4"]
        + ["--rw=randwrite", "--bsrange=512-64k", "--bs_unaligned"]
        + ["--fsync=50", "--verify=crc32c", "--verify_fatal=1"]
        + ["--verify_dump=0", "--allow_file_create=0"],
        cwd=box.root,
    )
    assert done.text.count("err= 0") == 4
    disk.unmount()


def test_reading_ahead_of_a_stopped_reader(box, dumped):
    """A reader that is killed in the middle costs nobody else anything."""
    disk, dump = dumped
    for _ in range(5):
        reader = box.start(["cat", str(disk.image)], stdout=subprocess.DEVNULL)
        time.sleep(0.02)
        reader.kill()
        reader.wait()
    box.run(["cmp", disk.image, dump])
