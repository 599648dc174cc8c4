# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever SRC is made to look like: nothing from outside, torn, or stuck."""

import os
import re
import shutil
import struct

import pytest

from support import judges, procs, seeds
from support.sandbox import NOBODY

SECONDS = 60 if seeds.SOAK else 10
PATIENCE = 60
SECRET = struct.pack("=Q", 0x736563726574A2A3) * (160 << 10 >> 3)
# As attack.c has them.
NAMES = ["shadow", "passwd", "one", "two", "three", "cut", "cut2", "bzImage"]
MIB = 1 << 20


@pytest.fixture
def host(box):
    """src, stage, and what is outside: secrets, also in place of /etc/shadow.

    Our mount namespace is private to this run.
    """
    host = box.tmpfs("host", "size=256m")
    for name in ("src", "stage", "outside"):
        (host / name).mkdir()
    for name in [*NAMES, "secret", "device"]:
        path = host / "outside" / name
        path.write_bytes(SECRET)
        path.chmod(0o600)
    box.mount("--bind", host / "outside" / "secret", "/etc/shadow")
    yield host
    box.umount("/etc/shadow")


def counts(process):
    text = process.log.read_text(errors="replace")
    return {key: int(n) for key, n in re.findall(r"(\w+) (\d+)", text)}


@pytest.fixture
def reader(box):
    """attack_read, where an ordinary user can run it."""
    path = box.root / "attack_read"
    shutil.copy(os.environ["ATTACK_READ"], path)
    path.chmod(0o755)
    return path


@pytest.fixture
def attack(box, host, reader):
    """attack(image, user, seconds): changes and reads; both processes."""

    def run(image, user=None, seconds=SECONDS):
        device = box.loop(host / "outside" / "device", 0, len(SECRET))
        seed = seeds.of(__file__)
        # Links that a root daemon must not follow are an ordinary user's;
        # those that an ordinary user's daemon cannot follow are its own.
        words = [seconds + 1, seed, host / "src", host / "stage"]
        words += [host / "outside", device, user or 0, NOBODY]
        attacker = box.start([os.environ["ATTACK"], *map(str, words)])
        read = box.run(
            [str(reader), str(seconds), str(PATIENCE), str(image)],
            check=False,
            timeout=seconds + 3 * PATIENCE,
            user=user,
        )
        print(f"seed {seed}: {read.text}")
        if read.returncode:
            attacker.kill()
            return attacker, read
        assert attacker.wait(60) == 0, attacker.log.read_text()
        return attacker, read

    return run


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("user", [None, NOBODY])
def test_attacked(box, dirdisk, host, attack, user):
    if user:
        os.chown(host / "src", user, user)
    options = ["--no-grub", "--unreadable=skip"]
    disk = dirdisk(host / "src", None, *options, user=user)
    attacker, read = attack(disk.image, user)
    assert read.returncode == 0, read.text
    seen, done = counts(read), counts(attacker)
    # So many on a loaded machine with sanitizers; each meets many changes.
    assert seen["opens"] >= SECONDS // 4 and seen["blocks"] > SECONDS, seen
    assert done["changes"] > 50 * SECONDS and done["swaps"] > SECONDS, done
    if not user:
        # The disk has the files that they lead to, so the two differ.
        for path in (host / "src" / "kernels").iterdir():
            if path.is_symlink():
                path.unlink()
        judges.assert_whole_disk(box, disk.image, host / "src", grub=False)
    disk.unmount(user=user)


def test_reader_sees_secrets(box, host, reader):
    """The judge judges: one sector of a secret in an image is enough."""
    image = host / "image"
    for offset in (512, 3 * MIB + 4096, 4 * MIB - 512):
        with open(image, "wb") as file:
            file.truncate(4 * MIB)
            file.seek(offset)
            file.write(SECRET[:512])
        done = box.run([str(reader), "5", "5", str(image)], check=False)
        assert done.returncode == 1 and "a secret" in done.text


def test_reader_sees_what_is_torn(box, dirdisk, attack, host):
    """The same with bytes served as they come."""
    disk = dirdisk(host / "src", None, "--no-grub", "--stale=serve")
    _, read = attack(disk.image, seconds=60)
    assert read.returncode == 1, read.text
    disk.unmount()


def test_reader_sees_who_does_not_answer(box, dirdisk, host, reader):
    disk = dirdisk(host / "src", None, "--no-grub")
    for pid in disk.workers:
        os.kill(pid, 19)
    argv = [str(reader), "30", "1", str(disk.image)]
    process = box.start(argv)
    box.wait_for(lambda: "no answer" in process.log.read_text(), process, 30)
    procs.fuse_abort(box.mounts(), box.root)
    assert process.wait(30) == 1
