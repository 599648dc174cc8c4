# SPDX-License-Identifier: GPL-3.0-or-later
"""Once it is unmounted, dirdisk touches nothing more.

Mount ids, device numbers, inode numbers and process ids are given to others as
soon as they are free. All of it with the kernel's mount ids that are never
reused, and as before Linux 6.8, where there are none.
"""

import errno
import os
import shutil
import signal
import stat

import pytest

from support import judges, procs
from support.runs import wait_until
from support.sandbox import NOBODY

MANY = 48


@pytest.fixture(scope="session")
def no_unique_ids(program):
    return shutil.copy(os.environ["NO_UNIQUE_IDS"], program.parent)


@pytest.fixture(params=["unique-ids", "no-unique-ids"])
def kernel(request, program, no_unique_ids):
    """What to put into dirdisk's environment."""
    if request.param == "unique-ids":
        return {}
    return {"LD_PRELOAD": procs.preload(program, no_unique_ids)}


@pytest.fixture(params=[None, NOBODY], ids=["root", "user"])
def user(request):
    return request.param


@pytest.fixture
def mounted(box, dirdisk, src, kernel, user):
    """Mounts as the user, and gives the Disk; on a place of its own."""

    def mount(name="mnt", *options):
        mnt = box.dir(name, user)
        env = box.environment(**kernel)
        return dirdisk(src, mnt, "--no-grub", *options, user=user, env=env)

    return mount


@pytest.fixture
def unmount(box, user):
    if user is None:
        return procs.unmount
    return lambda point: box.run(["fusermount3", "-u", point], user=user)


def reuse(box, old, name):
    """Mounts until the numbers of the old mount are given to a new one.

    The new mounts, or None if another test got the numbers.
    """
    points, ids, devs = [], set(), set()
    for number in range(MANY):
        points.append(box.tmpfs(f"{name}/{number}", "size=4k"))
        (new,) = [m for m in box.mounts() if m.point == str(points[-1])]
        ids.add(new.id)
        devs.add(new.dev)
        if (new.id, new.dev) == (old.id, old.dev):
            return points
    return None


def assert_mounted(box, points):
    assert {str(point) for point in points} <= {m.point for m in box.mounts()}


END = {
    # The supervisor learns of all of it late.
    "supervisor stopped": ("stop-supervisor", 0),
    # The end takes long, and somebody presses for it.
    "worker stopped": ("stop-worker", 0),
    # It cannot say that it was an unmount.
    "worker killed": ("kill-worker", 7),
}


@pytest.mark.parametrize("end", END)
def test_after_an_unmount(box, mounted, unmount, end):
    how, status = END[end]
    for attempt in range(8):
        disk = mounted(f"mnt{attempt}")
        (old,) = disk.box_mounts()
        if how != "stop-supervisor":
            disk.stop_worker()
        if how != "stop-worker":
            disk.stop()
        unmount(disk.mnt)
        if how == "kill-worker":
            disk.kill_worker()
        points = reuse(box, old, f"other{attempt}")
        if how == "stop-worker":
            disk.signal(signal.SIGTERM)
        else:
            disk.signal(signal.SIGCONT)
        disk.box.known.add(disk.supervisor)
        assert disk.status() == status
        box.wait_no_process()
        if points is not None:
            break
    assert points is not None, "the numbers were never given to another mount"
    assert_mounted(box, points)


def test_another_dirdisk_on_the_same_directory(
    box, dirdisk, src, mounted, unmount, user
):
    """A restart while the first one still ends."""
    disk = mounted()
    disk.stop()
    unmount(disk.mnt)
    again = dirdisk(src, disk.mnt, "--no-grub", user=user)
    disk.signal(signal.SIGCONT)
    box.known.add(disk.supervisor)
    assert disk.status() == 0
    (mount,) = again.box_mounts()
    again.unmount("fusermount3", "-u", user=user)


