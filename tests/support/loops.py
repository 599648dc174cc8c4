# SPDX-License-Identifier: GPL-3.0-or-later
"""Loop devices that are known by a descriptor, and go with it.

A device's name is another's as soon as it is free. So a device is set up with
LO_FLAGS_AUTOCLEAR and kept open: as long as it is, it is ours, and once nobody
has it open, not even a process that was killed, the kernel frees it.
"""

import errno
import fcntl
import os
import struct

CLR_FD, GET_STATUS64, CONFIGURE = 0x4C01, 0x4C05, 0x4C0A
CTL_GET_FREE = 0x4C82
READ_ONLY, AUTOCLEAR = 1, 4
# struct loop_info64: device, inode, rdevice, offset, size limit, number,
# encryption (2), flags, names and key, init.
INFO = "=QQQQQIIII64s64s32sQQ"


def attach(path, start, size, writable=False):
    """(device, descriptor) of a new loop device on a part of a file."""
    flags = AUTOCLEAR | (0 if writable else READ_ONLY)
    mode = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    file = os.open(path, mode)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    info = (0, 0, 0, start, size, 0, 0, 0, flags, b"", b"", b"", 0, 0)
    config = struct.pack("=II", file, 0) + struct.pack(INFO, *info) + bytes(64)
    try:
        while True:
            number = fcntl.ioctl(control, CTL_GET_FREE)
            device = f"/dev/loop{number}"
            if not os.path.exists(device):
                os.mknod(device, 0o60600, os.makedev(7, number))
            fd = os.open(device, mode)
            try:
                fcntl.ioctl(fd, CONFIGURE, config)
                return device, fd
            except OSError as error:
                os.close(fd)
                if error.errno != errno.EBUSY:
                    raise
                # Another took it first.
    finally:
        os.close(file)
        os.close(control)


def below(root):
    """Loop devices whose file lies (or lay) below root."""
    found = []
    for name in os.listdir("/sys/block"):
        if _lies_below(name, root):
            found.append("/dev/" + name)
    return found


def _lies_below(name, root):
    try:
        with open(f"/sys/block/{name}/loop/backing_file", "rb") as file:
            backing = os.fsdecode(file.read().rstrip(b"\n"))
    except OSError:
        return False
    return backing.startswith(os.path.join(root, ""))


def detach_below(root):
    """Frees them, whoever made them; none that is another's by then."""
    for device in below(root):
        try:
            fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # While it is open, it stays with its file.
            if _lies_below(os.path.basename(device), root):
                fcntl.ioctl(fd, CLR_FD)
        except OSError:
            pass
        finally:
            os.close(fd)
