# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel and an initramfs that say when they are up."""

import os
import pathlib
import shutil
import subprocess

READY = "DIRDISK-GUEST-READY"
SHELL = r"\(initramfs\) "
SOURCE = pathlib.Path(__file__).resolve().parents[2]


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
