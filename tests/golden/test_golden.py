# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of two fixed trees are what they were, to the byte.

A sum that changes means that every user's disk changes: if that is meant,

    DIRDISK_GOLDEN=update meson test -C BUILD --suite golden

writes the new sums, to be committed with what changed them.
"""

import os
import pathlib
import random
import socket
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUMS = pathlib.Path(__file__).resolve().parent / "sums"
UPDATE = os.environ.get("DIRDISK_GOLDEN") == "update"
HELP = (
    "the disk of a fixed tree has changed; if that is meant, run the suite "
    "golden with DIRDISK_GOLDEN=update, and commit tests/golden/sums"
)


def expected():
    lines = SUMS.read_text().splitlines() if SUMS.exists() else []
    return dict(line.split() for line in lines)


def judge(name, found):
    if UPDATE:
        sums = {**expected(), name: found}
        SUMS.write_text("".join(f"{n} {s}\n" for n, s in sorted(sums.items())))
    assert expected().get(name) == found, f"{name}: {found}: {HELP}"


def stamp(path, number):
    """Everything about an entry that the host would choose for us."""
    ns = (1546500000 + number) * 10**9 + number * 1000003 % 10**9
    os.chown(path, number % 7, 70000 + number % 5, follow_symlinks=False)
    if not os.path.islink(path):
        os.chmod(path, 0o400 + number % 0o377)
    os.utime(path, ns=(ns, ns), follow_symlinks=False)


def make_tree(root, seed=1):
    """A fixed tree; seed orders its making, and so the host's listing."""
    dice = random.Random(1)
    files = {f"d{n % 30}/file{n}": dice.randbytes(n * 5) for n in range(900)}
    files |= {f"boot/file{n}": b"x" * n * 3000 for n in range(40)}
    files |= {f"many/{'name' * (n % 50)}{n}": b"" for n in range(2000)}
    names = sorted(files)
    random.Random(seed).shuffle(names)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    with open(root / "sparse", "wb") as file:
        for at in (0, 1 << 22, 5 << 30):
            file.seek(at)
            file.write(bytes([1]) * 4096)
        file.truncate(6 << 30)
    os.link(root / "d3/file3", root / "d4/again")
    os.symlink("t" * 60, root / "long")
    os.symlink("../x", root / "short")
    os.mkfifo(root / "fifo")
    os.mknod(root / "char", stat.S_IFCHR, os.makedev(5, 1))
    os.mknod(root / "block", stat.S_IFBLK, os.makedev(259, 70000))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(root / "socket"))
    paths = sorted(root.rglob("*"), key=lambda p: os.fsencode(p))
    for number, path in reversed(list(enumerate(paths))):
        stamp(path, number)
    stamp(root, 12345)
    return root


def golden_disk(build, *arguments):
    return subprocess.check_output([build, *map(str, arguments)], text=True)


@pytest.fixture(scope="module")
def with_clang(work_root):
    """The same program, built by the other compiler."""
    build = work_root / "clang"
    target = "tests/golden/golden_disk"
    env = {**os.environ, "CC": "clang"}
    for command in (["setup", build, ROOT], ["compile", "-C", build, target]):
        done = subprocess.run(
            ["meson", *command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
    return build / target


def test_tree_in_memory():
    judge("memory", golden_disk(os.environ["GOLDEN_DISK"], "memory").strip())


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_tree_of_the_host(box, seed, threads):
    src = make_tree(box.tmpfs("src"), seed)
    found = golden_disk(os.environ["GOLDEN_DISK"], "host", src, threads)
    judge("host", found.strip())


def test_other_compiler(box, with_clang):
    src = make_tree(box.tmpfs("src"))
    judge("memory", golden_disk(with_clang, "memory").strip())
    judge("host", golden_disk(with_clang, "host", src, 8).strip())
