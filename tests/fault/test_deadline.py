# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody waits without end: a process that makes no progress is found out."""

import os
import signal
import subprocess
import time

import pytest
from support import procs, sources
from support.runs import wait_until
from support.sandbox import NOBODY


@pytest.fixture
def hanging_tool(box, program, src):
    """start(*options): dirdisk, at whose grub-mkimage the start hangs."""
    fake = box.dir("tools") / "grub-mkimage"
    fake.write_text(f"#!/bin/sh\ntouch {box.root}/runs\nexec sleep 1000\n")
    fake.chmod(0o755)
    path = f"{fake.parent}:{os.environ['PATH']}"

    def start(*options):
        argv = [program, *options, src, box.dir("mnt")]
        process = box.start(
            [os.fspath(word) for word in argv],
            name="dirdisk",
            env=box.environment(PATH=path),
        )
        wait_until((box.root / "runs").exists)
        return process

    return start


def stop_worker():
    procs.Process(procs.roles()["worker"]).stop()


def said(process):
    return process.log.read_text(errors="replace")


def test_worker_that_does_nothing(box, hanging_tool):
    """It is ended, the reason is told, and nothing is left."""
    process = hanging_tool("--start-timeout=1")
    stop_worker()
    assert process.wait(40) == 3, said(process)
    assert "for 1 s" in said(process) and "--start-timeout" in said(process)
    box.assert_nothing_left()


def test_start_that_is_killed(box, hanging_tool):
    """The launcher says so, and nothing is left."""
    process = hanging_tool()
    stop_worker()
    os.kill(procs.roles()["supervisor"], signal.SIGKILL)
    assert process.wait(40) == 7, said(process)
    assert said(process).endswith(
        f"{box.root}/mnt: the process that mounts was killed before the disk"
        " was ready; see the kernel's log, where memory ran out, and mount"
        " again\n"
    )
    box.assert_nothing_left()


