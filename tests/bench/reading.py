# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the disk, beside what FUSE costs, other servers and plain files.

All of it lies on a tmpfs: nothing that is measured waits for storage.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import time
from statistics import median

import child
import disk
import table

BLOCK = 4096
LARGE = 1 << 30
SMALL_SIZE = 3000
# Longer than any server takes to show its file.
PATIENCE = 20
READAHEAD_KB = "1024"


def tool(variable):
    """A program that was built for this benchmark."""
    path = os.environ.get(variable)
    assert path, f"{variable} must name a program; meson sets it"
    return path


# ---- fio ----

# name: (options, counted in reads a second, not in bytes)
LOADS = {
    "4k": ("--rw=randread --bs=4k --direct=1 --ioengine=psync", True),
    "4k32": (
        "--rw=randread --bs=4k --direct=1 --ioengine=libaio --iodepth=32",
        True,
    ),
    "64k8": (
        "--rw=randread --bs=64k --direct=1 --ioengine=libaio --iodepth=8",
        True,
    ),
    "1m": ("--rw=read --bs=1m --direct=1 --ioengine=psync", False),
    "cold": ("--rw=read --bs=1m --ioengine=psync --invalidate=1", False),
    "again": (
        "--rw=read --bs=1m --ioengine=psync --invalidate=0 --loops=4",
        False,
    ),
}
NAMES = {
    "4k": "O_DIRECT 4 KiB, depth 1",
    "4k32": "O_DIRECT 4 KiB, depth 32",
    "64k8": "O_DIRECT 64 KiB, depth 8",
    "1m": "O_DIRECT 1 MiB",
    "cold": "buffered 1 MiB, cold",
    "again": "buffered 1 MiB, opened again",
}
SHORT = {"4k", "4k32", "64k8"}  # for a time, not to the end


def fio(path, load, start):
    """Reads, or bytes, a second."""
    options, by_reads = LOADS[load]
    argv = ["fio", "--name=x", f"--filename={path}", "--readonly"]
    argv += ["--thread", f"--offset={start}", f"--size={LARGE}"]
    argv += ["--output-format=json", "--norandommap", *options.split()]
    argv += ["--allow_file_create=0"]
    if load in SHORT:
        argv += ["--time_based", "--runtime=700ms"]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    read = json.loads(done.stdout)["jobs"][0]["read"]
    return read["iops"] if by_reads else read["bw_bytes"]


# ---- servers ----


