# SPDX-License-Identifier: GPL-3.0-or-later
"""What the process that serves could do if it were taken over."""

import os
import re

import pytest

from support import judges, procs, sources
from support.sandbox import NOBODY

# What reading takes: files of others, their access times, their writers.
READING = 1 << 2 | 1 << 3 | 1 << 28
SYS_ADMIN = 1 << 21


@pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "user"])
def test_what_it_can_do(box, user):
    """A program that confines itself the same way tries it."""
    for name in ("src", "temp", "outside"):
        sources.write(box.root, f"{name}/file", b"text")
        os.chown(box.root / name, user or 0, user or 0)
    (box.root / "src/link").symlink_to(box.root / "outside/file")
    program = box.root / "confined"
    program.write_bytes(open(os.environ["CONFINED"], "rb").read())
    program.chmod(0o755)
    places = [box.root / name for name in ("src", "temp", "outside")]
    done = box.run([program, *places], user=user, check=False)
    assert done.text == "" and done.returncode == 0


@pytest.mark.parametrize(
    "option, kept",
    [
        ("--xattrs=none", READING),
        ("--xattrs=user", READING),
        ("--xattrs=keep", READING | SYS_ADMIN),
    ],
)
@pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "user"])
def test_capabilities(box, dirdisk, option, kept, user):
    """All tasks have what reading takes, and an ordinary user's none."""
    disk = dirdisk(box.dir("src", user), None, "--no-grub", option, user=user)
    (worker,) = disk.workers
    for pid in (worker, disk.opener):
        for task in os.listdir(f"/proc/{pid}/task"):
            status = procs.status_of(pid, task)
            assert status["NoNewPrivs"] == "1"
            assert status["Seccomp"] == procs.SECCOMP
            for name in ("CapPrm", "CapEff"):
                assert int(status[name], 16) == (0 if user else kept), name
            for name in ("CapInh", "CapAmb", "CapBnd"):
                if not user or name != "CapBnd":
                    assert int(status[name], 16) == 0, name
    disk.unmount(user=user)


def test_what_only_root_may_read(box, dirdisk):
    """Files of others, with no rights for anybody, and trusted attributes."""
    src = box.tmpfs("src")
    for path in ("dir/file", "kernels/file"):
        where = sources.write(src, path, b"secret", 0)
        os.setxattr(where, "trusted.x", b"y")
        os.chown(where, NOBODY, NOBODY)
    for path in ("dir", "kernels"):
        os.chmod(src / path, 0)
        os.chown(src / path, NOBODY, NOBODY)
    disk = dirdisk(src, None, "--no-grub")
    assert disk.image.read_bytes().count(b"secret") == 2
    for path in ("dir/file", "kernels/file"):
        command = ["debugfs", "-R", f"ea_list /{path}"]
        start = judges.partitions(box, disk.image)[1].start * judges.SECTOR
        image = f"{disk.image}?offset={start}"
        assert "trusted.x" in box.run([*command, image]).text
    disk.unmount()


def test_without_devices(box, program):
    """A line, not a crash before main."""
    script = f"mount -t tmpfs none /dev && exec {program} --version"
    done = box.run(["unshare", "-m", "sh", "-c", script], check=False)
    assert done.returncode == 3
    assert done.text == "dirdisk: /dev/null: No such file or directory\n"


def programs_in(trace):
    ran = re.findall(
        r'execve(?:at)?\(.*?"(.*?)".*= 0$', trace.read_text(), re.M
    )
    return [os.path.basename(path) for path in ran]


def test_programs_it_runs(box, program, checker):
    """grub-mkimage alone: no shell for a library that asks the machine's maker."""
    src, mnt, trace = box.dir("src"), box.dir("mnt"), box.root / "trace"
    argv = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", trace]
    process = box.start([*argv, program, "-f", src, mnt], name="dirdisk")
    box.wait_for((mnt / "disk.img").exists, process, 60)
    # Lazily: somebody may still read its first sector.
    box.run(["umount", "-l", mnt])
    assert process.wait(60) == 0
    assert programs_in(trace) == ["dirdisk", "grub-mkimage"]
    box.run([*argv, checker, src], check=False)
    assert programs_in(trace) == ["dirdisk-check", "grub-mkimage"]
