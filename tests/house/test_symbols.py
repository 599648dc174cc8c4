# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of a layer define and use, as nm reads it."""

import os
import pathlib
import re
import subprocess

import layers
import pytest
import sources


def nm(path, *options):
    """{object: the symbols that nm lists of it} of an archive or an object."""
    argv = ["nm", "--format=posix", *options, str(path)]
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


@pytest.mark.parametrize("variable", ["DIRDISK_CHECK", "DIRDISK_RUN"])
def test_without_libfuse(variable):
    """Only dirdisk itself needs it."""
    assert "libfuse" in libraries(os.environ["DIRDISK"])
    assert "libfuse" not in libraries(os.environ[variable])


def libraries(program):
    """What it names, and what that needs in turn."""
    text = ""
    for argv in (["readelf", "-d", program], ["ldd", program]):
        text += subprocess.run(
            argv, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    assert "libc.so" in text
    return text


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


def test_headers_declare_what_their_file_defines():
    found = {}
    for path in ARCHIVES:
        if "imgcore" in pathlib.Path(path).parts:
            layer = pathlib.Path(path).stem.removeprefix("lib")
            found[layer] = nm(path, "--defined-only")
    assert found.keys() == layers.RANK.keys() - {"fs", "tools"}
    assert layers.misplaced(sources.ROOT, found) == []


def test_misplaced_declaration_is_found(tmp_path):
    boot = tmp_path / "imgcore/boot"
    public = tmp_path / "imgcore/include/imgcore"
    boot.mkdir(parents=True)
    public.mkdir(parents=True)
    (boot / "one.h").write_text(
        "/* int no(void); */\n"
        "#define NEVER \\\n\tnone(1)\n"
        "struct one {\n\tint (*call)(int);\n\tstruct {\n\t\tint a;\n"
        "\t} inner;\n};\n"
        "MAKE(struct one, free)\n"
        "static inline int no(void)\n{\n\tif (1) {\n\t}\n\treturn f();\n}\n"
        "typedef int visit(int);\n"
        "int own(int (*call)(void))\n"
        "\t__attribute__((format(printf, 1, 2)));\n"
        "struct one *other(\n\tint a);\n"
        "extern const struct one rows[2];\n")
    (public / "boot.h").write_text("int boot_a(void);\nint boot_b(void);\n")
    objects = {"one.c.o": {"own"}, "two.c.o": {"other", "rows", "boot_a"}}
    assert layers.misplaced(tmp_path, {"boot": objects}) == [
        "imgcore/boot/one.h: other",
        "imgcore/boot/one.h: rows",
        "imgcore/include/imgcore/boot.h: boot_b",
    ]


# libparted calls popen, and finds this one instead of libc's.
REPLACED = {"popen"}
TYPE = re.compile(r"\b(?:struct|enum|union)\s+(\w+)\s*[;{]")


def prefixes(symbol, layer, source, headers):
    """What a global symbol may begin with: its layer, its file, and the
    header that declares it or a type that this header is about."""
    names = {layer, source}
    stems = {header.stem.removesuffix("-internal") for header in headers}
    for header in headers:
        text = header.read_text(encoding="utf-8")
        if re.search(rf"\b{symbol}\s*[(;[]", text):
            names.add(header.stem.removesuffix("-internal"))
            names.update(set(TYPE.findall(text)) - stems)
    return names


def unprefixed(path, layer, headers):
    """The global symbols of an archive that begin with none of these."""
    return sorted(
        f"{name}: {symbol}"
        for name, symbols in nm(path, "--defined-only", "--extern-only").items()
        for symbol in symbols - REPLACED
        if not any(
            re.match(rf"{prefix.removesuffix('s')}s?(_|$)", symbol)
            for prefix in prefixes(symbol, layer, name.split(".")[0], headers)
        )
    )


@pytest.mark.parametrize(
    "path",
    [path for path in map(pathlib.Path, ARCHIVES) if "imgcore" in path.parts],
    ids=lambda path: path.stem,
)
def test_prefixes(path):
    """A global symbol says which concept of the library it is of."""
    public = sources.ROOT / "imgcore/include/imgcore"
    headers = [
        header
        for header in [*(public.parents[1] / path.parent.name).glob("*.h"),
                       *public.glob("*.h")]
        if layers.layer_of(header.relative_to(sources.ROOT))
        == path.parent.name
    ]
    assert unprefixed(path, path.parent.name, headers) == []


def test_replaced():
    """The program exports what replaces a function of libc's."""
    assert nm(os.environ["DIRDISK"], "--dynamic", "--defined-only")[
        "dirdisk"
    ] >= REPLACED


def test_prefix_is_missed(tmp_path):
    header = tmp_path / "sizes.h"
    header.write_text(
        "struct unit;\nstruct diag { int n; };\nextern int size_max;\n"
        "int unit_get(void);\nint diag_get(void);\nint get_size(void);\n"
    )
    (tmp_path / "diag.h").write_text("")
    source = tmp_path / "measure.c"
    source.write_text(
        '#include "sizes.h"\nint size_max, measure, base_max, unit_max;\n'
        "int unit_get(void) { return 0; }\n"
        "int diag_get(void) { return 0; }\n"
        "int get_size(void) { return 0; }\n"
        "int measurement(void) { return 0; }\n"
        "int popen(void) { return 0; }\n"
    )
    out = tmp_path / "measure.o"
    subprocess.check_call(
        ["cc", "-fno-builtin", "-c", "-o", out, source]
    )
    found = unprefixed(out, "base", [header, tmp_path / "diag.h"])
    assert found == [
        f"measure.o: {name}"
        for name in ("diag_get", "get_size", "measurement", "unit_max")
    ]
