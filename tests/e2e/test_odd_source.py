# SPDX-License-Identifier: GPL-3.0-or-later
"""A source whose file system invents what no other has."""

import os
import subprocess

import pytest

from support import judges

MOST = 2 * 2**32 + 2**31 - 1  # the last time that ext2 can say
LEAST = -(2**31)


@pytest.fixture
def odd(box, odd_source):
    src = box.dir("src")
    server = odd_source(src)
    yield src
    subprocess.run(["umount", src], check=True)
    assert server.wait(20) == 0


def test_times(box, dirdisk, odd):
    """Those that ext2 cannot say are the nearest that it can."""
    disk = dirdisk(odd, None, "--no-grub", "--xattrs=none")
    with judges.partition_mount(box, disk.image, 2) as point:
        for name in set(os.listdir(odd)) - {"twice"}:
            shown = os.stat(point / name).st_mtime_ns
            seconds = min(max(int(name), LEAST), MOST)
            ns = 999999999 if seconds == int(name) else 0
            assert shown == seconds * 10**9 + ns, name
    box.run(["fusermount3", "-u", disk.mnt])
    assert disk.status() == 0


def test_an_attribute_that_is_listed_twice(box, dirdisk, odd, checker):
    """The daemon refuses it; the checker says so, and goes on without."""
    done = dirdisk.run("--no-grub", odd, box.dir("mnt"), check=False)
    assert done.returncode == 3
    assert "twice: its extended attributes: one is listed twice" in done.text
    done = box.run([checker, "--no-grub", odd], check=False)
    assert done.text.count("one is listed twice") == 1
    assert done.returncode == 1, done.text
