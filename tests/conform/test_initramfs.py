# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel unpacks what is computed from directories: all that is in them."""

import os
import stat

import pytest

from support.machine import QEMU, SERIAL, TCG, Machine

MADE_CPIO = os.environ["MADE_CPIO"]
APPLETS = "sh find sort stat sha256sum insmod readlink ls mount poweroff"
OWNER = 1000

INIT = """#!/bin/sh
# What is there, before anything else is; paths come first.
cd /
echo BEGIN
find . -xdev | sort | while read -r path; do
	stat -c '%n %f %h %u:%g %s %Y %t:%T' "$path"
	[ ! -L "$path" ] || echo "target $path $(readlink "$path")"
	[ ! -f "$path" ] || [ -L "$path" ] || sha256sum "$path"
done
echo END
mount -t proc proc /proc
insmod /lib/modules/VERSION/kernel/drivers/MODULE && echo LOADED
while read -r name rest; do echo "module $name"; done </proc/modules
echo written >/dev/sink && echo SINK
poweroff -f
"""

LIST = """# what nobody but root can make
dir /dev 0755 0 0
nod /dev/console 0600 0 0 c 5 1
nod /dev/sink 0622 3 4 c 1 3
nod /dev/disks/disk 0660 0 6 b 253 77
slink /dev/out ../proc/self 0777 0 0
pipe dev/pipe 0600 1 2
"""
# Their modes in hexadecimal and device numbers, as stat says them.
LISTED = {
    "dev/console": (0o20600, 1, 0, 0, "5:1"),
    "dev/sink": (0o20622, 1, 3, 4, "1:3"),
    "dev/disks": (0o40755, 2, 0, 0, "0:0"),
    "dev/disks/disk": (0o60660, 1, 0, 6, "fd:4d"),
    "dev/out": (0o120777, 1, 0, 0, "0:0"),
    "dev/pipe": (0o10600, 1, 1, 2, "0:0"),
}


def unpack(box, guest):
    """The guest's own initramfs: a busybox, and modules to load."""
    where = box.dir("unpacked")
    initrd = guest.dir / "kernels" / guest.initrd
    box.run(["sh", "-c", f"zcat {initrd} | cpio -id --quiet"], cwd=where)
    module = (where / "modules" / "order").read_text().split()[0]
    return where / "bin" / "busybox", where / "modules" / module


def base(where, busybox, init):
    """An initramfs with a little of everything in it."""
    for name in ("bin", "proc", "a/b/c/d", "usr/share", "odd names"):
        (where / name).mkdir(parents=True)
    (where / "init").write_text(init)
    (where / "init").chmod(0o755)
    (where / "bin" / "busybox").write_bytes(busybox.read_bytes())
    (where / "bin" / "busybox").chmod(0o4711)
    for name in APPLETS.split():
        os.link(where / "bin" / "busybox", where / "bin" / name)
    (where / "a/b/c/d/far").write_bytes(b"far down" * 1000)
    os.link(where / "a/b/c/d/far", where / "near")
    (where / "a" / "empty").touch()
    os.link(where / "a" / "empty", where / "usr" / "empty")
    (where / "odd names" / "caf\u00e9 #1").write_text("coffee")
    os.chown(where / "odd names" / "caf\u00e9 #1", 70000, 80000)
    os.utime(where / "odd names" / "caf\u00e9 #1", (2**31 + 5, 2**31 + 5))
    os.symlink("/a/b/" + "../b/" * 700, where / "a" / "long")
    (where / "a").chmod(0o1777)
    os.utime(where / "a" / "b", (86400, 86400))
    (where / "devices").write_text(LIST)


def with_link(where):
    (where / "usr" / "lib").mkdir()
    (where / "usr" / "lib" / "marker").write_text("here")
    (where / "lib").symlink_to("usr/lib")


def with_directory(where, version):
    (where / "lib" / "modules" / version / "kernel").mkdir(parents=True)
    (where / "lib" / "modules" / version / "kernel" / "old.ko").touch()
    (where / "lib" / "marker").write_text("here")


def modules(where, module):
    """As a user has made them who shares nothing."""
    drivers = where / "kernel" / "drivers"
    drivers.mkdir(parents=True)
    (drivers / module.name).write_bytes(module.read_bytes())
    (where / "modules.dep").write_text(f"kernel/drivers/{module.name}:\n")
    for path in (where, *where.rglob("*")):
        os.chown(path, OWNER, OWNER)
        path.chmod(0o700)


