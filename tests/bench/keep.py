# SPDX-License-Identifier: GPL-3.0-or-later
"""A place to work in, cleared up however the work ends.

The work is done by a child in a session of its own. If it is killed, its
parent clears up; if the parent is killed, with its whole group perhaps, the
child is told, and clears up itself.
"""

import ctypes
import os
import pathlib
import signal
import sys
import tempfile
import traceback

from support import procs

PR_SET_PDEATHSIG = 1
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)


def _on_end(what):
    for number in ENDS:
        signal.signal(number, what)


def _clear(root):
    _on_end(signal.SIG_IGN)
    procs.sweep(root)
    procs.remove_tree(root)


def _give_up(number, _):
    raise SystemExit(128 + number)


def _work(root, function, deadline):
    """In the child: its exit status."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()
    procs.become_subreaper()
    signal.alarm(deadline)
    try:
        return function(root)
    except SystemExit as end:
        return end.code
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        _clear(root)


def keep(name, function, deadline):
    """Runs function(root) in a new directory root; gives its exit status."""
    procs.become_subreaper()
    procs.leave_mount_namespace()
    root = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-")).resolve()
    _on_end(_give_up)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = _work(root, function, deadline)
        sys.stdout.flush()
        os._exit(status)
    _on_end(lambda number, _: os.kill(pid, signal.SIGTERM))
    _, status = os.waitpid(pid, 0)
    _clear(root)
    return os.waitstatus_to_exitcode(status) % 256
