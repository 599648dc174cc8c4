# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels are found as grub-mkconfig's own 10_linux finds them.

Where the rules are the same. They are not, and so names leave it out:

- 10_linux puts V.old below the release candidates of V, here it is next to V;
- it takes V-trunk for a pre-release;
- to dpkg, which it asks, the part behind the last '-' is a package's revision:
  6.6.1-arch1-1 is above 6.6.1-gentoo, as 6.6.1-arch1 is above 6.6.1;
- it does not see files in whose names there are blanks.
"""

import itertools
import os
import random

import pytest

from support import kernels, seeds, sources

SEED = seeds.of(__file__)

# A tmpfs with these names on /boot, for the script alone.
SCRIPT = """
mount -t tmpfs none /boot || exit 9
cd /boot
for name in "$@"; do
    case $name in
    */) mkdir "$name" ;;
    *'>'*) ln -s "${name#*>}" "${name%>*}" ;;
    *) : >"$name" ;;
    esac || exit 9
done
export pkgdatadir=/usr/share/grub GRUB_DEVICE=/dev/sda1 LC_ALL=C
exec sh /etc/grub.d/10_linux
"""

VERSIONS = [
    "2.6.32-754.el6.x86_64",
    "3.8.0-2.fc19.x86_64",
    "4.19",
    "4.19.1",
    "4.19.0-27-amd64",
    "5.4.0-99-generic",
    "5.4.0-100-generic",
    "5.4.0-100-lowlatency",
    "5.10.0-1-cloud-amd64",
    "5.10.0-10-cloud-amd64",
    "5.10.0-9-cloud-amd64",
    "6.1.0-9-amd64",
    "6.1.0-18-amd64",
    "6.1.0-18-rt-amd64",
    "6.1.0-18-amd64.old",
    "6.6.1-arch1-1",
    "6.6.1-1-default",
    "6.6.2-gentoo",
    "6.8.12-300.fc40.x86_64",
    "6.9.0",
    "6.9.0-rc1",
    "6.9.0-rc2",
    "6.9.0-rc10",
    "6.9.0-0.rc3.fc41.x86_64",
    "6.9.0-pre2",
    "6.9.0-test1",
    "6.9.0-git5",
    "6.9.1",
    "6.9.1.old",
    "6.10.0",
    "6.10.0-rc1",
    "10.0",
    "0-rescue-6a9857a393724b7a981ebb5b8495b9ea",
]

NO_KERNELS = [
    "README",
    "README-6.1",
    "System.map-6.1.0-9-amd64",
    "config-6.1.0-9-amd64",
    "vmlinux-6.1.0-9-amd64",
    "vmlinuz",
    "vmlinuz-6.2.dpkg-new",
    "vmlinuz-6.2.dpkg-tmp",
    "vmlinuz-6.2.dpkg-bak",
    "vmlinuz-6.2.rpmsave",
    "vmlinuz-6.2.rpmnew",
    "vmlinuz-6.2.sig",
    "kernel-6.2.rpmsave",
    "xvmlinuz-6.3",
    "vmlinuz_6.3",
    "vmlinuz-6.4>/nowhere",
    "vmlinuz-directory/",
    "grub/",
]

# In the script's own order; {v} is the version, {a} the same without .old.
INITRDS = [
    "initrd.img-{v}",
    "initrd-{v}.img",
    "initrd-{v}.gz",
    "initrd-{v}",
    "initramfs-{v}.img",
    "initrd.img-{a}",
    "initrd-{a}.img",
    "initrd-{a}",
    "initramfs-{a}.img",
]


def theirs(box, names):
    """[(kernel, initrd or None)] as the script says that it finds them."""
    done = box.run(["unshare", "-m", "sh", "-c", SCRIPT, "10_linux", *names])
    found = []
    for line in done.text.splitlines():
        what, _, path = line.partition(" image: /boot/")
        if what == "Found linux":
            found.append((path, None))
        elif what == "Found initrd":
            found[-1] = (found[-1][0], path)
    return found


def ours(box, dirdisk, names, number):
    """The same from info/kernels, bare names left out: they are ours alone."""
    src = box.dir(f"src{number}")
    image = sources.write(src, "one", kernels.bzimage())
    (src / "kernels").mkdir()
    for name in names:
        path = src / "kernels" / name
        if name.endswith("/"):
            path.mkdir()
        elif ">" in name:
            link, _, target = str(path).partition(">")
            os.symlink(target, link)
        else:
            os.link(image, path)
    disk = dirdisk(src, box.dir(f"mnt{number}"), "--no-grub")
    text = (disk.mnt / "info/kernels").read_text()
    disk.unmount()
    return [
        (
            kernel.removeprefix("/kernels/"),
            initrds[0].removeprefix("/kernels/") if initrds else None,
        )
        for _, kernel, initrds in kernels.table(text)
        if kernel != "/kernels/vmlinuz"
    ]


def assert_same(box, dirdisk, names, number=0):
    """Gives what both find."""
    expected = theirs(box, names)
    assert ours(box, dirdisk, names, number) == expected
    return expected


def test_names(box, dirdisk):
    """Those that are no kernels, among some that are."""
    names = [f"vmlinuz-{version}" for version in VERSIONS[::8]]
    found = assert_same(box, dirdisk, names + NO_KERNELS)
    assert sorted(kernel for kernel, _ in found) == sorted(names)


def test_order(box, dirdisk):
    """Each with its next ones: the script compares all that it is given."""
    names = [f"vmlinuz-{version}" for version in VERSIONS]
    found = ours(box, dirdisk, names, 0)
    assert sorted(kernel for kernel, _ in found) == sorted(names)
    assert found[0][0] == "vmlinuz-10.0"
    for first in range(0, len(found) - 1, 7):
        group = found[first : first + 8]
        assert theirs(box, sorted(kernel for kernel, _ in group)) == group


def test_other_names(box, dirdisk):
    """kernel-*, links, and versions that are not all there is to a name."""
    names = ["kernel-6.2", "vmlinuz-6.3", "vmlinuz-6.4>vmlinuz-6.3"]
    names += ["kernel-6.5>kernel-6.2", "initrd.img-6.4>initrd.img-6.3"]
    names += ["initrd.img-6.3", "initrd.img-6.5>nowhere"]
    names += ["kernel-genkernel-x86-6.6"]
    found = assert_same(box, dirdisk, names)
    assert ("vmlinuz-6.4", "initrd.img-6.4") in found
    assert ("kernel-6.5", None) in found


@pytest.mark.parametrize("version", ["6.1.{}-9-amd64", "6.9.{}.old"])
def test_initrds(box, dirdisk, version):
    """Each of the names for an initrd, with all that come after it."""
    there, expected = [], {}
    for number in range(len(INITRDS) + 1):
        v = version.format(number)
        names = [n.format(v=v, a=v.removesuffix(".old")) for n in INITRDS]
        initrds = list(dict.fromkeys(names))[number:]
        there += [f"vmlinuz-{v}", *initrds]
        expected[f"vmlinuz-{v}"] = initrds[0] if initrds else None
    found = assert_same(box, dirdisk, there)
    assert dict(found) == expected


def test_any_names(box, dirdisk):
    """Random sets of kernels and initrds."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    for number in range(2):
        versions = dice.sample(VERSIONS, 8)
        names = [f"vmlinuz-{version}" for version in versions]
        initrds = [
            name.format(v=version, a=version.removesuffix(".old"))
            for name, version in itertools.product(INITRDS, versions)
        ]
        names += dict.fromkeys(dice.sample(initrds, 12))
        names += dice.sample(NO_KERNELS, 4)
        assert_same(box, dirdisk, names, number)