def archive(box, layout, src, path):
    out = box.tmp / path.replace("/", "_")
    box.run([MADE_CPIO, layout, str(src), path, str(out), "1"])
    return out.read_bytes()


def boot(box, guest, initrd):
    path = box.tmp / "initrd"
    path.write_bytes(initrd)
    kernel = guest.dir / "kernels" / guest.kernel
    argv = [QEMU, *TCG, "-m", "512", "-nic", "none", "-no-reboot"]
    argv += ["-kernel", str(kernel), "-initrd", str(path)]
    argv += ["-append", "console=ttyS0 quiet panic=-1"]
    with Machine(box, argv, SERIAL) as machine:
        machine.expect("BEGIN")
        found = machine.expect("END")
        return found.splitlines(), machine.expect("Power down|EOF")


def parse(lines):
    """{path: (mode, links, uid, gid, size, mtime, device)}, targets, sums."""
    stats, targets, sums = {}, {}, {}
    for line in lines:
        if line.startswith("target "):
            path, target = line[len("target ./") :].rsplit(" ", 1)
            targets[path] = target
        elif line[64:66] == "  ":
            sums[line[68:]] = line[:64]
        elif line:
            path, mode, links, owner, *rest = line.rsplit(" ", 6)
            uid, gid = map(int, owner.split(":"))
            size, mtime, device = int(rest[0]), int(rest[1]), rest[2]
            entry = (int(mode, 16), int(links), uid, gid, size, mtime, device)
            stats[path.removeprefix("./")] = entry
    return stats, targets, sums


def expected(path):
    """The same of a host's file, but for what a file system makes up."""
    st = os.lstat(path)
    device = f"{os.major(st.st_rdev):x}:{os.minor(st.st_rdev):x}"
    return (st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime), device)


def assert_same(where, stats, targets):
    """What the directory holds is in the guest."""
    for path in where.rglob("*"):
        name = str(path.relative_to(where))
        if name in ("devices", "proc"):
            continue
        mode, links, uid, gid, size, mtime, device = stats[name]
        if path.is_dir() and not path.is_symlink():
            # The archive of modules has touched those that it goes through.
            if name.startswith(("lib", "usr/lib")):
                continue
        else:
            assert links == os.lstat(path).st_nlink, name
            assert size == os.lstat(path).st_size, name
        assert (mode, uid, gid, mtime, device) == expected(path), name
        if path.is_symlink():
            assert targets[name] == os.readlink(path), name


def assert_listed(stats, targets):
    for name, wanted in LISTED.items():
        mode, links, uid, gid, _, _, device = stats[name]
        assert (mode, links, uid, gid, device) == wanted, name
    assert targets["dev/out"] == "../proc/self"
    assert "devices" not in stats


@pytest.mark.timeout(240)
@pytest.mark.parametrize("lib", ["link", "directory"])
def test_initramfs_in_the_kernel(box, guest, lib):
    src = box.dir("src")
    busybox, module = unpack(box, guest)
    version = guest.version
    init = INIT.replace("VERSION", version).replace("MODULE", module.name)
    tree = src / "kernels" / "initramfs.d"
    base(tree, busybox, init)
    if lib == "link":
        with_link(tree)
    else:
        with_directory(tree, version)
    modules(src / "kernels" / f"modules-{version}", module)
    initrd = archive(box, "as-is", src, "kernels/initramfs.d")
    initrd += archive(box, "modules", src, f"kernels/modules-{version}")
    found, after = boot(box, guest, initrd)

    stats, targets, sums = parse(found)
    assert_same(tree, stats, targets)
    assert_listed(stats, targets)
    assert sums["near"] == sums["a/b/c/d/far"]
    assert "LOADED" in after and "SINK" in after
    assert f"module {module.stem.replace('-', '_')}" in after

    real = "usr/lib" if lib == "link" else "lib"
    assert f"{real}/marker" in sums
    assert stat.S_ISLNK(stats["lib"][0]) == (lib == "link")
    inside = f"{real}/modules/{version}"
    assert f"{inside}/modules.dep" in sums
    for path in (real, f"{real}/modules", inside, f"{inside}/kernel"):
        assert stats[path][0] == stat.S_IFDIR | 0o755, path
        assert stats[path][2:4] == (0, 0), path
    if lib == "directory":
        assert f"{inside}/kernel/old.ko" in sums
        assert "usr/lib" not in stats
