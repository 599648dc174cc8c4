# SPDX-License-Identifier: GPL-3.0-or-later
"""The program as a citizen: it starts, serves, tells, and ends."""

import os
import signal
import stat
import subprocess
import time

import pexpect
import pytest

from support import procs, sources
from support.daemon import Disk
from support.sandbox import NOBODY


# ---- start ----


def test_ready_means_readable(box, dirdisk, src):
    """Whenever the launcher has ended, the first read has its answer."""
    mnt = box.dir("mnt")
    for _ in range(5):
        dirdisk.run(src, mnt)
        with open(mnt / "disk.img", "rb") as file:
            assert file.read(512)[510:] == b"\x55\xaa"
        box.run(["fusermount3", "-u", mnt])
        box.assert_nothing_left()


def test_launcher_says_nothing_without_a_terminal(disk):
    assert disk.launcher.text == ""


@pytest.mark.parametrize(
    "options,before,after",
    [
        ([], "", ""),
        (["-oro"], "if=virtio,readonly=on,", ""),
        (["--console=serial"], "", " -nographic"),
    ],
    ids=["", "read-only", "serial"],
)
def test_qemu_line_on_a_terminal(
    box, dirdisk, src, program, options, before, after
):
    mnt = box.dir("mnt")
    child = pexpect.spawn(
        str(program),
        [*options, str(src), str(mnt)],
        env=box.environment(),
        encoding="utf-8",
        dimensions=(24, 400),
    )
    box.known.add(child.pid)
    child.expect(pexpect.EOF, timeout=60)
    child.close()
    assert child.exitstatus == 0
    line = f"qemu-system-x86_64 -drive {before}format=raw,"
    line += f"file={mnt}/disk.img -m 1G{after}\r\n"
    assert line in child.before
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_one_disk(disk):
    assert os.listdir(disk.mnt) == ["disk.img", "info", "disk.vmdk"]
    found = os.stat(disk.image)
    assert stat.S_ISREG(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert (found.st_uid, found.st_gid, found.st_nlink) == (0, 0, 1)
    assert found.st_size == 409600 * 512
    assert stat.S_ISDIR(os.stat(disk.mnt).st_mode)
    with pytest.raises(FileNotFoundError):
        os.stat(disk.mnt / "other")
    for forbidden in (
        lambda: (disk.mnt / "new").touch(),
        lambda: (disk.mnt / "dir").mkdir(),
        lambda: disk.image.unlink(),
        lambda: disk.image.rename(disk.mnt / "other"),
    ):
        with pytest.raises(OSError):
            forbidden()
    assert os.listdir(disk.mnt) == ["disk.img", "info", "disk.vmdk"]


def test_mounted_as_fuse_dirdisk(disk, src):
    (mount,) = disk.box_mounts()
    assert mount.fstype == "fuse.dirdisk"
    assert mount.source == str(src)


def test_runs_detached(disk):
    """No terminal, no working directory held, standard input closed off."""
    for pid in (disk.supervisor, *disk.workers):
        assert os.getsid(pid) not in (0, os.getsid(0))
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_started_with_nothing_open(box, dirdisk, src):
    """Descriptors 0 to 2 closed: no file of ours may come to stand there."""
    mnt = box.dir("mnt")
    box.run(
        ["sh", "-c", '"$0" "$1" "$2" <&- >&- 2>&-', dirdisk.program, src, mnt]
    )
    with open(mnt / "disk.img", "rb") as file:
        assert file.read(512)[510:] == b"\x55\xaa"
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_started_with_signals_ignored(box, dirdisk, src):
    """As under nohup, or below a parent that reaps nobody."""
    mnt, pidfile = box.dir("mnt"), box.root / "pid"
    script = "trap '' HUP INT TERM CHLD PIPE; " + '"$@"'
    box.run(
        ["sh", "-c", script, "sh", dirdisk.program]
        + [f"--pidfile={pidfile}", src, mnt]
    )
    assert (mnt / "disk.img").exists()
    os.kill(int(pidfile.read_text()), signal.SIGTERM)
    box.assert_nothing_left()


def test_holds_nothing_that_its_caller_had_open(box, program, src):
    """A script's lock goes with the script."""
    lock, mnt = box.root / "lock", box.dir("mnt")
    script = 'exec 9>"$1"; flock 9; shift; "$@"'
    box.run(["sh", "-c", script, "sh", lock, program, src, mnt])
    box.run(["flock", "--nonblock", lock, "true"])
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_few_descriptors_are_enough(box, program):
    """More files than descriptors, all of them read."""
    src, mnt = box.dir("src"), box.dir("mnt")
    for number in range(200):
        sources.write(src, f"files/{number}", b"%d\n" % number * 2000)
    script = 'ulimit -n 48; exec "$@"'
    box.run(["sh", "-c", script, "sh", program, src, mnt])
    box.run(["cat", mnt / "disk.img"], stdout=subprocess.DEVNULL)
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_several_starts_on_one_mount_point(box, dirdisk, src):
    """One wins, the others say so, and there is one mount."""
    mnt = box.dir("mnt")
    starts = [
        box.start([dirdisk.program, str(src), str(mnt)]) for _ in range(5)
    ]
    assert sorted(start.wait(60) for start in starts) == [0, 2, 2, 2, 2]
    assert len(box.mounts()) == 1
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()


def test_worker_is_confined(disk):
    """All of its threads: those that serve, and the one that watches."""
    (worker,) = disk.workers
    disk.read(0, 512)
    tasks = os.listdir(f"/proc/{worker}/task")
    assert len(tasks) >= 2
    for pid, task in [(disk.opener, disk.opener), *((worker, t) for t in tasks)]:
        status = procs.status_of(pid, task)
        assert status["NoNewPrivs"] == "1", task
        assert status["Seccomp"] == procs.SECCOMP, task


# ---- end ----


@pytest.mark.parametrize(
    "command", [["fusermount3", "-u"], ["umount"]], ids=lambda c: c[0]
)
def test_unmount_ends_it(dirdisk, src, command):
    dirdisk(src).unmount(*command)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("foreground", [False, True])
def test_signal_ends_it(dirdisk, src, name, foreground):
    disk = dirdisk.foreground(src) if foreground else dirdisk(src)
    disk.signal(getattr(signal, name))
    disk.assert_ended(0)


def test_signal_ends_it_while_in_use(box, dirdisk, src):
    """A descriptor that is open does not keep the mount in its place."""
    disk = dirdisk(src)
    with open(disk.image, "rb", 0) as file:
        assert os.pread(file.fileno(), 2, 510) == b"\x55\xaa"
        disk.signal(signal.SIGTERM)
        end = time.monotonic() + 20
        while disk.box_mounts():
            assert time.monotonic() < end
            time.sleep(0.02)
    disk.assert_ended(0)


def test_killed_worker_leaves_no_dead_mount(box, dirdisk, src):
    disk = dirdisk(src)
    disk.kill_worker()
    disk.assert_ended(7)
    assert os.listdir(disk.mnt) == []
    # And the place is free.
    dirdisk(src, disk.mnt).unmount()


def test_killed_worker_in_the_middle_of_a_read(box, dirdisk, src):
    sources.write(src, "data", bytes(range(256)) * 4096 * 60)
    disk = dirdisk(src)
    reader = box.start(
        ["sh", "-c", f"while cat '{disk.image}' >/dev/null; do :; done"]
    )
    time.sleep(0.3)
    disk.kill_worker()
    assert reader.wait(20) == 0
    disk.assert_ended(7)


def test_killed_supervisor_then_start_again(box, dirdisk, src):
    """The worker goes too, and the next start replaces the dead mount."""
    disk = dirdisk(src)
    os.kill(disk.supervisor, signal.SIGKILL)
    assert disk.status() == -signal.SIGKILL
    box.wait_no_process()
    with pytest.raises(OSError) as error:
        os.stat(disk.image)
    assert error.value.errno == 107  # ENOTCONN
    again = dirdisk(src, disk.mnt)
    assert again.read(510, 2) == b"\x55\xaa"
    assert len(again.box_mounts()) == 1
    again.unmount()


def test_killed_supervisor_of_an_ordinary_user(box, dirdisk, src):
    mnt = box.dir("mnt", NOBODY)
    disk = dirdisk(src, mnt, user=NOBODY)
    os.kill(disk.supervisor, signal.SIGKILL)
    assert disk.status() == -signal.SIGKILL
    box.wait_no_process()
    again = dirdisk(src, mnt, user=NOBODY)
    assert len(again.box_mounts()) == 1
    again.unmount("fusermount3", "-u", user=NOBODY)


def test_dead_mount_of_another_kind_is_left_alone(
    box, dirdisk, src, odd_source
):
    """Only what dirdisk left behind is taken away."""
    mnt = box.dir("mnt")
    server = odd_source(mnt)
    server.kill()
    server.wait()
    done = dirdisk.run(src, mnt, check=False)
    assert done.returncode == 2 and str(mnt) in done.text
    assert [m.fstype for m in box.mounts()] == ["fuse.odd_source"]
    box.umount(mnt)


def test_reader_of_a_disk_that_waits_for_another(box, dirdisk, src, odd_source):
    """It gets an error at the end, even if the worker cannot be ended."""
    control = "/sys/fs/fuse/connections"
    mounted = os.path.ismount(control)
    if not mounted:
        box.mount("-t", "fusectl", "none", control)
    server = odd_source(box.dir("odd"))
    held = procs.Process(server.pid)
    disk = dirdisk(src, None, "--no-grub", "--xattrs=none")
    (src / "kernels/bzImage").symlink_to(box.root / "odd/waits")
    reader = subprocess.Popen(["cat", disk.image], stderr=subprocess.DEVNULL)
    box.known.add(reader.pid)
    try:
        box.wait_for(lambda: procs.state(server.pid) == "T", server)
        assert reader.poll() is None
        disk.signal(signal.SIGTERM)
        assert reader.wait(30) != 0
    finally:
        held.signal(signal.SIGCONT)
    assert disk.status() == 0
    box.umount(box.root / "odd")
    assert server.wait(20) == 0
    if not mounted:
        box.umount(control)


# ---- --private ----


def private(box, dirdisk, *options, **more):
    """Mounts, and gives the Disk on the directory whose path is printed."""
    before = set(procs.alive())
    launcher = dirdisk.run("--private", *options, **more)
    mnt = launcher.text.removesuffix("\n")
    assert launcher.text == f"{mnt}\n"
    return Disk(box, mnt, launcher, set(procs.alive()) - before)


@pytest.mark.parametrize("user", [None, NOBODY])
@pytest.mark.parametrize("how", ["unmount", "signal", "worker"])
def test_private(box, dirdisk, src, how, user):
    """However the disk ends, its directory is gone."""
    disk = private(box, dirdisk, src, user=user)
    assert disk.mnt.parent == box.tmp
    if how == "unmount":
        disk.unmount(user=user)
    elif how == "signal":
        disk.signal(signal.SIGTERM)
        disk.assert_ended(0)
    else:
        disk.signal_worker(signal.SIGKILL)
        disk.assert_ended(7)
    assert list(box.tmp.iterdir()) == []


def test_private_is_so(box, dirdisk, src):
    """Below XDG_RUNTIME_DIR, if that can be, and its owner's alone."""
    own = box.dir("runtime")
    for where, used in ((own, own), ("/nowhere", box.tmp)):
        env = dirdisk.environment(XDG_RUNTIME_DIR=str(where))
        disk = private(box, dirdisk, src, env=env)
        assert disk.mnt.parent == used
        box.run(["umount", "-l", disk.mnt])
        disk.assert_ended(0)
        assert [*own.iterdir(), *box.tmp.iterdir()] == []
    # Without the disk on it, whose modes are others.
    slow = box.dir("bin") / "grub-mkimage"
    slow.write_text("#!/bin/sh\nexec sleep 1000\n")
    slow.chmod(0o755)
    path = f"{slow.parent}:{os.environ['PATH']}"
    env = dirdisk.environment(PATH=path)
    argv = [dirdisk.program, "-f", "--private", str(src)]
    process = box.start(argv, name="dirdisk", env=env)
    box.wait_for(lambda: list(box.tmp.iterdir()), process)
    (mnt,) = box.tmp.iterdir()
    assert stat.S_IMODE(mnt.stat().st_mode) == 0o700
    # Killed before the path is known: nobody else could remove it.
    box.wait_for(lambda: "worker" in procs.roles(), process)
    process.kill()
    box.wait_no_process()
    assert list(box.tmp.iterdir()) == []


def test_private_that_does_not_start(box, dirdisk, src):
    for words in (["--private", box.root / "none"], ["--private", src, "x"],
                  ["--private"]):
        done = dirdisk.run(*words, check=False)
        assert done.returncode != 0
        assert not done.text.startswith("/"), words
        assert list(box.tmp.iterdir()) == []


def test_pidfile(box, dirdisk, src):
    path = box.root / "run.pid"
    disk = dirdisk(src, None, f"--pidfile={path}")
    assert path.read_text() == f"{disk.supervisor}\n"
    os.kill(int(path.read_text()), signal.SIGTERM)
    disk.assert_ended(0)
    assert not path.exists()


def test_pidfile_goes_when_the_worker_dies(box, dirdisk, src):
    path = box.root / "run.pid"
    disk = dirdisk(src, None, f"--pidfile={path}")
    disk.kill_worker()
    disk.assert_ended(7)
    assert not path.exists()
