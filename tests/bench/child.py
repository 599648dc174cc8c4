# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs, started, and what they took."""

import os
import select
import subprocess
import time
from collections import namedtuple

# cpu: seconds; stored: bytes of storage made dirty; written: handed to write
# calls of any kind, pipes and /dev/fuse included. All with its children's.
Ended = namedtuple("Ended", "pid status cpu stored written")


def spawn(argv, *, out="/dev/null", env=None):
    """Starts a program; gives its pid. out: a descriptor or a path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    if isinstance(out, int):
        give_out = (os.POSIX_SPAWN_DUP2, out, 1)
    else:
        give_out = (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o600)
    return os.posix_spawnp(
        os.fspath(argv[0]),
        [os.fspath(word) for word in argv],
        dict(os.environ, **(env or {})),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            give_out,
        ],
    )


def _figures(pid):
    """/proc/PID/io of one that has ended but was not yet waited for."""
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return {key: int(n) for key, n in (line.split(":") for line in file)}


def wait(pid):
    """Waits for a child of ours to end."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    figures = _figures(found.si_pid)
    _, status, usage = os.wait4(pid, 0)
    return Ended(
        pid,
        os.waitstatus_to_exitcode(status),
        usage.ru_utime + usage.ru_stime,
        figures["write_bytes"],
        figures["wchar"],
    )


def wait_orphans():
    """Waits for all that came to us, by the death of its parent."""
    ended = []
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return ended
        ended.append(wait(found.si_pid))


def cpu(pid):
    """Seconds of processor time a process, not its children, has had."""
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid):
    """Bytes that a process ever had resident at once."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        figures = dict(line.split(":", 1) for line in file)
    return int(figures["VmHWM"].split()[0]) * 1024


def run(argv, **more):
    """Runs a program to its end, which must be a good one."""
    ended = wait(spawn(argv, **more))
    assert ended.status == 0, f"{argv}: exit status {ended.status}"
    return ended


def call(*argv):
    """Runs a program that is not measured."""
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def read_until(fd, text, seconds):
    """Reads a pipe until text has come."""
    seen = b""
    end = time.monotonic() + seconds
    while text not in seen:
        patience = max(0, end - time.monotonic())
        ready, _, _ = select.select([fd], [], [], patience)
        piece = os.read(fd, 65536) if ready else b""
        assert piece, f"no {text!r} in {seen[-3000:].decode(errors='replace')}"
        seen += piece
