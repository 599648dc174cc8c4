# SPDX-License-Identifier: GPL-3.0-or-later
"""Host trees to show: a small one, a rich one, and random ones."""

import os
import random
import socket
import stat
import struct

BLOCK = 4096


def write(root, path, data=b"", mode=0o644):
    where = os.path.join(os.fsencode(root), os.fsencode(path))
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where, "wb") as file:
        file.write(data)
    os.chmod(where, mode)
    return where


def sparse(root, path, size, pieces=()):
    """A file with holes; pieces are (offset, bytes)."""
    where = write(root, path)
    with open(where, "r+b") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    return where


def stamp(path, ns):
    """Sets a time; some file systems of hosts would not keep it."""
    os.utime(path, ns=(ns, ns), follow_symlinks=False)
    kept = os.lstat(path).st_mtime_ns
    assert kept == ns, f"this file system keeps {kept} of {ns} ({path})"


def small(root):
    """The article's tree without a kernel: a prompt, and files to read."""
    write(root, "kernels/README", b"no kernel here\n")
    write(root, "boot/note", b"on the first partition\n")
    return root


def before(root):
    """Directories that a scan comes to before any other, with files.

    By then it has all its threads, and any of them may scan the next one.
    """
    for number in range(40):
        write(root, f"!{number:02}/file", b"%d\n" % number)
    return root


# Sizes where a file's block map gains a level or ends a block.
SIZES = [0, 1, 4095, 4096, 4097]
SIZES += [n * BLOCK + d for n in (12, 12 + 1024) for d in (-1, 0, 1)]
TRIPLE = (12 + 1024 + 1024 * 1024) * BLOCK

# Until then ext2 and e2fsck agree; later times are shown as this one.
LAST_TIME = 2 * 2**32 + 2**31 - 1

TIMES = {
    "epoch": 0,
    "before": -1_500_000_000,
    "1901": -(2**31) * 10**9,
    "ns": 1_234_567_890_123_456_789,
    "last32": (2**31 - 1) * 10**9 + 999_999_999,
    "past32": 2**31 * 10**9 + 1,
    "2100": 4_102_444_800 * 10**9 + 5,
    "past33": 2**32 * 10**9 + 7,
    "2310": LAST_TIME * 10**9 + 999_999_999,
}


def rich(root):
    """A tree with everything that a tree can hold."""
    root = os.fspath(before(root))
    dice = random.Random(20190103)
    for part in ("boot", "kernels", "plain"):
        for size in SIZES:
            write(root, f"{part}/size-{size}", dice.randbytes(size))
    write(root, "boot/grub/mine/theme.txt", b"a theme\n")
    write(root, "kernels/deeper/still/with space", b"x" * 70000)
    _types(os.path.join(root, "types"))
    _links(root)
    modes(os.path.join(root, "modes"))
    _names(os.path.join(root, "names"))
    _deep(root)
    for n in range(5000):
        write(root, f"many/entry-{n:04}-{'x' * (n % 40)}", b"")
    os.mkdir(os.path.join(root, "empty"))
    _sparse(os.path.join(root, "big"), dice)
    _times(os.path.join(root, "times"))
    return root


def _types(where):
    os.mkdir(where)
    os.mkfifo(f"{where}/fifo", 0o640)
    numbers = {"null": (1, 3), "wide": (259, 70000), "high": (4095, 1048575)}
    for name, (major, minor) in numbers.items():
        device = os.makedev(major, minor)
        os.mknod(f"{where}/char-{name}", stat.S_IFCHR | 0o660, device)
        os.mknod(f"{where}/block-{name}", stat.S_IFBLK | 0o600, device)
    sock = socket.socket(socket.AF_UNIX)
    here = os.open(where, os.O_RDONLY)
    sock.bind(f"/proc/self/fd/{here}/socket")
    sock.close()
    os.close(here)
    for length in (1, 58, 59, 60, 61, 255, 4094, 4095):
        os.symlink("l" * length, f"{where}/link-{length}")
    os.symlink("../kernels", f"{where}/link-dir")
    os.symlink(b"\xff\n\x01", os.fsencode(f"{where}/link-bytes"))


def _links(root):
    write(root, "links/a", b"linked\n" * 1000)
    os.link(f"{root}/links/a", f"{root}/links/b")
    os.makedirs(f"{root}/links/sub")
    os.link(f"{root}/links/a", f"{root}/links/sub/c")
    os.link(f"{root}/links/a", f"{root}/boot/d")
    os.link(f"{root}/boot/size-4097", f"{root}/boot/again")
    os.link(f"{root}/types/fifo", f"{root}/links/fifo")
    os.link(
        f"{root}/types/link-60", f"{root}/links/soft", follow_symlinks=False
    )
    for n in range(300):
        os.link(f"{root}/links/b", f"{root}/links/sub/n{n}")


