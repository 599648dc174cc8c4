# SPDX-License-Identifier: GPL-3.0-or-later
"""dirdisk-run: what it starts, what it says, and each exit status."""

import os
import signal
import subprocess
import time

import pytest
from support.runs import FOR_EVER, wait_until
from support.sandbox import NOBODY

TCG = "--accel=tcg"


def says(*lines):
    """A QEMU that says this (as printf has it), and then nothing more."""
    return "".join(f"printf '{line}'\n" for line in lines) + FOR_EVER


# ---- exit statuses ----


@pytest.mark.parametrize(
    "said, expected",
    [
        (r"boot\n[  OK  ] up\n", r"\[ +OK +\] up$"),
        (r"one\r\nlogin: ", "^login: $"),
        (r"\033[1;32mgr\033[0mee\033]0;title\007n\n", "^green$"),
        (r"\033[H\033[Jfirst\033[5;7Hsecond", "^second$"),
        (r"a\0b\n", "^ab$"),
    ],
)
def test_seen(runs, said, expected):
    runs.fake(says(said))
    assert runs(TCG, f"--expect={expected}").returncode == 0


def test_seen_in_pieces(runs):
    runs.fake("printf 'lo'\nsleep 0.5\nprintf 'gin: '" + FOR_EVER)
    done = runs(TCG, "--expect=^login: $", "--timeout=20")
    assert done.returncode == 0


def test_end_of_an_unfinished_line_is_no_end(runs):
    """'0$' is not seen in 01, whatever comes first."""
    runs.fake("printf 'failed: 0'; printf '1\\n'\nsleep 0.5")
    assert runs(TCG, "--expect=failed: 0$").returncode == 1


def test_ended_without_it(runs):
    runs.fake("echo something else\nexit 0")
    done = runs(TCG, "--expect=never")
    assert done.returncode == 1
    assert "did not come" in done.text


PANIC = r"[    1.5] Kernel panic - not syncing: no root\n"
GRUB = r"error: file `/x` not found.\r\n\r\nPress any key to continue..."
KERNEL = r"[    0.0] Linux version 6.1.0 (gcc)\n"


@pytest.mark.parametrize("said", [PANIC, r"bad archive\n\n -- System halted"])
def test_panic(runs, said):
    runs.fake(says(KERNEL, said))
    done = runs(TCG, "--expect=never")
    assert done.returncode == 3
    assert done.text.count("the kernel gave up") == 1


def test_panic_and_then_the_end(runs):
    runs.fake(f"printf '{PANIC}'")
    assert runs(TCG, "--expect=never").returncode == 3


@pytest.mark.parametrize(
    "said", [GRUB, r"GNU GRUB\r\n\r\ngrub> ", r"error: x\r\ngrub rescue> "]
)
def test_grub_error(runs, said):
    runs.fake(says(said))
    done = runs(TCG, "--expect=never")
    assert done.returncode == 4
    assert "GRUB gave up" in done.text


@pytest.mark.parametrize(
    "said", [GRUB, r"grub> ", r"error: it\nerror: again\n"]
)
def test_what_programs_say_is_no_error_of_grub(runs, said):
    runs.fake(says(KERNEL, said + r"\n", "done\n"))
    assert runs(TCG, "--expect=^done").returncode == 0


def test_lines_that_only_look_like_it(runs):
    """An error alone, and a prompt with something typed behind it."""
    runs.fake(f"printf 'error: no video\\ngrub> boot\\n'\nsleep 0.1")
    assert runs(TCG, "--expect=never").returncode == 1


def test_expected_text_comes_first(runs):
    """The same line, and soon behind the trouble."""
    runs.fake(says(PANIC))
    assert runs(TCG, "--expect=Kernel panic").returncode == 0
    runs.fake(f"printf '{PANIC}'\nsleep 0.3\n" + says("end trace\n"))
    assert runs(TCG, "--expect=end trace").returncode == 0


