#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs pytest on the arguments, and clears up behind it however it ends.

    DIRDISK=build/fs/dirdisk tests/support/run.py tests/e2e/test_daemon.py -v

pytest clears up after every test by itself. This is for the case that it is
killed: by meson's time-out, or for want of memory.
"""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from support import procs  # noqa: E402


def open_fuse_to_users(root):
    """As udev has it; a bare container keeps /dev/fuse to root."""
    node = os.path.join(root, "fuse")
    os.mknod(node, stat.S_IFCHR, os.stat("/dev/fuse").st_rdev)
    os.chmod(node, 0o666)
    subprocess.check_call(["mount", "--bind", node, "/dev/fuse"])


class Findings:
    """What sanitizers write into files; a daemon has nowhere to say it."""

    def __init__(self, root):
        self.dir = pathlib.Path(root, "sanitizers")
        self.dir.mkdir()
        self.dir.chmod(0o1777)

    def environment(self):
        """Options of ours on top."""
        asan = os.environ.get("ASAN_OPTIONS", "")
        ubsan = os.environ.get("UBSAN_OPTIONS", "")
        log = f"log_path={self.dir}/found"
        return {
            "ASAN_OPTIONS": f"{asan}:{log}"
            ":quarantine_size_mb=16",
            "UBSAN_OPTIONS": f"{ubsan}:{log}",
        }

    def show(self):
        """Prints them, if there are any."""
        found = sorted(self.dir.iterdir())
        for path in found:
            print(path.read_text(errors="replace"), file=sys.stderr)
        return bool(found)


def main(arguments):
    if os.geteuid() != 0:
        sys.exit("these tests mount: run them as root")
    # Inherited from a nohup, or a shell that runs us in the background; and no
    # script may undo that.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    procs.become_subreaper()
    procs.leave_mount_namespace()
    root = os.path.realpath(tempfile.mkdtemp(prefix="dirdisk-tests-"))
    os.chmod(root, 0o755)
    open_fuse_to_users(root)
    findings = Findings(root)
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    pytest = subprocess.Popen(
        [sys.executable, "-B", "-m", "pytest", "--rootdir", TESTS]
        + ["-c", TESTS / "support" / "pytest.ini", *arguments],
        env=dict(
            os.environ,
            DIRDISK_TEST_ROOT=root,
            PYTHONPATH=os.pathsep.join(paths),
            **findings.environment(),
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: pytest.send_signal(signal.SIGINT))
    try:
        status = pytest.wait()
        return 1 if findings.show() else status
    finally:
        procs.sweep(root)
        procs.remove_tree(root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
