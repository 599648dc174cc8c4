# SPDX-License-Identifier: GPL-3.0-or-later
"""disk.vmdk, as qemu-img reads it."""

import filecmp
import json
import os
import re
import stat

import pytest

from support import seeds, sources

MIB = 1 << 20
QEMU_IMG = "qemu-img"


@pytest.fixture
def src(box):
    src = box.dir("src")
    sources.write(src, "kernels/README", b"none yet\n")
    sources.write(src, "some/data", seeds.dice(__file__).randbytes(3 * MIB))
    return src


def mount(dirdisk, src, *options):
    return dirdisk(src, None, "--no-grub", *options)


def descriptor(disk):
    return disk.mnt / "disk.vmdk"


def cid(path):
    return re.search(r"^CID=([0-9a-f]{8})$", path.read_text(), re.M)[1]


def sectors(path):
    return int(re.search(r"^RW (\d+) FLAT ", path.read_text(), re.M)[1])


def qemu_img(box, *words, **more):
    return box.run([QEMU_IMG, *map(os.fspath, words)], **more)


def information(box, path):
    return json.loads(qemu_img(box, "info", "--output=json", path).text)


def test_what_it_is(box, dirdisk, src):
    disk = mount(dirdisk, src)
    path = descriptor(disk)
    assert path.read_text().rstrip(" #\n").splitlines() == [
        "# Disk DescriptorFile",
        "version=1",
        'encoding="UTF-8"',
        f"CID={cid(path)}",
        "parentCID=ffffffff",
        'createType="monolithicFlat"',
        "",
        "# Extent description",
        'RW 409600 FLAT "disk.img" 0',
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
        'ddb.virtualHWVersion = "4"',
        'ddb.geometry.cylinders = "406"',
        'ddb.geometry.heads = "16"',
        'ddb.geometry.sectors = "63"',
        'ddb.adapterType = "ide"',
    ]
    found = os.stat(path)
    assert stat.S_ISREG(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o444
    assert found.st_size == len(path.read_bytes()) == 512
    assert (found.st_nlink, found.st_blocks) == (1, 1)
    assert found.st_mtime_ns == os.stat(disk.image).st_mtime_ns
    assert (
        os.lstat(path).st_ino
        == {entry.name: entry.inode() for entry in os.scandir(disk.mnt)}[
            "disk.vmdk"
        ]
    )
    disk.unmount()


def test_nobody_writes_to_it(box, dirdisk, src):
    disk = mount(dirdisk, src)
    path = descriptor(disk)
    before = path.read_bytes()
    for forbidden in (
        lambda: os.open(path, os.O_WRONLY),
        lambda: os.open(path, os.O_RDWR),
        lambda: os.open(path, os.O_RDONLY | os.O_TRUNC),
        lambda: os.truncate(path, 0),
        lambda: os.chmod(path, 0o644),
        lambda: os.unlink(path),
        lambda: os.rename(path, disk.mnt / "other"),
    ):
        with pytest.raises(PermissionError):
            forbidden()
    assert path.read_bytes() == before
    disk.unmount()


def test_qemu_img(box, dirdisk, src):
    disk = mount(dirdisk, src)
    path = descriptor(disk)
    told = information(box, path)
    assert told["format"] == "vmdk"
    assert told["virtual-size"] == disk.size
    data = told["format-specific"]["data"]
    assert data["create-type"] == "monolithicFlat"
    assert f"{data['cid']:08x}" == cid(path)
    assert data["extents"] == [
        {
            "filename": str(disk.image),
            "format": "FLAT",
            "virtual-size": disk.size,
        }
    ]
    assert "No errors" in qemu_img(box, "check", path).text
    both = ["-f", "vmdk", "-F", "raw", path, disk.image]
    assert "identical" in qemu_img(box, "compare", *both).text
    raw = box.root / "out.raw"
    qemu_img(box, "convert", "-O", "raw", path, raw)
    assert filecmp.cmp(raw, disk.image, shallow=False)
    # The holes are the disk's own.
    assert os.stat(raw).st_blocks * 512 < 16 * MIB
    # By O_DIRECT too.
    qemu_img(box, "convert", "-T", "none", "-O", "raw", path, raw)
    assert filecmp.cmp(raw, disk.image, shallow=False)
    disk.unmount()


def test_converted_vmdk(box, dirdisk, src):
    """Into formats that are VMDKs themselves, and back."""
    disk = mount(dirdisk, src)
    for kind in ("monolithicSparse", "streamOptimized", "monolithicFlat"):
        made = box.root / f"{kind}.vmdk"
        words = ["-O", "vmdk", "-o", f"subformat={kind}"]
        qemu_img(box, "convert", *words, descriptor(disk), made)
        both = ["-F", "raw", made, disk.image]
        assert "identical" in qemu_img(box, "compare", *both).text
    disk.unmount()


def test_next_generation(box, dirdisk, src):
    """A tree that changed: another content, perhaps another size."""
    disk = mount(dirdisk, src)
    path = descriptor(disk)
    first = path.read_text()
    assert path.read_text() == first
    with open(path, "rb", buffering=0) as held:
        assert held.read(30) == first[:30].encode()
        sources.write(src, "large", bytes(200 * MIB))
        second = path.read_text()
        assert held.read() == first[30:].encode()
    assert len(second) == len(first) == os.stat(path).st_size
    assert cid(path) not in first
    assert sectors(path) * 512 == disk.size > 200 * MIB
    assert information(box, path)["virtual-size"] == disk.size
    assert os.stat(path).st_mtime_ns == os.stat(disk.image).st_mtime_ns
    (src / "large").unlink()
    assert path.read_text() != second
    assert sectors(path) == 409600
    disk.unmount()


def test_newest_by_its_name_alone(box, dirdisk, src):
    """Who never touches the disk itself sees the change too."""
    disk = mount(dirdisk, src)
    path = descriptor(disk)
    before = os.stat(path).st_mtime_ns
    sources.write(src, "new", b"new\n")
    assert os.stat(path).st_mtime_ns > before
    generation = (disk.mnt / "info" / "generation").read_text()
    assert "number: 2\n" in generation
    disk.unmount()


UUID = "--uuid=01234567-89ab-4def-8123-456789abcdef"


def test_content_id(box, dirdisk, src):
    """The same for the same, another for another."""
    seen = {}
    for options in ([], [], ["--free=32M"], [UUID], [UUID]):
        disk = mount(dirdisk, src, *options)
        found = cid(descriptor(disk))
        assert seen.setdefault(tuple(options), found) == found
        disk.unmount()
        disk.mnt.rmdir()
    assert len(set(seen.values())) == len(seen) == 3
    disk = mount(dirdisk, src, UUID)
    for where in ("some/more", "boot/more"):
        before = cid(descriptor(disk))
        sources.write(src, where, b"more\n")
        assert cid(descriptor(disk)) != before
    disk.unmount()


def test_largest(box, dirdisk, src):
    disk = mount(dirdisk, src, "--size=1T")
    path = descriptor(disk)
    assert information(box, path)["virtual-size"] == 1 << 40
    assert sectors(path) == 1 << 31
    assert 'cylinders = "16383"' in path.read_text()
    assert os.stat(path).st_size == 512
    disk.unmount()


NAMES = {
    "my vm.raw": "my vm.raw.vmdk",
    "x.img": "x.vmdk",
    ".img": ".vmdk",
    "a.vmdk": "a.vmdk.vmdk",
    "nbd:x.img": "nbd:x.vmdk",
    "json:{}": "json:{}.vmdk",
    "ü%s$'\\ ": "ü%s$'\\ .vmdk",
    "n" * 250: "n" * 250 + ".vmdk",
    "n" * 250 + "a.img": None,
    "n" * 251: None,
    'a"b': None,
    "a\nb": None,
    "a\rb.img": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_names(box, dirdisk, src, name):
    mnt = box.dir("mnt")
    dirdisk.run("--name=" + name, "--no-grub", src, mnt)
    others = {name, "info"}
    if NAMES[name] is None:
        assert set(os.listdir(mnt)) == others
    else:
        path = mnt / NAMES[name]
        assert set(os.listdir(mnt)) == others | {NAMES[name]}
        assert os.stat(path).st_size == len(path.read_bytes())
        assert os.stat(path).st_size % 512 == 0
        relative = ["convert", "-O", "raw", f"./{NAMES[name]}"]
        for words in ([*relative[:-1], path], relative):
            raw = box.root / "out.raw"
            qemu_img(box, *words, raw, cwd=mnt)
            assert filecmp.cmp(raw, mnt / name, shallow=False)
    box.run(["fusermount3", "-u", mnt])
    box.assert_nothing_left()
