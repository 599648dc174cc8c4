# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input is a message that names it, an exit status, and nothing more."""

import os
import re
import shutil
import time

import pytest

from support import judges, sources, trees
from support.sandbox import NOBODY

OPTIONS, MOUNT_POINT, SETUP, MOUNT = 1, 2, 3, 4


@pytest.fixture
def mnt(box):
    return box.dir("mnt")


@pytest.fixture
def refused(box, dirdisk):
    """refused(arguments, exit status, words...): all that a refusal is."""

    def check(arguments, status, *words, **more):
        before, running = box.mounts(), box.processes()
        done = dirdisk.run(*arguments, check=False, **more)
        assert done.returncode == status, (done.returncode, done.text)
        assert re.fullmatch(r"dirdisk: [^\n]*\n", done.text), done.text
        # path or option, reason
        assert re.match(r"dirdisk: .*\S: \S", done.text), done.text
        for word in words:
            assert str(word) in done.text, done.text
        box.wait_no_process(running)
        assert box.mounts() == before
        return done.text

    return check


# ---- SRC ----


def test_source_missing(refused, box, mnt):
    path = box.root / "nowhere"
    refused([path, mnt], SETUP, path, "o such ")


def test_empty_arguments(refused, src, mnt):
    refused(["", mnt], SETUP, "SRC: empty")
    refused([src, ""], MOUNT_POINT, "MNT: empty")


def test_source_not_a_directory(refused, src, mnt):
    path = src / "kernels" / "README"
    refused([path, mnt], SETUP, path, "irectory")


def test_source_unreadable(refused, box):
    src = sources.small(box.dir("src"))
    src.chmod(0o700)
    mnt = box.dir("mnt", NOBODY)
    refused([src, mnt], SETUP, src, "ermission", user=NOBODY)


def test_source_with_a_newline_is_named_on_one_line(refused, box, mnt):
    path = box.root / "no\nwhere\x1b"
    text = refused([path, mnt], SETUP, "where")
    assert "\x1b" not in text


# ---- MNT ----


def test_mount_point_missing(refused, box, src):
    path = box.root / "nowhere"
    refused([src, path], MOUNT_POINT, path, "o such ")


def test_mount_point_not_empty(refused, box, src):
    mnt = box.dir("mnt")
    (mnt / "something").touch()
    refused([src, mnt], MOUNT_POINT, mnt, "empty")


def test_mount_point_is_a_file(refused, box, src):
    path = box.root / "file"
    path.touch()
    refused([src, path], MOUNT_POINT, path, "irectory")


@pytest.mark.parametrize("empty", [False, True])
def test_mount_point_equal_to_source(refused, box, empty):
    src = box.dir("src")
    if not empty:
        sources.small(src)
    refused([src, src], MOUNT_POINT, src)


def test_mount_point_equal_to_source_by_another_name(refused, box):
    src = box.dir("src")
    link = box.root / "link"
    link.symlink_to(src)
    refused([src, link], MOUNT_POINT, box.root)
    refused([f"{src}/", f"{src}/."], MOUNT_POINT, src)


def test_mount_point_already_mounted(refused, dirdisk, src, mnt):
    disk = dirdisk(src, mnt)
    refused([src, mnt], MOUNT_POINT, mnt, "mounted")
    # The first one has not noticed.
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def test_mount_point_not_ours(refused, src, box):
    """An ordinary user, and a directory that belongs to root."""
    mnt = box.dir("mnt")
    done = refused([src, mnt], MOUNT, mnt, user=NOBODY)
    assert "ermission" in done or "ermitted" in done or "write access" in done


# ---- options ----


@pytest.mark.parametrize(
    "option",
    ["--bogus", "-Z", "--bogus=1", "-obogus", "-oro,bogus=1", "-ofd=3"],
)
def test_unknown_option(refused, src, mnt, option):
    name = re.sub(r"^-o(ro,)?", "", option).split("=")[0]
    refused([option, src, mnt], OPTIONS, name, "unknown option")


def test_too_few_arguments(refused, src):
    refused([], OPTIONS, "SRC")
    refused([src], MOUNT_POINT, "MNT")


def test_too_many_arguments(refused, src, mnt):
    refused([src, mnt, "more"], OPTIONS, "more")


def test_value_missing(refused, src, mnt):
    refused([src, mnt, "--size"], OPTIONS, "--size")
    refused(["-o", "size", src, mnt], OPTIONS, "size")


BAD_SIZES = ["-1", "9E", "abc", "", "1M1", " 1M", "0x200", "99999999999999T"]


@pytest.mark.parametrize("value", BAD_SIZES)
@pytest.mark.parametrize("option", ["size", "boot-size", "free"])
def test_size_that_is_none(refused, src, mnt, option, value):
    refused([f"--{option}={value}", src, mnt], OPTIONS, f"--{option}={value}")


