#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""count.py LOG...: counts the cases in testlog.json files of meson's.

Names what failed and what was skipped, and closes with the plain line
`N passed, N failed, N skipped`. Exit status 1 if anything failed, if nothing
ran, or, where CI is set, if anything was skipped.
"""
import json
import os
import re
import sys
from collections import Counter

CASE = re.compile(r"(not )?ok\b\s*\d*\s*(?:-\s*)?([^#]*)(?:#\s*(SKIP|TODO)\b)?",
                  re.IGNORECASE)
BAD = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}


def cases(stdout):
    """(outcome, name) of every TAP line."""
    for line in stdout.splitlines():
        match = CASE.match(line)
        if match:
            failed, name, directive = match.groups()
            skipped = (directive or "").upper() == "SKIP"
            outcome = ("skipped" if skipped else
                       "failed" if failed and not directive else "passed")
            yield outcome, name.strip()


def results(test):
    """(outcome, name) of every case of a test, at least one."""
    found = [(outcome, f"{test['name']}: {name}")
             for outcome, name in cases(test.get("stdout") or "")]
    result = test["result"]
    if result in BAD and not any(o == "failed" for o, _ in found):
        # A crash or a time-out, whatever the cases said until then.
        found.append(("failed", f"{test['name']} ({result.lower()})"))
    elif not found:
        outcome = "skipped" if result == "SKIP" else "passed"
        found.append((outcome, test["name"]))
    return found


def main(paths, strict):
    count = Counter()
    lost = False
    for path in paths:
        build = os.path.basename(os.path.dirname(os.path.dirname(path)))
        found = Counter()
        if os.path.exists(path):
            with open(path, encoding="utf-8") as log:
                for line in log:
                    for outcome, name in results(json.loads(line)):
                        found[outcome] += 1
                        if outcome != "passed":
                            print(f"{outcome}: {build}: {name}"
                                  if len(paths) > 1 else f"{outcome}: {name}")
        if not found:
            print(f"{build}: no test has run")
            lost = True
        count += found
    if strict and count["skipped"]:
        print("a skip counts as a failure here")
    print("{} passed, {} failed, {} skipped".format(
        count["passed"], count["failed"], count["skipped"]))
    return bool(count["failed"] or not count["passed"] or lost
                or (strict and count["skipped"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("CI", "") not in ("", "false")))