@pytest.mark.parametrize("more", [[], ["--expect=never"]])
def test_timed_out(runs, more):
    runs.fake(says("busy\n"))
    start = time.monotonic()
    done = runs(TCG, "--timeout=0.7", *more)
    assert done.returncode == 124
    assert 0.7 <= time.monotonic() - start < 5


def test_timed_out_before_there_is_a_disk(runs):
    (runs.dir / "slow").write_text("#!/bin/sh\nexec sleep 1000\n")
    (runs.dir / "slow").chmod(0o755)
    done = runs(f"--dirdisk={runs.dir}/slow", TCG, "--timeout=0.5")
    assert done.returncode == 124
    assert runs.boots() == 0


def test_status_is_that_of_qemu(runs):
    for end, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)):
        runs.fake(end)
        assert runs(TCG).returncode == status


@pytest.mark.parametrize(
    "options, named",
    [
        (["--expect=("], "--expect=("),
        (["--expect="], "--expect="),
        (["--timeout=soon"], "--timeout=soon"),
        (["--timeout=1w"], "unit"),
        (["--accel=xen"], "--accel=xen"),
        (["--nonsense"], "--nonsense"),
        (["--log"], "--log"),
        (["--watch=1"], "--watch"),
        (["--log=/nowhere/log"], "/nowhere/log"),
        (["--qemu=/nowhere/qemu"], "/nowhere/qemu"),
        (["--qemu=/nowhere/qemu", TCG], "/nowhere/qemu"),
        (["--dirdisk=/nowhere/dirdisk"], "/nowhere/dirdisk"),
        (["--size=large"], "--size=large"),
        (["-o", "nonsense"], "nonsense"),
        (["--default=9.9"], "9.9"),
        (["another"], "another"),
    ],
)
def test_wrong_options(runs, options, named):
    runs.fake("exit 0")
    done = runs(*options)
    assert done.returncode == 2
    assert named in done.text.splitlines()[-1]
    assert runs.boots() == 0


def test_no_source(runs):
    runs.fake()
    done = runs(src=runs.box.root / "missing")
    assert done.returncode == 2 and "missing" in done.text
    done = runs.box.run([runs.program], check=False)
    assert done.returncode == 2 and "SRC" in done.text


def test_help_and_version(runs):
    for option, text in (("--help", "--expect"), ("-V", "dirdisk-run")):
        done = runs.box.run([runs.program, option])
        assert text in done.text
        full = open("/dev/full", "wb")
        assert subprocess.call([runs.program, option], stdout=full) == 2


# ---- what is started ----


def test_options_are_handed_on(runs):
    runs.fake('cat "$DIRDISK_PLACE/info/menu"\nls "$DIRDISK_PLACE"')
    options = ["--append=quiet word", "-o", "timeout=77,size=300M"]
    options += ["--name=a,b.img", "--console", "serial", "--default=1.0"]
    done = runs(TCG, *options)
    assert done.returncode == 0
    assert "timeout=77" in done.text
    assert "console=ttyS0,115200 quiet word" in done.text
    assert "a,b.img" in done.text.splitlines()
    (drive,) = [word for word in runs.arguments() if "file=" in word]
    assert drive.startswith("if=virtio,format=raw,werror=report,file=")
    assert drive.endswith("/a,,b.img")


def test_read_only(runs):
    """QEMU is told, and can open the disk."""
    runs.fake('for word; do case $word in *,readonly=on,file=*) exit 0;; esac\n'
              "done; exit 1")
    assert runs(TCG, "-o", "ro").returncode == 0


def test_every_option_of_dirdisk_is_taken(runs, program):
    """None is unknown, and each is given its value if it has one."""
    runs.fake("exit 0")
    text = runs.box.run([program, "--help"]).text
    names = [
        word.split()[0]
        for line in text.splitlines()
        for word in line.split("--")[1:2]
        if line.startswith("  ")
    ]
    assert len(names) > 10
    for name in names:
        option = "--" + name.partition("=")[0]
        if option in ("--help", "--version", "--timeout"):
            continue
        given = option + ("=\x01" if "=" in name else "")
        done = runs(TCG, given, "--qemu=/nowhere/qemu")
        assert done.returncode == 2
        assert "unknown option" not in done.text, option
        assert "takes no value" not in done.text, option
        assert "needs a value" not in done.text, option


