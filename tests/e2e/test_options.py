# SPDX-License-Identifier: GPL-3.0-or-later
"""Options in all their spellings; users and places."""

import errno
import os
import re
import signal

import pytest

from support import judges, procs, sources, trees
from support.sandbox import NOBODY


@pytest.fixture
def src(box):
    return sources.before(sources.small(box.dir("src")))


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(dirdisk, option):
    said = dirdisk.run(option).text
    options = "size boot-size free append timeout default console owner"
    options += " uuid pidfile unreadable xattrs grub-dir core-image no-grub"
    options += " name stale no-follow cross-mounts overlay-limit watch"
    for name in options.split():
        assert f"--{name}" in said
    assert "SRC MNT" in said


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(dirdisk, option):
    said = dirdisk.run(option).text
    assert re.match(r"dirdisk \d+\.\d+\.\d+\n", said)


def test_long_options_and_list_say_the_same(box, dirdisk, src, guest):
    """Every long option, as -o, makes the same disk, to the byte."""
    guest.add(src)
    core = box.root / "core.img"
    box.run(
        ["grub-mkimage", "-O", "i386-pc", "-o", core]
        + ["-p", "(,msdos1)/boot/grub"]
        + ["biosdisk", "part_msdos", "ext2", "normal"]
    )
    options = {
        "size": "300M",
        "boot-size": "30M",
        "free": "20M",
        "uuid": "01234567-89ab-cdef-fedc-ba9876543210",
        "append": "one two,three",
        "timeout": "7",
        "default": guest.version,
        "order": "mtime",
        "console": "serial",
        "owner": "5:6",
        "unreadable": "skip",
        "xattrs": "user",
        "grub-dir": judges.GRUB_DIR,
        "core-image": str(core),
        "pidfile": str(box.root / "pid"),
    }
    escaped = [
        f"{key}={value}".replace(",", "\\,") for key, value in options.items()
    ]
    spellings = [
        [f"--{key}={value}" for key, value in options.items()],
        [word for k, v in options.items() for word in (f"--{k}", v)],
        ["-o", ",".join(escaped)],
        [word for item in escaped for word in ("-o", item)],
    ]
    plain = dirdisk(src, box.dir("plain"))
    digests = [trees.digest(plain.image)]
    plain.unmount()
    for number, spelling in enumerate(spellings):
        disk = dirdisk(src, box.dir(f"mnt{number}"), *spelling)
        assert (box.root / "pid").exists()
        digests.append(trees.digest(disk.image))
        if number == 0:
            with judges.partition_mount(box, disk.image, 1) as point:
                menu = (point / "boot/grub/grub.cfg").read_text()
                assert "one two,three" in menu and "timeout=7" in menu
        disk.unmount()
    assert len(set(digests[1:])) == 1 and digests[0] != digests[1]


def identifiers(box, disk):
    """UUIDs of both file systems, and the signature of the disk."""
    table = box.run(["sfdisk", "--disk-id", disk.image]).text.split()
    for number in (1, 2):
        with judges.partition_device(box, disk.image, number) as device:
            said = box.run(["dumpe2fs", "-h", device]).text
            table += re.findall(r"Filesystem UUID: *(\S+)", said)
    return table


def test_identifiers_follow_the_content(box, dirdisk, src):
    """A changed tree has others, unless one is asked for."""
    uuid = "01234567-89ab-cdef-fedc-ba9876543210"
    seen = {option: [] for option in ("--free=16M", f"--uuid={uuid}")}
    for _ in range(2):
        for option, found in seen.items():
            disk = dirdisk(src, box.dir(f"mnt{option}{len(found)}"), option)
            found.append(identifiers(box, disk))
            disk.unmount()
        sources.write(src, "one/more", b"file\n")
    made, asked = seen.values()
    assert not set(made[0]) & set(made[1])
    assert asked[0] == asked[1] and asked[0][2] == uuid
    assert len(set(made[0] + made[1] + asked[0])) == 9