@pytest.mark.parametrize("option", ["size", "boot-size"])
def test_size_that_is_no_multiple(refused, src, mnt, option):
    given = f"--{option}=5000000"
    refused([given, src, mnt], OPTIONS, given, "512")


@pytest.mark.parametrize("value", ["-1", "9E", "5000000"])
def test_size_in_other_spellings(refused, src, mnt, value):
    refused(["--size", value, src, mnt], OPTIONS, f"--size={value}")
    refused(["-o", f"size={value}", src, mnt], OPTIONS, f"size={value}")


def needed(text):
    """The size that a message asks for, in bytes."""
    amounts = re.findall(r"\b(\d+)([KMGT]?)\b", text)
    unit = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    return max(int(digits) * unit[letter] for digits, letter in amounts)


def test_size_too_small_says_what_is_needed(refused, box, dirdisk, mnt):
    """And what it says is enough, and no more than that."""
    src = sources.small(box.dir("a"))
    sources.write(src, "data", bytes(range(256)) * 4096 * 4)
    text = refused(["--size=1M", src, mnt], SETUP, "--size").replace(
        "--size=1M", ""
    )
    enough = needed(text)
    disk = dirdisk(src, mnt, f"--size={enough}")
    assert disk.size == enough
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()
    refused([f"--size={enough - (2 << 20)}", src, mnt], SETUP, "--size")


def test_boot_size_too_small(refused, box, src, mnt):
    sources.write(src, "boot/large", bytes(range(256)) * 4096 * 8)
    refused(["--boot-size=4M", src, mnt], SETUP, "--boot-size")


@pytest.mark.parametrize(
    "option",
    [
        "timeout=abc",
        "timeout=-2",
        "timeout=",
        "console=both,vga",
        "console=tty",
    ]
    + ["owner=me", "owner=1", "owner=1:", "owner=-1:0", "owner=1:2:3"]
    + ["owner=4294967296:0", "unreadable=maybe", "append=a\nb"]
    + ["xattrs=all"],
)
def test_other_bad_values(refused, src, mnt, option):
    refused([f"--{option}", src, mnt], OPTIONS, "--" + option.split("=")[0])


def test_name_that_is_too_long(refused, src, mnt):
    text = refused(
        ["-o", f"ro,fsname={'x' * 100_000}", src, mnt], OPTIONS, "-o fsname="
    )
    assert len(text) < 1200


def test_another_type(box, refused, dirdisk, src, mnt):
    """Disks are recognized by theirs, so none has another."""
    for name in ("other", "x" * 100_000, ""):
        refused(["-o", f"subtype={name}", src, mnt], OPTIONS, "-o subtype=")
    dirdisk(src, mnt, "-o", "subtype=dirdisk").unmount()


def test_limit_of_file_size(refused, src, mnt):
    refused(
        ["--no-grub", src, mnt],
        SETUP,
        "ulimit -f",
        command=["prlimit", "--fsize=10000000"],
    )


def test_default_that_is_no_kernel(refused, src, mnt):
    refused(["--default=none-such", src, mnt], SETUP, "--default", "none-such")


def test_pidfile_that_cannot_be(refused, box, src, mnt):
    path = box.root / "nowhere" / "pid"
    text = refused([f"--pidfile={path}", src, mnt], SETUP, path)
    assert "o such " in text


def test_allow_other_refused(refused, src, box):
    """Only where /etc/fuse.conf does not allow it; so one of our own."""
    conf = box.root / "fuse.conf"
    conf.write_text("# nothing\n")
    box.mount("--bind", conf, "/etc/fuse.conf")
    mnt = box.dir("mnt", NOBODY)
    try:
        refused(
            ["-o", "allow_other", src, mnt],
            MOUNT,
            "user_allow_other",
            "/etc/fuse.conf",
            user=NOBODY,
        )
    finally:
        box.umount("/etc/fuse.conf")


def test_fusermount3_missing(refused, src, box):
    """An ordinary user cannot mount without it; the message says so."""
    mnt = box.dir("mnt", NOBODY)
    empty = box.dir("empty")
    over = box.root / "not-executable"
    over.write_text("")
    box.mount("--bind", over, "/usr/bin/fusermount3")
    try:
        refused(
            ["--no-grub", src, mnt],
            MOUNT,
            "fusermount3",
            env=box.environment(PATH=f"{empty}:/usr/bin"),
            user=NOBODY,
        )
    finally:
        box.umount("/usr/bin/fusermount3")