@pytest.mark.parametrize("options", [[], ["-f"]], ids=["", "foreground"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"])
def test_start_that_is_interrupted(box, hanging_tool, options, name):
    """It is told to those who may not have sent the signal."""
    process = hanging_tool(*options)
    stop_worker()
    os.kill(procs.roles()["supervisor"], getattr(signal, name))
    assert process.wait(40) == 6, said(process)
    text = "dirdisk: ended by a signal before the disk was ready;"
    text += " mount it again\n"
    assert said(process) == ("" if options else text)
    box.assert_nothing_left()


def test_tool_that_hangs(box, hanging_tool):
    """The message names it."""
    process = hanging_tool("--start-timeout=1")
    assert process.wait(40) == 3
    assert "grub-mkimage has not ended" in process.log.read_text()
    box.assert_nothing_left()


@pytest.mark.parametrize("who", ["launcher", "supervisor", "worker"])
def test_tool_ends_with_the_start(box, hanging_tool, who):
    """grub-mkimage is not left to itself."""
    process = hanging_tool()
    found = {"launcher": process.pid, **procs.roles()}
    os.kill(found[who], signal.SIGKILL)
    process.wait(40)
    box.assert_nothing_left()


@pytest.fixture(params=["abort", "kill"])
def control(box, request):
    """With FUSE's control files, and without."""
    point = "/sys/fs/fuse/connections"
    if request.param == "abort" and not os.path.ismount(point):
        box.mount("-t", "fusectl", "none", point)
        yield
        box.umount(point)
    else:
        yield


def trace(box, program, src, mnt, *options):
    """A start below strace."""
    argv = ["strace", "-f", "-q", "-o", "/dev/null", *options, str(program)]
    argv += ["--no-grub", "--start-timeout=2", f"--pidfile={box.root}/pid"]
    argv += [str(src), str(mnt)]
    return box.start(argv, name="dirdisk")


def assert_told(box, process):
    assert process.wait(60) == 7
    text = process.log.read_text()
    assert "did not answer the first read for 2 s" in text, text
    box.assert_nothing_left()


def test_mount_that_does_not_answer(box, program, src, control):
    """The worker stops in its reply to the kernel's first request."""
    inject = "inject=writev:signal=SIGSTOP:when=1"
    options = ["-P", "/dev/fuse", "-e", "trace=writev", "-e", inject]
    assert_told(box, trace(box, program, src, box.dir("mnt"), *options))


def test_disk_that_does_not_answer(box, program, src, control):
    """The worker stops before the launcher opens the disk."""
    mnt = box.dir("mnt")
    inject = "inject=openat:delay_enter=1000000"
    options = ["-P", f"{mnt}/disk.img", "-e", "trace=openat", "-e", inject]
    process = trace(box, program, src, mnt, *options)
    # It is written when the disk is served, before the launcher is told.
    wait_until((box.root / "pid").exists, timeout=60)
    procs.Process(procs.roles()["worker"]).stop()
    assert_told(box, process)


def test_supervisor_that_says_nothing_lets_the_worker_go(box, dirdisk, src):
    """Stopped for ever, it is killed by hand: the worker goes with it."""
    disk = dirdisk(src)
    disk.stop()
    os.kill(disk.supervisor, signal.SIGKILL)
    disk.status()
    box.wait_no_process()


def test_slow_source_is_waited_for(box, program, src):
    """Longer than the limit, but never without progress for so long."""
    for number in range(40):
        sources.write(src, f"many/{number:02}/file", b"")
    mnt = box.dir("mnt")
    # Each directory takes a tenth of a second.
    argv = ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=getdents64"]
    argv += ["-e", "inject=getdents64:delay_enter=50000"]
    start = time.monotonic()
    process = box.start(
        [*argv, str(program), "--no-grub", "--start-timeout=1"]
        + [str(src), str(mnt)],
        name="dirdisk",
    )
    wait_until(lambda: (mnt / "disk.img").exists(), timeout=60)
    assert time.monotonic() - start > 1.5
    subprocess.check_call(["umount", "-l", mnt])
    process.wait(60)
    box.assert_nothing_left()


def test_crash_of_the_worker_is_a_line(box, dirdisk, src):
    """Even where it comes while the disk is unmounted."""
    disk = dirdisk.foreground(src)
    os.kill(disk.workers[0], signal.SIGTRAP)
    disk.assert_ended(7)
    text = disk.process.log.read_text()
    assert "killed by signal 5" in text, text


def test_crash_at_the_end_is_a_line(box, dirdisk, src):
    disk = dirdisk.foreground(src)
    (worker,) = disk.workers
    disk.stop_worker()
    disk.signal(signal.SIGTERM)
    wait_until(lambda: not disk.box_mounts())
    os.kill(worker, signal.SIGTRAP)
    os.kill(worker, signal.SIGCONT)
    disk.status()
    text = disk.process.log.read_text()
    # Of two signals that wait the kernel takes one: this one or SIGTERM.
    assert disk.status() in (0, 7)
    assert (disk.status() == 7) == ("killed by signal 5" in text), text
    box.assert_nothing_left()


@pytest.mark.parametrize("call", ["read", "writev"])
def test_error_of_the_device_ends_no_session(box, dirdisk, src, call):
    """EIO, ENOMEM: the request is answered all the same."""
    disk = dirdisk(src)
    (worker,) = disk.workers
    for error in ("EIO", "ENOMEM"):
        argv = ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(worker)]
        argv += ["-e", f"trace={call}", "-P", "/dev/fuse"]
        argv += ["-e", f"inject={call}:error={error}:when=1+3"]
        tracer = box.start(argv)
        wait_until(lambda: traced(worker))
        for _ in range(20):
            assert disk.read(510, 2) == b"\x55\xaa"
            os.listdir(disk.mnt)
        tracer.terminate()
        tracer.wait(20)
    disk.unmount()


def traced(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return "TracerPid:\t0\n" not in file.read()


def test_fusermount_that_hangs(box, program):
    """It is ended, and a line names the mount and the way out."""
    src = sources.small(box.dir("src", NOBODY))
    mnt = box.dir("mnt", NOBODY)
    fake = box.dir("fake") / "fusermount3"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = -u ] && exec sleep 1000\nexec /bin/fusermount3 "$@"\n'
    )
    fake.chmod(0o755)
    process = box.start(
        [os.fspath(program), "-f", "--no-grub", str(src), str(mnt)],
        name="dirdisk",
        user=NOBODY,
        env=box.environment(PATH=f"{fake.parent}:{os.environ['PATH']}"),
    )
    wait_until(box.mounts)
    read = f"until head -c 512 {mnt}/disk.img; do sleep 0.1; done >/dev/null"
    box.run(["sh", "-c", read], user=NOBODY)
    os.kill(procs.roles()["supervisor"], signal.SIGTERM)
    # Its own first read may not be over yet.
    assert process.wait(60) in (6, 7)
    text = process.log.read_text()
    assert "cannot be unmounted" in text and "fusermount3 -u" in text, text
    box.run(["umount", mnt])
    box.assert_nothing_left()
