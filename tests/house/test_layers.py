# SPDX-License-Identifier: GPL-3.0-or-later
import layers
import pytest
from sources import ROOT


def test_no_upward_include():
    assert layers.check(ROOT) == []


def test_there_is_something_to_check():
    assert len(list((ROOT / "imgcore").rglob("*.[ch]"))) > 10


def test_no_circle():
    assert layers.circles(layers.includes(ROOT)) == []


def test_circle_is_found(tmp_path):
    """Over a private header, and whatever leads there or away from it."""
    make_tree(tmp_path)
    boot = tmp_path / "imgcore/boot"
    for name, text in (
        ("first.c", "second.h"),
        ("second.h", "third-internal.h"),
        ("third-internal.h", "part.h"),
        ("third.c", "first.h"),
        ("first.h", "part.h"),
        ("user.c", "first.h"),
    ):
        (boot / name).write_text(f'#include "{text}"\n')
    found = layers.circles(layers.includes(tmp_path))
    assert found == [f"imgcore/boot/{n}" for n in ("first", "second", "third")]
    (boot / "third.c").write_text("")
    assert layers.circles(layers.includes(tmp_path)) == []


def make_tree(root):
    """One header a layer, public and private, and no fault."""
    for name in layers.RANK:
        top = root if name in ("fs", "tools") else root / "imgcore"
        (top / name).mkdir(parents=True)
        (top / name / "part.h").write_text("")
    public = root / "imgcore/include/imgcore"
    public.mkdir(parents=True)
    for name in ("diag", "tree", "archive", "boot", "ext2", "image",
                 "overlay", "live", "options", "command_line"):
        (public / f"{name}.h").write_text("")


FINE = [
    ("imgcore/base/a.c", '#include "imgcore/diag.h"'),
    ("imgcore/boot/a.c", '#include "part.h"\n#include "imgcore/boot.h"'),
    ("imgcore/image/a.c", '#include "ext2/part.h"\n#include <stdio.h>'),
    ("imgcore/include/imgcore/image.h", '#include "imgcore/boot.h"'),
    ("tools/a.c", '#include "fs/part.h"\n#include "imgcore/live.h"'),
    ("imgcore/options/a.c", '#include "imgcore/live.h"'),
    ("fs/a.c", '#include "imgcore/overlay.h"\n#include "base/part.h"'),
]
BAD = [
    ("imgcore/base/a.c", '#include "imgcore/tree.h"'),
    ("imgcore/tree/a.c", '#include "image/part.h"'),
    ("imgcore/tree/a.h", "#\tinclude <imgcore/overlay.h>"),
    ("imgcore/ext2/a.c", '#include "imgcore/boot.h"'),
    ("imgcore/boot/a.c", '#include "../ext2/part.h"'),
    ("imgcore/boot/a.c", '#include "imgcore/archive.h"'),
    ("imgcore/image/a.c", '#include "imgcore/live.h"'),
    ("imgcore/live/a.c", '#include "../../fs/part.h"'),
    ("imgcore/live/a.c", '#include "imgcore/command_line.h"'),
    ("imgcore/options/a.c", '#include "fs/part.h"'),
    ("fs/a.c", '#include "../tools/part.h"'),
    ("imgcore/include/imgcore/tree.h", '#include "imgcore/image.h"'),
    ("imgcore/include/imgcore/new.h", '#include "imgcore/tree.h"'),
    ("imgcore/tree/a.c", '#include "nowhere.h"'),
]


@pytest.mark.parametrize("name,text", FINE)
def test_downward_include_passes(tmp_path, name, text):
    make_tree(tmp_path)
    (tmp_path / name).write_text(text + "\n")
    assert layers.check(tmp_path) == []


@pytest.mark.parametrize("name,text", BAD)
def test_upward_include_is_found(tmp_path, name, text):
    make_tree(tmp_path)
    (tmp_path / name).write_text("int x;\n" + text + "\n")
    found = layers.check(tmp_path)
    assert len(found) == 1 and found[0].startswith(name + ": ")
