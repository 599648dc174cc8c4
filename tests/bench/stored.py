# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mount, a whole read, a boot and an unmount write to storage.

The kernel counts what processes make dirty on storage (write_bytes), but not
what they put on a tmpfs: so the temporary directory is one, and is looked at.
"""

import os

import boot
import child
import disk
import table


def used(tmpfs):
    """Bytes and inodes in use, unlinked files too, and the last change."""
    st = os.statvfs(tmpfs)
    return (
        (st.f_blocks - st.f_bfree) * st.f_frsize,
        st.f_files - st.f_ffree,
        os.stat(tmpfs).st_mtime_ns,
    )


def use(bench, src, tmp, seen):
    """One life of a mount; gives what its processes took."""
    mount = disk.Mount(bench, src, *boot.OPTIONS, tmp=tmp)
    seen.append(used(tmp))
    image = f"if={mount.image}"
    child.call("dd", image, "of=/dev/null", "bs=1M", "status=none")
    seen.append(used(tmp))
    other = {"TMPDIR": str(bench.root)}
    for options in ("readonly=on", "snapshot=on"):
        boot.until_ready(boot.qemu(mount.image, options), env=other)
        seen.append(used(tmp))
    ended = mount.end()
    seen.append(used(tmp))
    return ended


def measure(bench):
    src = bench.guest.add(bench.dir("stored-tree"))
    tmp = bench.dir("stored-tmp")
    child.call("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp))
    seen = [used(tmp)]
    launcher, daemon = use(bench, src, tmp, seen)
    child.call("umount", str(tmp))
    changed = len(set(seen)) > 1
    stored = launcher.stored + daemon.stored
    table.title("stored by mount, reading all, two boots and unmount")
    table.line("", "stored", "written")
    for name, ended in ("launcher", launcher), ("supervisor, worker", daemon):
        written = table.amount(ended.written)
        table.line(f"{name} and children", table.amount(ended.stored), written)
    table.line("temporary directory", "changed" if changed else "untouched")
    table.note("written: to /dev/fuse, between processes, into memory")
    return table.goal("0 bytes stored", stored == 0 and not changed)
