# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/count.py: the line that a test run closes with."""
import json
import os
import subprocess
import sys

import pytest
from sources import ROOT


def count(tmp_path, tests, **env):
    log = tmp_path / "testlog.json"
    if tests is not None:
        log.write_text("".join(json.dumps(
            {"name": name, "result": result, "stdout": stdout}) + "\n"
            for name, result, stdout in tests))
    run = subprocess.run(
        [sys.executable, ROOT / "tests/count.py", log], text=True,
        stdout=subprocess.PIPE, check=False,
        env={**{k: v for k, v in os.environ.items() if k != "CI"}, **env})
    return run.returncode, run.stdout.splitlines()


CASES = [
    ([("a", "OK", "TAP version 13\n1..2\nok 1 - x\nok 2 - y\n")], 0,
     "2 passed, 0 failed, 0 skipped"),
    ([("a", "FAIL", "ok 1 - x\nnot ok 2 - y\n# why\n1..2\n")], 1,
     "1 passed, 1 failed, 0 skipped"),
    ([("a", "OK", "ok 1 - x\nok 2 - y # SKIP no disk\n")], 0,
     "1 passed, 0 failed, 1 skipped"),
    ([("a", "ERROR", "1..3\nok 1 - x\n")], 1, "1 passed, 1 failed, 0 skipped"),
    ([("a", "TIMEOUT", "")], 1, "0 passed, 1 failed, 0 skipped"),
    ([("a", "SKIP", None), ("b", "OK", None)], 0,
     "1 passed, 0 failed, 1 skipped"),
    ([("a", "OK", "okay then\n")], 0, "1 passed, 0 failed, 0 skipped"),
    ([], 1, "0 passed, 0 failed, 0 skipped"),
    (None, 1, "0 passed, 0 failed, 0 skipped"),
]


@pytest.mark.parametrize("tests,status,line", CASES)
def test_last_line_and_status(tmp_path, tests, status, line):
    got, lines = count(tmp_path, tests)
    assert (got, lines[-1]) == (status, line)


def test_skip_fails_in_ci(tmp_path):
    tests = [("a", "OK", "ok 1 - x\nok 2 # SKIP y\n")]
    assert count(tmp_path, tests)[0] == 0
    status, lines = count(tmp_path, tests, CI="true")
    assert (status, lines[-1]) == (1, "1 passed, 0 failed, 1 skipped")


def test_logs_are_counted_together(tmp_path):
    for build, text in (("a", "ok 1 - x"), ("b", "not ok 1 - y")):
        (tmp_path / build / "meson-logs").mkdir(parents=True)
        (tmp_path / build / "meson-logs/testlog.json").write_text(json.dumps(
            {"name": "t", "result": "OK", "stdout": text}))
    paths = [tmp_path / name / "meson-logs/testlog.json" for name in "aab"]
    argv = [sys.executable, ROOT / "tests/count.py"]
    run = subprocess.run([*argv, *paths], text=True, check=False,
                         stdout=subprocess.PIPE)
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "failed: b: t: y", "2 passed, 1 failed, 0 skipped"]
    run = subprocess.run([*argv, paths[0], tmp_path / "c/meson-logs/x"],
                         text=True, check=False, stdout=subprocess.PIPE)
    assert run.returncode == 1, "a log that is not there is a failure"
    assert run.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_failures_are_named(tmp_path):
    _, lines = count(tmp_path, [("disk", "FAIL", "not ok 1 - reads\n")])
    assert lines[0] == "failed: disk: reads"


def test_plugin_reports_every_case(tmp_path):
    """What tests/tap.py prints, counted."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_good(): print('ok 9 - not a case')\n"
        "def test_bad(): assert 0\n"
        "@pytest.mark.skip(reason='why # not')\n"
        "def test_skip(): pass\n"
        "@pytest.fixture\n"
        "def broken():\n"
        "    raise RuntimeError\n"
        "def test_broken(broken): pass\n")
    run = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider",
         "-p", "tap", "--rootdir", tmp_path, tmp_path], text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    assert run.returncode == 1
    status, lines = count(tmp_path, [("it", "ERROR", run.stdout)])
    assert (status, lines[-1]) == (1, "1 passed, 2 failed, 1 skipped")