def await_file(path, process):
    """Waits until a server shows its file, with all of its bytes."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, f"{path}: the server ended"
        try:
            if path.stat().st_size >= LARGE:
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"{path}: the server does not show it")


class Server:
    """A FUSE server of one file, by others, until its `with` ends."""

    def __init__(self, argv, point, path):
        self.point = point
        self.path = path
        self.process = subprocess.Popen(
            [os.fspath(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def __enter__(self):
        await_file(self.path, self.process)
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.point], check=False)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


def plain(bench, raw):
    point = bench.dir("plain-mnt")
    program = tool("DIRDISK_PLAIN_FUSE")
    return Server([program, raw, point], point, point / "disk.img")


def nbdfuse(bench, raw):
    point = bench.dir("nbd-mnt")
    path = point / "disk.img"
    command = ["nbdkit", "-s", "--exit-with-parent", "file", raw]
    argv = ["nbdfuse", "-r", path, "--command", *command]
    return Server(argv, point, path)


def storage_daemon(bench, raw):
    point = bench.root / "qsd.img"
    point.write_bytes(b"")
    node = f"driver=file,node-name=disk,read-only=on,filename={raw}"
    export = f"type=fuse,id=e,node-name=disk,mountpoint={point}"
    argv = ["qemu-storage-daemon", "--blockdev", node, "--export", export]
    return Server(argv, point, point)


def raise_readahead(path):
    """What dirdisk does to its own mount: the server is what is compared."""
    device = os.stat(path).st_dev
    bdi = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}"
    pathlib.Path(bdi, "read_ahead_kb").write_text(READAHEAD_KB, "ascii")


# ---- large files ----


def turns(contestants, runs):
    """{name: [figure, ...]}, by turns; the first one warms up."""
    found = {name: [] for name in contestants}
    for turn in range(runs + 1):
        for name, function in contestants.items():
            figure = function()
            if turn:
                found[name].append(figure)
    return found


def ratio(figures, others):
    """The median of what neighbours in time are to each other."""
    return median(a / b for a, b in zip(figures, others))


def show(load, found):
    """A line for each load; ratios are of dirdisk to the other."""
    mine, *others = found.items()
    scale, unit = (1e3, "k/s") if LOADS[load][1] else (1e6, "MB/s")
    table.line(NAMES[load], f"{median(mine[1]) / scale:.1f}", unit)
    for name, figures in others:
        table.line(
            f"    {name}",
            f"{median(figures) / scale:.1f}",
            unit,
            f"{ratio(mine[1], figures):.2f}",
        )
    return {name: ratio(mine[1], figures) for name, figures in others}


def goals(load, ratios, least):
    held = True
    for name, want in least.items():
        found = ratios[name]
        text = f"{NAMES[load]}: {want} of {name} ({found:.2f})"
        held &= table.goal(text, found >= want)
    return held


def against(load, places, runs, least):
    """places: {name: (path, where the bytes begin)}."""

    def reader(path, start):
        return lambda: fio(path, load, start)

    found = turns(
        {name: reader(*place) for name, place in places.items()}, runs
    )
    return goals(load, show(load, found), least)


def large_file(bench):
    """All serve the same file: not even its place in memory differs."""
    large = bench.dir("large-tree") / "large"
    make_large(large, LARGE)
    held = True
    with disk.Mount(bench, large.parent, "--no-grub") as mount:
        mine = mount.image, find_data(mount.image)
        with plain(bench, large) as bare:
            raise_readahead(bare)
            places = {"dirdisk": mine, "a bare FUSE server": (bare, 0)}
            least = {"a bare FUSE server": 0.9}
            for load in "4k", "4k32", "64k8", "1m", "cold":
                held &= against(load, places, bench.runs + 2, least)
        places = {"dirdisk": mine, "the raw file": (large, 0)}
        least = {"the raw file": 0.9}
        held &= against("again", places, bench.runs, least)
        with nbdfuse(bench, large) as nbd, storage_daemon(bench, large) as qsd:
            places = {
                "dirdisk": mine,
                "nbdkit + nbdfuse": (nbd, 0),
                "qemu-storage-daemon": (qsd, 0),
            }
            for load, wanted in ("4k32", (5, 3)), ("1m", (2, 3)):
                least = dict(zip(list(places)[1:], wanted))
                held &= against(load, places, bench.runs, least)
    large.unlink()
    return held


def pattern():
    return random.Random(1).randbytes(1 << 20)


def make_large(path, size):
    block = pattern()
    with open(path, "wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])


def find_data(image):
    """Where on the disk the large file begins."""
    want = (0).to_bytes(8, "big") + pattern()[8:64]
    fd = os.open(image, os.O_RDONLY)
    offset = os.lseek(fd, 0, os.SEEK_DATA)
    while os.pread(fd, len(want), offset) != want:
        offset += BLOCK
        assert offset < LARGE, f"{image}: the file is not on the disk"
    os.close(fd)
    return offset


# ---- a large disk that is almost empty ----


def timed(argv, out="/dev/null", **more):
    begin = time.perf_counter()
    ended = child.run(argv, out=out, **more)
    return table.Run(time.perf_counter() - begin, ended.cpu)


def sparse_copies(bench):
    src = bench.dir("sparse-tree")
    make_large(src / "large", LARGE)
    raw, copy = bench.root / "sparse.img", bench.root / "copy.img"
    held = True
    table.title("copying a disk of 1 TiB with 1 GiB of data")
    with disk.Mount(bench, src, "--no-grub", "--size=1T") as mount:
        child.call("cp", "--sparse=always", str(mount.image), str(raw))
        for name, command in (
            ("cp", ["cp", "--sparse=auto"]),
            ("qemu-img convert", "qemu-img convert -f raw -O raw".split()),
        ):

            def of(path, command=command):
                def run():
                    drop_pages(path)
                    found = timed([*command, path, copy])
                    copy.unlink()
                    return found

                return run

            found = table.turns(
                {
                    f"{name} of disk.img": of(mount.image),
                    f"{name} of the raw file": of(raw),
                },
                3,
            )
            table.show(found, f"{name} of the raw file")
            slower = table.ratio(*found.values())
            text = f"{name}: at most 3 times the raw file ({slower:.2f})"
            held &= table.goal(text, slower <= 3)
    raw.unlink()
    (src / "large").unlink()
    return held


def drop_pages(path):
    """Leaves nothing of a file in the page cache; a tmpfs keeps its own."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


# ---- many small files ----


def small_files(src, count):
    data = random.Random(2).randbytes(SMALL_SIZE)
    names = []
    for number in range(count):
        directory = src / f"{number % 100:02}"
        if number < 100:
            directory.mkdir()
        path = directory / f"{number:06}"
        path.write_bytes(data)
        names.append(os.fspath(path))
    names.sort()
    return names


def many_small(bench):
    src = bench.dir("small-tree")
    names = small_files(src, bench.files)
    listed = bench.root / "names"
    listed.write_text("\n".join(names) + "\n", "utf-8")
    program = tool("DIRDISK_READ_ALL")
    table.title(f"all data of {len(names)} files of {SMALL_SIZE} bytes")
    with disk.Mount(bench, src, "--no-grub") as mount:

        def from_disk():
            drop_pages(mount.image)
            before = mount.cpu()
            run = timed([program, mount.image])
            return run._replace(cpu=run.cpu + mount.cpu() - before)

        def from_files():
            return timed(["sh", "-c", f'exec "{program}" - <"{listed}"'])

        found = table.turns(
            {"through disk.img": from_disk, "file by file": from_files},
            bench.runs,
        )
    table.show(found, "file by file")
    slower = table.ratio(*found.values())
    return table.goal(
        f"at most 1.5 times the files themselves ({slower:.2f})",
        slower <= 1.5,
    )


# ---- the measure ----


def measure(bench):
    child.call("mount", "-t", "tmpfs", "-o", "size=8g", "tmpfs", str(bench.root))
    try:
        table.title("reads of a file of 1 GiB on the disk")
        held = large_file(bench)
        held &= sparse_copies(bench)
        return many_small(bench) and held
    finally:
        subprocess.run(["umount", "-l", bench.root], check=False)
