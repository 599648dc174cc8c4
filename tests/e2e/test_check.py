# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk-check: what would boot, and all that is in a disk's way, at once."""

import json
import os
import pathlib
import shutil
import struct

import pytest

from support import sources, trees
from support.sandbox import NOBODY

BOOTS, BOOTS_NOT, USAGE, UNKNOWN = 0, 1, 2, 3
REFUSED = 3  # dirdisk's
TIB = 1 << 40


def bzimage(version):
    """As much of a kernel as its header tells of."""
    image = bytearray(1024 + 512)
    image[0x1F1] = 1
    struct.pack_into("<I", image, 0x1F4, 512 // 16)
    struct.pack_into("<H", image, 0x1FE, 0xAA55)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x020F)
    struct.pack_into("<H", image, 0x20E, 0x100)
    image[0x211] = 1
    struct.pack_into("<I", image, 0x238, 2047)
    text = version.encode() + b" (me@here) #1\0"
    image[0x300 : 0x300 + len(text)] = text
    return bytes(image)


def add_kernel(src, version):
    sources.write(src, f"kernels/vmlinuz-{version}", bzimage(version))
    sources.write(src, f"kernels/initrd.img-{version}", b"initrd")


@pytest.fixture
def src(box):
    """Two kernels and a README."""
    src = sources.before(box.dir("src"))
    sources.small(src)
    add_kernel(src, "6.9.0")
    add_kernel(src, "6.10.0")
    return src


def lines_of(findings):
    return [
        f"{f['path']}: {f['reason']}" if f["path"] else f["reason"]
        for f in findings
    ]


def section(text, head):
    """The lines below "head (N):", which are N."""
    for part in text.split("\n\n"):
        first, *rest = part.strip("\n").split("\n")
        if first.startswith(f"{head} ("):
            assert first == f"{head} ({len(rest)}):"
            return rest
    return []


def assert_agree(text, report):
    """The table says what the JSON does."""
    own = report["menu"] == "own" and report["verdict"] == "boots"
    assert section(text, "Problems") == lines_of(report["problems"])
    assert section(text, "Notes") == lines_of(report["notes"])
    last = text.rstrip("\n").split("\n")[-1]
    assert (
        last.split(":")[0]
        == {
            "boots": "Boots",
            "nothing-boots": "Nothing boots",
            "refused": "No disk can be made",
        }[report["verdict"]]
    )
    for kernel in report["kernels"]:
        assert kernel["path"] in text
        if kernel["default"] and report["verdict"] == "boots" and not own:
            assert kernel["title"] in last
            assert kernel["arguments"] in last
    for line in lines_of(report["rejects"]):
        assert line in text.split("\n")


@pytest.fixture
def run(box, checker):
    def run(*arguments, **more):
        argv = [checker, *(os.fspath(word) for word in arguments)]
        return box.run(argv, name="check", check=False, **more)

    return run


@pytest.fixture
def check(run):
    """check(SRC, options...): the report, both ways of telling it compared."""

    def check(src, *options, **more):
        table = run(*options, src, **more)
        done = run("--json", *options, src, **more)
        report = json.loads(done.data)
        assert table.returncode == done.returncode
        status = BOOTS if report["verdict"] == "boots" else BOOTS_NOT
        assert done.returncode == status
        assert report["version"] == 1
        assert_agree(table.data.decode(), report)
        return report

    return check


@pytest.fixture
def refused(box, check, dirdisk):
    """Refused by both; the first of the problems is what dirdisk says."""

    def refused(src, *options, user=None):
        report = check(src, *options, user=user)
        assert report["verdict"] == "refused" and report["problems"]
        assert report["disk"] is None
        box._n += 1
        mnt = box.dir(f"mnt{box._n}", user)
        done = dirdisk.run(*options, src, mnt, check=False, user=user)
        assert done.returncode == REFUSED, done.text
        assert (
            done.text == "dirdisk: " + lines_of(report["problems"])[0] + "\n"
        )
        return report

    return refused


def problem_paths(report, src):
    """Those below SRC by their path in it, the others as they are."""
    return [
        os.path.relpath(f["path"], src)
        if f["path"].startswith("/")
        else f["path"]
        for f in report["problems"]
    ]


# ---- what boots ----