def modes(where):
    """Every kind of permission and owner."""
    for mode in (0o0, 0o1, 0o644, 0o777, 0o4755, 0o2755, 0o6711, 0o7777):
        write(where, f"file-{mode:o}", b"m", mode)
        os.mkdir(f"{where}/dir-{mode:o}")
        os.chmod(f"{where}/dir-{mode:o}", mode)
    owners = ((0, 0), (65534, 65534), (65535, 65536), (70000, 80000))
    for uid, gid in owners + ((2**31 + 5, 2**32 - 2),):
        path = write(where, f"owner-{uid}-{gid}")
        os.chown(path, uid, gid)
        os.chmod(path, 0o6755)
        os.symlink("nowhere", f"{where}/owned-link-{uid}")
        os.lchown(f"{where}/owned-link-{uid}", uid, gid)


def _names(where):
    names = [b"n" * 255, b"\xe4\xf6\xfc", b"\xff\xfe\xc0", b"new\nline"]
    names += [b"tab\t", b"\x01\x02\x1b[31m\x7f", b" lead", b"trail ", b"..."]
    names += [b"-rf", b"back\\slash", b'quo"te', b"st*r?", b"$HOME"]
    names += [b"\xf0" * 255]
    names += ["\u00e9\u4e2d\U0001f600".encode(), b"e\xcc\x81", b"A", b"a"]
    for number, name in enumerate(names):
        write(where, name, b"%d" % number)
        os.makedirs(os.path.join(os.fsencode(where), b"dirs", name))


def descend(root, names, name, data):
    """A file below directories in one another, however long its path is."""
    fd = os.open(root, os.O_RDONLY)
    for directory in names:
        os.mkdir(directory, dir_fd=fd)
        below = os.open(directory, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, data)
    os.close(file)
    os.close(fd)


def _deep(root):
    """Directories below one another, far beyond what one path can say."""
    names = [f"{level:03}" + "d" * 100 for level in range(60)]
    descend(root, ["deep", *names], "bottom", b"far down\n")


def _sparse(where, dice):
    sparse(where, "hole", 10 * 1024 * 1024)
    pieces = [(100000, b"early"), (3 * 1024 * 1024, dice.randbytes(5000))]
    sparse(where, "middle", 8 * 1024 * 1024 + 1, pieces)
    edges = [(n * BLOCK - 3, b"across") for n in (12, 12 + 1024)]
    sparse(where, "edges", (12 + 1024) * BLOCK + 5000, edges)
    data = dice.randbytes(9000)
    pieces = [(0, data), ((12 + 1024) * BLOCK, data)]
    pieces += [(TRIPLE - 100, data), (TRIPLE + 70000, b"the end")]
    sparse(where, "triple", TRIPLE + 80000, pieces)


def _times(where):
    for name, ns in TIMES.items():
        stamp(write(where, f"file-{name}"), ns)
        os.symlink("t", f"{where}/link-{name}")
        stamp(f"{where}/link-{name}", ns)
        os.mkdir(f"{where}/dir-{name}")
        stamp(f"{where}/dir-{name}", ns)
    stamp(where, TIMES["past32"])


# ---- extended attributes ----


def acl(*entries):
    """An ACL as Linux takes it, of (tag, permissions, id)."""
    packed = [struct.pack("<HHI", *entry) for entry in entries]
    return struct.pack("<I", 2) + b"".join(packed)


# Tags: 1 owner, 2 user, 4 group, 8 other group, 16 mask, 32 others.
NO_ID = 0xFFFFFFFF
ACL = acl(
    (1, 6, NO_ID),
    (2, 7, 1000),
    (2, 0, 70000),
    (4, 4, NO_ID),
    (8, 1, 99999),
    (16, 7, NO_ID),
    (32, 4, NO_ID),
)
# cap_net_raw=ep
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)


def adorn(path, xattrs):
    """Sets extended attributes, of a link itself too."""
    for name, value in xattrs.items():
        os.setxattr(path, name, value, follow_symlinks=False)


