# SPDX-License-Identifier: GPL-3.0-or-later
"""Without watches, or with too few of them, it is never stale either."""

import os
import pathlib
import signal
import sys

from support import sources
from support.held import cat, listed
from support.sandbox import NOBODY

DIRECTORIES = 40
QUEUE = pathlib.Path("/proc/sys/fs/inotify/max_queued_events")

# A namespace of users has limits of its own, and root in it may lower them.
FEW_WATCHES = """
echo 10 >/proc/sys/user/max_inotify_watches
[ "$(cat /proc/sys/user/max_inotify_watches)" = 10 ] || exit 9
exec "$@"
"""

ALL_INSTANCES = """
import ctypes, signal, sys
libc = ctypes.CDLL(None)
while libc.inotify_init1(0) >= 0:
    pass
print("none left", flush=True)
signal.pause()
"""


SOME_WATCHES = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(0)
for name in os.listdir(sys.argv[1])[:5]:
    path = os.path.join(sys.argv[1], name).encode()
    assert libc.inotify_add_watch(fd, path, 0x100) > 0, ctypes.get_errno()
"""


def watches(process):
    """Of the processes that it has started, and of itself."""
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/fdinfo/*"):
        pid = int(path.parts[2])
        try:
            if pid in (process.pid, *children(process.pid)):
                found += path.read_text().count("inotify wd:")
        except OSError:
            pass
    return found


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def filled(src):
    for number in range(DIRECTORIES):
        sources.write(src, f"{number}/deeper/file", b"before")
    return src


def assert_never_stale(box, src, image, enter, more="more"):
    for number in range(0, DIRECTORIES, 7):
        path = f"{number}/deeper/file"
        (src / path).write_bytes(b"after %d" % number)
        assert cat(box, image, path, enter) == b"after %d" % number
        os.mkdir(src / f"{number}/deeper/{more}")
        (src / f"{number}/deeper/{more}/file").write_bytes(b"new")
        assert cat(box, image, f"{number}/deeper/{more}/file", enter) == b"new"
        os.unlink(src / path)
        assert more in listed(box, image, f"{number}/deeper", enter)
        assert "file" not in listed(box, image, f"{number}/deeper", enter)


def assert_said_once(text):
    said = [line for line in text.splitlines() if "inotify" in line]
    assert len(said) == 1, text


def test_no_watches_left(box, program):
    src = filled(box.dir("src"))
    mnt = box.dir("mnt")
    argv = ["unshare", "-U", "--map-root-user", "-m", "sh", "-c", FEW_WATCHES]
    argv += ["sh", program, "-f", "--no-grub", src, mnt]
    process = box.start([str(word) for word in argv], name="dirdisk")
    # The mount is seen in the namespace of mounts that goes with it.
    image = pathlib.Path(f"/proc/{process.pid}/root{mnt}/disk.img")
    box.wait_for(image.exists, process)
    enter = ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt"]
    assert_never_stale(box, src, mnt / "disk.img", enter)
    assert_said_once(process.log.read_text())
    # None are held for nothing: another program's are to be had.
    assert watches(process) == 0
    there = ["nsenter", "--preserve-credentials", "-U", "-m", "-t"]
    there += [str(process.pid)]
    box.run([*there, sys.executable, "-c", SOME_WATCHES, src])
    # A limit that is raised is used at the next open.
    raised = "echo 1000 >/proc/sys/user/max_inotify_watches"
    box.run([*there, "sh", "-c", raised])
    assert cat(box, mnt / "disk.img", "0/deeper/more/file", enter) == b"new"
    assert watches(process) > 2 * DIRECTORIES
    assert_never_stale(box, src, mnt / "disk.img", enter, "others")
    assert_said_once(process.log.read_text())
    process.terminate()
    assert process.wait(20) == 0
    box.assert_nothing_left()


def test_no_instance_left(box, dirdisk):
    """Other programs of the user have taken all."""
    taker = box.start([sys.executable, "-c", ALL_INSTANCES], user=NOBODY)
    box.wait_for(lambda: taker.log.stat().st_size, taker)
    src = filled(box.dir("src", NOBODY))
    disk = dirdisk(src, None, "--no-grub", user=NOBODY)
    # Who is not the one who mounted comes near through that one's directory.
    image = box.tmp / "disk.img"

    def copied():
        box.run(["cp", "--sparse=always", disk.image, image], user=NOBODY)
        return image

    for number in range(3):
        (src / f"{number}/deeper/file").write_bytes(b"after")
        assert cat(box, copied(), f"{number}/deeper/file") == b"after"
    said = box.run(["cat", disk.mnt / "info/log"], user=NOBODY)
    assert_said_once(said.text)
    taker.kill()
    taker.wait()
    disk.unmount(user=NOBODY)


def test_more_events_than_the_queue_holds(box, dirdisk):
    """Nobody takes them meanwhile; then all of the tree is looked at."""
    src = box.tmpfs("src")
    for directory in ("a", "b"):
        sources.write(src, f"{directory}/file", b"before")
    disk = dirdisk.foreground(src, None, "--no-grub")
    disk.stop_worker()
    fd = os.open(src / "a", os.O_RDONLY)
    for count in range(int(QUEUE.read_text("ascii"))):
        os.close(os.open(f"{count % 100}", os.O_CREAT | os.O_RDWR, dir_fd=fd))
        os.unlink(f"{count % 100}", dir_fd=fd)
    os.close(fd)
    (src / "b/file").write_bytes(b"after the flood")
    disk.signal_worker(signal.SIGCONT)
    assert cat(box, disk.image, "b/file") == b"after the flood"
    assert listed(box, disk.image, "a") == ["file"]
    (src / "a/file").write_bytes(b"and watched again")
    assert cat(box, disk.image, "a/file") == b"and watched again"
    assert_said_once(disk.process.log.read_text())
    disk.unmount()
