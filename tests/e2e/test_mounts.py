# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted below SRC: told, left empty, or entered."""

import os
import pathlib
import shutil

import pytest

from support import judges, sources
from support.held import cat, listed

TOLD = "below it {} empty on the disk"


@pytest.fixture
def src(box):
    """On a file system that can be watched, with mounts and much before."""
    src = sources.before(sources.small(box.tmpfs("src")))
    for name in ("data", "twice", "kernels/sub"):
        (src / name).mkdir()
        sources.write(src, f"{name}/below", b"hidden")
        box.mount("-t", "tmpfs", "tmpfs", src / name)
        sources.write(src, f"{name}/file", name.encode())
    os.link(src / "data/file", src / "data/link")
    (src / "data/inner").mkdir()
    box.mount("-t", "tmpfs", "tmpfs", src / "data/inner")
    sources.write(src, "data/inner/deep/file", b"deep")
    sources.sparse(src, "data/inner/sparse", 1 << 20, [(1 << 19, b"x")])
    sources.write(src, "over", b"hidden")
    box.mount("--bind", src / "twice/file", src / "over")
    return src


def lines(text, part):
    return [line for line in text.splitlines() if part in line]


def log_of(disk):
    return (disk.mnt / "info/log").read_text()


def test_told_and_empty(box, dirdisk, src):
    """Their number, once, at the start; our own is none of them."""
    mnt = src / "mnt"
    mnt.mkdir()
    disk = dirdisk(src, mnt, "--no-grub")
    said = f"{src}: 4 mounts {TOLD.format('are')}; --cross-mounts includes"
    assert len(lines(disk.launcher.text, said)) == 1
    assert len(lines(log_of(disk), said)) == 1
    assert listed(box, disk.image, "data") == []
    assert listed(box, disk.image, "kernels/sub") == []
    sources.write(src, "new", b"new")
    assert cat(box, disk.image, "new") == b"new"
    assert len(lines(log_of(disk), "below it")) == 1
    disk.unmount()
    box.umount(src / "over")
    for name in ("data/inner", "twice", "kernels/sub"):
        box.umount(src / name)
    disk = dirdisk(src, mnt, "--no-grub")
    assert f"{src}: 1 mount {TOLD.format('is')}" in disk.launcher.text
    disk.unmount()
    box.umount(src / "data")
    disk = dirdisk(src, mnt, "--no-grub")
    assert "below it" not in disk.launcher.text
    disk.unmount()


def test_entered(box, dirdisk, src):
    """They are part of the tree, and stay it while they change."""
    (src / "mnt").mkdir()
    disk = dirdisk(src, src / "mnt", "--no-grub", "--cross-mounts")
    assert "below it" not in disk.launcher.text

    def seen(path):
        return cat(box, disk.image, path)

    with judges.partition_mount(box, disk.image, 2) as point:
        for name in ("data/file", "twice/file", "kernels/sub/file"):
            assert (point / name).read_bytes() == (src / name).read_bytes()
        assert (point / "over").read_bytes() == b"twice"
        assert (point / "data/inner/deep/file").read_bytes() == b"deep"
        sparse = (point / "data/inner/sparse").stat()
        assert (sparse.st_size, sparse.st_blocks < 64) == (1 << 20, True)
        one, two = (os.stat(point / f"data/{n}") for n in ("file", "link"))
        assert (one.st_ino, one.st_nlink) == (two.st_ino, 2)
        assert os.stat(point / "twice/file").st_nlink == 1
        assert os.listdir(point / "mnt") == []
        # As the host has it, the mounts' own attributes too.
        for name in ("data", "data/inner"):
            assert (point / name).stat().st_mode == (src / name).stat().st_mode
    sources.write(src, "data/inner/deep/file", b"changed")
    assert seen("data/inner/deep/file") == b"changed"
    (src / "data/inner/new").mkdir()
    sources.write(src, "data/inner/new/file", b"new")
    assert seen("data/inner/new/file") == b"new"
    box.umount(src / "data/inner")
    assert listed(box, disk.image, "data/inner") == []
    box.umount(src / "twice")
    assert listed(box, disk.image, "twice") == ["below"]
    box.mount("-t", "tmpfs", "tmpfs", src / "twice")
    assert listed(box, disk.image, "twice") == []
    sources.write(src, "twice/again", b"again")
    assert seen("twice/again") == b"again"
    disk.unmount()


def test_where_nobody_tells(box, dirdisk, odd_source):
    """A file system that is changed elsewhere is read again at each open."""
    src = sources.small(box.tmpfs("src"))
    (src / "m").mkdir()
    box.mount("-t", "ramfs", "ramfs", src / "m")
    (src / "odd").mkdir()
    server = odd_source(src / "odd")
    options = ("--no-grub", "--cross-mounts", "--xattrs=none")
    disk = dirdisk(src, None, *options)
    assert "0" in listed(box, disk.image, "odd")
    sources.write(src, "m/file", b"one")
    assert cat(box, disk.image, "m/file") == b"one"
    box.run(["umount", src / "odd"])
    assert server.wait(20) == 0
    assert listed(box, disk.image, "odd") == []
    disk.unmount()


