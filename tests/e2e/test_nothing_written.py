# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is written: not to the source, not to a temporary directory."""

import re
import subprocess
import time

import pytest

from support import sources, trees
from support.daemon import Disk
from support.machine import Machine, virtio_line

# Every call that can change what is stored.
CALLS = """write pwrite64 writev pwritev pwritev2 sendfile copy_file_range
splice tee vmsplice truncate ftruncate fallocate creat mknod mknodat mkdir
mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink
symlinkat chmod fchmod fchmodat chown lchown fchown fchownat utime utimes
utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr
fremovexattr open openat openat2""".split()

# Where bytes may go: strace -y shows what a descriptor leads to. How far the
# kernel reads ahead of a mount is a number in its memory.
ALLOWED = re.compile(
    r"<(/dev/fuse|/dev/null|/memfd:.*|pipe:.*|socket:.*|UNIX.*|anon_inode:.*|"
    r"/sys/devices/virtual/bdi/[0-9:]+/read_ahead_kb)>"
)
# getxattrat and listxattrat: a strace that does not know a call shows it.
READS = ("syscall_0x1d0", "syscall_0x1d1")
MOVES = ("splice", "tee", "copy_file_range")  # the target comes last


@pytest.fixture
def source(box, guest):
    return guest.add(sources.small(box.dir("src")))


@pytest.mark.timeout(240)
def test_source_and_tmp_read_only(box, dirdisk, source, guest):
    """Mount, boot with snapshot=on, unmount, where nobody can write."""
    before = trees.fingerprint(source)
    box.read_only(source)
    box.read_only(box.tmp)
    with pytest.raises(OSError):
        (box.tmp / "x").touch()
    disk = dirdisk(source)
    other = box.dir("qemu-tmp")
    line = virtio_line(disk.image, ",snapshot=on")
    with Machine(box, line, tmpdir=other) as qemu:
        qemu.ready()
        qemu.shell()
        # The guest may write what it likes: it goes to QEMU's own file.
        said = qemu.shell(
            "dd if=/dev/zero of=/dev/vda2 count=8; sync; echo ok"
        )
        assert "ok" in said
    disk.unmount()
    assert trees.fingerprint(source) == before
    assert list(box.tmp.iterdir()) == []


def trace(box, dirdisk, source, *options):
    """The calls of a mount, reads of all kinds and an unmount."""
    mnt, out = box.dir("mnt"), box.root / "strace.out"
    strace = box.start(
        ["strace", "-f", "-y", "-s", "40", "-o", out]
        + ["-e", "trace=" + ",".join(CALLS)]
        + [dirdisk.program, *options, source, mnt],
        stdout=subprocess.DEVNULL,
    )
    image = mnt / "disk.img"
    end = time.monotonic() + 60
    while not image.exists():
        assert strace.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    box.run(["dd", f"if={image}", "of=/dev/null", "bs=1M"])
    box.run(["dd", f"if={image}", "of=/dev/null", "bs=1M", "iflag=direct"])
    box.run(["qemu-img", "map", "-f", "raw", image])
    box.run(["sync", image], check=False)
    box.run(["fusermount3", "-u", mnt])
    assert strace.wait(60) == 0
    return out.read_text(errors="replace").splitlines()


def joined(lines):
    """Calls that another thread interrupted in the trace, in one piece."""
    begun = {}
    for line in lines:
        pid = line.split(" ", 1)[0]
        resumed = re.search(r"<\.\.\. \w+ resumed>(.*)", line)
        if line.endswith(" <unfinished ...>"):
            begun[pid] = line[: -len(" <unfinished ...>")]
        elif resumed:
            yield begun.pop(pid) + resumed[1]
        else:
            yield line
    yield from begun.values()


def opens_for_writing(rest):
    """An open that can make or change a file."""
    if not re.search(r"O_CREAT|O_TMPFILE|O_TRUNC|O_WRONLY|O_RDWR", rest):
        return False
    result = re.search(r"= \d+(<[^>]*>)(\(deleted\))?$", rest)
    return not (result and ALLOWED.fullmatch(result[1]))