def test_boots(check, dirdisk, src):
    sources.write(src, "sbin/init", b"#!/bin/sh\n", 0o755)
    report = check(src, "--append=quiet")
    assert report["verdict"] == "boots" and report["menu"] == "generated"
    assert not report["problems"] and not report["notes"]
    versions = [kernel["version"] for kernel in report["kernels"]]
    assert versions == ["6.10.0", "6.9.0"]
    assert [k["default"] for k in report["kernels"]] == [True, False]
    assert [k["initrds"] for k in report["kernels"]] == [
        ["/kernels/initrd.img-6.10.0"],
        ["/kernels/initrd.img-6.9.0"],
    ]
    with_disk(dirdisk, src, report, "--append=quiet")


def with_disk(dirdisk, src, report, *options):
    """What the report says is what the disk has."""
    disk = dirdisk(src, None, *options)
    menu = (disk.mnt / "info" / "menu").read_text()
    for kernel in report["kernels"]:
        assert kernel["title"] in menu and kernel["id"] in menu
        assert kernel["path"] in menu
        assert menu.count(" ".join(kernel["arguments"].split()[-2:])) > 0
    assert menu.count("menuentry ") >= len(report["kernels"])
    sector = disk.read(0, 512)
    (signature,) = struct.unpack_from("<I", sector, 0x1B8)
    arguments = report["kernels"][0]["arguments"]
    assert f"root=PARTUUID={signature:08x}-02 rw" in arguments
    assert report["disk"]["size"] == disk.size
    assert report["disk"]["partitions"] == [
        512 * struct.unpack_from("<I", sector, 0x1BE + 16 * i + 12)[0]
        for i in range(2)
    ]
    table = (disk.mnt / "info" / "kernels").read_text()
    disk.unmount()
    return table


def test_table_is_that_of_the_disk(run, dirdisk, src):
    sources.write(src, "kernels/vmlinuz-6.11", bzimage("6.11")[:1200])
    disk = dirdisk(src)
    table = (disk.mnt / "info" / "kernels").read_text()
    disk.unmount()
    assert "/kernels/vmlinuz-6.11: truncated: 1200 of 1536 bytes" in table
    assert run(src).text.startswith(table)


def test_default(check, src):
    report = check(src, "--default=6.9.0")
    assert [k["version"] for k in report["kernels"] if k["default"]] == [
        "6.9.0"
    ]


def test_kernels_that_are_none(check, src):
    for path in (src / "kernels").glob("vmlinuz*"):
        path.write_bytes(b"\x7fELF" + bytes(2000))
    report = check(src)
    assert report["verdict"] == "nothing-boots" and not report["kernels"]
    rejects = {r["path"]: r for r in report["rejects"]}
    assert "use bzImage" in rejects["/kernels/vmlinuz-6.9.0"]["reason"]
    assert rejects["/kernels/vmlinuz-6.9.0"]["kernel"]
    assert not rejects["/kernels/README"]["kernel"]
    assert report["disk"]["size"] == 200 << 20


# what is dropped into the tree: what is not in the menu, and the reason
REJECTS = [
    ("kernels/vmlinuz-7.0", b"", "/kernels/vmlinuz-7.0", "empty"),
    ("kernels/vmlinuz-7.1", bzimage("7.1")[:-1], None, "truncated: 1535 of"),
    ("kernels/vmlinux", b"\x7fELF", "/kernels/vmlinux", ""),
    ("kernels/initrd.img-5.0", b"", None, "no kernel"),
    ("kernels/initramfs-5.0.d/init", b"", "/kernels/initramfs-5.0.d", "no k"),
    ("kernels/modules-5.0/modules.dep", b"", "/kernels/modules-5.0", "no k"),
    ("kernels/vmlinuz-6.9.0.cmdline", b"a='b'", "/kernels/vmlinuz-6.9.0", "'"),
    ("loader/entries/a.conf", b"title a\n", None, "linux"),
    ("loader/entries/b.conf", b"linux /kernels/none\n", None, "no such file"),
]


def test_members(check, src):
    """What dirdisk-check(1) says of the JSON."""
    sources.write(src, "lost+found")
    (src / "kernels" / "bzImage").symlink_to("/nowhere")
    refused, made = check(src), check(src / "kernels", "--order=mtime")
    for report in refused, made:
        assert list(report) == [
            *("version", "source", "verdict", "menu", "disk"),
            *("kernels", "rejects", "problems", "notes"),
        ]
    assert made["disk"] is not None and refused["disk"] is None
    assert set(refused["kernels"][0]) == {
        *("title", "id", "version", "path", "partition", "initrds"),
        *("arguments", "arguments_from", "bls", "default"),
    }
    assert set(refused["rejects"][0]) == {
        *("path", "partition", "reason", "kernel"),
    }
    assert set(refused["problems"][0]) == {"path", "reason"}
    assert set(refused["notes"][0]) == {"path", "reason"}


