# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree looks like to the one who walks it."""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, replace

CHUNK = 1 << 20
ZEROES = bytes(CHUNK)


@dataclass(frozen=True)
class Entry:
    mode: int
    uid: int
    gid: int
    links: int
    size: int  # -1 where it is the file system's own business
    mtime_ns: int
    device: int
    target: bytes
    digest: str
    twins: tuple  # every path of the inode
    xattrs: tuple = ()  # (name, value), sorted

    def is_dir(self):
        return stat.S_ISDIR(self.mode)


def _data_runs(fd, size):
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(fd, offset, os.SEEK_HOLE)
        # Whole chunks, so that both ways of reading hash the same ones.
        start = offset - offset % CHUNK
        end = min(size, -(-end // CHUNK) * CHUNK)
        yield start, end
        offset = end


def digest_fd(fd, trust_holes):
    """A digest of the bytes that does not depend on where holes are."""
    size = os.fstat(fd).st_size
    runs = _data_runs(fd, size) if trust_holes else [(0, size)]
    total = hashlib.blake2b(b"%d" % size, digest_size=16)
    for start, end in runs:
        for offset in range(start, end, CHUNK):
            want = min(CHUNK, end - offset)
            data = b""
            while len(data) < want:
                more = os.pread(fd, want - len(data), offset + len(data))
                assert more, "the file is shorter than its size"
                data += more
            if data != ZEROES[:want]:
                total.update(b"%d:" % offset)
                total.update(data)
    return total.hexdigest()


def digest(path, trust_holes=True):
    fd = os.open(path, os.O_RDONLY)
    try:
        return digest_fd(fd, trust_holes)
    finally:
        os.close(fd)


# Larger files are read by their map alone: it is what a reader goes by.
READ_HOLES = 64 << 20


def xattrs_of(dirfd, name):
    """All extended attributes of an entry, ACLs as Linux hands them out."""
    path = b"/proc/self/fd/%d/%s" % (dirfd, os.fsencode(name))
    names = os.listxattr(path, follow_symlinks=False)
    return tuple(
        sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in names)
    )


def _entry(dirfd, name, digests):
    """The entry, and its inode; digests remembers those of other names."""
    found = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
    inode = (found.st_dev, found.st_ino)
    target, sum_, size = b"", digests.get(inode, ""), found.st_size
    if stat.S_ISLNK(found.st_mode):
        target = os.readlink(name, dir_fd=dirfd)
    if stat.S_ISREG(found.st_mode) and not sum_:
        flags = os.O_RDONLY | os.O_NOFOLLOW
        fd = os.open(name, flags, dir_fd=dirfd)
        try:
            sum_ = digest_fd(fd, found.st_size > READ_HOLES)
        finally:
            os.close(fd)
    digests[inode] = sum_
    entry = Entry(
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
        size,
        found.st_mtime_ns,
        found.st_rdev,
        target,
        sum_,
        (),
        xattrs_of(dirfd, name),
    )
    return entry, inode


def _walk(dirfd, path, device, visit):
    """Visits what is below dirfd; paths may be longer than PATH_MAX."""
    for name in sorted(os.fsencode(n) for n in os.listdir(dirfd)):
        below = path + b"/" + name if path else name
        visit(dirfd, name, below)
        found = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode) and found.st_dev == device:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            fd = os.open(name, flags, dir_fd=dirfd)
            try:
                _walk(fd, below, device, visit)
            finally:
                os.close(fd)


def walk(root, visit):
    """visit(dirfd, name, path) for all below root; the root itself is b''."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        visit(fd, b".", b"")
        _walk(fd, b"", os.fstat(fd).st_dev, visit)
    finally:
        os.close(fd)


def snapshot(root):
    """{path: Entry} of a tree, as the host shows it."""
    entries, inodes, digests = {}, {}, {}

    def visit(dirfd, name, path):
        entry, inode = _entry(dirfd, name, digests)
        entries[path] = entry
        if not entry.is_dir():
            inodes.setdefault(inode, []).append(path)

    walk(root, visit)
    for paths in inodes.values():
        for path in paths:
            entries[path] = replace(entries[path], twins=tuple(paths))
    return entries


def _subdirs(entries):
    """{directory: how many directories are in it}."""
    subdirs = {}
    for path, entry in entries.items():
        if path and entry.is_dir():
            parent = path.rpartition(b"/")[0]
            subdirs[parent] = subdirs.get(parent, 0) + 1
    return subdirs


def count_links(entries, others):
    """The directories' links as they are with what others has in them."""
    subdirs = _subdirs({**others, **entries})
    return {
        path: replace(entry, links=2 + subdirs.get(path, 0))
        if path and entry.is_dir()
        else entry
        for path, entry in entries.items()
    }


def _subset(entries):
    """What an ext2 with just these entries has to show."""
    subdirs = _subdirs(entries)
    result = {}
    for path, entry in entries.items():
        twins = tuple(twin for twin in entry.twins if twin in entries)
        links = len(twins)
        if entry.is_dir():
            # The root has lost+found as well.
            links = 2 + subdirs.get(path, 0) + (path == b"")
        result[path] = replace(entry, twins=twins, links=links)
    return result


def split(entries):
    """The trees of partition 1 (boot) and 2 (the rest, with the root)."""
    boot = {
        path: entry
        for path, entry in entries.items()
        if path == b"boot" or path.startswith(b"boot/")
    }
    rest = {path: e for path, e in entries.items() if path not in boot}
    return _subset(boot), _subset(rest)


def _differences(path, want, have):
    for field in Entry.__dataclass_fields__:
        if field == "size" and want.is_dir():
            continue
        a, b = getattr(want, field), getattr(have, field)
        if a != b:
            if field == "mode":
                a, b = oct(a), oct(b)
            yield f"{path!r}: {field} is {b!r}, should be {a!r}"


def assert_equal(want, have):
    """Two trees are the same in all that an Entry holds."""
    wrong = [f"{path!r}: is missing" for path in want if path not in have]
    wrong += [f"{path!r}: is too many" for path in have if path not in want]
    for path, entry in want.items():
        if path in have:
            wrong += _differences(path, entry, have[path])
    shown = "\n".join(wrong[:40])
    assert not wrong, f"{len(wrong)} differences:\n{shown}"


def assert_one_time(root):
    """In the image atime and ctime are the mtime."""
    wrong = []

    def visit(dirfd, name, path):
        found = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        times = {found.st_atime_ns, found.st_ctime_ns, found.st_mtime_ns}
        if len(times) != 1:
            wrong.append((path, times))

    walk(root, visit)
    assert not wrong, wrong[:10]


def as_rdump(entries):
    """What debugfs rdump keeps of a tree."""
    kept = {}
    for path, entry in entries.items():
        kind = stat.S_IFMT(entry.mode)
        if not path or kind not in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):
            continue
        link = kind == stat.S_IFLNK
        kept[path] = Entry(
            kind | (0 if link else stat.S_IMODE(entry.mode) & 0o777),
            0 if link else entry.uid,
            0 if link else entry.gid,
            0,
            -1 if entry.is_dir() else entry.size,
            0 if link else entry.mtime_ns // 10**9 % 2**32,
            0,
            entry.target,
            entry.digest,
            (),
        )
    return kept


def fingerprint(root):
    """All that must not change where nothing may be written."""
    entries, digests = [], {}

    def visit(dirfd, name, path):
        found = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
        entry, _ = _entry(dirfd, name, digests)
        entries.append((path, entry, found.st_ino, found.st_ctime_ns))

    walk(root, visit)
    return entries