def test_auto_unmount_leaves_the_next_one_alone(
    box, dirdisk, src, mounted, unmount, user
):
    """No helper is left that unmounts by path."""
    disk = mounted("mnt", "-o", "auto_unmount")
    disk.stop()
    unmount(disk.mnt)
    again = dirdisk(src, disk.mnt, "--no-grub", user=user)
    disk.signal(signal.SIGCONT)
    box.known.add(disk.supervisor)
    assert disk.status() == 0
    ours = {again.supervisor, again.opener, *again.workers}
    wait_until(lambda: set(box.processes()) <= ours)
    assert len(again.box_mounts()) == 1
    again.unmount("fusermount3", "-u", user=user)


def test_killed_worker(box, mounted):
    """Nobody waits for it, and no mount stays."""
    disk = mounted()
    disk.kill_worker()
    disk.assert_ended(7)


def test_killed_worker_while_it_is_read(box, mounted, user):
    disk = mounted()
    disk.stop_worker()
    reader = box.start(["cat", disk.image], user=user)
    disk.kill_worker()
    assert reader.wait(20) != 0
    disk.assert_ended(7)


def test_connection_broken_by_force(box, mounted):
    """umount -f, in vain as somebody is there: nothing dead stays."""
    disk = mounted()
    directory = os.open(disk.mnt, os.O_PATH)
    box.run(["umount", "-f", disk.mnt], check=False)
    os.close(directory)
    box.known.add(disk.supervisor)
    disk.status()
    box.wait_no_process()
    assert disk.box_mounts() == []


def test_moved_mount(box, mounted):
    """It is unmounted from where it is now."""
    disk = mounted()
    away = box.dir("away")
    box.mount("--move", disk.mnt, away)
    disk.signal(signal.SIGTERM)
    disk.assert_ended(0)
    assert box.mounts() == []


def test_renamed_directory(box, mounted):
    disk = mounted("above/mnt")
    os.rename(box.root / "above", box.root / "renamed")
    (box.root / "above").mkdir()
    box.tmpfs("above/mnt")
    disk.signal(signal.SIGTERM)
    box.known.add(disk.supervisor)
    assert disk.status() == 0
    box.wait_no_process()
    (mount,) = box.mounts()
    assert mount.point == str(box.root / "above/mnt")


def test_something_mounted_over_it(box, dirdisk, src, mounted, user):
    """It stays; nobody hangs on the disk below, which the next start takes."""
    disk = mounted()
    held = os.open(disk.image, os.O_RDONLY) if user is None else None
    box.mount("-t", "tmpfs", "over", disk.mnt)
    disk.signal(signal.SIGTERM)
    box.known.add(disk.supervisor)
    assert disk.status() == 7
    box.wait_no_process()
    if held is not None:
        with pytest.raises(OSError) as error:
            os.pread(held, 512, os.fstat(held).st_size - 512)
        assert error.value.errno == errno.ENOTCONN
        os.close(held)
    assert sorted(m.fstype for m in disk.box_mounts()) == [
        "fuse.dirdisk",
        "tmpfs",
    ]
    box.umount(disk.mnt)
    again = dirdisk(src, disk.mnt, "--no-grub", user=user)
    again.unmount("fusermount3", "-u", user=user)


def test_something_mounted_over_it_is_told(box, dirdisk, src):
    disk = dirdisk.foreground(src, None, "--no-grub")
    box.mount("-t", "tmpfs", "over", disk.mnt)
    disk.signal(signal.SIGTERM)
    assert disk.status() == 7
    (line,) = disk.process.log.read_text().splitlines()
    assert line.startswith(f"dirdisk: {disk.mnt}: cannot be unmounted")
    assert "mounted over it; unmount that, then run fusermount3 -u" in line


