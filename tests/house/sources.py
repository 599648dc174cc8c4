# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the project, and what each kind of file owes it."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP = {"fs", "imgcore", "tests", "tools", "meson.build", "README.md",
       "LICENSE", "meson_options.txt"}
SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"


def files(root):
    """Every file of the project; caches and build directories are none."""
    for top in sorted(TOP | {".ci"}):
        for path in [root / top, *sorted((root / top).rglob("*"))]:
            hidden = any(part in ("__pycache__", ".pytest_cache")
                         for part in path.parts)
            if path.is_file() and not hidden:
                yield path


def first_lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline(), file.readline()


def is_script(path):
    return first_lines(path)[0].startswith("#!")


def is_shell(path):
    return path.suffix == ".sh" or (
        is_script(path) and "sh" in first_lines(path)[0].split("/")[-1])


def is_source(path):
    return (path.suffix in (".c", ".h", ".py", ".sh", ".1")
            or path.name in ("meson.build", "packages") or is_script(path))


def c_files(root):
    return [path for path in files(root) if path.suffix in (".c", ".h")]


def without_spdx(root):
    """Sources whose first line (the next, in a script) is not the licence."""
    return [str(path.relative_to(root)) for path in files(root)
            if is_source(path) and path.stat().st_size
            and SPDX not in first_lines(path)[is_script(path)]]


def strangers(root):
    """What the top level has beyond, and lacks of, what it should have."""
    found = {path.name for path in root.iterdir()
             if not path.name.startswith((".", "build"))}
    return sorted(found ^ TOP)


def clang_format(paths, root):
    return subprocess.run(
        ["clang-format", "--dry-run", "-Werror",
         f"--style=file:{root / '.clang-format'}", *paths],
        stderr=subprocess.PIPE, text=True, check=False)


def shellcheck(paths):
    return subprocess.run(["shellcheck", "-x", *paths], text=True,
                          stdout=subprocess.PIPE, check=False)