def test_source_date_epoch(box, dirdisk, src):
    """Later times are shown as that one; the files still read."""
    for path, time in (("early", 1e9), ("late", 2e9)):
        sources.write(src, path, path.encode())
        os.utime(os.path.join(src, path), (time, time + 0.5))
    env = dirdisk.environment(SOURCE_DATE_EPOCH="1700000000")
    disk = dirdisk(src, None, env=env)
    with judges.partition_mount(box, disk.image, 2) as point:
        times = {
            name: os.stat(point / name).st_mtime for name in ("early", "late")
        }
        assert times == {"early": 1e9 + 0.5, "late": 17e8}
        assert (point / "late").read_bytes() == b"late"
    disk.unmount()


def test_no_grub_in_the_list(dirdisk, src):
    disk = dirdisk(src, None, "-o", "no-grub")
    assert disk.read(0, 440) == bytes(440)
    disk.unmount()


@pytest.fixture
def installed(box, program):
    """dirdisk where mount(8) looks for it."""
    box.mount("--bind", program.parent, "/usr/local/sbin")
    yield
    box.run(["umount", "-l", "/usr/local/sbin"])


def test_fstab_line(box, installed, src):
    """mount(8) finds dirdisk where programs are, with what fstab may hold."""
    mnt = box.dir("mnt")
    options = "ro,noauto,user,nofail,_netdev,x-systemd.automount"
    options += ",size=1G,no-grub"
    fstab = box.root / "fstab"
    fstab.write_text(f"{src} {mnt} fuse.dirdisk {options} 0 0\n")
    for arguments in (
        ["-t", "fuse.dirdisk", src, mnt, "-o", options],
        ["-T", fstab, mnt],
    ):
        box.mount(*arguments)
        assert os.stat(mnt / "disk.img").st_size == 1 << 30
        (mount,) = box.mounts()
        assert mount.fstype == "fuse.dirdisk"
        assert "ro" in mount.options.split(",")
        with pytest.raises(OSError):
            open(mnt / "disk.img", "r+b").close()
        box.umount(mnt)
        box.assert_nothing_left()


WORDS = (
    "relatime norelatime diratime nodiratime strictatime nostrictatime"
    " lazytime nolazytime atime noatime symfollow nosymfollow iversion"
    " noiversion mand nomand silent loud rw async sync dirsync user=me users"
    " nousers group nogroup noowner comment=x helper=h uhelper=u user_id=0"
    " group_id=0 max_read=131072 blksize=4096 x-systemd.automount"
    " X-mount.mkdir auto_unmount default_permissions"
)


def test_words_of_mount(box, dirdisk, src):
    """Whatever fstab may hold, or mount(8) hands on."""
    words = ",".join(WORDS.split())
    disk = dirdisk(src, None, "--no-grub", "-o", words)
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


@pytest.mark.parametrize("kind", ["/proc/self/mounts", "/etc/fstab"])
def test_line_of_proc_mounts(box, dirdisk, installed, src, kind):
    """The line of a disk that is mounted mounts it again."""
    disk = dirdisk(src, None, "--no-grub", "-o", "allow_other,noatime")
    (line,) = [
        line
        for line in open("/proc/self/mounts")
        if line.split()[1] == str(disk.mnt)
    ]
    disk.unmount()
    source, point, fstype, options, *_ = line.split()
    fstab = box.root / "fstab"
    fstab.write_text(line)
    if kind == "/etc/fstab":
        box.mount("-T", fstab, point)
    else:
        box.mount("-t", fstype, "-o", options, source, point)
    again = [m for m in box.mounts() if m.point == point]
    assert [m.fstype for m in again] == ["fuse.dirdisk"]
    for word in options.split(","):
        assert word in again[0].options.split(",")
    box.umount(point)
    box.assert_nothing_left()


