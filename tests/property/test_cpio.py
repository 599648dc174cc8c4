# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive that is computed from a directory, beside the one of GNU cpio.

DIRDISK_SEED repeats a run; DIRDISK_SOAK=1 tries more. Each archive is also read
once more in 200 ranges of any place and length, by the program that wrote it.
"""

import filecmp
import os
import stat

import pytest

from support import seeds, sources

TREES = seeds.trials(10, 1000)
MADE_CPIO = os.environ["MADE_CPIO"]
LATEST = 2**32 - 1  # what eight digits of hexadecimal say

# Printed with each test's name.
SEED = seeds.of(__file__)
SEEDS = range(SEED, SEED + TREES)


@pytest.fixture
def memory(box):
    """In memory: its directories count their links as cpio shows them."""
    return box.tmpfs("memory", "size=2g")


def names(path, name=b"."):
    """Each directory before what is in it, siblings by their bytes."""
    found = []
    left = [name]
    while left:
        name = left.pop()
        full = os.path.join(path, name)
        found.append(name)
        if os.path.isdir(full) and not os.path.islink(full):
            inside = sorted(os.listdir(full), reverse=True)
            left += [
                os.path.join(name, n) if name != b"." else n for n in inside
            ]
    return found


def by_gnu(box, path):
    listed = b"".join(name + b"\0" for name in names(os.fsencode(path)))
    (box.tmp / "names").write_bytes(listed)
    out = box.tmp / "gnu.cpio"
    command = "cpio -o -0 -H newc --reproducible --quiet"
    command += f" <{box.tmp}/names >{out}"
    box.run(["sh", "-c", command], cwd=path)
    return out


def ours(box, src, path=".", layout="as-is", check=True):
    out = box.tmp / "our.cpio"
    path = os.fsencode("" if path == "." else path)
    argv = [MADE_CPIO, layout, src, path, out, str(SEED)]
    done = box.run(argv, check=check)
    return out if check else done.text


def assert_equal(box, src, path="."):
    wanted = by_gnu(box, os.path.join(os.fspath(src), path))
    box.run(["cmp", wanted, ours(box, src, path)])


def every(path):
    """Every path below one, in bytes, a directory before what is in it."""
    return [
        os.path.join(os.fsencode(path), n) for n in names(os.fsencode(path))
    ]


def fit(path):
    """Times that the format can hold; what cannot be is cut off otherwise."""
    for name in reversed(every(path)):
        time = os.lstat(name).st_mtime_ns
        if not 0 <= time // 10**9 <= LATEST:
            sources.stamp(name, time % (LATEST * 10**9))


def test_everything_that_a_tree_can_hold(box, memory):
    src = memory / "src"
    src.mkdir()
    sources.rich(src)
    # Too deep for a kernel to unpack, and too large for the format.
    box.run(["rm", "-r", str(src / "deep"), str(src / "big" / "triple")])
    fit(src)
    assert_equal(box, src)
    assert_equal(box, src, "names")
    # Of what has names elsewhere too, only those inside are counted.
    alone = memory / "alone"
    box.run(["cp", "-a", str(src / "links" / "sub"), str(alone)])
    box.run(["cmp", by_gnu(box, alone), ours(box, src, "links/sub")])


@pytest.mark.parametrize("seed", SEEDS)
def test_random_tree(box, memory, seed):
    src = memory / "src"
    src.mkdir()
    sources.chance(src, seed)
    fit(src)
    assert_equal(box, src)


def test_hard_links_wait_for_the_last_name(box, memory):
    """Of many inodes at once, with and without bytes, of every type."""
    src = memory / "src"
    for name in "abc":
        (src / name).mkdir(parents=True)
    for n in range(50):
        first = src / "abc"[n % 3] / f"{n * 7 % 50:02}"
        if n % 10 == 9:
            os.mkfifo(first)
        elif n % 10 == 8:
            first.symlink_to("anywhere")
        else:
            first.write_bytes(b"x" * (n % 4))
        for k in range(n % 4):
            where = src / "abc"[(n + k) % 3] / f"{k}-{n}"
            os.link(first, where, follow_symlinks=False)
    assert_equal(box, src)


def assert_unpacked(path, copy):
    a, b = os.lstat(path), os.lstat(copy)
    for what in ("st_mode", "st_uid", "st_gid", "st_rdev"):
        assert getattr(a, what) == getattr(b, what), (path, what)
    if stat.S_ISREG(a.st_mode):
        assert (a.st_nlink, a.st_size) == (b.st_nlink, b.st_size), path
        assert int(a.st_mtime) == int(b.st_mtime), path
        assert filecmp.cmp(path, copy, shallow=False), path
    if stat.S_ISLNK(a.st_mode):
        assert os.readlink(path) == os.readlink(copy), path


def test_cpio_unpacks_it(box, memory):
    src, out = memory / "src", memory / "out"
    src.mkdir()
    out.mkdir()
    sources.chance(src, SEED)
    fit(src)
    archive = ours(box, src)
    box.run(
        ["sh", "-c", f"cpio -idm --quiet --no-absolute-filenames <{archive}"],
        cwd=out,
    )
    assert names(os.fsencode(out)) == names(os.fsencode(src))
    for name in names(os.fsencode(src)):
        assert_unpacked(
            *(os.path.join(os.fsencode(d), name) for d in (src, out))
        )


# ---- what is listed ----

LIST = """\
dir /dev 0750 0 0
nod /dev/console 600 0 5 c 5 1
nod /dev/sda 0660 0 6 b 8 0
nod dev/input/mouse0 0640 1 2 c 13 32
slink /etc/mtab /proc/self/mounts 0777 7 8
slink bin sbin 0777 0 0
pipe /run/fifo 0600 0 0
sock /run/sock 01777 0 0
dir / 0711 3 4
nod /taken 0604 9 9 c 4 4095
"""


def plain(where):
    """What is in the directory besides the list."""
    (where / "dev").mkdir()
    (where / "dev" / "readme").write_text("here")
    (where / "etc").mkdir(0o700)
    (where / "etc" / "z").write_text("last")
    (where / "taken").write_text("gone")
    (where / "etc-").write_text("between")


def by_hand(where):
    """What the list says, made as root makes it."""

    def own(name, mode, uid, gid):
        os.lchown(where / name, uid, gid)
        if not (where / name).is_symlink():
            (where / name).chmod(mode)

    def nod(name, mode, uid, gid, major, minor):
        os.mknod(where / name, mode, os.makedev(major, minor))
        own(name, mode & 0o7777, uid, gid)

    (where / "taken").unlink()
    own("dev", 0o750, 0, 0)
    (where / "dev" / "input").mkdir(0o755)
    (where / "run").mkdir(0o755)
    nod("dev/console", 0o20600, 0, 5, 5, 1)
    nod("dev/sda", 0o60660, 0, 6, 8, 0)
    nod("dev/input/mouse0", 0o20640, 1, 2, 13, 32)
    nod("taken", 0o20604, 9, 9, 4, 4095)
    nod("run/fifo", 0o10600, 0, 0, 0, 0)
    nod("run/sock", 0o141777, 0, 0, 0, 0)
    (where / "etc" / "mtab").symlink_to("/proc/self/mounts")
    own("etc/mtab", 0, 7, 8)
    (where / "bin").symlink_to("sbin")
    own(".", 0o711, 3, 4)


def test_list_is_as_if_made_by_hand(box, memory):
    for name in ("listed", "made"):
        (memory / name).mkdir(0o755)
        plain(memory / name)
    by_hand(memory / "made")
    (memory / "listed" / "devices").write_text(LIST)
    for path in every(memory):
        sources.stamp(path, 10**18)
    made = by_gnu(box, memory / "made")
    box.run(["cmp", made, ours(box, memory, "listed")])


# ---- modules ----


def listing(box, archive):
    """`cpio -t` of it; names have no '/' at their end there."""
    done = box.run(["sh", "-c", f"cpio -it --quiet <{archive}"])
    return done.text.splitlines()


def test_modules_of_either_form(box, memory):
    """The same archive, whether lib/modules/V is in the directory or is it."""
    whole = memory / "modules-x" / "lib" / "modules" / "6.9-rc1"
    whole.mkdir(parents=True)
    (whole / "modules.dep").write_text("kernel/a.ko:\n")
    (whole / "kernel").mkdir()
    (whole / "kernel" / "a.ko").write_bytes(b"module")
    (whole / "build").symlink_to("/usr/src/linux")
    box.run(["cp", "-a", str(whole), str(memory / "modules-6.9-rc1")])
    for path in every(memory):
        sources.stamp(path, 10**18)
    first = ours(box, memory, "modules-x", "modules").read_bytes()
    second = ours(box, memory, "modules-6.9-rc1", "modules")
    assert second.read_bytes() == first
    inside = "lib/modules/6.9-rc1"
    assert [name.rstrip("/") for name in listing(box, second)] == [
        "lib",
        "lib/modules",
        inside,
        f"{inside}/build",
        f"{inside}/kernel",
        f"{inside}/kernel/a.ko",
        f"{inside}/modules.dep",
    ]
    out = memory / "out"
    out.mkdir()
    box.run(["sh", "-c", f"cpio -id --quiet <{second}"], cwd=out)
    assert (out / inside / "kernel" / "a.ko").read_bytes() == b"module"


# ---- what no archive can hold ----


def test_too_deep(box, memory):
    src = memory / "src"
    src.mkdir()
    fd = os.open(src, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    text = ours(box, src, check=False)
    assert "4095 bytes" in text and "/d/d/d" in text


def test_too_large(box, memory):
    src = memory / "src"
    src.mkdir()
    sources.sparse(str(src), "more", 2**32)
    text = ours(box, src, check=False)
    assert f"{src}/more: 4 GiB or more" in text