def test_all_that_is_not_in_the_menu(check, dirdisk, src):
    for path, data, _, _ in REJECTS:
        sources.write(src, path, data)
    (src / "kernels" / "vmlinuz-link").symlink_to("vmlinuz-nowhere")
    report = check(src)
    assert report["verdict"] == "boots" and not report["problems"]
    assert [k["version"] for k in report["kernels"]] == ["6.10.0"]
    reasons = {r["path"]: r["reason"] for r in report["rejects"]}
    for path, _, named, word in REJECTS:
        assert word in reasons[named or f"/{path}"]
    assert "no file" in reasons["/kernels/vmlinuz-link"]
    disk = dirdisk(src)
    menu = (disk.mnt / "info" / "menu").read_text()
    disk.unmount()
    assert "6.10.0" in menu
    assert "vmlinuz-7" not in menu and "6.9.0" not in menu


def test_nothing_there(check, box):
    report = check(box.dir("empty"))
    assert report["verdict"] == "nothing-boots"
    assert report["kernels"] == report["rejects"] == report["problems"] == []


def test_without_grub(check, src):
    report = check(src, "--no-grub", "--default=none-such")
    assert report["verdict"] == "nothing-boots" and report["menu"] == "none"
    assert len(report["kernels"]) == 2


def test_menu_of_ones_own(check, dirdisk, src):
    sources.write(src, "boot/grub/grub.cfg", b"echo mine\n")
    report = check(src, "--default=none-such")
    assert report["verdict"] == "boots" and report["menu"] == "own"
    dirdisk(src, None, "--default=none-such").unmount()


def test_no_way_to_the_menu(check, dirdisk, src):
    """A file where GRUB's directory would be."""
    sources.write(src, "boot/grub", b"in the way\n")
    report = check(src)
    assert report["verdict"] == "nothing-boots" and report["menu"] == "none"
    assert report["disk"]
    dirdisk(src).unmount()


# ---- what is in the way ----


def unreadable(src):
    sources.write(src, "secret", b"x", 0o000)


def unlisted(src):
    sources.write(src, "dir/file")
    (src / "dir").chmod(0o700)


def large(src):
    sources.sparse(src, "kernels/large", 2 * TIB)


def large_in_boot(src):
    sources.sparse(src, "boot/large", 3 * TIB)


def links(src):
    sources.write(src, "many/0")
    for number in range(1, 65001):
        os.link(src / "many/0", src / "many" / str(number))


def lost_found(src):
    sources.write(src, "lost+found")


def lost_found_linked(src):
    sources.write(src, "a")
    os.link(src / "a", src / "lost+found")


def xattrs(src):
    path = sources.write(src, "labelled")
    for number in range(3):
        os.setxattr(path, f"trusted.{number}", bytes(2000))


def list_of_devices(src):
    sources.write(src, "kernels/initrd.d/devices", b"nod x\n")


def large_in_archive(src):
    sources.sparse(src, "kernels/a/initramfs.d/large", 5 << 30)


def unreadable_in_archive(src):
    sources.write(src, "kernels/modules-6.10.0/lib/x.ko", b"", 0o000)


