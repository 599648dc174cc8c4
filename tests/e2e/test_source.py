# SPDX-License-Identifier: GPL-3.0-or-later
"""SRC is a path: each open shows the directory that it leads to then."""

import errno
import os
import shutil

import pytest

from support import sources
from support.held import Held, cat, listed
from support.runs import FOR_EVER, kernel
from support.sandbox import NOBODY

USERS = pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "user"])


def tree(path, text, owner=None):
    """A directory with `text` in file, and in dir/deeper/file."""
    for name in ("file", "dir/deeper/file", "kernels/note"):
        sources.write(path, name, text.encode() * 1000)
    if owner is not None:
        for top, _, files in os.walk(path):
            os.chown(top, owner, owner)
            for name in files:
                os.chown(os.path.join(top, name), owner, owner)
    return path


class Shown:
    """A disk, as who opens it now has it."""

    def __init__(self, box, disk, user):
        self.box = box
        self.disk = disk
        self.user = user

    def _image(self):
        """Who did not mount it reads a copy."""
        if self.user is None:
            return self.disk.image
        copy = self.box.tmp / "disk.img"
        argv = ["cp", "--sparse=always", self.disk.image, copy]
        self.box.run(argv, user=self.user)
        return copy

    def holds(self, text):
        image = self._image()
        for name in ("file", "dir/deeper/file"):
            assert cat(self.box, image, name) == text.encode() * 1000

    def is_empty(self):
        assert listed(self.box, self._image(), "") == ["lost+found"]

    def fails(self, reason):
        """Each open does, and the log says why, once."""
        before = len(self.log())
        for _ in range(3):
            argv = ["head", "-c", "1", self.disk.image]
            done = self.box.run(argv, user=self.user, check=False)
            assert "Input/output error" in done.text
        told = [line for line in self.log()[before:] if reason in line]
        assert len(told) == 1, self.text("log")

    def text(self, name):
        path = self.disk.mnt / "info" / name
        return self.box.run(["cat", path], user=self.user).text

    def log(self):
        return self.text("log").splitlines()


@pytest.fixture
def shown(box, dirdisk):
    """Mounts: shown(src, user); unmounts in the end."""
    disks = []

    def mount(src, user=None, *options, **more):
        mnt = more.pop("mnt", None)
        disk = dirdisk(src, mnt, "--no-grub", *options, user=user, **more)
        disks.append((disk, user))
        return Shown(box, disk, user)

    yield mount
    for disk, user in disks:
        disk.unmount(user=user)


@pytest.fixture
def place(box):
    """A directory where an ordinary user can be given trees."""
    return box.dir("place")


@USERS
def test_replaced_by_rename(place, shown, user):
    src = tree(place / "src", "old", user)
    disk = shown(src, user)
    disk.holds("old")
    src.rename(place / "kept")
    disk.fails("no such directory")
    tree(place / "new", "new", user).rename(src)
    disk.holds("new")
    assert "leads to another directory" in disk.text("generation")
    (src / "dir/deeper/file").write_text("and watched")
    assert cat(disk.box, disk._image(), "dir/deeper/file") == b"and watched"
    src.rename(place / "newer")
    (place / "kept").rename(src)
    disk.holds("old")


@USERS
def test_removed_and_made_again(place, shown, user):
    """Error, then recovery; the number of an inode may come back."""
    src = tree(place / "src", "first", user)
    disk = shown(src, user)
    for text in ("second", "third"):
        shutil.rmtree(src)
        disk.fails("no such directory")
        tree(src, text, user)
        disk.holds(text)
        shutil.rmtree(src)
        tree(src, text + "!", user)
        disk.holds(text + "!")


def test_something_else_is_there(place, shown):
    src = tree(place / "src", "old")
    disk = shown(src)
    src.rename(place / "kept")
    src.write_text("a file")
    disk.fails("not a directory")
    src.unlink()
    src.symlink_to(src)
    disk.fails("Too many levels of symbolic links")
    src.unlink()
    src.symlink_to("kept")
    disk.holds("old")


