# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu as GRUB takes it, and what the kernels then get."""

import os
import random
import re
import struct

import pytest

from support import judges, kernels, seeds, sources
from support.machine import QEMU, TCG, Machine, article_line

SEED = seeds.of(__file__)
CONSOLES = ["console=tty0", "console=ttyS0,115200"]
NASTY = "9;$x ${y}{}'q'\"d\"\\#[*]&|<>`~!%^()=,@:"


def tcg(image):
    return [QEMU, *TCG, *article_line(image)[1:]]


def menu_of(disk):
    return (disk.mnt / "info/menu").read_text()


def check(box, disk):
    """GRUB's own parser takes the menu, which is given back."""
    menu = menu_of(disk)
    path = box.root / "menu.cfg"
    path.write_text(menu)
    box.run(["grub-script-check", path])
    return menu


def titles(menu):
    """Of the entries, those that have no newline in them."""
    return re.findall(r"^menuentry '(.*)' --id ", menu, re.M)


def test_half_written(dirdisk, box, guest):
    """While a kernel is copied it is not there, and then it is."""
    src = box.dir("src")
    whole = (guest.dir / "kernels" / guest.kernel).read_bytes()
    step = 64 << 10
    # What may follow is a signature.
    sectors, size = whole[0x1F1], struct.unpack_from("<I", whole, 0x1F4)[0]
    least = (sectors + 1) * 512 + size * 16
    (src / "kernels").mkdir()
    disk = dirdisk(src)
    with open(src / "kernels" / guest.kernel, "wb", buffering=0) as file:
        for offset in range(0, least, step):
            text = (disk.mnt / "info/kernels").read_text()
            assert kernels.table(text) == [], offset
            reason = kernels.rejects(text).get(f"/kernels/{guest.kernel}")
            size = f"truncated: {offset} of {least} bytes"
            assert reason == (size if offset else "is empty")
            assert "menuentry" not in menu_of(disk)
            file.write(whole[offset : offset + step])
    text = (disk.mnt / "info/kernels").read_text()
    assert [row[0] for row in kernels.table(text)] == [guest.version]
    assert len(titles(check(box, disk))) == 2
    disk.unmount()


@pytest.mark.timeout(300)
def test_linked(dirdisk, box):
    """A link to a build is a kernel of the menu, whichever thread scans it."""
    src, build = sources.before(box.dir("src")), box.dir("build")
    mnt = box.dir("mnt")
    (src / "kernels").mkdir()
    (build / "bzImage").write_bytes(kernels.bzimage("6.1.0", 300_000))
    (src / "kernels/bzImage").symlink_to(build / "bzImage")
    for _ in range(30):
        disk = dirdisk(src, mnt)
        text = (disk.mnt / "info/kernels").read_text()
        assert kernels.rejects(text) == {}
        assert kernels.table(text) == [("6.1.0", "/kernels/bzImage", [])]
        assert "linux /kernels/bzImage " in check(box, disk)
        judges.assert_grub_reads(box, disk.image, 2, "/kernels", build)
        disk.unmount()


# Prints the words of a command between marks, one to a line.
SHOW = """
serial --unit=0 --speed=115200
terminal_output serial
function show {
    echo "<<<"
    for word in "$@"; do
        echo "<$word>"
    done
    echo ">>>"
}
"""
# One word of a script, as GRUB parts them.
WORD = r"(?:'[^']*'|\\.|[^\s'\\])+"
# No letters and digits only, and such a name is not split by the terminal.
ALPHABET = "ab0 $';{}\"\\&|<>#`~!()[]*?%^=,@:+-_."


def random_name(dice):
    while True:
        name = "".join(dice.choices(ALPHABET, k=dice.randint(1, 12)))
        if name.strip(" .") == name:
            return name


