# SPDX-License-Identifier: GPL-3.0-or-later
"""info/: what dirdisk says of the disk; and the disk under another name."""

import concurrent.futures
import errno
import os
import random
import re
import stat
import sys
import time

import pexpect
import pytest

from support import judges, layout, sources
from support.runs import kernel
from support.sandbox import NOBODY

FILES = ["boot", "generation", "kernels", "layout", "log", "menu"]


def test_the_directory(disk):
    info = disk.mnt / "info"
    assert sorted(os.listdir(info)) == FILES
    assert stat.S_IMODE(info.stat().st_mode) == 0o555
    numbers = {entry.inode() for entry in os.scandir(info)}
    numbers |= {info.stat().st_ino, disk.mnt.stat().st_ino}
    numbers |= {disk.image.stat().st_ino}
    assert len(numbers) == len(FILES) + 3
    for entry in os.scandir(info):
        found = os.stat(entry)
        assert entry.is_file() and found.st_ino == entry.inode()
        assert stat.S_IMODE(found.st_mode) == 0o444
        assert (found.st_size, found.st_blocks, found.st_nlink) == (0, 0, 1)
    assert info.stat().st_ino in {
        entry.inode() for entry in os.scandir(disk.mnt)
    }
    with pytest.raises(FileNotFoundError):
        os.stat(info / "other")
    with pytest.raises(FileNotFoundError):
        os.stat(info / "disk.img")
    with pytest.raises(FileNotFoundError):
        os.stat(disk.mnt / "log")


def test_nothing_can_be_changed(disk):
    info = disk.mnt / "info"
    path = info / "menu"
    for forbidden in (
        lambda: (info / "new").touch(),
        lambda: (info / "dir").mkdir(),
        lambda: path.unlink(),
        lambda: info.rmdir(),
        lambda: path.rename(info / "other"),
        lambda: info.rename(disk.mnt / "other"),
        lambda: path.write_text("x"),
        lambda: open(path, "r+b"),
        lambda: open(path, "wb"),
        lambda: os.truncate(path, 0),
        lambda: path.chmod(0o777),
        lambda: info.chmod(0o777),
        lambda: os.utime(path),
    ):
        with pytest.raises(OSError) as error:
            forbidden()
        assert error.value.errno in (
            errno.EPERM,
            errno.EACCES,
            errno.ENOTEMPTY,
        )


def test_ways_to_read(box, disk):
    """By all sorts of programs, and in pieces."""
    path = disk.mnt / "info/layout"
    whole = path.read_bytes()
    assert len(whole) > 10_000
    copy = box.root / "copy"
    for program in ("cp", "cp --sparse=always", "dd bs=77", "cat"):
        if program.startswith("dd"):
            box.run([*program.split(), f"if={path}", f"of={copy}"])
        elif program == "cat":
            copy.write_bytes(box.run(["cat", path]).data)
        else:
            box.run([*program.split(), path, copy])
        assert copy.read_bytes() == whole, program
    with open(path, "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 1000) == whole[1000:1100]
        assert os.pread(file.fileno(), 100, len(whole)) == b""
        assert os.pread(file.fileno(), 100, len(whole) - 1) == b"\n"
        assert file.readall() == whole
        with pytest.raises(OSError):
            os.lseek(file.fileno(), 0, os.SEEK_DATA)
    # What holds for these files does not for the disk.
    with open(disk.image, "rb") as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) < disk.size


def test_layout(box, disk, src):
    """It tiles the disk, and says where a file's bytes are."""
    sources.write(src, "kernels/a\nb\\c", b"a name of bytes")
    sources.write(src, "data", b"d" * 10_000)
    found = layout.regions(disk)
    assert found[0].start == 0 and found[-1].end == disk.size
    for one, next_ in zip(found, found[1:]):
        assert one.end == next_.start and one.start < one.end
    kinds = {region.kind for region in found}
    assert kinds == {"zero", "bytes", "render", "file"}
    parts = judges.partitions(box, disk.image)
    for region in found:
        if region.partition:
            part = parts[region.partition - 1]
            assert region.start >= part.start * 512
            assert region.end <= (part.start + part.size) * 512
        if region.kind == "zero":
            assert not any(disk.read(region.start, 4096))
    data = layout.find(disk, "/data", "file")
    assert disk.read(data.start, 10_000) == b"d" * 10_000
    odd = layout.find(disk, "/kernels/a\\x0ab\\x5cc", "file")
    assert disk.read(odd.start, 15) == b"a name of bytes"
    assert layout.find(disk, "/boot/note", "file", 1)


