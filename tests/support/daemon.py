# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk: started, watched, and ended."""

import os
import pathlib
import select
import signal
import time

from support import procs

END_TIMEOUT = 30


class Launcher:
    """Runs the program in a sandbox."""

    def __init__(self, box, program):
        self.box = box
        self.program = str(program)

    def environment(self, **extra):
        return self.box.environment(**extra)

    def run(self, *arguments, check=True, command=(), **more):
        """Runs it with just these arguments until the launcher ends.

        command: a program that starts it, with its arguments.
        """
        argv = [*command, self.program]
        argv += [os.fspath(word) for word in arguments]
        return self.box.run(argv, name="dirdisk", check=check, **more)

    def __call__(self, src, mnt=None, *options, **more):
        """Mounts, in the background, and gives the Disk."""
        if mnt is None:
            mnt = self.box.dir("mnt", more.get("user"))
        before = set(procs.alive())
        launcher = self.run(*options, src, mnt, **more)
        return Disk(self.box, mnt, launcher, set(procs.alive()) - before)

    def foreground(self, src, mnt=None, *options, **more):
        """Mounts with -f on a terminal, and gives the Disk once it is up."""
        if mnt is None:
            mnt = self.box.dir("mnt", more.get("user"))
        argv = [self.program, "-f", *options, src, mnt]
        before = set(procs.alive())
        terminal, theirs = os.openpty()
        process = self.box.start(
            [os.fspath(word) for word in argv],
            name="dirdisk",
            stdout=theirs,
            **more,
        )
        os.close(theirs)
        told = self._read_line(terminal)
        os.close(terminal)
        assert told.endswith(
            b"-m 1G\r\n"
        ), f"{told}, {process.poll()}, " + process.log.read_text(
            errors="replace"
        )
        pids = set(procs.alive()) - before
        return Disk(self.box, mnt, process, pids, process)

    @staticmethod
    def _read_line(terminal, timeout=60):
        """What is said until the end of a line, or of the one who says it."""
        told = b""
        while not told.endswith(b"\n"):
            if not select.select([terminal], [], [], timeout)[0]:
                break
            try:
                told += os.read(terminal, 4096)
            except OSError:
                break
        return told


class Disk:
    """A mounted dirdisk."""

    def __init__(self, box, mnt, launcher, pids, process=None):
        self.box = box
        self.mnt = pathlib.Path(mnt)
        self.image = self.mnt / "disk.img"
        self.launcher = launcher
        self.process = process
        roles = self._wait_for_roles(pids)
        self.supervisor = roles["supervisor"]
        self.opener = roles["opener"]
        self.workers = [roles["worker"]]
        # Before they can end: somebody else reaps the workers.
        self._supervisor = procs.Process(self.supervisor)
        self._workers = procs.hold(self.workers)
        self._status = None

    def _wait_for_roles(self, pids, timeout=60):
        """The opener may name itself after the disk can be read."""
        end = time.monotonic() + timeout
        while True:
            roles = procs.roles(pids)
            if len(roles) == 3:
                return roles
            assert time.monotonic() < end, (roles, self.box.processes())
            time.sleep(0.01)

    @property
    def size(self):
        return os.stat(self.image).st_size

    def read(self, offset, length):
        with open(self.image, "rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)

    def status(self, timeout=END_TIMEOUT):
        """The supervisor's exit status; a signal's is negative."""
        if self._status is not None:
            return self._status
        if self.process is not None:
            self._status = self.process.wait(timeout)
            return self._status
        end = time.monotonic() + timeout
        while True:
            pid, status = os.waitpid(self.supervisor, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
                return self._status
            assert (
                time.monotonic() < end
            ), f"the supervisor does not end: {self.box.processes()}"
            time.sleep(0.01)

    def unmount(self, *command, user=None):
        """Unmounts; it must end with status 0 and leave nothing behind."""
        command = command or ("fusermount3", "-u")
        self.box.run([*command, str(self.mnt)], user=user)
        self.assert_ended(0)

    def signal(self, number):
        self._supervisor.signal(number)

    def signal_worker(self, number):
        for worker in self._workers:
            worker.signal(number)

    def assert_ended(self, status):
        # Somebody must wait for an orphan: until then its status stays.
        self.box.known.add(self.supervisor)
        assert self.status() == status
        self.box.wait_no_process()
        assert self.box_mounts() == []

    def box_mounts(self):
        return [m for m in self.box.mounts() if m.point == str(self.mnt)]

    def stop(self):
        self._supervisor.stop()

    def stop_worker(self):
        for worker in self._workers:
            worker.stop()

    def kill_worker(self):
        self.signal_worker(signal.SIGKILL)


__all__ = ["Disk", "Launcher", "NOBODY"]
