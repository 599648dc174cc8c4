# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of a layer define and use, as nm reads it."""

import os
import pathlib
import subprocess

import layers
import pytest


def nm(path, option):
    """{object: the symbols that nm lists of it} of an archive or an object."""
    argv = ["nm", "--format=posix", option, str(path)]
    text = subprocess.run(
        argv, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    found = {}
    name = pathlib.Path(path).name
    for line in text.splitlines():
        if line.endswith(":"):  # ARCHIVE[OBJECT]:
            name = line.rpartition("/")[2].rstrip("]:")
        elif line:
            found.setdefault(name, set()).add(line.split()[0])
    return found


def uses(paths):
    """{object: the objects of the same paths whose symbols it uses}."""
    defined = {}
    used = {}
    for path in paths:
        for name, symbols in nm(path, "--extern-only").items():
            used.setdefault(name, set()).update(symbols)
        for name, symbols in nm(path, "--defined-only").items():
            defined.update({symbol: name for symbol in symbols})
    return {
        name: {defined[s] for s in symbols if s in defined} - {name}
        for name, symbols in used.items()
    }


ARCHIVES = os.environ["ARCHIVES"].split(os.pathsep)


@pytest.mark.parametrize(
    "path", ARCHIVES, ids=[pathlib.Path(path).stem for path in ARCHIVES]
)
def test_no_circle(path):
    """No two files of a layer need each other."""
    assert len(uses([path])) > 1
    assert layers.circles(uses([path])) == []


def test_circle_is_found(tmp_path):
    objects = []
    for name, text in (
        ("first", "int second(void); int first(void) { return second(); }"),
        ("second", "int first(void); int second(void) { return first(); }"),
        ("user", "int first(void); int user(void) { return first(); }"),
    ):
        source = tmp_path / f"{name}.c"
        source.write_text(text)
        objects.append(tmp_path / f"{name}.o")
        subprocess.check_call(["cc", "-c", "-o", objects[-1], source])
    assert layers.circles(uses(objects)) == ["first.o", "second.o"]
    assert layers.circles(uses(objects[1:])) == []
