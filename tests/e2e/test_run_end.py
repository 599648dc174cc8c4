# SPDX-License-Identifier: GPL-3.0-or-later
"""However dirdisk-run ends: no process, no mount, no directory is left."""

import os
import signal
import subprocess
import termios
import time

import pexpect
import pytest
from support import procs
from support.runs import FOR_EVER, wait_until
from support.sandbox import NOBODY

TCG = "--accel=tcg"
# One that leaves others behind: a child, and one in a session of its own.
LITTER = "sleep 1000 &\nsetsid sleep 1000 &\n(sleep 1000 &)\n"
# It ends when asked to, and says by which signal.
ASKED = "".join(
    f"trap 'echo {name} >{{dir}}/asked; exit 0' {name}\n"
    for name in ("INT", "TERM", "HUP", "QUIT")
)
ASKED += "while :; do sleep 0.05; done\n"


@pytest.fixture
def running(runs):
    """Starts it, and gives the process once QEMU runs."""

    def start(*options, body=LITTER + FOR_EVER, **more):
        runs.fake(body)
        process = runs.start(TCG, *options, **more)
        runs.wait_boots(process)
        return process

    return start


def signals(*names):
    return [getattr(signal, name) for name in names]


# ---- signals to dirdisk-run ----


@pytest.mark.parametrize(
    "number", signals("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
)
def test_signal_passes_on(runs, running, number):
    process = running(body=ASKED.replace("{dir}", str(runs.dir)))
    time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    runs.assert_gone()
    asked = (runs.dir / "asked").read_text()
    assert asked == number.name[3:] + "\n"


def test_qemu_that_does_not_listen(runs, running):
    """It is given some seconds, or until the second signal."""
    process = running(body="trap '' TERM INT\n" + FOR_EVER)
    start = time.monotonic()
    process.terminate()
    assert process.wait(20) == 143
    assert 4 < time.monotonic() - start < 10
    runs.assert_gone()


def test_second_signal_does_not_wait(runs, running):
    process = running(body="trap '' TERM INT\n" + FOR_EVER)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.terminate()
    assert process.wait(20) == 130
    assert time.monotonic() - start < 3
    runs.assert_gone()


def test_signal_to_both_processes_is_one(runs, running):
    """As killall sends it: QEMU has its time to end."""
    body = f"trap 'sleep 1; touch {runs.dir}/asked; exit 0' TERM\n"
    process = running(body=body + "while :; do sleep 0.05; done\n")
    for pid in (process.pid, runs.loop(process)):
        os.kill(pid, signal.SIGTERM)
    assert process.wait(20) == 143
    assert (runs.dir / "asked").exists()
    runs.assert_gone()


def test_ignored_signal_stays_ignored(runs):
    runs.fake("kill -HUP $PPID\nsleep 0.3\nexit 8")
    argv = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *runs.argv(TCG)]
    done = runs.box.run(argv, env=runs.environment(), check=False)
    assert done.returncode == 8
    runs.assert_gone()


@pytest.mark.parametrize("user", [None, NOBODY])
def test_killed(runs, running, user):
    process = running(user=user)
    process.kill()
    assert process.wait(20) == -9
    runs.assert_gone()


def test_all_of_its_group_killed(runs, running):
    """As timeout -s KILL does it."""
    process = running(start_new_session=True)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(20) == -9
    runs.assert_gone()


@pytest.mark.parametrize("number", signals("SIGKILL", "SIGTERM", "SIGINT"))
def test_ended_at_any_moment(runs, number):
    asleep = "exec sleep 1000"
    runs.fake(LITTER + asleep, probe=LITTER + "sleep 0.1\nexit 33")
    for delay in range(0, 330, 18):
        process = runs.start()
        time.sleep(delay / 1000)
        process.send_signal(number)
        status = process.wait(30)
        # So early that it has not been told yet what to do with signals.
        assert status in (-number, 128 + number), delay
        runs.assert_gone()


# ---- others killed ----


def test_qemu_killed(runs, running):
    process = running()
    os.kill(runs.qemu_pid(), signal.SIGKILL)
    assert process.wait(20) == 128 + 9
    runs.assert_gone()


@pytest.mark.parametrize("user", [None, NOBODY])
@pytest.mark.parametrize("who", [0, 1], ids=["supervisor", "worker"])
def test_dirdisk_killed(runs, running, who, user):
    process = running(user=user)
    os.kill(runs.disk()[who], signal.SIGKILL)
    assert process.wait(20) == 2
    assert "killed by signal 9" in process.log.read_text()
    runs.assert_gone()


def test_dirdisk_asked_to_end(runs, running):
    process = running()
    os.kill(runs.disk()[0], signal.SIGTERM)
    assert process.wait(20) == 2
    assert "was unmounted" in process.log.read_text()
    runs.assert_gone()


def test_unmounted_by_somebody(runs, running):
    process = running()
    (mount,) = runs.box.mounts()
    runs.box.run(["fusermount3", "-u", "-z", mount.point])
    assert process.wait(20) == 2
    assert mount.point in process.log.read_text()
    runs.assert_gone()


