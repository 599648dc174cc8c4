# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in turns, medians, ratios, and how they are shown."""

from collections import namedtuple
from statistics import median

WIDTH = 34

# seconds: by the clock; cpu: of the processor; stored: bytes, None: not shown.
Run = namedtuple("Run", "seconds cpu stored", defaults=[None])


def turns(contestants, runs):
    """{name: [Run, ...]} of functions that give one, by turns: A B A B.

    One turn of each goes before and does not count: it warms the caches.
    """
    found = {name: [] for name in contestants}
    for turn in range(runs + 1):
        for name, function in contestants.items():
            run = function()
            if turn:
                found[name].append(run)
    return found


def ratio(runs, others, what="seconds"):
    """The median of what neighbours in time are to each other."""
    return median(
        getattr(run, what) / getattr(other, what)
        for run, other in zip(runs, others)
    )


def amount(n):
    for unit in ("B", "KiB", "MiB"):
        if n < 1024 or unit == "MiB":
            return f"{n:.0f} {unit}"
        n /= 1024


def title(text):
    print(f"\n{text}")


def line(name, *columns):
    print(
        f"  {name:{WIDTH}}" + "".join(f"{word:>10}" for word in columns),
        flush=True,
    )


def show(found, reference):
    """A line for each contestant; ratios are to the reference."""
    line("", "ms", "min", "max", "ratio", "cpu ms", "ratio", "stored")
    for name, runs in found.items():
        seconds = [run.seconds * 1000 for run in runs]
        stored = runs[-1].stored
        line(
            name,
            f"{median(seconds):.1f}",
            f"{min(seconds):.1f}",
            f"{max(seconds):.1f}",
            f"{ratio(runs, found[reference]):.3f}",
            f"{median(run.cpu for run in runs) * 1000:.1f}",
            f"{ratio(runs, found[reference], 'cpu'):.3f}",
            "" if stored is None else amount(stored),
        )


def note(text):
    print(f"  ({text})", flush=True)


def goal(text, held):
    print(f"  goal: {text}: {'held' if held else 'MISSED'}", flush=True)
    return held
