# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and mounts, as /proc tells of them."""

import ctypes
import os
import re
import signal
import subprocess
import time
from collections import namedtuple

from support import loops

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000

# Of a process that is confined: sanitizers make calls of all kinds.
SECCOMP = "0" if os.environ.get("DIRDISK_SANITIZED") else "2"

Mount = namedtuple("Mount", "id dev point fstype source options")


def _libc(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def become_subreaper():
    """Whatever a test starts stays a descendant of ours, daemon or not."""
    _libc("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def leave_mount_namespace():
    """Mounts made from now on are seen by us and our descendants alone."""
    _libc("unshare", CLONE_NEWNS)
    subprocess.check_call(["mount", "--make-rprivate", "/"])


def unmount(point):
    """umount2(2); umount(8) asks the server first, which may be stopped."""
    _libc("umount2", os.fsencode(point), 0)


def _stat(pid):
    """(parent, state) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), fields[0].decode()


def state(pid):
    """The letter of ps(1), or None when it is gone."""
    found = _stat(pid)
    return found and found[1]


def thread_states(pid):
    """The letter of each of its threads; none when it is gone."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [state(f"{pid}/task/{task}") or "X" for task in tasks]


def descendants(root=None):
    """{pid: (parent, state)} of everything below root (this process)."""
    root = os.getpid() if root is None else root
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = _stat(int(name))
            if found:
                table[int(name)] = found
    below = {}
    grown = True
    while grown:
        grown = False
        for pid, found in table.items():
            if pid not in below and (found[0] == root or found[0] in below):
                below[pid] = found
                grown = True
    return below


def preload(program, library):
    """LD_PRELOAD for a program; AddressSanitizer's own library comes first."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True)
    first = re.findall(r"libasan\.\S+ => (\S+)", done.stdout)
    return " ".join([*first, os.fspath(library)])


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return " ".join(os.fsdecode(word) for word in words)


def name_of(pid):
    """What a process calls itself."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return os.fsdecode(file.read().rstrip(b"\n"))
    except (FileNotFoundError, ProcessLookupError):
        return ""


def runs(pid, program):
    """Whether a process runs the program of that name."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program
    except OSError:
        return False


def status_of(pid, task=None):
    """The lines of its status, as {name: value}."""
    path = f"/proc/{pid}/task/{task or pid}/status"
    with open(path, encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


def alive(keep=()):
    """The living descendants that are not in keep."""
    return [
        pid
        for pid, (_, state) in descendants().items()
        if state not in "ZX" and pid not in keep
    ]


def reap(keep=()):
    """Takes the exit status of orphans that came to us."""
    me = os.getpid()
    for pid, (parent, state) in descendants().items():
        if parent == me and state == "Z" and pid not in keep:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


class Process:
    """A process by a descriptor: its number may be another's one day."""

    def __init__(self, pid):
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def __del__(self):
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def signal(self, number):
        """Sends a signal, if it has not ended."""
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            pass

    def stop(self, timeout=20):
        """SIGSTOP, and its effect: a busy thread goes on for a moment."""
        self.signal(signal.SIGSTOP)
        end = time.monotonic() + timeout
        while set(thread_states(self.pid)) - set("TtZX"):
            assert time.monotonic() < end, f"{self.pid} does not stop"
            time.sleep(0.002)


def hold(pids):
    """A Process for each of them that still is there."""
    found = []
    for pid in pids:
        try:
            found.append(Process(pid))
        except ProcessLookupError:
            pass
    return found


def kill_all(keep=(), patience=10.0):
    """SIGKILL to every descendant, until none is left; says which stay."""
    end = time.monotonic() + patience
    while True:
        held = hold(alive(keep))
        # What still is below us is what the descriptors are of.
        left = alive(keep)
        for process in held:
            if process.pid in left:
                process.signal(signal.SIGKILL)
        reap(keep)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def _unescape(text):
    return re.sub(
        rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), text
    )


def mounts_below(root):
    """The mounts on root or below it, innermost first."""
    root = os.fsencode(root)
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            left, _, right = line.rstrip(b"\n").partition(b" - ")
            fields = left.split(b" ")
            fstype, source, options = right.split(b" ")[:3]
            point = _unescape(fields[4])
            if point == root or point.startswith(root.rstrip(b"/") + b"/"):
                found.append(
                    Mount(
                        int(fields[0]),
                        fields[2].decode(),
                        os.fsdecode(point),
                        fstype.decode(),
                        os.fsdecode(_unescape(source)),
                        fields[5].decode() + "," + options.decode(),
                    )
                )
    return found[::-1]


def fuse_abort(mounts, scratch):
    """Cuts off FUSE connections: what waits for a dead server wakes up."""
    minors = [m.dev.split(":")[1] for m in mounts if "fuse" in m.fstype]
    if not minors:
        return
    control = "/sys/fs/fuse/connections"
    mounted = False
    if not os.listdir(control):
        control = os.path.join(scratch, "fusectl")
        os.makedirs(control, exist_ok=True)
        command = ["mount", "-t", "fusectl", "none", control]
        mounted = subprocess.call(command) == 0
    for minor in minors:
        try:
            with open(f"{control}/{minor}/abort", "w") as file:
                file.write("1")
        except OSError:
            pass
    if mounted:
        subprocess.call(["umount", "-l", control])


def sweep(root, keep=()):
    """Ends everything that lives in root: processes, loops, mounts.

    A loop device is found by its file's path, which goes with the mount that
    the file is on: so those first.
    """
    root = str(root)
    fuse_abort(mounts_below(root), root)
    left = kill_all(keep)
    loops.detach_below(root)
    for _ in range(20):
        mounts = mounts_below(root)
        for mount in mounts:
            subprocess.call(
                ["umount", "-l", mount.point], stderr=subprocess.DEVNULL
            )
        if not mounts:
            break
        time.sleep(0.1)
    return left + kill_all(keep)


def remove_tree(root):
    """rm -r, never into another file system."""
    subprocess.call(["rm", "-rf", "--one-file-system", str(root)])


NAMES = {"dirdisk-worker": "worker", "dirdisk-opener": "opener"}


def roles(pids=None):
    """{supervisor, worker, opener: pid} of a dirdisk among these processes, by
    default all below us, as far as they are there by now. Each may have children
    of its own for a moment, of the same name."""
    table = descendants()
    names = {pid: name_of(pid) for pid in table}
    found = {}
    for pid in alive():
        parent = table.get(pid, (None,))[0]
        name = names.get(pid)
        if name not in NAMES or names.get(parent) == name:
            continue
        if pids is None or pid in pids:
            found[NAMES[name]] = pid
            found["supervisor"] = parent
    return found
