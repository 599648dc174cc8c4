# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk-run --watch: what boots again, when, and what does not."""

import os
import signal
import time

import pexpect
import pytest
from support import sources
from support.runs import FOR_EVER, kernel, wait_until

TCG = "--accel=tcg"
# Longer than what has changed must have been at rest.
REST = 1.8


class Watched:
    """A machine that runs, and what it was told."""

    def __init__(self, runs, *options):
        self.runs = runs
        runs.fake(FOR_EVER)
        self.kernels = runs.src / "kernels"
        self.process = runs.start(TCG, "--watch", *options)
        runs.wait_boots(self.process)

    def again(self, boots, reason):
        self.runs.wait_boots(self.process, boots)
        assert self.runs.boots() == boots
        line = f"dirdisk-run: {reason}: booting again"
        assert line in self.said()

    def said(self):
        return self.process.log.read_text().splitlines()

    def same(self, boots):
        time.sleep(REST)
        assert self.runs.boots() == boots
        assert self.process.poll() is None

    def end(self):
        self.process.terminate()
        assert self.process.wait(20) == 143
        self.runs.assert_gone()


@pytest.fixture
def watched(runs):
    runs.place(runs.src / "kernels/initrd.img-1.0", b"initrd")
    sources.write(runs.src, "kernels/README", b"text")
    machine = Watched(runs)
    yield machine
    machine.end()


def test_kernels(runs, watched):
    """Dropped, half of one, written in place, replaced, removed."""
    kernels = watched.kernels
    runs.place(kernels / "vmlinuz-2.0", kernel())
    watched.again(2, "kernels/vmlinuz-2.0 is new")
    data = kernel(300000)
    with open(kernels / "vmlinuz-3.0", "wb") as file:
        for part in range(3):
            file.write(data[part * 90000 : (part + 1) * 90000])
            file.flush()
            watched.same(2)
        file.write(data[270000:])
    watched.again(3, "kernels/vmlinuz-3.0 is new")
    with open(kernels / "vmlinuz-3.0", "wb") as file:
        file.write(data[:200000])
        file.flush()
        watched.same(3)
        file.write(data[200000:])
    watched.again(4, "kernels/vmlinuz-3.0 has changed")
    runs.place(kernels / "vmlinuz-1.0", kernel())
    watched.again(5, "kernels/vmlinuz-1.0 has changed")
    (kernels / "vmlinuz-3.0").unlink()
    watched.again(6, "kernels/vmlinuz-3.0 is gone")
    watched.same(6)


def test_what_goes_with_kernels(runs, watched):
    runs.place(watched.kernels / "initrd.img-1.0", b"another")
    watched.again(2, "kernels/initrd.img-1.0 has changed")
    sources.write(runs.src, "boot/grub/custom.cfg", b"# mine\n")
    watched.again(3, "boot/grub/custom.cfg is new")


def test_directories_that_are_archives(runs, watched):
    """Whatever changes in them is a change of the file that they make."""
    archive = watched.kernels / "initrd.img-1.0.d"
    sources.write(runs.src, "kernels/initrd.img-1.0.d/etc/deep/file", b"1")
    watched.again(2, "kernels/initrd.img-1.0.d is new")
    (archive / "etc/deep/file").write_bytes(b"2")
    watched.again(3, "kernels/initrd.img-1.0.d has changed")
    (archive / "etc/deep/file").unlink()
    watched.again(4, "kernels/initrd.img-1.0.d has changed")


def test_words_for_the_kernel(runs, watched):
    sources.write(runs.src, "kernels/vmlinuz-1.0.cmdline", b"debug\n")
    watched.again(2, "the menu has changed")


def test_what_does_not_boot_is_no_reason(runs, watched):
    sources.write(runs.src, "kernels/README", b"another text")
    sources.write(runs.src, "etc/motd", b"hello")
    sources.write(runs.src, "kernels/vmlinuz-9.txt~", b"")
    os.link(watched.kernels / "vmlinuz-1.0", runs.src / "etc/another-name")
    (watched.kernels / "initrd.img-7.0").write_bytes(b"of no kernel")
    watched.same(1)


