# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands' options and package lists."""
import os
import subprocess

import pytest
from sources import ROOT


def packages():
    for line in (ROOT / "tools/packages").read_text().splitlines():
        if not line.startswith("#"):
            yield line.split()


def shell(script, **env):
    return subprocess.run(
        ["bash", "-c", "here=$1/tools; . $1/tools/lib.sh; " + script, "test",
         ROOT], env={**os.environ, **env}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def test_every_package_has_a_name_or_a_dash_for_each_manager():
    for row in packages():
        assert len(row) == 5, row


def test_readme_names_every_package():
    words = (ROOT / "README.md").read_text()
    missing = [row[1] for row in packages() if row[1] not in words]
    assert missing == []


def test_list_is_that_of_the_purpose():
    listed = shell("packages_list 2 build run").stdout.split()
    assert listed == sorted(
        row[1] for row in packages() if row[0] in ("build", "run"))


@pytest.mark.parametrize("manager", ["dnf", "pacman", "zypper"])
def test_without_apt_the_names_are_printed(tmp_path, manager):
    for name in ("awk", "sort", "paste", "id", "bash"):
        (tmp_path / name).symlink_to(
            shell(f"command -v {name}").stdout.strip())
    run = shell(f"PATH={tmp_path}; packages_need build")
    assert run.returncode == 1
    line = next(line for line in run.stderr.splitlines()
                if line.startswith(manager))
    assert " gcc " in line and "parted" in line


def test_missing_package_that_cannot_be_installed_is_named(tmp_path):
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    (tmp_path / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    run = shell("packages_need run", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert run.returncode == 1
    assert "apt-get install fuse3 grub-common grub-pc-bin" in run.stderr


@pytest.mark.parametrize("command", ["quickstart", "test", "guest"])
def test_help_and_wrong_options(command):
    path = ROOT / "tools" / command
    run = subprocess.run([path, "--help"], stdout=subprocess.PIPE, text=True,
                         check=False)
    assert run.returncode == 0
    assert run.stdout.startswith(f"usage: tools/{command} ")
    run = subprocess.run([path, "--wrong"], stderr=subprocess.PIPE, text=True,
                         check=False)
    assert run.returncode == 1 and "usage: " in run.stderr
