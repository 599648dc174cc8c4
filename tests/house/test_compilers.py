# SPDX-License-Identifier: GPL-3.0-or-later
"""The other compiler, with warnings as errors."""
import os
import subprocess

from sources import ROOT


def test_clang_has_nothing_to_say(tmp_path):
    env = {**os.environ, "CC": "clang"}
    # No optimisation: clang warns before it.
    options = ["-Dwerror=true", "-Dtests=false", "-Dbuildtype=plain"]
    for command in (["setup", *options, tmp_path, ROOT],
                    ["compile", "-C", tmp_path]):
        run = subprocess.run(["meson", *command], env=env, text=True,
                             stdin=subprocess.DEVNULL, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert run.returncode == 0, run.stdout