def test_line_of_qemu(runs):
    runs.fake("exit 0")
    runs(TCG, "--", "-m", "2G")
    words = runs.arguments()
    assert words[:2] == ["-accel", "tcg"]
    assert words[-2:] == ["-m", "2G"]
    assert words[words.index("-serial") + 1] == "stdio"
    assert words[words.index("-display") + 1] == "none"
    assert words.index("-m") < len(words) - 2
    assert "-no-reboot" not in words
    runs("--expect=x", TCG)
    assert "-no-reboot" in runs.arguments()


@pytest.mark.parametrize(
    "given, ours",
    [
        (["-accel", "tcg"], "-accel"),
        (["--enable-kvm"], "-accel"),
        (["-machine", "q35,accel=tcg"], "-accel"),
        (["-serial", "null"], "-serial"),
        (["-nographic"], "-serial"),
    ],
)
def test_what_the_user_gives_is_not_given_twice(runs, given, ours):
    runs.fake("exit 0")
    assert runs("--", *given).returncode == 0
    words = runs.arguments()
    assert words[-len(given) :] == given
    assert ours not in words[: -len(given)]
    if ours == "-accel":
        assert "probe" not in runs.calls()


def test_verbose(runs):
    runs.fake("exit 0")
    done = runs("-v", TCG, "--", "-name", "it's")
    assert f"{runs.qemu} -accel tcg" in done.text
    assert done.text.rstrip().endswith(r"""-name 'it'\''s'""")


def test_the_place_is_private(runs):
    """Below XDG_RUNTIME_DIR, if it can be, and nobody else's."""
    runs.fake('echo "at $DIRDISK_PLACE"; stat -c %a "$DIRDISK_PLACE/.."')
    own = runs.box.dir("runtime")
    for where, used in ((own, own), ("/nowhere", runs.box.tmp)):
        done = runs(TCG, env={"XDG_RUNTIME_DIR": str(where)})
        assert f"at {used}/dirdisk." in done.text
        assert list(own.iterdir()) == []
    # Without the disk on it, for which QEMU may be asked to end.
    body = 'trap "" TERM\numount -l "$DIRDISK_PLACE"\n'
    runs.fake(body + f'stat -c %a "$DIRDISK_PLACE" >{runs.dir}/mode')
    runs(TCG)
    assert (runs.dir / "mode").read_text() == "700\n"


def test_dirdisk_of_the_environment(runs, program):
    other = runs.dir / "other"
    other.write_text(
        f'#!/bin/sh\necho used >{runs.dir}/used\nexec {program} "$@"\n'
    )
    other.chmod(0o755)
    runs.fake("exit 0")
    assert runs(TCG, env={"DIRDISK": str(other)}).returncode == 0
    assert (runs.dir / "used").exists()


# ---- the log, and standard output ----


def test_log_is_what_came(runs):
    data = bytes(range(256)) * 700 + b"\xff\0\x1b[Hno end of line"
    (runs.dir / "data").write_bytes(data)
    log = runs.box.root / "serial.log"
    log.write_text("of another time" * 100000)
    runs.fake(f"cat {runs.dir}/data")
    done = runs(TCG, f"--log={log}")
    assert log.read_bytes() == data
    assert done.log.read_bytes() == data


def test_log_that_cannot_be_written(runs):
    runs.fake(says("text\n"))
    done = runs(TCG, "--log=/dev/full")
    assert done.returncode == 2
    assert "/dev/full" in done.text