def test_remount(box, dirdisk, installed, src):
    """mount -o remount sets the flags, and starts no second dirdisk."""
    mnt = box.dir("mnt")
    fstab = box.root / "fstab"
    fstab.write_text(f"{src} {mnt} fuse.dirdisk no-grub,allow_other 0 0\n")
    box.mount("-T", fstab, mnt)
    running = set(box.processes())

    def remount(options):
        box.mount("-T", fstab, "-o", options, mnt)
        (mount,) = box.mounts()
        assert set(box.processes()) == running
        return mount.options.split(",")

    with open(mnt / "disk.img", "rb", buffering=0) as held:
        assert "rw" in remount("remount")
        assert "ro" in remount("remount,ro")
        with pytest.raises(OSError) as error:
            open(mnt / "disk.img", "r+b").close()
        assert error.value.errno == errno.EROFS
        assert {"rw", "noexec"} <= set(remount("remount,rw,noexec"))
        open(mnt / "disk.img", "r+b").close()
        assert "noexec" not in remount("remount")
        assert held.read(512)[510:] == b"\x55\xaa"
    box.umount(mnt)
    box.assert_nothing_left()


def test_remount_of_nothing(box, dirdisk, src):
    mnt = box.dir("mnt")
    done = dirdisk.run(src, mnt, "-o", "remount", check=False)
    assert done.returncode == 2
    assert done.text.startswith(f"dirdisk: {mnt}: no dirdisk is mounted there")
    point = box.tmpfs("tmpfs")
    done = dirdisk.run(src, point, "-o", "remount,ro", check=False)
    assert done.returncode == 2
    assert "rw" in box.mounts()[0].options.split(",")


def test_remount_by_an_ordinary_user(box, dirdisk, src):
    disk = dirdisk(src, box.dir("mnt", NOBODY), "--no-grub", user=NOBODY)
    done = dirdisk.run(
        src, disk.mnt, "-o", "remount,ro", check=False, user=NOBODY
    )
    assert done.returncode == 4 and "mount it again" in done.text
    assert "rw" in disk.box_mounts()[0].options.split(",")
    disk.unmount("fusermount3", "-u", user=NOBODY)


def test_fuse_options_arrive(dirdisk, src):
    options = "allow_other,nosuid,nodev,noexec,noatime,fsname=mine"
    disk = dirdisk(src, None, "-o", options)
    (mount,) = disk.box_mounts()
    given = mount.options.split(",")
    assert mount.source == "mine"
    for name in ("allow_other", "nosuid", "nodev", "noexec", "noatime"):
        assert name in given
    disk.unmount()


def test_longest_name_for_the_mount(dirdisk, src):
    fsname = "," * 1024
    escaped = fsname.replace(",", "\\,")
    disk = dirdisk(src, None, "-o", f"fsname={escaped}")
    (mount,) = disk.box_mounts()
    assert mount.source == fsname and mount.fstype == "fuse.dirdisk"
    disk.unmount()


def test_debug_shows_requests(dirdisk, src):
    disk = dirdisk.foreground(src, None, "-d")
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()
    assert "LOOKUP" in disk.process.log.read_text(errors="replace")


# ---- users and places ----


def test_ordinary_user(box, dirdisk, src):
    mnt = box.dir("mnt", NOBODY)
    disk = dirdisk(src, mnt, user=NOBODY)
    shown = box.run(["stat", "-c", "%u:%g %a %s", disk.image], user=NOBODY)
    assert shown.text == f"{NOBODY}:{NOBODY} 644 {409600 * 512}\n"
    copy = box.root / "copy.img"
    with open(copy, "wb") as out:
        box.run(["cat", disk.image], user=NOBODY, stdout=out)
    # Other users, root among them, stay outside.
    with pytest.raises(PermissionError):
        os.stat(disk.image)
    disk.unmount("fusermount3", "-u", user=NOBODY)
    judges.assert_whole_disk(box, copy, src)


def test_ordinary_user_ends_it_by_signal(box, dirdisk, src):
    disk = dirdisk(src, box.dir("mnt", NOBODY), user=NOBODY)
    disk.signal(signal.SIGTERM)
    disk.assert_ended(0)


def test_ordinary_user_killed_worker(box, dirdisk, src):
    disk = dirdisk(src, box.dir("mnt", NOBODY), user=NOBODY)
    disk.kill_worker()
    disk.assert_ended(7)


