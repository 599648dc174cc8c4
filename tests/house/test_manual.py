# SPDX-License-Identifier: GPL-3.0-or-later
"""The man page: its form, and that it has every option there is."""
import os
import re
import subprocess

from sources import ROOT

PAGE = ROOT / "fs/dirdisk.1"


def lint(path):
    return subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path],
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


def test_form():
    run = lint(PAGE)
    assert run.returncode == 0, run.stdout


def test_wrong_form_is_found(tmp_path):
    page = tmp_path / "bad.1"
    page.write_text(".TH X\n.SH\n.XX no such macro\n")
    assert lint(page).returncode != 0


def options(program):
    """The long options that the program itself lists."""
    text = subprocess.run([program, "--help"], stdout=subprocess.PIPE,
                          text=True, check=True).stdout
    return sorted(set(re.findall(r"^ .*?--([a-z][a-z-]+)", text, re.M)))


def test_every_option_is_described():
    listed = options(os.environ["DIRDISK"])
    assert len(listed) > 10
    text = PAGE.read_text().replace("\\-", "-")
    assert [name for name in listed if f"--{name}" not in text] == []
