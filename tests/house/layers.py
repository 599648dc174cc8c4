# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file may include which: base < tree < archive, boot, ext2 < image
< live < options < fs < tools. A layer includes itself and what stands to its
left, no neighbour."""
import re

RANK = {"base": 0, "tree": 1, "archive": 2, "boot": 2, "ext2": 2, "image": 3,
        "live": 4, "options": 5, "fs": 6, "tools": 7}
# A public header belongs to the layer of its name, but for these.
PUBLIC = {"diag": "base", "opener": "tree", "paths": "tree", "target": "boot",
          "overlay": "image", "overlay_budget": "image", "map": "image",
          "volume": "tree", "owners": "tree", "source": "tree",
          "option_row": "options", "command_line": "options"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def layer_of(path):
    """The layer of a source, by its path in the tree; None: of no layer."""
    if path.parts[:3] == ("imgcore", "include", "imgcore"):
        name = PUBLIC.get(path.stem, path.stem)
    else:
        name = path.parts[1 if path.parts[0] == "imgcore" else 0]
    return name if name in RANK else None


def resolve(root, source, quote, name):
    """The header that an include names, by its path in the tree, or None."""
    own = (source.parent,) if quote == '"' else ()
    for base in (*own, root, root / "imgcore", root / "imgcore/include"):
        if (base / name).is_file():
            return (base / name).resolve().relative_to(root.resolve())
    return None


def fault(root, source, quote, name):
    """What is wrong with one include, or None."""
    header = resolve(root, source, quote, name)
    if header is None:
        return "there is no such header" if quote == '"' else None
    above, below = layer_of(source.relative_to(root)), layer_of(header)
    if above is None or below is None:
        return "one of them is of no layer"
    if above != below and RANK[below] >= RANK[above]:
        return f"{above} may not include {below}"
    return None


def check(root):
    """Every fault in the tree: "FILE: HEADER: reason"."""
    faults = []
    for top in ("imgcore", "fs", "tools"):
        for source in sorted((root / top).rglob("*.[ch]")):
            text = source.read_text(encoding="utf-8")
            for quote, name in INCLUDE.findall(text):
                why = fault(root, source, quote, name)
                if why:
                    where = source.relative_to(root)
                    faults.append(f"{where}: {name}: {why}")
    return faults


def concept(path):
    """A source and the headers of its name: boot/grub.c, boot/grub.h."""
    name = path.with_suffix("")
    return name.with_name(name.name.removesuffix("-internal"))


def includes(root):
    """{concept: the concepts that it includes} of the whole tree."""
    graph = {}
    for top in ("imgcore", "fs", "tools"):
        for source in sorted((root / top).rglob("*.[ch]")):
            used = graph.setdefault(concept(source.relative_to(root)), set())
            text = source.read_text(encoding="utf-8")
            for quote, name in INCLUDE.findall(text):
                header = resolve(root, source, quote, name)
                if header is not None:
                    used.add(concept(header))
    return {name: used - {name} for name, used in graph.items()}


def circles(graph):
    """The names that lead back to themselves."""
    left = dict(graph)
    while True:
        ends = {name for name, used in left.items() if not used & left.keys()}
        if not ends:
            break
        left = {name: used for name, used in left.items() if name not in ends}
    # What only leads to a circle is none.
    while True:
        used = set().union(*left.values()) if left else set()
        inside = {name: left[name] for name in left if name in used}
        if len(inside) == len(left):
            return sorted(map(str, left))
        left = inside


COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DIRECTIVE = re.compile(r"^\s*#(?:.*\\\n)*.*$", re.MULTILINE)
MACRO = re.compile(r"^[A-Z_]+\(.*\)$", re.MULTILINE)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)(?=\s*;)", re.DOTALL)
DECLARED = re.compile(r"(\w+)\s*[([]")


def declared(text):
    """The functions and variables that a header declares."""
    for pattern in (COMMENT, DIRECTIVE, MACRO, ATTRIBUTE):
        text = pattern.sub("", text)
    while "{" in text:  # bodies, from the innermost
        text = re.sub(r"\{[^{}]*\}", "@", text)
    names = set()
    for statement in re.split(r"[;@]", text):
        words = statement.split()
        found = DECLARED.search(statement)
        if found and words[0] not in ("static", "typedef"):
            names.add(found.group(1))
    return names - {"static_assert"}


def misplaced(root, archives):
    """ "HEADER: name" of what is declared for another file. archives: {layer:
    {object: the symbols that it defines}}."""
    faults = []
    for header in sorted((root / "imgcore").rglob("*.h")):
        path = header.relative_to(root)
        objects = archives.get(layer_of(path)) if layer_of(path) else None
        if objects is None:
            continue
        # A public header's concept may be several files of its layer.
        own = ({s for symbols in objects.values() for s in symbols}
               if path.parts[1] == "include"
               else objects.get(concept(path).name + ".c.o", set()))
        names = declared(header.read_text(encoding="utf-8")) - own
        faults += [f"{path}: {name}" for name in sorted(names)]
    return faults