@USERS
def test_link_is_switched(place, shown, user):
    """On the way to SRC, and at its end."""
    for name in ("one", "two"):
        tree(place / name / "src", name, user)
    (place / "current").symlink_to("one")
    (place / "link").symlink_to("current/src")
    disk = shown(place / "link", user)
    disk.holds("one")
    for name in ("two", "one", "two"):
        (place / "next").symlink_to(name)
        (place / "next").rename(place / "current")
        disk.holds(name)
    (place / "link").unlink()
    (place / "link").symlink_to(place / "one/src")
    disk.holds("one")


def test_given_relative_to_a_directory(place, shown):
    """That directory keeps its path too."""
    tree(place / "work/src", "old")
    disk = shown("./src//.", cwd=place / "work")
    disk.holds("old")
    (place / "work").rename(place / "elsewhere")
    disk.fails(f"{place}/work/src: no such directory")
    tree(place / "work/src", "new")
    disk.holds("new")


def test_given_relative_to_one_above(place, shown):
    tree(place / "work/src", "old")
    disk = shown("../place/./work/../work/src", cwd=place)
    disk.holds("old")
    shutil.rmtree(place / "work/src")
    disk.fails(f"{place}/work/../work/src: no such directory")
    tree(place / "work/src", "new")
    disk.holds("new")


@USERS
def test_mounted_after_the_start(box, place, shown, user):
    """The order of a line in fstab: the directory was empty, and is again."""
    src = place / "src"
    src.mkdir()
    disk = shown(src, user)
    disk.is_empty()
    box.mount("-t", "tmpfs", "tmpfs", src)
    tree(src, "mounted", user)
    disk.holds("mounted")
    (src / "file").write_bytes(b"watched")
    assert cat(box, disk._image(), "file") == b"watched"
    box.run(["umount", "-l", src])
    disk.is_empty()
    box.mount("--bind", tree(place / "other", "bound", user), src)
    disk.holds("bound")


def test_a_file_system_that_others_change(box, place, shown):
    """From one that is watched to one that is not, and back."""
    near, far = tree(place / "near", "near"), place / "far"
    far.mkdir()
    disk = shown(tree(place / "src", "old"))
    disk.holds("old")
    shutil.rmtree(place / "src")
    (place / "src").symlink_to("/proc/self/task")
    with pytest.raises(OSError):
        os.stat(disk.disk.image)
    (place / "src").unlink()
    (place / "src").symlink_to("near")
    disk.holds("near")
    (near / "file").write_bytes(b"x")
    assert cat(box, disk.disk.image, "file") == b"x"


def test_who_has_it_open_keeps_it(box, place, shown):
    """The files are where they were put, or are gone; no byte is another's."""
    src = tree(place / "src", "old")
    disk = shown(src)
    with Held(box, disk.disk.image) as held:
        before = held.blocks()
        src.rename(place / "kept")
        tree(src, "new")
        disk.holds("new")
        assert held.blocks() == before
        held.assert_fsck()
        with Held(box, disk.disk.image) as newer:
            present = newer.blocks()
            shutil.rmtree(place / "kept")
            shutil.rmtree(src)
            for now, then in (held, before), (newer, present):
                left = now.blocks()
                lost = {at for at in then if left[at] is None}
                assert {then[at][:3] for at in lost} <= {b"old", b"new"}
                assert len(lost) >= 2
                assert all(left[at] == then[at] for at in then if at not in lost)
                now.assert_fsck()
            disk.fails("no such directory")
    tree(src, "newest")
    disk.holds("newest")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@USERS
