# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/quickstart in a fresh clone, from another directory."""

import os
import shutil

import pytest
from support.guest import SOURCE
from support.machine import Machine
from support.sandbox import AS_NOBODY, NOBODY

CACHE = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))


@pytest.fixture(scope="module")
def clone(work_root):
    """A copy of the sources that belongs to an ordinary user, unbuilt."""
    path = work_root / "a clone"
    path.mkdir()
    for entry in SOURCE.iterdir():
        if entry.is_file():
            shutil.copy2(entry, path)
        elif entry.name != ".git" and not entry.name.startswith("build"):
            shutil.copytree(entry, path / entry.name)
    for where, _, files in os.walk(path):
        for name in [where, *(os.path.join(where, file) for file in files)]:
            os.chown(name, NOBODY, NOBODY, follow_symlinks=False)
    return path


@pytest.fixture
def quickstart(box, clone):
    """The command line, for an ordinary user or for root."""

    def command(*options, user=None):
        home = box.root / "home"
        if not home.exists():
            box.dir("home", owner=user)
        # Its own dirdisk, not the one that other tests are about.
        env = ["env", "-u", "DIRDISK", f"HOME={home}", "XDG_CACHE_HOME="]
        if user is None:
            env[-1] += CACHE
        words = [*env, clone / "tools/quickstart", "--no-install", *options]
        prefix = AS_NOBODY if user else []
        return [str(word) for word in [*prefix, *words]]

    return command


def assert_gone(box):
    box.assert_nothing_left()
    assert list(box.tmp.iterdir()) == []


@pytest.mark.timeout(900)
def test_ordinary_user_on_a_terminal(box, guest, quickstart):
    src = guest.add(box.dir("src"))
    before = sorted(path for path in src.rglob("*"))
    with Machine(
        box, quickstart(src, user=NOBODY), [], timeout=840
    ) as terminal:
        terminal.expect("Ctrl-A, then X")
        terminal.ready()
        terminal.shell()
        terminal.type("poweroff -f\n")
        assert terminal.end() == 0
    assert_gone(box)
    assert sorted(path for path in src.rglob("*")) == before


@pytest.mark.timeout(900)
def test_root_without_a_terminal(box, quickstart):
    """Makes the tree by itself, boots it, and switches it off."""
    done = box.run(quickstart(), timeout=840, cwd="/")
    assert "DIRDISK-GUEST-READY" in done.text
    kernels = box.root / "home/dirdisk-demo/kernels"
    assert any(p.name.startswith("vmlinuz-") for p in kernels.iterdir())
    assert_gone(box)


@pytest.mark.timeout(900)
def test_no_boot_leaves_a_filled_directory_alone(box, quickstart):
    src = box.dir("src")
    (src / "kernels").mkdir()
    (src / "kernels/mine").write_text("mine")
    done = box.run(quickstart("--no-boot", src), timeout=840)
    assert f"using {src} as it is" in done.text
    assert [path.name for path in (src / "kernels").iterdir()] == ["mine"]
    assert_gone(box)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [1, 2, 15])
def test_signal_unmounts(box, guest, quickstart, number):
    src = guest.add(box.dir("src"))
    with Machine(box, quickstart(src), [], timeout=840) as terminal:
        terminal.expect("GNU GRUB")
        os.kill(terminal.child.pid, number)
        assert terminal.end() == 128 + number
    assert_gone(box)