def offences(lines, allowed_paths=()):
    """Calls that changed, or could change, what is stored."""
    found = []
    for line in joined(lines):
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if not call or re.search(r"= -1 E[A-Z]+", line):
            continue
        name, rest = call.groups()
        if name in READS or any(path in rest for path in allowed_paths):
            continue
        arguments = rest.rpartition(" = ")[0] or rest
        targets = re.findall(r"\b\d+(<[^>]*>)", arguments)
        target = targets[-1 if name in MOVES else 0] if targets else ""
        if name.startswith("open"):
            if opens_for_writing(rest):
                found.append(line)
        elif not ALLOWED.fullmatch(target):
            found.append(line)
    return found


def test_the_judge_of_calls():
    """It lets through what it should, and nothing else."""
    fuse, memory = "6</dev/fuse>", "7</memfd:core>(deleted)"
    host = "8</srv/tree/file>"
    good = [
        f'writev({fuse}, [{{iov_base="", iov_len=16}}], 1) = 16',
        f'write({memory}, "\\353c", 2) = 2',
        'openat(AT_FDCWD, "/dev/fuse", O_RDWR|O_CLOEXEC) = 6</dev/fuse>',
        f'openat(5</srv/tree>, "file", O_RDONLY) = {host}',
        f"splice({host}, NULL, 9<pipe:[123]>, NULL, 4096, 0) = 4096",
        'unlink("/run/none") = -1 ENOENT (No such file or directory)',
    ]
    bad = [
        f'pwrite64({host}, "x", 1, 0) = 1',
        f"splice(9<pipe:[123]>, NULL, {host}, NULL, 4096, 0) = 4096",
        'openat(AT_FDCWD, "/tmp/x", O_RDWR|O_CREAT, 0600) = 8</tmp/x>',
        'openat(AT_FDCWD, "/tmp", O_RDWR|O_TMPFILE, 0600) = 8</tmp/#1>',
        'unlink("/tmp/x") = 0',
        'mkdir("/tmp/x", 0777) = 0',
        f"ftruncate({host}, 0) = 0",
    ]
    assert offences([f"12 {line}" for line in good]) == []
    parts = ['13 openat(AT_FDCWD, "/tmp/x" <unfinished ...>', f"12 {good[0]}"]
    parts += ["13 <... openat resumed>, O_RDWR|O_CREAT, 0600) = 9</tmp/x>"]
    assert len(offences(parts)) == 1
    assert offences([f"12 {line}" for line in bad]) == [
        f"12 {line}" for line in bad
    ]


def test_strace_shows_no_write(box, dirdisk, source):
    lines = trace(box, dirdisk, source)
    # The trace is a trace: it saw the answers go to the kernel.
    assert any("</dev/fuse>" in line for line in lines)
    assert offences(lines) == []


def test_strace_shows_the_pid_file_alone(box, dirdisk, source):
    """With --pidfile, that file is written, and the judge can see it."""
    path = box.root / "run.pid"
    lines = trace(box, dirdisk, source, f"--pidfile={path}")
    assert offences(lines) != []
    assert offences(lines, [str(path), path.name]) == []
    assert not path.exists()


def test_overlay_is_seen_by_the_same_judge(box, dirdisk, source):
    """A write to the disk does reach the temporary directory."""
    disk = dirdisk(source)
    assert isinstance(disk, Disk) and list(box.tmp.iterdir()) == []
    with open(disk.image, "r+b") as file:
        file.seek(300 * 512)
        file.write(b"x" * 4096)
    shown = box.run(["ls", "-l", f"/proc/{disk.workers[0]}/fd"]).text
    assert f"{box.tmp}/" in shown and "(deleted)" in shown
    assert list(box.tmp.iterdir()) == []
    disk.unmount()
