# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest plugin (-p tap): TAP on standard output, pytest's report on stderr.

Meson reads TAP, so each case counts as one there, as with cmocka's programs.
"""
import sys

import pytest
from _pytest.terminal import TerminalReporter


class Tap:
    def __init__(self):
        self.count = 0

    def line(self, ok, name, remark=""):
        self.count += 1
        name = name.replace("#", "-").replace("\n", " ")
        word = "ok" if ok else "not ok"
        print(f"{word} {self.count} - {name}{remark}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.line(False, f"collecting {report.nodeid}")
        elif report.skipped:
            self.skip(report)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            what = "" if report.when == "call" else f" ({report.when})"
            self.line(False, report.nodeid + what)
        elif report.skipped:
            self.skip(report)
        elif report.when == "call":
            self.line(True, report.nodeid)

    def skip(self, report):
        why = getattr(report, "wasxfail", "")
        if isinstance(report.longrepr, tuple):
            why = report.longrepr[2]
        why = why.replace("\n", " ")
        self.line(True, report.nodeid, f" # SKIP {why}")

    def pytest_sessionfinish(self):
        print(f"1..{self.count}", flush=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    manager = config.pluginmanager
    manager.unregister(manager.getplugin("terminalreporter"))
    manager.register(TerminalReporter(config, sys.stderr), "terminalreporter")
    manager.register(Tap(), "tap-output")