@pytest.fixture
def refused_to_mount(refused, box, src):
    """A user who may not mount; command: what stands before the program."""

    def check(*words, command=(), user=NOBODY):
        env = box.environment()
        mnt = box.dir("mnt", user)
        arguments = ["--no-grub", src, mnt]
        refused(
            arguments,
            MOUNT,
            mnt,
            *words,
            command=command,
            user=user,
            env=env,
        )

    return check


def test_no_new_privileges(refused_to_mount):
    """As in a sandbox, or a service with NoNewPrivileges=."""
    refused_to_mount(
        "no_new_privs", "outside", command=["setpriv", "--no-new-privs"]
    )


def test_fusermount3_not_set_uid(refused_to_mount, box):
    over = shutil.copy("/usr/bin/fusermount3", box.root / "fusermount3")
    os.chmod(over, 0o755)
    box.mount("--bind", over, "/usr/bin/fusermount3")
    try:
        refused_to_mount("/usr/bin/fusermount3", "not set-uid", "fuse3")
    finally:
        box.umount("/usr/bin/fusermount3")


def test_fusermount3_on_nosuid(refused_to_mount, box):
    box.mount("--bind", "/usr/bin/fusermount3", "/usr/bin/fusermount3")
    box.mount("-o", "remount,bind,nosuid", "/usr/bin/fusermount3")
    try:
        refused_to_mount("/usr/bin/fusermount3", "nosuid", "remount")
    finally:
        box.umount("/usr/bin/fusermount3")


@pytest.mark.parametrize(
    "command",
    [
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
        ["unshare", "--user", "--map-root-user"],
    ],
    ids=["container", "user-namespace"],
)
def test_root_without_the_capability(refused_to_mount, command):
    refused_to_mount("CAP_SYS_ADMIN", command=command, user=None)


# ---- too little to run with ----

# AddressSanitizer needs /proc, and terabytes of address space.
if "DIRDISK_SANITIZED" not in os.environ:

    def test_no_proc(refused, src, mnt):
        bare = 'umount -l /proc; exec "$@"'
        refused(
            ["--no-grub", src, mnt],
            SETUP,
            "/proc",
            "mount proc",
            command=["unshare", "--mount", "sh", "-c", bare, "bare"],
        )

    def test_too_little_memory(box, dirdisk, src, mnt):
        """A disk, or the reason: nothing is said twice."""
        refusals = 0
        for size in range(8, 32):
            done = dirdisk.run(
                *["--no-grub", src, mnt],
                check=False,
                command=["prlimit", f"--as={size << 20}"],
            )
            if done.returncode == 0:
                box.umount(mnt)
            else:
                refusals += 1
                lines = done.text.splitlines()
                assert 0 < len(lines) <= 3, (size, done.text)
                assert len(set(lines)) == len(lines), (size, done.text)
            box.assert_nothing_left()
        assert 0 < refusals < 24


# ---- GRUB ----


def test_grub_modules_missing(refused, box, dirdisk, src, mnt):
    empty = box.dir("empty")
    options = [f"--grub-dir={empty}"]
    refused([*options, src, mnt], SETUP, "grub-pc-bin", "--no-grub")
    disk = dirdisk(src, mnt, "--no-grub", *options)
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def test_grub_mkimage_missing(refused, box, dirdisk, src, mnt):
    env = box.environment(PATH=str(box.dir("empty")))
    refused([src, mnt], SETUP, "grub-common", "--no-grub", env=env)
    disk = dirdisk(src, mnt, "--no-grub", env=env)
    assert disk.read(510, 2) == b"\x55\xaa"
    disk.unmount()


def test_grub_mkimage_fails(refused, box, src, mnt):
    """What it says reaches the one who must mend it."""
    tools = box.dir("tools")
    fake = sources.write(tools, "grub-mkimage")
    with open(fake, "w") as file:
        file.write("#!/bin/sh\necho the moon is wrong >&2\nexit 9\n")
    os.chmod(fake, 0o755)
    env = box.environment(PATH=f"{tools}:{os.environ['PATH']}")
    refused([src, mnt], SETUP, "grub-mkimage", env=env)


def test_module_that_is_too_large(refused, box, src, mnt):
    """It is not given to grub-mkimage, which would read it whole."""
    grub = box.root / "grub"
    shutil.copytree(judges.GRUB_DIR, grub)
    os.truncate(grub / "ext2.mod", 1 << 40)
    begin = time.monotonic()
    refused([f"--grub-dir={grub}", src, mnt], SETUP, grub, "64 MiB")
    assert time.monotonic() - begin < 10


def test_module_that_is_empty(refused, box, src, mnt):
    """grub-mkimage does not see it; an upgrade may have been cut off."""
    modules = box.root / "modules"
    shutil.copytree(judges.GRUB_DIR, modules)
    (modules / "normal.mod").write_bytes(b"")
    refused(
        [f"--grub-dir={modules}", src, mnt],
        SETUP,
        modules / "normal.mod",
        "is empty",
    )


