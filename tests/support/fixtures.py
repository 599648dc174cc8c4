# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest fixtures and hooks that all front-end tests share (-p)."""

import os
import pathlib
import shutil
import tempfile

import pytest

for name in (
    "daemon",
    "held",
    "judges",
    "machine",
    "procs",
    "runs",
    "sandbox",
    "trees",
):
    pytest.register_assert_rewrite(f"support.{name}")

from support import procs, seeds, sources  # noqa: E402
from support.daemon import Launcher  # noqa: E402
from support.guest import Guest  # noqa: E402
from support.runs import Runs  # noqa: E402
from support.sandbox import Deadline, Sandbox  # noqa: E402

# With sanitizers all takes longer.
SLOWER = 4 if os.environ.get("DIRDISK_SANITIZED") else 1
TIMEOUT = 300


def pytest_configure(config):
    if "DIRDISK_TEST_ROOT" not in os.environ:
        raise pytest.UsageError("run these tests by tests/support/run.py")
    procs.become_subreaper()


def pytest_report_header(config):
    return f"DIRDISK_SEED={seeds.RUN} repeats this run"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """On failure, shows what the programs said; a skip is a failure."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    box = item.funcargs.get("box") if hasattr(item, "funcargs") else None
    if report.failed and box is not None:
        report.sections += box.logged()


def pytest_sessionfinish(session, exitstatus):
    # A file whose tests were all deselected or lost has shown nothing.
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def work_root():
    """The directory of this run; support/run.py makes and removes it."""
    return pathlib.Path(os.environ["DIRDISK_TEST_ROOT"])


def installed(work_root, name, variable):
    """A copy of a built program where an ordinary user can run it too."""
    built = os.environ.get(variable)
    assert built, f"{variable} must name the {name} to test"
    path = work_root / "bin" / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(built, path)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def program(work_root):
    """The daemon under test."""
    return installed(work_root, "dirdisk", "DIRDISK")


@pytest.fixture(scope="session")
def run_program(work_root, program):
    """dirdisk-run, beside the daemon under test."""
    return installed(work_root, "dirdisk-run", "DIRDISK_RUN")


@pytest.fixture(scope="session")
def checker(work_root):
    """dirdisk-check."""
    return installed(work_root, "dirdisk-check", "DIRDISK_CHECK")


@pytest.fixture
def runs(box, run_program):
    """Starts dirdisk-run: runs(*options), with the QEMU of runs.fake()."""
    return Runs(box, run_program)


@pytest.fixture
def box(work_root, request):
    """A Sandbox; whatever the test leaves in it is ended and removed."""
    marker = request.node.get_closest_marker("timeout")
    parent = tempfile.mkdtemp(prefix="test-", dir=work_root)
    os.chmod(parent, 0o755)
    box = Sandbox(os.path.join(parent, "box"))
    seconds = marker.args[0] if marker else TIMEOUT
    deadline = Deadline(box, SLOWER * seconds)
    try:
        yield box
    finally:
        deadline.end()
        box.close()
        os.rmdir(parent)


@pytest.fixture
def odd_source(box):
    """odd_source(path): mounts what invents odd times there; its server."""

    def mount(path):
        server = box.start([os.environ["ODD_SOURCE"], path], name="odd")
        box.wait_for((path / "0").exists, server)
        return server

    return mount


@pytest.fixture
def dirdisk(box, program):
    """Starts the daemon: dirdisk(src, mnt, *options) or dirdisk.run(...)."""
    return Launcher(box, program)


@pytest.fixture
def src(box):
    """A small source, for tests that need no other."""
    return sources.small(box.dir("src"))


@pytest.fixture
def disk(dirdisk, src):
    """The disk of src, as the options' defaults make it."""
    disk = dirdisk(src)
    yield disk
    disk.unmount()


@pytest.fixture(scope="session")
def guest(work_root):
    """A kernel and its initramfs, made once for the run."""
    return Guest(work_root)
