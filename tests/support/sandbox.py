# SPDX-License-Identifier: GPL-3.0-or-later
"""A private work directory, and an end to everything that lives in it."""

import os
import pathlib
import signal
import subprocess
import threading
import time

from support import loops, procs

NOBODY = 65534
# An ordinary user: no privileges, no groups, and a set-uid fusermount3.
AS_NOBODY = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
]


class TimedOut(Exception):
    pass


class Sandbox:
    """Everything of one test. close() ends whatever the test left behind."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir(mode=0o755)
        self.tmp = self.dir("tmp")
        self.tmp.chmod(0o1777)
        self.logs = []
        self.known = set()  # pids whose exit status somebody here waits for
        self.loops = {}  # device: descriptor
        self.expired = False
        self._n = 0

    def dir(self, name, owner=None):
        path = self.root / name
        path.mkdir(parents=True)
        if owner is not None:
            os.chown(path, owner, owner)
        return path

    def log(self, name):
        """A new file that is shown when the test fails."""
        self._n += 1
        path = self.root / f"{self._n:03}-{name}.log"
        self.logs.append(path)
        return path

    def logged(self):
        """[(name, text)] of all logs that say anything."""
        found = []
        for path in self.logs:
            if path.exists() and path.stat().st_size:
                text = path.read_bytes()[-20000:]
                found.append((path.name, text.decode(errors="replace")))
        return found

    def environment(self, **extra):
        env = dict(os.environ, TMPDIR=str(self.tmp), LC_ALL="C.UTF-8")
        env.update(extra)
        return {key: value for key, value in env.items() if value is not None}

    # ---- processes ----

    @staticmethod
    def _traced(argv, env):
        """LeakSanitizer cannot trace what strace does."""
        if "strace" in argv and "ASAN_OPTIONS" in env:
            asan = env["ASAN_OPTIONS"]
            return {**env, "ASAN_OPTIONS": f"{asan}:detect_leaks=0"}
        return env

    def start(self, argv, *, name=None, user=None, env=None, **more):
        """A process whose output goes to a log (its path: .log)."""
        if user is not None:
            assert user == NOBODY
            argv = AS_NOBODY + list(argv)
        log = self.log(name or os.path.basename(str(argv[0])))
        with open(log, "wb") as out:
            process = subprocess.Popen(
                argv,
                env=self._traced(argv, env or self.environment()),
                stdin=more.pop("stdin", subprocess.DEVNULL),
                stdout=more.pop("stdout", out),
                stderr=more.pop("stderr", out),
                **more,
            )
        process.log = log
        self.known.add(process.pid)
        return process

    def run(self, argv, *, timeout=120, check=True, **more):
        """Runs a program to its end; its output is .text, also in a log.

        Output goes to a file, not a pipe: a daemon that keeps its standard
        error open must not keep us waiting.
        """
        process = self.start(argv, **more)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{argv}: no end within {timeout} s")
        process.data = process.log.read_bytes()
        process.text = process.data.decode(errors="replace")
        if check:
            assert (
                process.returncode == 0
            ), f"{argv}: exit status {process.returncode}\n{process.text}"
        return process

    def processes(self):
        """What lives below us, as {pid: command line}."""
        return {pid: procs.command_of(pid) for pid in procs.alive()}

    @staticmethod
    def wait_for(what, process, timeout=20):
        """Until what() is true, which the process is to bring about."""
        end = time.monotonic() + timeout
        while True:
            ended = process.poll() is not None
            if what():
                return
            text = process.log.read_text(errors="replace")
            assert not ended, f"it ended: {text}"
            assert time.monotonic() < end, f"it never comes: {text}"
            time.sleep(0.01)

    def wait_no_process(self, but=(), timeout=20):
        end = time.monotonic() + timeout
        while True:
            procs.reap(self.known)
            left = self.processes()
            left = {pid: left[pid] for pid in left if pid not in but}
            if not left:
                return
            assert time.monotonic() < end, f"processes are left: {left}"
            time.sleep(0.02)

    # ---- mounts and loop devices ----

    def mounts(self):
        return procs.mounts_below(self.root)

    def mount(self, *arguments):
        self.run(["mount", *map(str, arguments)])

    def umount(self, point):
        self.run(["umount", str(point)])

    def tmpfs(self, name, options="size=64m"):
        point = self.dir(name)
        self.mount("-t", "tmpfs", "-o", options, "tmpfs", point)
        return point

    def ext4(self, name, size):
        """A directory with an ext4 of its own, of so many bytes."""
        image = self.root / f"{name}.img"
        with open(image, "wb") as file:
            file.truncate(size)
        self.run(["mkfs.ext4", "-q", image])
        device = self.loop(image, 0, size, writable=True)
        path = self.dir(name)
        self.mount("-t", "ext4", device, path)
        return path

    def read_only(self, point):
        """Nobody, not even root, can write below point any more."""
        self.mount("--bind", point, point)
        self.mount("-o", "remount,bind,ro", point)

    def loop(self, image, start, size, writable=False):
        device, fd = loops.attach(image, start, size, writable)
        self.loops[device] = fd
        return device

    def loop_end(self, device):
        os.close(self.loops.pop(device))

    # ---- the end ----

    def assert_nothing_left(self):
        """Nothing mounted and no process: what every end must come to."""
        self.wait_no_process()
        assert self.mounts() == []

    def sweep(self):
        left = procs.sweep(self.root)
        while self.loops:
            os.close(self.loops.popitem()[1])
        return left

    def close(self):
        left = self.sweep()
        procs.reap()
        procs.remove_tree(self.root)
        assert not left, f"processes outlived SIGKILL: {left}"


class Deadline:
    """Breaks a test off: ends what it waits for, then interrupts it.

    A thread, because a signal alone does not wake a process that waits for a
    FUSE server; the end of the server does.
    """

    def __init__(self, box, seconds):
        self._box = box
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._main = threading.get_ident()
        self._old = signal.signal(signal.SIGALRM, self._interrupt)
        self._seconds = seconds
        self._timer.start()

    def _interrupt(self, *_):
        raise TimedOut(f"the test took more than {self._seconds} s")

    def _expire(self):
        self._box.expired = True
        # What the processes were doing is the best of all hints.
        with open(self._box.log("processes-at-time-out"), "w") as out:
            for pid, command in self._box.processes().items():
                out.write(f"{pid} {command}\n")
        signal.pthread_kill(self._main, signal.SIGALRM)
        self._box.sweep()

    def end(self):
        self._timer.cancel()
        if self._timer.is_alive() and self._box.expired:
            self._timer.join(60)
        signal.signal(signal.SIGALRM, self._old)