def random_words(dice):
    """Words that a kernel can be given, and how they are written."""
    letters = re.sub(r"""[ '"\\]""", "", ALPHABET)
    given, written = [], []
    for _ in range(dice.randint(1, 3)):
        word = "x" + "".join(dice.choices(letters, k=dice.randint(1, 8)))
        if dice.random() < 0.5:
            word = word.replace("=", "") + "=a  b"
            written.append(word.replace("=", '="') + '"')
        else:
            written.append(word)
        given.append(word)
    return given, " ".join(written)


def shown(text):
    """The lists of words between marks, and whether FOUND was said."""
    found = []
    for part in text.split("<<<\n")[1:]:
        lines, _, more = part.partition("\n>>>\n")
        words = lines.split("\n")
        assert all(word[0] + word[-1] == "<>" for word in words), lines
        there = "\nFOUND\n" in more
        found.append(([word[1:-1] for word in words], there))
    return found


def nasty_tree(src, dice):
    """Kernels and entries of random names: {path: (words, initrds, title)}."""
    image = kernels.bzimage()
    expected = {}
    for number in range(20):
        name, (words, text) = random_name(dice), random_words(dice)
        path = f"kernels/vmlinuz-{number}{name}"
        initrd = f"kernels/initrd.img-{number}{name}"
        sources.write(src, path, image)
        sources.write(src, initrd, b"x")
        sources.write(src, f"{path}.cmdline", text.encode())
        title = f"Linux {number}{name}".replace("\\", "\\x5c")
        expected[f"/{path}"] = words, [f"/{initrd}"], title
    for number in range(20):
        name, (words, text) = random_name(dice), random_words(dice)
        title = f"{number} {random_name(dice)}"
        at = "boot/" if number % 2 else ""
        sources.write(src, f"{at}odd/{number}{name}", image)
        entry = f"linux /odd/{number}{name}\ntitle {title}\noptions {text}\n"
        conf = f"{at}loader/entries/{number}.conf"
        sources.write(src, conf, entry.encode())
        title = title.replace("\\", "\\x5c")
        expected[f"/{at}odd/{number}{name}"] = words, [], title
    return expected


@pytest.mark.timeout(240)
def test_random_names_in_grub(dirdisk, box):
    """Each name is one word to GRUB, and the file is found by it."""
    print(f"seed {SEED}")
    src = box.dir("src")
    given, append = random_words(random.Random(SEED + 1))
    expected = nasty_tree(src, random.Random(SEED))
    disk = dirdisk(src, None, f"--append={append}")
    menu = check(box, disk)
    assert len(titles(menu)) == 2 * len(expected)
    # The same entries, of a command that shows what the true one would get.
    # GRUB opens the files by the very same words (its `test` would not do:
    # that one takes what is before a ')' for a disk).
    menu = re.sub(r"^menuentry (.*) \{$", r"show \1", menu, flags=re.M)
    menu = re.sub(
        rf"^\t(linux|initrd) ({WORD})(.*)$",
        r"\tshow \2\3\n\tif cmp \2 \2; then echo FOUND; fi",
        menu,
        flags=re.M,
    )
    menu = re.sub(r"^}$", "", menu, flags=re.M)
    first = menu.index("set drive=")
    last = menu.index("if [ -f ")
    menu = SHOW + menu[first:last] + "echo THE-END\n"
    sources.write(src, "boot/grub/grub.cfg", menu.encode())
    with Machine(box, tcg(disk.image)) as qemu:
        said = qemu.expect("THE-END")
    found = shown(said)
    for path, (words, initrds, title) in expected.items():
        at = [n for n, (seen, _) in enumerate(found) if seen[0] == path]
        assert len(at) == 2, path
        for number, recovery in zip(at, (False, True)):
            seen, there = found[number]
            assert there, path
            more = ["single"] if recovery else []
            assert seen[1:] == CONSOLES + words + given + more
            head, _ = found[number - 1]
            assert head[0] == title + (" (recovery)" if recovery else "")
            assert head[1] == "--id" and head[2].startswith("gnulinux-")
            if initrds:
                assert found[number + 1] == (initrds, True)
    disk.unmount()


