# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel and an initramfs that say when they are up."""

import gzip
import os
import pathlib
import shutil
import subprocess

READY = "DIRDISK-GUEST-READY"
SHELL = r"\(initramfs\) "
SOURCE = pathlib.Path(__file__).resolve().parents[2]


# How a kernel that is packed by LZ4 begins, within its file.
LZ4 = bytes.fromhex("02214c18")


def cpio(path, data):
    """An archive of one file, as the kernel takes it behind another."""
    packed = b""
    for name, mode, content in (
        (path, 0o100644, data),
        ("TRAILER!!!", 0, b""),
    ):
        figures = [1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0]
        figures += [len(name) + 1, 0]
        packed += b"070701" + b"".join(b"%08x" % n for n in figures)
        packed += name.encode() + b"\0"
        packed += bytes(-len(packed) % 4) + content
        packed += bytes(-len(packed) % 4)
    return gzip.compress(packed, mtime=0)


class Guest:
    """tools/guest's kernel, to put into source trees."""

    def __init__(self, work_root):
        self.dir = pathlib.Path(work_root) / "guest"
        done = subprocess.run(
            [SOURCE / "tools" / "guest", "--print", self.dir],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        self.version = done.stdout.strip()
        self.kernel = f"vmlinuz-{self.version}"
        self.initrd = f"initrd.img-{self.version}"

    def add(self, src):
        """Puts kernel and initramfs into src/kernels; gives src back."""
        where = pathlib.Path(src) / "kernels"
        where.mkdir(exist_ok=True)
        for name in (self.kernel, self.initrd):
            shutil.copy2(self.dir / "kernels" / name, where)
            os.chmod(where / name, 0o644)
        return src

    def edition(self, mark):
        """(kernel, initramfs, release): such as tell by themselves who runs.

        /edition in the guest is the mark. Its `uname -r` is release, with the
        mark in it: a text that LZ4 left as it was, and so did we its length.
        """
        kernels = self.dir / "kernels"
        kernel = (kernels / self.kernel).read_bytes()
        initrd = (kernels / self.initrd).read_bytes()
        release = self.version
        if LZ4 in kernel:
            release = release[: -len(mark)] + mark
            kernel = kernel.replace(self.version.encode(), release.encode())
        return kernel, initrd + cpio("edition", mark.encode() + b"\n"), release
