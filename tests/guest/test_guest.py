# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/guest alone, without dirdisk: what boots on a disk made by hand."""

import filecmp
import subprocess

import pytest
from support.guest import SOURCE
from support.machine import QEMU, SERIAL, TCG, Machine

MIB = 1 << 20
DISKS = {
    "ide": ["format=raw,snapshot=on,file={}"],
    "virtio": ["if=virtio,format=raw,snapshot=on,file={}"],
    "nvme": [
        "if=none,id=disk,format=raw,snapshot=on,file={}",
        *["-device", "nvme,drive=disk,serial=disk"],
    ],
}


def drive_of(kind, path):
    return ["-drive", *(word.format(path) for word in DISKS[kind])]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Two ext2 partitions by other tools."""
    path = tmp_path_factory.mktemp("disk") / "disk.img"
    with open(path, "wb") as file:
        file.truncate(64 * MIB)
    table = "label: dos\nstart=2048,size=16384\nstart=20480,size=102400\n"
    subprocess.run(["sfdisk", "-q", path], input=table, text=True, check=True)
    for start, blocks in ((2048, 2048), (20480, 12800)):
        subprocess.run(
            ["mke2fs", "-qF", "-b", "4096", "-E", f"offset={start * 512}"]
            + [path, str(blocks)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    return path


def boot(box, guest, append, extra=()):
    kernels = guest.dir / "kernels"
    argv = [QEMU, *TCG, "-m", "512M", "-no-reboot", *extra]
    argv += ["-kernel", kernels / guest.kernel]
    argv += ["-initrd", kernels / guest.initrd, "-append", append]
    return Machine(box, [str(word) for word in argv], SERIAL)


@pytest.mark.parametrize("drive", DISKS)
def test_writes_and_reads_back(box, guest, disk, drive):
    drive = drive_of(drive, disk)
    run = "console=tty0 console=ttyS0,115200 dirdisk.run=write,tree,off"
    with boot(box, guest, run, drive) as machine:
        machine.ready()
        machine.expect("DIRDISK-WRITE-OK")
        machine.expect("DIRDISK-TREE-BEGIN 2")
        assert "./written/file" in machine.expect("DIRDISK-TREE-END 2")
        assert machine.end() == 0


def test_failure_is_told(box, guest, disk):
    """Room for 10 MiB there is none on partition 1 in place of 2."""
    with open(disk, "rb") as file:
        start = file.read(24 * MIB)
    small = box.root / "small.img"
    with open(small, "wb") as file:
        file.write(start)
    table = "label: dos\nstart=20480,size=2048\nstart=2048,size=16384\n"
    box.run(["sfdisk", "-q", "--no-reread", str(small)],
            stdin=_text(box, table))
    drive = drive_of("virtio", small)
    with boot(box, guest, "quiet dirdisk.run=write,off", drive) as machine:
        machine.expect("DIRDISK-WRITE-FAILED")
        assert machine.end() == 0


def _text(box, text):
    path = box.root / "input"
    path.write_text(text)
    return open(path, "rb")


def test_shell_on_the_serial_line_whatever_the_console(box, guest):
    with boot(box, guest, "console=tty0") as machine:
        machine.ready()
        machine.shell()
        assert "ttyS0" in machine.shell("tty")
        machine.type("poweroff -f\n")
        assert machine.end() == 0


def test_same_bytes_under_other_names(box, guest):
    names = ["6.9.0-rc10", "6.9.0"]
    options = [word for name in names for word in ("--as", name)]
    box.run([str(SOURCE / "tools/guest"), *options, str(box.root / "tree")])
    kernels = box.root / "tree/kernels"
    assert sorted(path.name for path in kernels.iterdir()) == sorted(
        f"{kind}-{name}" for kind in ("vmlinuz", "initrd.img") for name in names
    )
    for kind, own in (("vmlinuz", guest.kernel), ("initrd.img", guest.initrd)):
        for name in names:
            assert filecmp.cmp(
                kernels / f"{kind}-{name}", guest.dir / "kernels" / own, False
            )