# ---- a large tree: its layout is never held as a whole ----

LINKS = 200_000
HANDLES = 50


def many_links(box, count):
    """A block for each of many symbolic links, in forty directories.

    They are the cheapest entries with a block of their own; in a tmpfs, for
    that is gone at once.
    """
    src = box.tmpfs("large", f"size=1g,nr_inodes={count + 1000}")
    for d in range(40):
        where = src / f"directory\t{d:02}"
        where.mkdir()
        parent = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
        for n in range(count // 40):
            name = f"a link {n}\\" + "x" * (n % 40)
            os.symlink("t" * 80, name, dir_fd=parent)
        os.close(parent)
    return src


@pytest.fixture
def large(box):
    return many_links(box, LINKS)


# KiB; AddressSanitizer keeps what was freed for a while.
GROWN = (64 if os.environ.get("DIRDISK_SANITIZED") else 8) * 1024


def memory(disk, field):
    """KiB that the worker takes."""
    (worker,) = disk.workers
    with open(f"/proc/{worker}/status") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read())[1])


def reset_peak(disk):
    (worker,) = disk.workers
    with open(f"/proc/{worker}/clear_refs", "w") as file:
        file.write("5")


def fill_buffers(disk):
    """Each thread of the worker gets its buffer, before a measure."""
    with open(disk.image, "rb") as file:
        with concurrent.futures.ThreadPoolExecutor(HANDLES) as pool:
            for at in range(0, 100 * (1 << 18), 1 << 18):
                pool.submit(
                    layout.read_past_cache, file.fileno(), at, 1 << 18
                )


@pytest.mark.timeout(600)
def test_layout_of_a_large_tree(dirdisk, large):
    """Many handles, each read anywhere: the same bytes, and little memory."""
    dice = random.Random(200)
    disk = dirdisk(large, None, "--no-grub")
    path = disk.mnt / "info/layout"
    fill_buffers(disk)
    before = memory(disk, "VmRSS")
    reset_peak(disk)
    handles = [os.open(path, os.O_RDONLY) for _ in range(HANDLES)]

    # Nothing is known of what is far yet; all ask at once.
    wanted = [dice.randrange(20_000_000) for _ in handles]
    with concurrent.futures.ThreadPoolExecutor(HANDLES) as pool:
        first = list(pool.map(lambda fd, at: os.pread(fd, 4096, at),
                              handles, wanted))
    parts = []
    while part := os.pread(handles[0], 1 << 20, sum(map(len, parts))):
        parts.append(part)
    whole = b"".join(parts)
    links = rb"\n\d+\t\d+\trender\t2\tsymbolic link\t/directory\\x09\d\d/a link "
    assert len(re.findall(links, whole)) == LINKS
    for at, data in zip(wanted, first):
        assert data == whole[at : at + 4096]
    # In pieces of all sizes: anywhere, in order, backwards.
    for fd in handles:
        at = dice.randrange(len(whole))
        for step in (1, 1, 1, -3, -1, 0):
            size = dice.choice((1, 77, 4096, 100_000, 1 << 20))
            at = max(0, at + step * size)
            assert os.pread(fd, size, at) == whole[at : at + size]
    assert os.pread(handles[0], 100, len(whole)) == b""
    assert os.pread(handles[0], 100, 1 << 62) == b""
    grown = memory(disk, "VmHWM") - before
    assert grown < GROWN, f"{grown} KiB more"
    for fd in handles:
        os.close(fd)
    disk.unmount()


@pytest.mark.timeout(900)
def test_layout_of_a_million_entries(box, dirdisk):
    """Read from its start to its end by one reader: next to no memory."""
    count = 1_000_000
    disk = dirdisk(many_links(box, count), None, "--no-grub")
    path = disk.mnt / "info/layout"
    fill_buffers(disk)
    before = memory(disk, "VmRSS")
    reset_peak(disk)
    lines = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(1 << 20):
            lines += part.count(b"symbolic link")
    assert lines == pytest.approx(count, rel=0.001)  # some are cut by a read
    grown = memory(disk, "VmHWM") - before
    assert grown < GROWN // 2, f"{grown} KiB more"
    disk.unmount()