# name: what makes it, the options, who asks, the path that is named
PROBLEMS = {
    "unreadable": (unreadable, [], NOBODY, "secret", "ermission"),
    "unlisted": (unlisted, [], NOBODY, "dir", "ermission"),
    "large": (large, [], None, "kernels/large", "2 TiB"),
    "large in boot": (large_in_boot, [], None, "boot/large", "2 TiB"),
    "links": (links, [], None, "many/0", "65000"),
    "lost+found": (lost_found, [], None, "lost+found", "rename"),
    "its link": (lost_found_linked, [], None, "lost+found", "rename"),
    "xattrs": (xattrs, [], None, "labelled", "--xattrs=none"),
    "devices": (list_of_devices, [], None, "initrd.d/devices:1", ""),
    "archive": (large_in_archive, [], None, "initramfs.d/large", "4 GiB"),
    "in it": (unreadable_in_archive, [], NOBODY, "lib/x.ko", "ermission"),
    "size": (None, ["--size=8M"], None, "--size", "too few"),
    "boot size": (None, ["--boot-size=1M"], None, "--boot-size", "too few"),
    "too large": (None, ["--boot-size=3T"], None, "--boot-size", "2 TiB"),
    "free": (None, ["--free=3T"], None, "--free", "2 TiB"),
    "default": (None, ["--default=5.0"], None, "--default=5.0", "6.10.0"),
    "grub": (
        None,
        ["--grub-dir=/nowhere"],
        None,
        "/nowhere",
        "cannot be opened",
    ),
    "core": (None, ["--core-image=/no.img"], None, "/no.img", ""),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem(refused, box, name):
    make, options, user, path, word = PROBLEMS[name]
    # xattrs are those of a file system that takes many
    src = box.tmpfs("src", "size=256m,nr_inodes=200k")
    src.chmod(0o755)
    sources.small(src)
    add_kernel(src, "6.10.0")
    if make:
        make(src)
    report = refused(src, *options, user=user)
    assert len(report["problems"]) == 1, report["problems"]
    named = report["problems"][0]["path"]
    assert named == path or named == f"{src}/{path}" or path in named
    assert word in report["problems"][0]["reason"]
    # It is in the way of the disk, not of knowing what would boot.
    assert [k["version"] for k in report["kernels"]] == ["6.10.0"]


def make_all(src):
    for make in unreadable, unlisted, large, large_in_boot, lost_found:
        make(src)
    for number in range(5):
        sources.write(src, f"deep/{number}/{number}", b"", 0o000)
        sources.sparse(src, f"deep/{number}/large", 2 * TIB + number)


def test_all_at_once(refused, src):
    make_all(src)
    options = ["--size=8M", "--boot-size=1M", "--default=5.0"]
    options += ["--grub-dir=/nowhere"]
    report = refused(src, *options, user=NOBODY)
    found = problem_paths(report, src)
    assert found[0].startswith("../") or found[0].startswith("/")
    assert "/nowhere" in report["problems"][0]["path"]
    assert found[1:] == (
        ["dir", "secret"]
        + [f"deep/{n}/{n}" for n in range(5)]
        + ["--default=5.0", "boot/large", "lost+found", "kernels/large"]
        + [f"deep/{n}/large" for n in range(5)]
        + ["--boot-size", "--size"]
    )


def test_all_of_the_archives(refused, src):
    """Lines of lists in their order, not that of their digits."""
    lines = b"".join(b"nod n%d 0 0\n" % n for n in range(12))
    sources.write(src, "kernels/initramfs.d/devices", lines)
    sources.sparse(src, "kernels/initramfs.d/large", 4 << 30)
    large_in_archive(src)
    unreadable_in_archive(src)
    sources.write(src, "closed", b"", 0o000)
    report = refused(src, "--size=300M", user=NOBODY)
    assert problem_paths(report, src) == (
        ["kernels/modules-6.10.0/lib/x.ko", "kernels/a/initramfs.d/large"]
        + [f"kernels/initramfs.d/devices:{n}" for n in range(1, 13)]
        + ["kernels/initramfs.d/large", "closed"]
    )


def test_same_report_every_time(run, src):
    make_all(src)
    for number in range(200):
        sources.write(src, f"wide/{number % 20}/{number}", b"", 0o000)
    texts = {run("--json", src, user=NOBODY).data for _ in range(10)}
    assert len(texts) == 1
    report = json.loads(texts.pop())
    assert len(report["problems"]) == 200 + 2 + 5 + 3 + 5


def test_mended_one_by_one(refused, check, src):
    """dirdisk would have named them one after the other."""
    make_all(src)
    for _ in range(20):
        report = check(src, user=NOBODY)
        if not report["problems"]:
            break
        refused(src, user=NOBODY)
        path = pathlib.Path(report["problems"][0]["path"])
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    assert report["verdict"] == "boots"


def test_sizes_without_what_is_refused(check, src):
    """A file that no disk holds is not in the size that is needed."""
    large(src)
    report = check(src, "--size=300M")
    assert [f["path"] for f in report["problems"]] == [f"{src}/kernels/large"]


# ---- what shows otherwise ----


def test_notes(check, dirdisk, box, src):
    sources.write(src, "secret", b"x", 0o000)
    (src / "mounted").mkdir()
    box.mount("-t", "tmpfs", "tmpfs", src / "mounted")
    link = src / "kernels" / "bzImage"
    link.symlink_to("/nowhere/bzImage")
    os.lchown(link, NOBODY, NOBODY)
    report = check(src, "--unreadable=skip", user=NOBODY)
    assert report["verdict"] == "boots"
    notes = {n["path"]: n["reason"] for n in report["notes"]}
    assert list(notes) == [f"{src}/mounted", f"{src}/secret", str(link)]
    assert "mounted" in notes[f"{src}/mounted"]
    assert "left out" in notes[f"{src}/secret"]
    assert "to no regular file" in notes[str(link)]


# ---- names ----

HOSTILE = [
    b'vmlinuz-"quoted"',
    b"vmlinuz-new\nline",
    b"vmlinuz-\xff\xfe",
    b"vmlinuz-\\x0a",
    b"vmlinuz-\x1b[2J",
    b"vmlinuz-{a: 'b'}, [c]",
    b"vmlinuz-\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
    b"vmlinuz-\xed\xa0\x80",
    b"vmlinuz-<script>",
]


def name_of(found):
    """What it is really called."""
    if "path_hex" in found:
        return bytes.fromhex(found["path_hex"])
    return found["path"].encode()


def test_hostile_names(check, box):
    src = box.dir("src")
    for number, name in enumerate(HOSTILE):
        sources.write(src, b"kernels/" + name, bzimage(f"6.{number}"))
        sources.write(src, b"closed/" + name, b"", 0o000)
    report = check(src, user=NOBODY)
    assert {name_of(f) for f in report["problems"]} == {
        os.fsencode(src) + b"/closed/" + name for name in HOSTILE
    }
    assert {name_of(k) for k in report["kernels"] + report["rejects"]} == {
        b"/kernels/" + name for name in HOSTILE
    }
    shown = {f["path"].rsplit("-", 1)[1] for f in report["problems"]}
    assert {r"new\x0aline", r"\xff\xfe", r"\x1b[2J"} <= shown


def test_hostile_source(check, box):
    src = box.dir('s"r\nc')
    add_kernel(src, "6.1")
    report = check(src)
    assert report["verdict"] == "boots"
    assert report["source"].endswith('s"r\\x0ac')


# ---- how it is asked ----


def test_line_of_fstab(check, src):
    report = check(src, "-o", "ro,allow_other,nofail,size=300M,timeout=5")
    assert report["disk"]["size"] == 300 << 20


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--bogus", "src"], "--bogus"),
        (["--size=x", "src"], "--size=x"),
        (["--pidfile=p", "src"], "--pidfile"),
        (["src", "mnt"], "mnt"),
        ([], "SRC"),
        (["--append=a\nb", "src"], "--append"),
    ],
)
def test_wrong_usage(run, arguments, named):
    done = run(*arguments)
    assert done.returncode == USAGE
    assert done.text.startswith(f"dirdisk-check: {named}")
    assert done.text.count("\n") == 1