# One scan at the start, one at an open, after which nothing may wait.
@pytest.mark.timeout(180)
def test_no_way_round(box, dirdisk, src, checker):
    """Directories above, ourselves and the kernel's own are left empty."""
    mnt = box.dir("mnt")
    names = ("loop", "data/loop", "kernels/sub/up", "proc", "self")
    for name in names:
        (src / name).mkdir()
    box.mount("--bind", src, src / "loop")
    box.mount("--rbind", src, src / "data/loop")
    box.mount("--bind", src / "kernels", src / "kernels/sub/up")
    box.mount("-t", "proc", "proc", src / "proc")
    disk = dirdisk(src, mnt, "--no-grub", "--cross-mounts")
    assert f"{src}: 4 mounts {TOLD.format('are')}" in disk.launcher.text
    box.mount("--bind", mnt, src / "self")
    for name in names:
        assert listed(box, disk.image, name) == [], name
    assert cat(box, disk.image, "data/inner/deep/file") == b"deep"
    (src / "file").write_bytes(b"scanned")
    assert cat(box, disk.image, "file") == b"scanned"
    done = box.run(
        [checker, "--no-grub", "--cross-mounts", src], check=False, timeout=60
    )
    above = "is a directory above it, mounted once more"
    ours = "a disk of dirdisk, is mounted on it"
    for name, why in zip(names, (above, above, above, ours, ours)):
        said = [line for line in lines(done.text, why) if f"{src}/{name}:" in line]
        assert len(said) == 1, (name, done.text)
    box.umount(src / "self")
    disk.unmount()


def test_checked(box, src, checker):
    """The checker says each, once."""
    done = box.run([checker, "--no-grub", src], check=False)
    said = lines(done.text, "something is mounted on it")
    assert len(said) == 4
    for name in ("data", "kernels/sub", "over", "twice"):
        assert len([line for line in said if f"{src}/{name}: " in line]) == 1


def test_many(box, checker):
    """The list of mounts is not read again for each of them."""
    src, trace = sources.small(box.tmpfs("src")), box.root / "strace.out"
    n = 45
    for i in range(n):
        (src / f"many/{i}").mkdir(parents=True)
        (src / f"many/0/{i}").mkdir(parents=True, exist_ok=True)
    sources.write(src, "one/file", b"one")
    box.mount("--bind", src / "many/0", src / "many/0")
    for i in range(n):
        box.mount("--bind", src / "one", src / f"many/0/{i}")
    for i in range(1, n):
        box.mount("--rbind", src / "many/0", src / f"many/{i}")
    mounts = len(box.mounts())
    assert mounts > n * n
    argv = ["strace", "-f", "-y", "-s", "0", "-e", "trace=pread64", "-o", trace]
    argv += [checker, "--no-grub", "--cross-mounts", src]
    box.run(argv, check=False)
    box.run(["umount", "-l", src])
    # A list of this size takes some fifty calls.
    reads = lines(trace.read_text(errors="replace"), "/mountinfo>")
    assert 0 < len(reads) < mounts


def enter_user_namespace(argv):
    return ["unshare", "-U", "--map-root-user", "-m", *map(str, argv)]


def test_owners_that_are_not_there(box, program, checker):
    """A namespace of one id says once what becomes of the others' files."""
    src, mnt = sources.small(box.dir("src")), box.dir("mnt")
    os.chown(src / "kernels/README", 1000, 1000)
    said = "belong to nobody (65534) on the disk; give another owner with"
    for options, times in (((), 1), (("--owner=root",), 0)):
        argv = [program, "-f", "--no-grub", *options, src, mnt]
        process = box.start(enter_user_namespace(argv), name="dirdisk")
        log = pathlib.Path(f"/proc/{process.pid}/root{mnt}/info/log")
        box.wait_for(log.exists, process)
        assert len(lines(log.read_text(), said)) == times
        assert len(lines(process.log.read_text(), said)) == times
        # It serves, but may not yet have said that it is ready.
        process.terminate()
        assert process.wait(20) in (0, 6)
        argv = [checker, "--no-grub", *options, src]
        done = box.run(enter_user_namespace(argv), check=False)
        assert len(lines(done.text, f"{src}: files of owners")) == times
    # Where every id is there, it is an owner as any other.
    os.chown(src / "kernels/README", 65534, 65534)
    done = box.run([checker, "--no-grub", src], check=False)
    assert said not in done.text


def test_the_root(box, program, checker):
    """No path begins with two slashes where SRC is one."""
    root = sources.small(box.dir("root"))
    for name in ("usr", "dev", "proc", "mnt"):
        (root / name).mkdir()
    os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    box.mount("--bind", "/usr", root / "usr")
    box.mount("-t", "proc", "proc", root / "proc")
    for path in (program, checker):
        shutil.copy(path, root)
    (root / "kernels/vmlinuz-1").write_bytes(b"no kernel")
    (root / "kernels/bzImage").symlink_to("/nowhere")
    sources.sparse(root, "kernels/initramfs.d/big", 5 << 30)
    # Sanitizers find none of their files in there.
    env = box.environment(ASAN_OPTIONS="detect_leaks=0", UBSAN_OPTIONS=None)
    for options in ((), ("--json",)):
        argv = ["chroot", root, "/dirdisk-check", "--no-grub", *options, "/"]
        done = box.run(argv, check=False, env=env)
        for path in ("/usr", "/kernels/initramfs.d/big"):
            assert path in done.text
        assert "//" not in done.text
    argv = ["chroot", root, "/dirdisk", "--no-grub", "/", "/mnt"]
    done = box.run(argv, check=False, env=env)
    assert done.returncode == 3
    assert "/kernels/initramfs.d/big: " in done.text
    assert "//" not in done.text