@pytest.mark.timeout(600)
def test_reads_of_a_layout_that_end_early(box, dirdisk, large):
    """Readers that are killed, and handles that are closed: none is stuck."""
    disk = dirdisk(large, None, "--no-grub")
    path = disk.mnt / "info/layout"
    seek = "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY)\n"
    seek += "os.pread(fd, 9, 1 << 40)"
    readers = [
        box.start([sys.executable, "-c", seek, str(path)]) for _ in range(20)
    ]
    for reader in readers[::2]:
        reader.kill()
    for reader in readers:
        assert reader.wait(120) in (0, -9)
    assert disk.read(510, 2) == b"\x55\xaa"
    assert path.open("rb").read(1) == b"0"
    disk.unmount()


def test_handles_share_a_text(dirdisk, src):
    """A menu of a mebibyte, open 100 times, and a log of as much."""
    line = b"# " + b"x" * 61 + b"\n"
    sources.write(src, "boot/grub/grub.cfg", line * (1 << 14))
    disk = dirdisk(src, None, "--no-grub")
    menu = disk.mnt / "info/menu"
    assert menu.read_bytes() == line * (1 << 14)
    before = memory(disk, "VmRSS")
    handles = [os.open(menu, os.O_RDONLY) for _ in range(100)]
    for fd in handles:
        assert os.pread(fd, 64, 64 << 10) == line
    grown = memory(disk, "VmRSS") - before
    for fd in handles:
        os.close(fd)
    assert grown < GROWN, f"{grown} KiB more"
    disk.unmount()


def test_menu_is_that_of_the_disk(box, disk, src):
    shown = (disk.mnt / "info/menu").read_text()
    with judges.partition_mount(box, disk.image, 1) as point:
        assert (point / "boot/grub/grub.cfg").read_text() == shown
    assert "serial" in shown


def test_kernels(dirdisk, src, guest):
    """Those that were found, and those that were not taken."""
    guest.add(src)
    sources.write(src, "kernels/vmlinuz-1.2-broken", b"no kernel")
    disk = dirdisk(src)
    text = (disk.mnt / "info/kernels").read_text()
    assert guest.kernel in text and guest.initrd in text
    assert "vmlinuz-1.2-broken" in text
    disk.unmount()


def boot_set(disk):
    """Of info/boot: {path: (entry, kind, identity)}, and the menu."""
    lines, menu = (disk.mnt / "info/boot").read_text().split("\n\n", 1)
    files = {}
    for line in lines.splitlines():
        entry, kind, identity, path = line.split("\t")
        assert path not in files
        files[path] = (entry, kind, identity)
    return files, menu


def identity(path):
    found = os.stat(path)
    times = [f"{ns // 10**9}.{ns % 10**9:09}" for ns in
             (found.st_mtime_ns, found.st_ctime_ns)]
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:" + ":".join(times)