def test_nothing_to_boot(runs, watched):
    """It goes on, until there is something again."""
    kept = runs.dir / "kept"
    (watched.kernels / "vmlinuz-1.0").rename(kept)
    watched.same(1)
    kept.rename(watched.kernels / "vmlinuz-2.0")
    (watched.kernels / "initrd.img-1.0").unlink()
    watched.again(2, "kernels/vmlinuz-2.0 is new")


def test_link_to_where_a_kernel_is_built(runs):
    build = runs.box.dir("build")
    runs.place(build / "bzImage", kernel())
    os.symlink(build / "bzImage", runs.src / "kernels/vmlinuz-1.1")
    watched = Watched(runs)
    runs.place(build / "bzImage", kernel())
    watched.again(2, "kernels/vmlinuz-1.1 has changed")
    watched.end()


def test_menu_of_the_user(runs):
    """Its kernels are watched, and others are not."""
    text = "linux (hd0,msdos2)/mine/bz\\ 1 quiet /x; initrd '/mine/rd 1'\n"
    sources.write(runs.src, "boot/grub/grub.cfg", text.encode())
    (runs.src / "mine").mkdir()
    runs.place(runs.src / "mine/bz 1", kernel())
    runs.place(runs.src / "mine/rd 1", b"initrd")
    watched = Watched(runs)
    runs.place(runs.src / "kernels/vmlinuz-5.0", kernel())
    watched.same(1)
    runs.place(runs.src / "mine/rd 1", b"another")
    watched.again(2, "mine/rd 1 has changed")
    runs.place(runs.src / "mine/bz 1", kernel())
    watched.again(3, "mine/bz 1 has changed")
    watched.end()


def test_log_and_expected_text_of_all_boots(runs):
    log = runs.box.root / "serial.log"
    count = f"boot $(grep -c boot {runs.dir}/calls)"
    runs.fake(f'echo "{count}"' + FOR_EVER)
    process = runs.start(TCG, "--watch", "--expect=boot 2$", f"--log={log}")
    wait_until(lambda: log.exists() and log.read_bytes() == b"boot 1\n")
    runs.place(runs.src / "kernels/vmlinuz-2.0", kernel())
    assert process.wait(20) == 0
    assert log.read_text() == "boot 1\nboot 2\n"
    runs.assert_gone()


def test_qemu_that_ends_by_itself_ends_it(runs):
    runs.fake("sleep 0.5\nexit 4")
    assert runs(TCG, "--watch").returncode == 4


def test_qemu_that_does_not_end(runs):
    """It is made to, before the next one starts."""
    runs.fake("trap '' TERM" + FOR_EVER)
    process = runs.start(TCG, "--watch")
    runs.wait_boots(process)
    first = runs.qemu_pid()
    runs.place(runs.src / "kernels/vmlinuz-2.0", kernel())
    runs.wait_boots(process, 2)
    assert first != runs.qemu_pid()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130
    runs.assert_gone()


def test_line_that_says_why_stands_alone(runs):
    """Not behind what the guest has said last."""
    runs.fake("printf 'login: '" + FOR_EVER)
    argv = runs.argv(TCG, "--watch")
    child = pexpect.spawn(argv[0], argv[1:], env=runs.environment())
    runs.box.known.add(child.pid)
    child.expect("login: ", timeout=20)
    runs.place(runs.src / "kernels/vmlinuz-2.0", kernel())
    child.expect("\r\ndirdisk-run: kernels/vmlinuz-2.0 is new", timeout=20)
    child.expect("booting again\r\nlogin: ", timeout=20)
    child.kill(signal.SIGTERM)
    child.expect(pexpect.EOF, timeout=20)
    child.close()
    assert child.exitstatus == 143
    runs.assert_gone()