def test_something_mounted_over_it_for_a_while(box, mounted):
    """Gone again by the time the worker has ended, it is no matter."""
    disk = mounted()
    box.mount("-t", "tmpfs", "over", disk.mnt)
    disk.stop_worker()
    disk.signal(signal.SIGTERM)
    wait_until(lambda: sigterm_taken(disk.supervisor))
    box.umount(disk.mnt)
    disk.signal_worker(signal.SIGCONT)
    disk.assert_ended(0)


def sigterm_taken(pid):
    """Whether a process has read the SIGTERM that it was sent."""
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    pending = int(status["ShdPnd"], 16) | int(status["SigPnd"], 16)
    return not pending >> (signal.SIGTERM - 1) & 1


def test_while_others_come_and_go(box, mounted, unmount):
    """Each end of a dirdisk among mounts that take its numbers."""
    noise = box.dir("noise")
    script = (
        "i=0; while :; do i=$((i + 1)); d=$0/$i; mkdir $d;"
        " mount -t tmpfs -o size=4k x $d; "
        " [ $i -gt 8 ] && umount $0/$((i - 8)); done"
    )
    other = box.start(["sh", "-ec", script, noise])
    for number in range(10):
        disk = mounted(f"mnt{number}")
        if number % 2:
            unmount(disk.mnt)
        else:
            disk.signal(signal.SIGTERM)
        box.known.add(disk.supervisor)
        assert disk.status() == 0
        assert disk.box_mounts() == []
    # Had one of them been unmounted, umount would have failed.
    assert other.poll() is None, other.log.read_text()
    other.kill()
    other.wait()


# ---- inode numbers ----


def test_directory_that_takes_the_mount_points_place(box, dirdisk):
    """An inode number that is free again hides no directory of SRC."""
    src = box.ext4("src", 64 << 20)
    (src / "mnt").mkdir()
    disk = dirdisk(src, src / "mnt", "--no-grub")
    away = box.dir("away")
    box.mount("--move", disk.mnt, away)
    old = os.stat(src / "mnt").st_ino
    (src / "mnt").rmdir()
    for number in range(64):
        (src / f"d{number}").mkdir()
        (src / f"d{number}/file").write_text("here")
    assert old not in {os.stat(src / f"d{n}").st_ino for n in range(64)}
    for number in range(64):
        done = box.run(
            ["grub-fstest", away / "disk.img", "cat"]
            + [f"(loop0,msdos2)/d{number}/file"]
        )
        assert done.text == "here"
    disk.signal(signal.SIGTERM)
    box.known.add(disk.supervisor)
    assert disk.status() == 0


# ---- mounts below SRC ----


def test_mount_below_the_source_that_is_replaced(box, dirdisk, src):
    """By another with its numbers: the disk shows the one that is there."""
    (src / "below").mkdir()
    for attempt in range(8):
        box.mount("-t", "tmpfs", "-o", "mode=700", "x", src / "below")
        (old,) = box.mounts()
        disk = dirdisk(src, box.dir(f"mnt{attempt}"), "--no-grub")
        assert mode_below(box, disk) == 0o700
        procs.unmount(src / "below")
        box.mount("-t", "tmpfs", "-o", "mode=751", "x", src / "below")
        (new,) = [m for m in box.mounts() if m.fstype == "tmpfs"]
        assert mode_below(box, disk) == 0o751
        disk.unmount()
        procs.unmount(src / "below")
        if (new.id, new.dev) == (old.id, old.dev):
            return
    raise AssertionError("the numbers were never given to another mount")


def mode_below(box, disk):
    with judges.partition_mount(box, disk.image, 2) as point:
        return stat.S_IMODE(os.stat(point / "below").st_mode)


# ---- pid files ----


def pid_of(path):
    return int(path.read_text())


