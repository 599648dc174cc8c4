# SPDX-License-Identifier: GPL-3.0-or-later
"""Licence lines, formats, the top level; and that each check can fail."""
import shutil

import pytest
import sources
from sources import ROOT

needs_shellcheck = pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is not installed")


def test_top_level():
    assert sources.strangers(ROOT) == []


def test_top_level_finds_what_is_too_much_and_what_is_missing(tmp_path):
    for name in sources.TOP - {"LICENSE"} | {"notes.txt", ".git", "build-x"}:
        (tmp_path / name).write_text("")
    assert sources.strangers(tmp_path) == ["LICENSE", "notes.txt"]


def test_licence_lines():
    assert sources.without_spdx(ROOT) == []


def test_licence_line_missing_is_found(tmp_path):
    line = f"# {sources.SPDX}\n"
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs/good.c").write_text(line)
    (tmp_path / "fs/good").write_text("#!/bin/sh\n" + line)
    (tmp_path / "fs/late.c").write_text("\n" + line)
    (tmp_path / "fs/bad").write_text("#!/bin/sh\ntrue\n")
    assert sources.without_spdx(tmp_path) == ["fs/bad", "fs/late.c"]


def test_c_format():
    result = sources.clang_format(sources.c_files(ROOT), ROOT)
    assert result.returncode == 0, result.stderr


def test_c_format_finds_a_wrong_file(tmp_path):
    path = tmp_path / "bad.c"
    path.write_text("int main(void) { return 0; }\n")
    assert sources.clang_format([path], ROOT).returncode != 0
    path.write_text("int main(void)\n{\n\treturn 0;\n}\n")
    assert sources.clang_format([path], ROOT).returncode == 0


@needs_shellcheck
def test_shell():
    scripts = [path for path in sources.files(ROOT) if sources.is_shell(path)]
    assert len(scripts) > 3
    result = sources.shellcheck(scripts)
    assert result.returncode == 0, result.stdout


@needs_shellcheck
def test_shell_finds_a_wrong_script(tmp_path):
    path = tmp_path / "bad"
    path.write_text("#!/bin/sh\nrm $1\n")
    assert sources.shellcheck([path]).returncode != 0