def test_replaced_200_times(place, shown, user):
    """Nothing is left of those before."""
    src = tree(place / "src", "0", user)
    disk = shown(src, user)
    (worker,) = disk.disk.workers
    held = {}
    for number in range(1, 201):
        tree(place / "next", str(number), user)
        src.rename(place / "last")
        (place / "next").rename(src)
        shutil.rmtree(place / "last")
        if number % 20 == 0:
            disk.holds(str(number))
        assert f"number: {number + 1}\n" in disk.text("generation")
        for pid in (worker, disk.disk.opener):
            if number == 20:
                held[pid] = descriptors(pid)
            if number > 20:
                # A generation or two may not have ended yet.
                assert descriptors(pid) <= held[pid] + 16


@USERS
def test_links_to_builds(box, place, shown, user):
    """They lead out of SRC, wherever that is by now; nothing else does."""
    build = place / "build"
    build.mkdir()

    def with_link(path, text):
        tree(path, text, user)
        for name in ("kernels/bzImage", "dir/bzImage"):
            (path / name).symlink_to(build / "bzImage")
            if user:
                os.chown(path / name, user, user, follow_symlinks=False)
        return path

    for number in range(3):
        (build / "next").write_bytes(b"%d" % number)
        (build / "next").rename(build / "bzImage")
        if number == 0:
            disk = shown(with_link(place / "src", "old"), user)
        if number == 2:
            shutil.rmtree(place / "src")
            with_link(place / "src", "new").rename(place / "src")
        image = disk._image()
        assert cat(box, image, "kernels/bzImage") == b"%d" % number
        assert cat(box, image, "dir/bzImage") is None


@pytest.mark.timeout(60)
@USERS
def test_around_its_own_mount(box, place, shown, user):
    """A tree that holds MNT is shown, with it empty; MNT itself is not."""
    outer = tree(place / "outer", "outer", user)
    mnt = outer / "dir/mnt"
    mnt.mkdir()
    if user:
        os.chown(mnt, user, user)
    (place / "src").symlink_to(tree(place / "first", "first", user))
    disk = shown(place / "src", user, mnt=mnt)

    def switch(to):
        (place / "next").symlink_to(to)
        (place / "next").rename(place / "src")

    disk.holds("first")
    switch(outer)
    disk.holds("outer")
    assert listed(box, disk._image(), "dir/mnt") == []
    for inside in (mnt, mnt / "info", mnt / "disk.img", mnt / "nothing"):
        switch(inside)
        disk.fails("leads to the mount of this disk")
        switch(place / "first")
        disk.holds("first")


@pytest.mark.timeout(60)
def test_around_the_mount_of_another(box, place, shown, dirdisk):
    """Two that show each other would wait for each other."""
    (place / "src").symlink_to(tree(place / "first", "first"))
    disk = shown(place / "src")
    other = dirdisk(tree(place / "other", "other"), box.dir("x"), "--no-grub")

    def switch(to):
        (place / "next").symlink_to(to)
        (place / "next").rename(place / "src")

    for inside in (other.mnt, other.mnt / "info"):
        switch(inside)
        disk.fails("leads to the mount of this disk or of another")
        switch(place / "first")
        disk.holds("first")
    done = dirdisk.run("--no-grub", other.mnt, place, check=False)
    assert done.returncode == 3 and "give the tree that it" in done.text
    box.umount(other.mnt)


@pytest.mark.parametrize("when", ["before", "after"])
def test_links_to_the_disks_of_each_other(box, dirdisk, checker, when):
    """None is followed: each would wait for the other."""
    mnts = [box.dir("mnt0"), box.dir("mnt1")]
    srcs = [tree(box.dir(f"src{n}") / "s", f"{n}") for n in range(2)]

    def link():
        for n in range(2):
            for number in range(40):
                (srcs[n] / f"a{number}").mkdir()
            target = mnts[1 - n] / "disk.img"
            (srcs[n] / "kernels/bzImage").symlink_to(target)

    def start(n):
        return dirdisk(srcs[n], mnts[n], "--no-grub")

    if when == "before":
        link()
    disks = [start(n) for n in range(2)]
    if when == "after":
        link()
    for n in range(2):
        argv = ["head", "-c", "512", disks[n].image]
        assert len(box.run(argv, timeout=20).data) == 512
        assert cat(box, disks[n].image, "file") == f"{n}".encode() * 1000
        assert "bzImage" in listed(box, disks[n].image, "kernels")
        said = box.run([checker, "--no-grub", srcs[n]], check=False).text
        assert "bzImage: leads to the mount of a disk; stays a link" in said
    for disk in disks:
        box.run(["fusermount3", "-u", disk.mnt])
        assert disk.status() == 0