def xattrs(root):
    """Attributes of every namespace, on entries of every kind."""
    before(root)
    for part in ("boot/a", "kernels/a", "set"):
        file = write(root, f"{part}/file", b"data")
        adorn(file, {"user.plain": b"value", "user.empty": b""})
        adorn(file, {"trusted.t": bytes(range(256)), "security.own": b"\0"})
        adorn(os.path.dirname(file), {"system.posix_acl_default": ACL})
    where = os.path.join(root, "set")
    odd = {"user." + "n" * 250: b"longest", b"user.\xff\xfe\n": b"odd"}
    adorn(write(where, "odd"), odd)
    # Not in set/, whose ACL would need room as well: a block to the last byte.
    large = write(root, "wide/large")
    adorn(large, {"user.large": b"L" * (4096 - 32 - 24 - 4)})
    adorn(write(where, "many"), {f"user.{n:02}": b"%d" % n for n in range(90)})
    adorn(write(where, "tool", mode=0o755), {"security.capability": CAPABILITY})
    adorn(write(where, "acl"), {"system.posix_acl_access": ACL})
    adorn(write(where, "both"), {"system.posix_acl_access": ACL, "user.x": b""})
    os.link(os.path.join(where, "both"), os.path.join(where, "twin"))
    os.mkdir(os.path.join(where, "dir"))
    adorn(os.path.join(where, "dir"), {"system.posix_acl_access": ACL})
    adorn(os.path.join(where, "dir"), {"user.dir": b"d"})
    for length in (1, 59, 60, 4000):
        link = os.path.join(where, f"link-{length}")
        os.symlink("t" * length, link)
        adorn(link, {"trusted.link": b"%d" % length})
    for kind in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK):
        node = os.path.join(where, f"node-{kind}")
        os.mknod(node, kind | 0o600, os.makedev(1, 3))
        adorn(node, {"trusted.node": b"n", "security.node": b"m"})
    sparse(where, "sparse", 1 << 30, [(1 << 29, b"data")])
    adorn(os.path.join(where, "sparse"), {"user.sparse": b"s"})
    adorn(root, {"user.root": b"r"})
    return root


# ---- by chance ----


def _random_xattrs(dice, path):
    """Few sets, so that some are shared; mostly none."""
    if dice.random() < 0.7:
        return
    names = ["trusted.a", "trusted.bb", "security.c"]
    if not os.path.islink(path) and stat.S_ISREG(os.lstat(path).st_mode):
        names += ["user.d", "user.e" * 20]
    for name in dice.sample(names, dice.randrange(1, 4)):
        value = bytes([dice.randrange(3)]) * dice.choice((0, 1, 5, 700))
        adorn(path, {name: value})


def _random_name(dice, taken):
    while True:
        length = dice.choice((1, 2, 8, 8, 8, 30, 255))
        if dice.random() < 0.5:
            name = dice.randbytes(length)
        else:
            name = bytes(dice.choices(b"abcdefghij.-_ ", k=length))
        name = name.replace(b"/", b"_").replace(b"\0", b"0")
        if name not in (b".", b"..", b"lost+found") and name not in taken:
            return name


def _random_file(dice, path, files):
    kind = dice.random()
    if kind < 0.1 and files:
        os.link(dice.choice(files), path, follow_symlinks=False)
        return
    if kind < 0.2:
        os.symlink(b"t" * dice.choice((1, 20, 59, 60, 200, 4095)), path)
    elif kind < 0.25:
        os.mkfifo(path)
    elif kind < 0.3:
        device = os.makedev(dice.randrange(4096), dice.randrange(1 << 20))
        os.mknod(path, dice.choice((stat.S_IFCHR, stat.S_IFBLK)), device)
    elif kind < 0.4:
        size = dice.randrange(1, 10_000_000)
        at = [dice.randrange(size) for _ in range(dice.randrange(4))]
        sparse("/", path, size, [(o, dice.randbytes(o % 5000)) for o in at])
    else:
        size = dice.choice((0, 1, 100, 5000, 60000, 300000))
        write("/", path, dice.randbytes(dice.randint(0, size)))
    os.lchown(path, dice.choice((0, 1000, 99999)), dice.choice((0, 70000)))
    if not os.path.islink(path):
        os.chmod(path, dice.randrange(0o10000))
    _random_xattrs(dice, path)
    stamp(path, dice.randrange(-(2**31) * 10**9, LAST_TIME * 10**9))
    files.append(path)


def _random_dir(dice, where, depth, files):
    taken = set(os.listdir(where))
    wide = dice.random() < 0.05
    for _ in range(dice.randrange(400 if wide else 12)):
        name = _random_name(dice, taken)
        taken.add(name)
        path = os.path.join(where, name)
        if depth and not wide and dice.random() < 0.3:
            os.mkdir(path, 0o755)
            _random_dir(dice, path, depth - 1, files)
            os.chmod(path, dice.randrange(0o10000))
        else:
            _random_file(dice, path, files)


def chance(root, seed):
    """The random tree of a seed: files in boot/, kernels/ and elsewhere."""
    dice = random.Random(seed)
    root = os.fsencode(before(root))
    files = []
    for part in (b"boot", b"kernels", b"a", b"b"):
        if dice.random() < 0.8:
            os.mkdir(os.path.join(root, part))
            _random_dir(dice, os.path.join(root, part), 4, files)
    _random_dir(dice, root, 0, files)
    return root
