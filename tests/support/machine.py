# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU and its serial line."""

import os
import re
import time

import pexpect

from support.guest import READY, SHELL

QEMU = "qemu-system-x86_64"
# The serial line alone: -nographic would add what the VGA shows to it.
SERIAL = ["-display", "none", "-serial", "stdio"]
TCG = ["-accel", "tcg"]
BOOT_TIMEOUT = 180
PROMPT = "grub> "
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>78cDEHM])|\r")


def article_line(image):
    """The article's own line, to the letter."""
    return [QEMU, "-drive", f"format=raw,file={image}", "-m", "1G"]


def virtio_line(image, options=""):
    drive = f"format=raw,file={image},if=virtio"
    return [QEMU, *TCG, "-drive", drive + options, "-m", "1G"]


def plain(text):
    """What a person reads off the terminal."""
    return ESCAPES.sub("", text)


class Machine:
    """A QEMU whose serial line is ours to read and type on."""

    def __init__(
        self, box, argv, extra=SERIAL, tmpdir=None, timeout=BOOT_TIMEOUT
    ):
        self.box = box
        self.log = box.log("serial")
        self._log_file = open(self.log, "w", errors="replace")
        env = box.environment(TMPDIR=str(tmpdir or box.tmp), TERM="vt100")
        self.child = pexpect.spawn(
            argv[0],
            [*argv[1:], *extra],
            env=env,
            timeout=timeout,
            encoding="utf-8",
            codec_errors="replace",
            echo=False,
            dimensions=(50, 200),
        )
        self.child.delaybeforesend = None
        self.child.logfile_read = self._log_file
        box.known.add(self.child.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()

    def expect(self, pattern, timeout=-1):
        """Waits for a pattern; gives what came before it, made plain."""
        try:
            self.child.expect(pattern, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            seen = plain(self.child.before or "")[-3000:]
            what = "end" if isinstance(error, pexpect.EOF) else "time-out"
            raise AssertionError(
                f"{what} in place of {pattern!r}; so far:\n{seen}"
            ) from None
        return plain(self.child.before)

    def type(self, text):
        self.child.send(text)

    def press_c(self):
        """From GRUB's menu to its prompt."""
        self.expect("GNU GRUB")
        self.expect("(?i)linux")
        time.sleep(0.5)
        self.type("c")
        self.expect(PROMPT)

    def grub(self, command, until=PROMPT):
        """Types a command at GRUB's prompt; gives its output."""
        self.type(command + "\r")
        answer = self.expect(until)
        # Line editing may echo in pieces; the output begins on a new line.
        return answer.partition("\n")[2]

    def ready(self):
        """Waits for the guest's own init."""
        self.expect(f"{READY}|Kernel panic")
        assert self.child.match[0] == READY

    def shell(self, command=None):
        """Runs a command in the guest's shell; gives its output."""
        if command is None:
            self.expect(SHELL)
            return ""
        self.type(command + "\n")
        return self.expect(SHELL).partition("\n")[2]

    def end(self, timeout=60):
        """Waits for QEMU to end by itself; gives its exit status."""
        self.expect(pexpect.EOF, timeout)
        self.child.close()
        self._log_file.close()
        return self.child.exitstatus

    def quit(self):
        if not self.child.closed:
            os.kill(self.child.pid, 15) if self.child.isalive() else None
            # pexpect waits for a tenth of a second, a busy machine takes longer.
            end = time.monotonic() + 20
            while self.child.isalive() and time.monotonic() < end:
                time.sleep(0.01)
            self.child.close(force=True)
        self._log_file.close()