def test_pid_file_of_another(box, dirdisk, src):
    """Two with the same one: the last that wrote it removes it."""
    path = box.root / "pid"
    first = dirdisk(src, None, "--no-grub", f"--pidfile={path}")
    second = dirdisk(src, box.dir("mnt2"), "--no-grub", f"--pidfile={path}")
    assert pid_of(path) == second.supervisor
    first.signal(signal.SIGTERM)
    box.known.add(first.supervisor)
    assert first.status() == 0
    assert pid_of(path) == second.supervisor
    second.signal(signal.SIGTERM)
    second.assert_ended(0)
    assert not path.exists()


def test_pid_file_that_was_replaced(box, dirdisk, src):
    path = box.root / "pid"
    disk = dirdisk(src, None, "--no-grub", f"--pidfile={path}")
    path.unlink()
    path.write_text(f"{disk.supervisor}\n")
    disk.signal(signal.SIGTERM)
    disk.assert_ended(0)
    assert path.exists()


@pytest.mark.parametrize("kind", ["device", "fifo", "link"])
def test_pid_file_that_is_none(box, dirdisk, src, kind):
    """It is neither written nor removed."""
    path = box.root / "none"
    if kind == "device":
        os.mknod(path, 0o20666, os.makedev(1, 3))
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("pid")
    done = dirdisk.run(
        "--no-grub", f"--pidfile={path}", src, box.dir("mnt"), check=False
    )
    assert done.returncode == 3
    assert f"--pidfile={path}: not a regular file; give a path" in done.text
    assert os.path.lexists(path) and not (box.root / "pid").exists()
    box.assert_nothing_left()


@pytest.mark.parametrize("text", ["data", "1 2", "\n", "1" * 40, "7\n\n"])
def test_pid_file_that_is_another_file(box, dirdisk, src, text):
    """What somebody wrote there is not overwritten."""
    path = box.root / "notes"
    path.write_text(text)
    done = dirdisk.run(
        "--no-grub", f"--pidfile={path}", src, box.dir("mnt"), check=False
    )
    assert done.returncode == 3
    assert f"--pidfile={path}: contains something other than" in done.text
    assert path.read_text() == text
    box.assert_nothing_left()


def test_pid_file_that_was_left(box, dirdisk, src):
    """By a process that was killed, or made beforehand."""
    path = box.root / "pid"
    mnt = box.dir("mnt")
    for text in ("", "4194303", "12\n"):
        path.write_text(text)
        disk = dirdisk(src, mnt, "--no-grub", f"--pidfile={path}")
        assert path.read_text() == f"{disk.supervisor}\n"
        disk.unmount()
        assert not path.exists()


def test_pid_file_that_somebody_has_locked(box, dirdisk, src):
    path = box.root / "pid"
    mnt = box.dir("mnt")
    box.run(
        ["flock", path, dirdisk.program, "--no-grub"]
        + [f"--pidfile={path}", src, mnt]
    )
    os.kill(pid_of(path), signal.SIGTERM)
    box.assert_nothing_left()
    assert not path.exists()


# ---- a private mount directory ----


@pytest.fixture
def running(runs):
    runs.fake()
    process = runs.start()
    runs.wait_boots(process)
    return process


def place_of(runs):
    (mount,) = runs.box.mounts()
    return mount.point


def test_run_leaves_what_is_mounted_on_its_directory(box, runs, running):
    place = place_of(runs)
    box.mount("-t", "tmpfs", "over", place)
    running.terminate()
    running.wait(60)
    box.wait_no_process()
    assert place in running.log.read_text()
    assert "tmpfs" in [m.fstype for m in box.mounts()]


def test_run_leaves_a_directory_of_the_same_name(box, runs, running):
    place = place_of(runs)
    held = procs.hold([running.pid, runs.disk()[0]])
    for process in held:
        process.stop()
    procs.unmount(place)
    os.rename(place, f"{place}.away")
    os.mkdir(place)
    for process in held:
        process.signal(signal.SIGCONT)
    running.wait(60)
    box.wait_no_process()
    assert box.mounts() == []
    assert os.path.isdir(place)
