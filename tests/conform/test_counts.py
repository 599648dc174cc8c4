# SPDX-License-Identifier: GPL-3.0-or-later
"""Host trees of very many entries, and of very long paths."""

import os

import pytest

from support import judges, sources, trees

# Up to 59 bytes stand in the inode, longer ones in a block.
TARGETS = (1, 59, 60, 300)


def empty_files(src):
    for n in range(20000):
        directory = f"{src}/d{n % 7}"
        if n < 7:
            os.mkdir(directory)
        os.close(os.open(f"{directory}/empty-{n}", os.O_CREAT | os.O_WRONLY))


def symlinks(src):
    os.mkdir(f"{src}/links")
    for n in range(3000):
        os.symlink("t" * TARGETS[n % 4], f"{src}/links/link-{n}")


def long_path(src):
    """4,000 bytes from the root of the disk to the file's last one."""
    path = "/".join(["p" * 199] * 19 + ["q" * 195, "last"])
    assert len("/" + path) == 4001
    here = os.open(src, os.O_RDONLY)
    for name in path.split("/")[:-1]:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    last = os.open("last", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.write(last, b"the end of a long way\n")
    os.close(last)
    os.close(here)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fill", [empty_files, symlinks, long_path])
def test_very_many(box, dirdisk, fill):
    src = sources.small(box.dir("src"))
    fill(src)
    _, system = trees.split(trees.snapshot(src))
    disk = dirdisk(src)
    for number in (1, 2):
        with judges.partition_device(box, disk.image, number) as device:
            judges.assert_fsck(box, device)
    judges.assert_kernel_view(box, disk.image, 2, system)
    disk.unmount()