def test_dirdisk_stopped(runs, running):
    """One that does not answer is not waited for."""
    process = running()
    for each in procs.hold(runs.disk()):
        each.stop()
    process.terminate()
    assert process.wait(40) == 143
    runs.assert_gone()


def test_loop_killed(runs, running):
    """Then dirdisk-run ends what that has left, and itself as that ended."""
    process = running()
    os.kill(runs.loop(process), signal.SIGKILL)
    assert process.wait(20) == -9
    runs.assert_gone()


def test_everything_killed_but_the_loop(runs, running):
    """It unmounts, and removes the directory, in dirdisk's place."""
    process = running()
    loop = runs.loop(process)
    for other in procs.hold(procs.alive([loop])):
        other.signal(signal.SIGKILL)
    process.wait(20)
    runs.assert_gone()


def test_dirdisk_run_and_loop_killed(runs, running):
    """dirdisk unmounts; QEMU ends, but nobody knows what it has started."""
    process = running(body=FOR_EVER.replace("sleep", "exec sleep"))
    for each in procs.hold([process.pid, runs.loop(process)]):
        each.signal(signal.SIGKILL)
    process.wait(20)
    runs.assert_gone()


def test_watch_killed(runs, running):
    process = running("--watch")
    watch = runs.watcher(process)
    os.kill(watch, signal.SIGKILL)
    assert process.wait(20) == 2
    runs.assert_gone()


# ---- output and terminal ----


def test_nobody_reads(runs, running):
    """Even of a machine that says nothing."""
    ends = os.pipe()
    process = running(stdout=ends[1])
    os.close(ends[1])
    time.sleep(0.1)
    assert process.poll() is None
    os.close(ends[0])
    assert process.wait(20) == 128 + signal.SIGPIPE
    runs.assert_gone()


def test_full_file_system(runs):
    runs.fake("yes" + FOR_EVER)
    with open("/dev/full", "wb") as full:
        process = runs.start(TCG, stdout=full)
        assert process.wait(20) == 2
    assert "standard output" in process.log.read_text()
    runs.assert_gone()


def test_started_with_nothing_open(runs):
    runs.fake("echo text")
    script = '"$@" <&- >&- 2>&-'
    argv = ["sh", "-c", script, "sh", *runs.argv(TCG)]
    done = runs.box.run(argv, env=runs.environment())
    assert done.text == ""
    runs.assert_gone()


@pytest.mark.parametrize("who", ["$PPID", "$(ps -o ppid= $PPID)"])
def test_holds_nothing_that_its_caller_waits_for(runs, who):
    """When the loop, or dirdisk-run, was killed, the pipe ends."""
    runs.fake(f"kill -KILL {who}" + FOR_EVER)
    done = subprocess.run(
        runs.argv(TCG),
        env=runs.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode == -9
    runs.assert_gone()


class Terminal:
    """dirdisk-run on a terminal of its own."""

    def __init__(self, runs, *options, body):
        runs.fake(body)
        argv = runs.argv(TCG, *options)
        self.child = pexpect.spawn(
            argv[0], argv[1:], env=runs.environment(), timeout=20
        )
        runs.box.known.add(self.child.pid)
        self.child.expect("Ctrl-A, then X")
        wait_until(lambda: runs.boots() == 1)

    def status(self):
        wait_until(lambda: not self.child.isalive())
        return self.child.exitstatus


def test_terminal_gone(runs):
    terminal = Terminal(runs, body=LITTER + FOR_EVER)
    os.close(terminal.child.child_fd)
    terminal.child.child_fd = -1
    assert terminal.status() == 128 + signal.SIGHUP
    runs.assert_gone()


def test_terminal_gone_and_nobody_says_so(runs):
    """nohup: the hang-up itself is seen."""
    runs.fake(FOR_EVER)
    argv = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *runs.argv(TCG)]
    child = pexpect.spawn(argv[0], argv[1:], env=runs.environment())
    runs.box.known.add(child.pid)
    wait_until(lambda: runs.boots() == 1)
    os.close(child.child_fd)
    child.child_fd = -1
    wait_until(lambda: not child.isalive())
    assert child.exitstatus == 128 + signal.SIGHUP
    runs.assert_gone()


@pytest.mark.parametrize("killed", ["qemu", "run"])
def test_terminal_is_as_it_was(runs, killed):
    """Though QEMU, which has set it otherwise, cannot put it back."""
    body = f"stty raw -echo\ntouch {runs.dir}/set" + FOR_EVER
    terminal = Terminal(runs, body=body)
    wait_until((runs.dir / "set").exists)
    fd = terminal.child.child_fd
    assert not termios.tcgetattr(fd)[3] & termios.ICANON
    if killed == "qemu":
        os.kill(runs.qemu_pid(), signal.SIGKILL)
    else:
        terminal.child.kill(signal.SIGKILL)
    wait_until(lambda: termios.tcgetattr(fd)[3] & termios.ICANON)
    assert termios.tcgetattr(fd)[3] & termios.ECHO
    wait_until(lambda: not terminal.child.isalive())
    runs.assert_gone()