def test_no_source(run, box, src):
    for path in box.root / "nowhere", src / "kernels" / "README":
        done = run("--json", path)
        assert done.returncode == UNKNOWN
        assert done.text.startswith(f"dirdisk-check: {path}: ")
    src.chmod(0o700)
    assert run(src, user=NOBODY).returncode == UNKNOWN


def test_report_that_cannot_be_written(run, src):
    with open("/dev/full", "wb") as full:
        assert run(src, stdout=full).returncode == UNKNOWN
        assert run("--json", src, stdout=full).returncode == UNKNOWN


def test_help_and_version(run):
    done = run("--help")
    assert done.returncode == 0 and "Usage: dirdisk-check" in done.text
    assert "--json" in done.text and "--stale" not in done.text
    assert run("-V").text.startswith("dirdisk-check ")


# ---- what it leaves alone ----


def test_ordinary_user_and_nothing_written(box, check, src):
    """No mount, no process, no file, on a tree that nobody may write to."""
    box.read_only(src)
    before = trees.snapshot(src), box.mounts(), sorted(os.listdir(box.tmp))
    report = check(src, user=NOBODY)
    assert report["verdict"] == "boots"
    assert before == (
        trees.snapshot(src),
        box.mounts(),
        sorted(os.listdir(box.tmp)),
    )
    box.wait_no_process()