def test_a_line_without_end_takes_no_memory(runs):
    total = 40 << 20
    log = runs.box.root / "serial.log"
    runs.fake(
        f"head -c {total} /dev/zero | tr '\\0' x\nprintf found" + FOR_EVER
    )
    process = runs.start(
        TCG,
        f"--log={log}",
        "--expect=x{3}found never",
        stdout=subprocess.DEVNULL,
    )
    size = lambda: log.stat().st_size if log.exists() else 0
    wait_until(lambda: size() == total + 5, 60)
    with open(f"/proc/{runs.loop(process)}/status") as file:
        (peak,) = [line.split()[1] for line in file if "VmHWM" in line]
    assert int(peak) < 20 << 10
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    runs.assert_gone()


def test_text_across_the_pieces_of_a_long_line(runs):
    runs.fake(says("%020000d" + "needle" + "%020000d"))
    assert runs(TCG, "--expect=0needle0").returncode == 0


def test_reader_that_does_not_read(runs):
    """Time, signals and the end are seen to; nothing is waited for."""
    runs.fake("yes" + FOR_EVER)
    ends = os.pipe()
    process = runs.start(TCG, "--timeout=1.5", stdout=ends[1])
    os.close(ends[1])
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 124
    os.close(ends[0])
    runs.assert_gone()


def test_slow_reader_gets_all_of_it(runs):
    runs.fake("head -c 300000 /dev/zero")
    ends = os.pipe()
    process = runs.start(TCG, stdout=ends[1])
    os.close(ends[1])
    time.sleep(1)
    with open(ends[0], "rb") as file:
        assert len(file.read()) == 300000
    assert process.wait(20) == 0
    runs.assert_gone()


def test_standard_input_is_the_serial_line(runs):
    runs.fake("read line\necho got $line")
    ends = os.pipe()
    os.write(ends[1], b"something\n")
    done = runs(TCG, stdin=ends[0])
    os.close(ends[0])
    os.close(ends[1])
    assert "got something" in done.text


# ---- KVM ----


def test_kvm_that_hangs_is_not_used(runs):
    runs.fake("exit 0", probe="exec sleep 1000")
    start = time.monotonic()
    assert runs().returncode == 0
    assert 0.9 < time.monotonic() - start < 4
    assert runs.calls() == ["probe", "boot"]
    assert runs.arguments()[:2] == ["-accel", "tcg"]


@pytest.mark.parametrize(
    "status, chosen", [(33, "kvm"), (1, "tcg"), (0, "tcg")]
)
def test_kvm_that_answers(runs, status, chosen):
    runs.fake("exit 0", probe=f"exit {status}")
    assert runs().returncode == 0
    assert runs.calls() == ["probe", "boot"]
    assert runs.arguments()[:2] == ["-accel", chosen]


def test_probe_is_a_boot_sector(runs):
    """QEMU's translator runs it, in whatever time that takes."""
    runs.fake(
        "exit 0",
        probe=f'echo "$*" >{runs.dir}/line\n'
        f'cp "${{*##*file=}}" {runs.dir}/sector\nexit 33',
    )
    assert runs().returncode == 0
    sector = runs.dir / "sector"
    assert sector.stat().st_size == 512
    line = (runs.dir / "line").read_text().split()
    line[-1] = f"format=raw,file={sector}"
    line[line.index("kvm")] = "tcg"
    done = runs.box.run(["qemu-system-x86_64", *line], check=False, timeout=60)
    assert done.returncode == 33, done.text


@pytest.mark.parametrize("how", ["kvm", "tcg"])
def test_accelerator_is_as_given(runs, how):
    runs.fake("exit 0", probe="exit 33")
    assert runs(f"--accel={how}").returncode == 0
    assert runs.calls() == ["boot"]
    assert runs.arguments()[:2] == ["-accel", how]


# ---- who ----


def test_ordinary_user(runs):
    runs.fake(f'id -u; head -c 512 "$DIRDISK_PLACE/disk.img" | wc -c; exit 9')
    done = runs(user=NOBODY)
    assert done.returncode == 9
    assert done.text.split()[-2:] == [str(NOBODY), "512"]