def test_core_image_missing_or_none(refused, box, src, mnt):
    path = box.root / "core.img"
    refused([f"--core-image={path}", src, mnt], SETUP, path, "o such ")
    path.write_bytes(b"")
    refused([f"--core-image={path}", src, mnt], SETUP, path)


# ---- what a tree holds ----

HARD_NAMES = [b"n" * 255, b"\xff\xfe\x80", b"new\nline\x01\x1b[0m\x7f"]


@pytest.mark.parametrize("name", HARD_NAMES, ids=["long", "bytes", "control"])
def test_hard_names_work(box, dirdisk, src, mnt, name):
    for part in ("kernels", "boot", "."):
        sources.write(src, os.path.join(os.fsencode(part), name), name)
    disk = dirdisk(src, mnt)
    judges.assert_whole_disk(box, disk.image, src)
    disk.unmount()


def test_file_over_2_tib(refused, box, mnt):
    src = box.tmpfs("huge")
    sources.sparse(src, "sub/too-large", (2 << 40) + 1)
    refused([src, mnt], SETUP, src / "sub" / "too-large")


def test_file_just_below_2_tib(box, dirdisk, mnt):
    """Sparse, so it needs no room; its last bytes are there."""
    src = box.tmpfs("huge")
    size = (2 << 40) - (4 << 30)
    sources.sparse(src, "large", size, [(0, b"begin"), (size - 3, b"end")])
    disk = dirdisk(src, mnt)
    with judges.partition_device(box, disk.image, 2) as device:
        judges.assert_fsck(box, device)
    with judges.partition_mount(box, disk.image, 2) as point:
        with open(point / "large", "rb") as file:
            assert os.fstat(file.fileno()).st_size == size
            assert file.read(6) == b"begin\0"
            file.seek(size - 5)
            assert file.read() == b"\0\0end"
            file.seek(size // 2)
            assert file.read(4096) == bytes(4096)
    disk.unmount()


@pytest.mark.parametrize(
    "option", ["--size=3T", "--free=2T", "--boot-size=2T"]
)
def test_disk_past_2_tib(refused, src, mnt, option):
    name = option.split("=")[0]
    refused([option, src, mnt], SETUP, name)


def test_tree_past_2_tib(refused, box, mnt):
    """Two files, neither too large alone. ramfs tells of no hole."""
    src = box.dir("src")
    box.mount("-t", "ramfs", "ramfs", src)
    for name in ("one", "two"):
        sources.sparse(src, f"sub/{name}", 3 << 39)
    refused([src, mnt], SETUP, src)


def unreadable_tree(box):
    src = box.dir("src")
    sources.write(src, "kernels/README", b"readable\n")
    sources.write(src, "sub/secret", b"secret\n", 0o000)
    sources.write(src, "sub/open", b"open\n")
    os.mkdir(src / "closed")
    sources.write(src, "closed/inside", b"inside\n")
    os.chmod(src / "closed", 0o700)
    return src


def test_unreadable_file_is_an_error(refused, box):
    src = box.dir("src")
    sources.write(src, "sub/secret", b"secret\n", 0o000)
    mnt = box.dir("mnt", NOBODY)
    for more in ([], ["--unreadable=error"]):
        refused(
            [*more, src, mnt],
            SETUP,
            src / "sub" / "secret",
            "ermission",
            user=NOBODY,
        )


def test_unreadable_directory_is_an_error(refused, box):
    src = box.dir("src")
    sources.write(src, "closed/inside", b"inside\n")
    os.chmod(src / "closed", 0o700)
    mnt = box.dir("mnt", NOBODY)
    refused([src, mnt], SETUP, src / "closed", "ermission", user=NOBODY)


def test_unreadable_is_skipped_on_request(box, dirdisk):
    src = unreadable_tree(box)
    mnt = box.dir("mnt", NOBODY)
    disk = dirdisk(src, mnt, "--unreadable=skip", user=NOBODY)
    assert re.fullmatch(r"dirdisk: [^\n]*\b2\b[^\n]*\n", disk.launcher.text)
    # Nobody else, not even root, may look at a user's mount.
    copy = box.root / "copy.img"
    with open(copy, "wb") as out:
        box.run(["cat", disk.image], user=NOBODY, stdout=out)
    for number in (1, 2):
        with judges.partition_device(box, copy, number) as device:
            judges.assert_fsck(box, device)
    with judges.partition_mount(box, copy, 2) as point:
        seen = trees.snapshot(point)
        assert sorted(path for path in seen if b"lost" not in path) == [
            b"",
            b"kernels",
            b"kernels/README",
            b"sub",
            b"sub/open",
        ]
    disk.unmount("fusermount3", "-u", user=NOBODY)