def kernel_size(path):
    """How long a command line may be, by the kernel's header."""
    with open(path, "rb") as file:
        file.seek(0x238)
        return int.from_bytes(file.read(4), "little")


@pytest.mark.timeout(240)
def test_nasty_name_boots(dirdisk, box, guest):
    """A name and a title of all that means something, a full command line."""
    src = guest.add(box.dir("src"))
    where = src / "kernels"
    for name in (guest.kernel, guest.initrd):
        nasty = name.replace(guest.version, NASTY)
        os.rename(where / name, where / nasty)
    kernel = f"vmlinuz-{NASTY}"
    # As GRUB hands it over: quoted, as it has a space.
    path = re.sub(r"""(['"\\])""", r"\\\1", f"/kernels/{kernel}")
    line = f'BOOT_IMAGE="{path}" {" ".join(CONSOLES)} x={{$y;}} "a=b c" z='
    end = " end"
    room = kernel_size(where / kernel) - len(line) - len(end)
    room -= len(" single")
    words = 'x={$y;}\na="b c" z=' + "z" * room
    (where / f"{kernel}.cmdline").write_text(words + end)
    initrd = f"initrd.img-{NASTY}"
    entry = f"title {NASTY}\nlinux /kernels/{kernel}\n"
    entry += f"initrd /kernels/{initrd}\noptions not=these\n"
    sources.write(src, "loader/entries/nasty.conf", entry.encode())
    disk = dirdisk(src)
    check(box, disk)
    with Machine(box, tcg(disk.image)) as qemu:
        qemu.expect(re.escape(NASTY.replace("\\", "\\x5c")))
        qemu.ready()
        qemu.shell()
        qemu.shell("cat /proc/cmdline > /c; dmesg -n 1")
        got = qemu.shell("fold -w 60 /c").split("\n")
    got = "".join(part.strip("\n") for part in got)
    assert got.startswith(line + "z" * room + end), got
    # One byte more, and GRUB would leave the last word out.
    (where / f"{kernel}.cmdline").write_text(words + "z" + end)
    text = (disk.mnt / "info/kernels").read_text()
    assert kernels.table(text) == []
    assert "its command line has 2048 bytes" in text
    disk.unmount()


def test_default_on_top_and_custom_last(dirdisk, box):
    """As GRUB shows it; an entry of custom.cfg is run like any other."""
    src = box.dir("src")
    for path in ("vmlinuz-6.1", "vmlinuz-99.0", "mine/bzImage"):
        sources.write(src, f"kernels/{path}", kernels.bzimage("6.1"))
    sources.write(
        src,
        "boot/grub/custom.cfg",
        b"menuentry 'My own' {\n\techo drive=$drive\n\tsleep 9\n}\n",
    )
    disk = dirdisk(src, None, "--timeout=-1", "--default=6.1")
    order = ["Linux 6.1", "Linux 99.0", "Linux 6.1 (mine/bzImage)"]
    expected = [name + more for name in order for more in ("", " (recovery)")]
    assert titles(check(box, disk)) == expected
    with Machine(box, tcg(disk.image)) as qemu:
        for title in expected:
            qemu.expect(re.escape(title))
        for _ in expected:
            qemu.type("\x1b[B")
            qemu.expect(r"\*(Linux|My own)")
        qemu.type("\r")
        qemu.expect("drive=hd0")
    disk.unmount()


def test_order(dirdisk, box):
    """--order=mtime, while it changes."""
    src = box.dir("src")
    for number in (1, 2, 3):
        path = sources.write(
            src, f"kernels/vmlinuz-{number}", kernels.bzimage()
        )
        sources.stamp(path, (10 - number) * 10**9)
    disk = dirdisk(src, None, "--order=mtime")
    listed = titles(menu_of(disk))
    assert listed[::2] == ["Linux 1", "Linux 2", "Linux 3"]
    sources.stamp(path, 20 * 10**9)
    listed = titles(menu_of(disk))
    assert listed[::2] == ["Linux 3", "Linux 1", "Linux 2"]
    disk.unmount()