def test_boot(box, dirdisk, src):
    """Each file once, the default's first; archives; no signature."""
    kernels = src / "kernels"
    for version in ("6.1", "6.2"):
        sources.write(src, f"kernels/vmlinuz-{version}", kernel())
    sources.write(src, "kernels/vmlinuz-6.3", kernel()[:20000])
    sources.write(src, "kernels/a\nb.txt", b"no kernel")
    sources.write(src, "kernels/initrd.img-6.1", b"initrd")
    sources.write(src, "kernels/initrd.img-6.2.d/etc/deep/file", b"1")
    sources.write(src, "boot/grub/custom.cfg", b"# mine\n")
    sources.write(src, "sbin/init", b"#!/bin/sh\n", 0o755)
    disk = dirdisk(src)
    files, menu = boot_set(disk)
    archive = files["kernels/initrd.img-6.2.d"]
    assert list(files) == [
        "kernels/vmlinuz-6.2",
        "kernels/initrd.img-6.2.d",
        "kernels/vmlinuz-6.1",
        "kernels/initrd.img-6.1",
        "kernels/vmlinuz-6.3",
        "boot/grub/custom.cfg",
    ]
    for name, entry, kind in (
        ("kernels/vmlinuz-6.2", "default", "kernel"),
        ("kernels/vmlinuz-6.1", "other", "kernel"),
        ("kernels/initrd.img-6.1", "other", "initrd"),
        ("kernels/vmlinuz-6.3", "none", "kernel"),
        ("boot/grub/custom.cfg", "all", "menu"),
    ):
        assert files[name] == (entry, kind, identity(src / name))
    assert archive[:2] == ("default", "initrd")
    assert re.fullmatch(r"archive:[0-9a-f]{16}:\d+\.\d{9}", archive[2])
    shown = (disk.mnt / "info/menu").read_text()
    (signature,) = set(re.findall("PARTUUID=([0-9a-f]{8})-", shown))
    assert menu == shown.replace(signature, "00000000")

    # The tree changes, and so does the signature: nothing that boots.
    sources.write(src, "etc/motd", b"hello")
    assert boot_set(disk) == (files, menu)
    assert signature not in (disk.mnt / "info/menu").read_text()
    (kernels / "initrd.img-6.2.d/etc/deep/file").write_bytes(b"2")
    after = boot_set(disk)[0]
    assert after.pop("kernels/initrd.img-6.2.d") != archive
    assert after == {path: files[path] for path in after}
    sources.write(src, "kernels/vmlinuz-6.1.cmdline", b"debug\n")
    assert "debug" in boot_set(disk)[1] and "debug" not in menu
    disk.unmount()


def test_boot_of_a_menu_of_the_user(dirdisk, src):
    """What it names, on either partition; its text as it is."""
    text = "linux (hd0,msdos2)/mine/bz\\ 1 quiet /x PARTUUID=12345678\n"
    text += "initrd '/mine/rd\\1' /boot/note /none\nlinux /mine/half\n"
    sources.write(src, "boot/grub/grub.cfg", text.encode())
    sources.write(src, "kernels/vmlinuz-5.0", kernel())
    sources.write(src, "mine/bz 1", kernel())
    sources.write(src, "mine/rd\\1", b"initrd")
    sources.write(src, "mine/half", kernel()[:20000])
    disk = dirdisk(src)
    files, menu = boot_set(disk)
    assert menu == text
    assert {path: line[:2] for path, line in files.items()} == {
        "boot/grub/grub.cfg": ("all", "menu"),
        "mine/bz 1": ("other", "kernel"),
        "mine/rd\\x5c1": ("other", "initrd"),
        "boot/note": ("other", "initrd"),
        "mine/half": ("none", "kernel"),
    }
    assert files["mine/bz 1"][2] == identity(src / "mine/bz 1")
    disk.unmount()


def test_boot_of_many_kernels(dirdisk, src):
    """A bounded text, at once: the menu's thousand and as many others."""
    for number in range(3000):
        name = f"kernels/vmlinuz-{number // 2}.{number % 2}"
        sources.write(src, name, kernel() if number % 2 else b"none")
    disk = dirdisk(src)
    start = time.monotonic()
    files, _ = boot_set(disk)
    assert time.monotonic() - start < 5
    entries = [entry for entry, _, _ in files.values()]
    assert entries[:2] == ["default", "other"]
    assert entries.count("other") == 999 and entries.count("none") == 1000
    disk.unmount()


