# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself: a wedged daemon harms one test, and only for a while."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support import loops, sources
from support.guest import SOURCE
from support.sandbox import Deadline, TimedOut


@pytest.fixture
def wedged(box, dirdisk):
    """A mount that nobody answers any more."""
    disk = dirdisk(sources.small(box.dir("src")))
    disk.stop()
    disk.stop_worker()
    return disk


def test_sweep_ends_all(box, wedged):
    box.start(["cat", str(wedged.image)])
    memory = box.tmpfs("memory")
    box.run(["truncate", "-s", "1M", memory / "file"])
    device = box.loop(memory / "file", 0, 1 << 20)
    box.tmpfs("tmpfs/below")
    # Who reads, the supervisor, the worker and the opener.
    assert len(box.processes()) == 4 and len(box.mounts()) == 3
    assert loops.below(box.root) == [device]
    start = time.monotonic()
    assert box.sweep() == []
    assert time.monotonic() - start < 30
    assert box.processes() == {} and box.mounts() == []
    assert loops.below(box.root) == [] and not box.loops


def test_deadline_interrupts_what_waits_for_it(box, wedged):
    """A read that no signal but SIGKILL ends otherwise."""
    start = time.monotonic()
    with pytest.raises(TimedOut):
        deadline = Deadline(box, 1)
        try:
            wedged.read(0, 512)
        except OSError:
            while time.monotonic() < start + 30:
                time.sleep(0.01)
        finally:
            deadline.end()
    assert time.monotonic() - start < 30
    assert box.processes() == {}


HANGING = """
import time
from support import sources
def test_hangs(box, dirdisk):
    disk = dirdisk(sources.small(box.dir("src")))
    (box.root.parent.parent.parent / "at").write_text(str(disk.supervisor))
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_end_of_a_run_leaves_nothing(box, program, name):
    """Whoever breaks a run off, as meson does, finds all cleared up."""
    box.dir("other")
    (box.root / "test_hanging.py").write_text(HANGING)
    run = box.start(
        [sys.executable, SOURCE / "tests" / "support" / "run.py"]
        + [box.root / "test_hanging.py"],
        env=box.environment(
            DIRDISK=str(program), TMPDIR=str(box.root / "other")
        ),
        stdin=subprocess.DEVNULL,
    )
    told = box.root / "other" / "at"
    end = time.monotonic() + 60
    while not told.exists():
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    run.send_signal(getattr(signal, name))
    assert run.wait(60) != 0
    box.assert_nothing_left()
    assert os.listdir(box.root / "other") == ["at"]