def test_of_many_files(box, place, shown):
    """With 40 directories before the interesting one, deep and sparse ones."""
    src = tree(place / "src", "old")
    disk = shown(src)

    def many(path, text):
        tree(path, text)
        for number in range(40):
            sources.write(path, f"a/{number}/file", text.encode())
        deep = path / "a/deep"
        fd = os.open(path, os.O_RDONLY)
        for _ in range(30):  # longer than one call takes
            os.mkdir("d" * 250, dir_fd=fd)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        with open(os.open("f", os.O_CREAT | os.O_RDWR, dir_fd=fd), "wb") as f:
            f.write(text.encode())
        os.close(fd)
        with open(path / "a/sparse", "wb") as file:
            file.truncate(10 << 20)
            file.seek(5 << 20)
            file.write(text.encode())
        return deep

    for text in ("new", "newer"):
        src.rename(place / text)
        many(src, text)
        disk.holds(text)
        for number in range(0, 40, 13):
            assert cat(box, disk.disk.image, f"a/{number}/file") == text.encode()
        deep = "/".join(["d" * 250] * 30) + "/f"
        assert cat(box, disk.disk.image, deep) == text.encode()
        sparse = cat(box, disk.disk.image, "a/sparse")
        assert sparse.strip(b"\0") == text.encode()
        assert os.stat(disk.disk.image).st_blocks < 5 << 11
        with Held(box, disk.disk.image) as held:
            held.assert_fsck()
            assert None not in held.blocks().values()


def test_files_that_cannot_be_read(box, place, shown):
    """The opener may read what the worker may, and no more."""
    src = tree(place / "src", "old", NOBODY)
    disk = shown(src, NOBODY, "--unreadable=skip")
    src.rename(place / "kept")
    tree(src, "new", NOBODY)
    sources.write(src, "secret", b"root's", 0o600)
    disk.holds("new")
    assert cat(box, disk._image(), "secret") is None


# ---- the end of the opener ----


def test_end_of_the_opener(place, shown, dirdisk, box):
    """It is told, and nothing stays."""
    disk = dirdisk.foreground(tree(place / "src", "old"), None, "--no-grub")
    os.kill(disk.opener, 9)
    disk.assert_ended(7)
    assert "the process that opens its files" in disk.process.log.read_text()


def test_opener_that_does_not_answer(place, shown):
    """Whoever asks is told within seconds; then it goes on."""
    src = tree(place / "src", "old")
    disk = shown(src)
    os.kill(disk.disk.opener, 19)
    disk.holds("old")
    src.rename(place / "kept")
    tree(src, "new")
    with pytest.raises(OSError) as error:
        disk.disk.read(0, 512)
    assert error.value.errno == errno.EIO
    assert "Connection timed out" in disk.log()[-1]
    os.kill(disk.disk.opener, 18)
    disk.holds("new")


# ---- dirdisk-run ----


def test_boots_again_when_it_is_back(runs):
    runs.fake(FOR_EVER)
    process = runs.start("--accel=tcg", "--watch")
    runs.wait_boots(process)
    for boots in (2, 3):
        shutil.rmtree(runs.src)
        if boots == 3:
            with pytest.raises(AssertionError):
                runs.wait_boots(process, boots, timeout=2)
        os.makedirs(runs.src / "kernels")
        runs.place(runs.src / "kernels/vmlinuz-1.0", kernel())
        runs.wait_boots(process, boots, timeout=60)
    process.terminate()
    assert process.wait(20) == 143
    runs.assert_gone()