def test_mount_point_inside_source(box, dirdisk, src):
    """It shows as an empty directory, and nobody waits for himself."""
    mnt = src / "sub" / "mnt"
    mnt.mkdir(parents=True)
    other = src / "other"
    other.mkdir()
    expected = trees.snapshot(src)
    box.mount("-t", "tmpfs", "tmpfs", other)
    sources.write(other, "hidden", b"of another file system\n")
    disk = dirdisk(src, mnt)
    with judges.partition_mount(box, disk.image, 2) as point:
        assert os.listdir(point / "sub" / "mnt") == []
        assert os.listdir(point / "other") == []
        seen = trees.snapshot(point)
        assert set(trees.split(expected)[1]) < set(seen)
    disk.unmount()


def test_relative_paths(box, dirdisk, src):
    box.dir("mnt")
    before = set(procs.alive())
    done = dirdisk.run("src", "mnt", cwd=box.root)
    assert done.text == "" and len(set(procs.alive()) - before) >= 2
    assert (box.root / "mnt" / "disk.img").stat().st_size == 409600 * 512
    with judges.partition_mount(
        box, box.root / "mnt" / "disk.img", 2
    ) as point:
        text = (point / "kernels" / "README").read_text()
        assert text == "no kernel here\n"
    box.run(["fusermount3", "-u", "mnt"], cwd=box.root)
    box.assert_nothing_left()


@pytest.mark.parametrize(
    "name",
    ["with space", "new\nline", "comma,s", "back\\slash", "b\udcff", "-dash"],
)
def test_odd_paths(box, dirdisk, name):
    src = sources.small(box.dir(f"src/{name}"))
    disk = dirdisk(src, box.dir(f"mnt/{name}"), f"--pidfile={box.root}/{name}")
    (mount,) = disk.box_mounts()
    assert mount.source == str(src)
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def test_option_like_names_behind_two_dashes(box, dirdisk):
    sources.small(box.dir("-f"))
    box.dir("-o")
    dirdisk.run("--", "-f", "-o", cwd=box.root)
    assert (box.root / "-o" / "disk.img").exists()
    box.run(["fusermount3", "-u", "./-o"], cwd=box.root)
    box.assert_nothing_left()


def test_source_is_changed_under_the_mount(box, dirdisk, src):
    """Bytes of two moments never mix: an error, and the rest still reads."""
    sources.write(src, "data", b"a" * 2_000_000)
    disk = dirdisk(src)
    with judges.partition_mount(box, disk.image, 2) as point:
        sources.write(src, "data", b"b" * 2_000_000)
        with pytest.raises(OSError) as error:
            (point / "data").read_bytes()
        assert error.value.errno == 5
        assert (point / "kernels" / "README").read_bytes()
    with judges.partition_mount(box, disk.image, 2) as point:
        assert (point / "data").read_bytes() == b"b" * 2_000_000
    disk.unmount()


def test_links_out_of_the_tree(box, dirdisk, src):
    """A link to a build is the build; with --no-follow, a link."""
    build = box.dir("build")
    sources.write(build, "bzImage", b"a build")
    (src / "kernels/bzImage").symlink_to(build / "bzImage")
    disk = dirdisk(src, None, "--no-grub")
    with judges.partition_mount(box, disk.image, 2) as point:
        assert not (point / "kernels/bzImage").is_symlink()
        assert (point / "kernels/bzImage").read_bytes() == b"a build"
    disk.unmount()
    disk = dirdisk(src, disk.mnt, "--no-grub", "--no-follow")
    with judges.partition_mount(box, disk.image, 2) as point:
        target = os.readlink(point / "kernels/bzImage")
    assert target == str(build / "bzImage")
    disk.unmount()


def test_stale_serve(box, dirdisk, src):
    """Who prefers the bytes of another moment to an error gets them."""
    sources.write(src, "data", b"a" * 2_000_000)
    disk = dirdisk(src, None, "--stale=serve")
    with judges.partition_mount(box, disk.image, 2) as point:
        sources.write(src, "data", b"b" * 2_000_000)
        assert (point / "data").read_bytes() == b"b" * 2_000_000
    disk.unmount()
