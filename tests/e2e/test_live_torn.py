# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of two moments are never mixed, whatever is done to the tree."""

import os
import re

import pytest

from support import judges, seeds

SECONDS = int(os.environ.get("DIRDISK_SECONDS") or (900 if seeds.SOAK else 30))
# In that time, on a slow machine; what was read before it was checked too.
BLOCKS = 300 * SECONDS
OPENS = 2 * SECONDS
SEED = seeds.of(__file__)
MIB = 1 << 20


def on_tmpfs(box):
    return box.tmpfs("host")


def on_ext4(box):
    return box.ext4("host", 64 * MIB)


def torn(box, disk, host, seconds):
    """Changes and reads; the process that did, and what it counted."""
    argv = [os.environ["TORN"], seconds, SEED, host / "src", host / "stage"]
    done = box.run(
        [*map(str, argv), disk.image], check=False, timeout=seconds + 60
    )
    print(f"seed {SEED}: {done.text}")
    return done, {k: int(n) for k, n in re.findall(r"(\w+) (\d+)", done.text)}


def mounted(host, dirdisk, *options):
    for name in ("src/boot", "stage"):
        (host / name).mkdir(parents=True)
    return dirdisk(host / "src", None, "--no-grub", *options)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("place", [on_tmpfs, on_ext4])
def test_never_torn(box, dirdisk, place):
    host = place(box)
    disk = mounted(host, dirdisk)
    done, counted = torn(box, disk, host, SECONDS)
    assert done.returncode == 0, done.text
    assert counted["blocks"] > BLOCKS and counted["opens"] > OPENS, done.text
    judges.assert_whole_disk(box, disk.image, host / "src", grub=False)
    disk.unmount()


def test_what_it_would_look_like(box, dirdisk):
    """The same with bytes served as they come: it is seen at once."""
    host = box.tmpfs("host")
    disk = mounted(host, dirdisk, "--stale=serve")
    done, _ = torn(box, disk, host, 60)
    assert done.returncode == 1, done.text
    disk.unmount()
