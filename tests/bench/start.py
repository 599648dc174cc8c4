# SPDX-License-Identifier: GPL-3.0-or-later
"""From exec until the first sector of the image can be read."""

import functools
import os
import signal
import socket
import time
from statistics import median

import child
import disk
import table

# As much as mke2fs -d and linuxdisk need for the inodes of either tree; both
# images are sparse, so the size costs them nothing.
FREE = 4 << 30


def contents(src):
    """(entries, bytes) below src."""
    entries = size = 0
    for _, directories, files, fd in os.fwalk(src):
        entries += len(directories) + len(files)
        size += sum(os.stat(name, dir_fd=fd).st_size for name in files)
    return entries, size


def small_files(src, count):
    """count files of 512 bytes in 100 directories."""
    for number in range(count):
        directory = src / f"{number % 100:02}"
        if number < 100:
            directory.mkdir()
        with open(directory / f"{number:06}", "wb") as file:
            file.write(b"%08d" % number * 64)
    return src


class Contestants:
    """Each method starts one, sees its first sector, ends it: a Run."""

    def __init__(self, bench, src):
        self.bench = bench
        self.src = src

    @functools.cached_property
    def size(self):
        return contents(self.src)[1] + FREE

    def find(self):
        """The floor: every entry's attributes, and nothing done with them."""
        return self.timed(["find", self.src, "-printf", r"%i %s %T@ %m %p\n"])

    def dirdisk(self, *options):
        mount = disk.Mount(self.bench, self.src, *options)
        ended = mount.end()
        return table.Run(
            mount.seconds,
            sum(process.cpu for process in ended),
            sum(process.stored for process in ended),
        )

    def no_grub(self):
        return self.dirdisk("--no-grub")

    def version(self):
        """What the program and its libraries take to be loaded."""
        return self.timed([self.bench.program, "--version"])

    @staticmethod
    def timed(argv):
        begin = time.perf_counter()
        ended = child.run(argv)
        return table.Run(time.perf_counter() - begin, ended.cpu)

    def mke2fs(self):
        """A file system alone: no partitions, nothing that boots."""
        image = self.bench.root / "mke2fs.img"
        argv = ["mke2fs", "-q", "-t", "ext2", "-d", self.src, image]
        begin = time.perf_counter()
        ended = child.run([*argv, f"{self.size >> 10}k"])
        disk.touch(image)
        seconds = time.perf_counter() - begin
        image.unlink()
        return table.Run(seconds, ended.cpu, ended.stored)

    def linuxdisk(self):
        """One partition, nothing that boots."""
        path = self.bench.root / "nbd"
        argv = ["nbdkit", "-f", "-U", path, "linuxdisk", f"dir={self.src}"]
        env = {"TMPDIR": str(self.bench.root)}
        begin = time.perf_counter()
        server = child.spawn([*argv, f"size=+{FREE}"], env=env)
        with nbd_connect(path, server) as client:
            assert nbd_read(client, 0, 512)[0x1FE:] == b"\x55\xaa"
            seconds = time.perf_counter() - begin
        os.kill(server, signal.SIGTERM)
        ended = child.wait(server)
        path.unlink(missing_ok=True)
        return table.Run(seconds, ended.cpu, ended.stored)


# ---- as much of the NBD protocol as one read takes ----


def nbd_connect(path, server):
    """Connects as soon as the server listens; it is ready then."""
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(path))
            break
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
        gone = os.waitid(
            os.P_PID, server, os.WEXITED | os.WNOHANG | os.WNOWAIT
        )
        assert gone is None, "nbdkit ended"
        time.sleep(0.001)
    greeting = nbd_receive(client, 18)
    assert greeting[:16] == b"NBDMAGICIHAVEOPT"
    # Fixed newstyle, no zeroes; option 1: the export of no name.
    flags, option, length = (n.to_bytes(4, "big") for n in (3, 1, 0))
    client.sendall(flags + b"IHAVEOPT" + option + length)
    nbd_receive(client, 10)
    return client


def nbd_receive(client, length):
    data = b""
    while len(data) < length:
        piece = client.recv(length - len(data))
        assert piece, "nbdkit hung up"
        data += piece
    return data


def nbd_read(client, offset, length):
    request = bytes.fromhex("25609513") + bytes(12)
    client.sendall(
        request + offset.to_bytes(8, "big") + length.to_bytes(4, "big")
    )
    reply = nbd_receive(client, 16)
    assert reply[:8] == bytes.fromhex("67446698") + bytes(4)
    return nbd_receive(client, length)


# ---- the measure ----


def compare(bench, name, src, runs):
    entries, size = contents(src)
    table.title(
        f"start: {name} ({entries} entries, {table.amount(size)}), "
        f"median of {runs}"
    )
    run = Contestants(bench, src)
    found = table.turns(
        {
            "dirdisk": run.dirdisk,
            "dirdisk --no-grub": run.no_grub,
            "dirdisk --version": run.version,
            "mke2fs -d (does not boot)": run.mke2fs,
            "nbdkit linuxdisk (does not boot)": run.linuxdisk,
            "find -printf (names, attributes)": run.find,
        },
        runs,
    )
    table.show(found, "dirdisk")
    phases(*list(found.values())[:3])
    return found


def phases(full, no_grub, version):
    """Where dirdisk's time goes, as differences of medians."""
    full, no_grub, version = (
        median(run.seconds for run in runs) * 1000
        for runs in (full, no_grub, version)
    )
    table.note(
        f"dirdisk: {version:.1f} ms to be loaded, {no_grub - version:.1f} to "
        f"scan, plan and mount, {full - no_grub:.1f} for GRUB"
    )


def goal(what, found):
    """Whoever makes a copy must be slower: the worst ratio is below 1."""
    worst = max(
        table.ratio(found[what], runs)
        for name, runs in found.items()
        if name.startswith(("mke2fs", "nbdkit"))
    )
    return table.goal(
        f"{what} sooner than mke2fs -d and nbdkit ({worst:.3f})", worst < 1
    )


def measure(bench):
    kernels = bench.guest.add(bench.dir("kernels-tree"))
    many = small_files(bench.dir("many"), bench.files)
    found = compare(bench, "a kernel and its initrd", kernels, 3 * bench.runs)
    few_held = goal("dirdisk", found)
    found = compare(bench, "many small files", many, bench.runs)
    return goal("dirdisk", found) and few_held