def generation_of(disk):
    """The number, the time and the lines of the cause."""
    text = (disk.mnt / "info/generation").read_text()
    found = re.fullmatch(
        r"number: (\d+)\ntime: ([-0-9T:]+)\.\d{9}Z\n\n((?:.*\n)*)", text
    )
    assert found, text
    when = time.strptime(found[2] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")
    return int(found[1]), when, found[3].splitlines()


def test_generation(disk, src):
    """An open of it brings the tree up to date, as one of the disk does."""
    number, when, _ = generation_of(disk)
    assert number == 1
    assert abs(time.mktime(when) - time.mktime(time.gmtime())) < 60
    assert generation_of(disk)[0] == 1
    sources.write(src, "kernels/new")
    number, _, cause = generation_of(disk)
    assert number == 2
    assert any("kernels" in line for line in cause), cause
    disk.read(0, 512)
    assert generation_of(disk)[0] == 2
    sources.write(src, "kernels/newer")
    disk.read(0, 512)
    assert generation_of(disk)[0] == 3


def test_one_open_file_is_one_generation(disk, src):
    with open(disk.mnt / "info/layout", "rb", buffering=0) as file:
        sources.write(src, "kernels/new", b"x")
        assert b"/kernels/new" not in file.readall()
    assert b"/kernels/new" in (disk.mnt / "info/layout").read_bytes()


def test_log(box, dirdisk, src):
    """The last thousand lines, each with its time; long ones are cut."""
    names = [f"{n:04}" + "x" * 200 for n in range(250)]
    deep = "/".join(["y" * 250] * 5)
    for name in [*names, f"{deep}/{names[0]}"]:
        sources.write(src, name, b"1" * 10)
    disk = dirdisk(src, None, "--no-grub")
    log = disk.mnt / "info/log"
    assert log.read_text() == ""
    with open(disk.image, "rb", buffering=0) as held:
        places = {
            region.path.lstrip("/"): region.start
            for region in layout.regions(disk)
            if region.what == "file" and region.partition == 2
        }
        for name in [f"{deep}/{names[0]}", *names]:
            sources.write(src, name, b"2" * 10)
            with pytest.raises(OSError):
                layout.read_past_cache(held.fileno(), places[name])
    lines = log.read_text().splitlines()
    assert len(lines) == 251
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
    assert all(stamp.match(line) for line in lines)
    assert len(lines[0]) == 1023 and lines[0].endswith("...")
    for line, name in zip(lines[1:], names):
        assert f"{src}/{name}: " in line
    disk.unmount()


def test_log_keeps_the_last_lines(disk, src):
    sources.write(src, "data", b"0")
    text = ""
    for number in range(1010):
        with open(disk.image, "rb", buffering=0) as held:
            place = layout.find(disk, "/data", "file").start
            sources.write(src, "data", str(number).encode())
            with pytest.raises(OSError):
                layout.read_past_cache(held.fileno(), place)
        if number == 4:
            text = (disk.mnt / "info/log").read_text()
    lines = (disk.mnt / "info/log").read_text().splitlines()
    assert len(text.splitlines()) == 5
    assert len(lines) == 1000


def test_an_ordinary_user_reads_them(box, dirdisk):
    src = sources.small(box.dir("src", NOBODY))
    disk = dirdisk(src, None, "--no-grub", user=NOBODY)
    said = box.run(["cat", disk.mnt / "info/generation"], user=NOBODY).text
    assert said.startswith("number: 1\n")
    disk.unmount()


# ---- --name ----


def test_name(box, dirdisk, src, program):
    """The disk has it everywhere: in the mount, in what is printed."""
    mnt = box.dir("mnt")
    child = pexpect.spawn(
        str(program),
        ["--name=my vm.raw", str(src), str(mnt)],
        env=box.environment(),
        encoding="utf-8",
        dimensions=(24, 400),
    )
    box.known.add(child.pid)
    child.expect(pexpect.EOF, timeout=60)
    child.close()
    assert child.exitstatus == 0
    assert f"'file={mnt}/my vm.raw' -m 1G" in child.before
    assert os.listdir(mnt) == ["my vm.raw", "info", "my vm.raw.vmdk"]
    with open(mnt / "my vm.raw", "rb") as file:
        assert file.read(512)[510:] == b"\x55\xaa"
    with pytest.raises(FileNotFoundError):
        os.stat(mnt / "disk.img")
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


@pytest.mark.parametrize("name", ["x", "info.img", "ü\n'\"", "n" * 255])
def test_names_in_the_list(box, dirdisk, src, name):
    mnt = box.dir("mnt")
    dirdisk.run("-o", f"name={name}", "--no-grub", src, mnt)
    assert os.listdir(mnt)[:2] == [name, "info"]
    assert os.stat(mnt / name).st_size > 0
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_bad_names(box, dirdisk, src):
    mnt = box.dir("mnt")
    for name in ("", ".", "..", "info", "a/b", "n" * 256):
        done = dirdisk.run(f"--name={name}", src, mnt, check=False)
        assert done.returncode == 1
        assert f"--name={name}" in done.text
    assert os.listdir(mnt) == []
