# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk-run with QEMU itself, which boots a kernel."""

import pexpect
import pytest
from support import sources
from support.guest import READY

# The same everywhere, and no time spent in the menu.
OPTIONS = ["--accel=tcg", "-o", "timeout=0", "--timeout=150"]


@pytest.fixture
def src(runs, guest):
    """The guest's kernel in place of one that is none."""
    (runs.src / "kernels/vmlinuz-1.0").unlink()
    return guest.add(runs.src)


def real(runs, *options):
    return runs(*OPTIONS, *options, own=False, timeout=170)


@pytest.mark.timeout(200)
def test_seen(runs, src):
    log = runs.box.root / "serial.log"
    done = real(runs, f"--expect=^{READY}$", f"--log={log}")
    assert done.returncode == 0, done.text
    assert READY.encode() in log.read_bytes()
    assert b"Linux version" in log.read_bytes()


@pytest.mark.timeout(200)
def test_kernel_panic(runs, src):
    done = real(runs, "--expect=never", "--append=rdinit=/none root=/none")
    assert done.returncode == 3, done.text
    # What explains it is there too, up to the last line.
    assert "end Kernel panic - not syncing" in done.text


@pytest.mark.timeout(200)
def test_grub_error(runs):
    """A menu of the user's, which names a file that is not there."""
    menu = "serial --unit=0 --speed=115200\nterminal_output serial\n"
    menu += "set timeout=0\nmenuentry x {\nlinux /boot/none\n}\n"
    sources.write(runs.src, "boot/grub/grub.cfg", menu.encode())
    done = real(runs, "--expect=never")
    assert done.returncode == 4, done.text
    assert "GRUB gave up: error: file `/boot/none' not found." in done.text


@pytest.mark.timeout(200)
def test_prompt_of_grub(runs):
    (runs.src / "kernels/vmlinuz-1.0").unlink()
    done = real(runs, "--expect=never")
    assert done.returncode == 4, done.text
    assert real(runs, "--expect=^grub> $").returncode == 0


@pytest.mark.timeout(200)
def test_on_a_terminal(runs, src):
    """Keys reach GRUB; Ctrl-A, then X leaves QEMU."""
    argv = runs.argv("--accel=tcg", "-o", "timeout=-1", own=False)
    child = pexpect.spawn(
        argv[0], argv[1:], env=runs.environment(TERM="vt100"), timeout=60
    )
    runs.box.known.add(child.pid)
    child.expect("Ctrl-A, then X")
    child.expect("GNU GRUB")
    child.expect("Linux")
    child.send("c")
    child.expect("grub> ")
    child.send("\x01x")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    runs.assert_gone()
