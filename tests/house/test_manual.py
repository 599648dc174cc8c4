# SPDX-License-Identifier: GPL-3.0-or-later
"""The man pages: their form, and that they have every option there is."""
import os
import re
import subprocess

import pytest
from sources import ROOT

# Each page, and the variable that names its program.
PAGES = {
    "fs/dirdisk.1": "DIRDISK",
    "tools/check/dirdisk-check.1": "DIRDISK_CHECK",
    "tools/run/dirdisk-run.1": "DIRDISK_RUN",
}


def lint(path):
    return subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path],
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


@pytest.mark.parametrize("page", PAGES)
def test_form(page):
    run = lint(ROOT / page)
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


@pytest.mark.parametrize("page", PAGES)
def test_every_option_is_described(page):
    listed = options(os.environ[PAGES[page]])
    assert len(listed) >= 10
    text = (ROOT / page).read_text().replace("\\-", "-")
    assert [name for name in listed if f"--{name}" not in text] == []
