# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines over two logarithmic axes, as SVG."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 560, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 40, 56
# Told apart by everybody, in print too: the dashes differ as well.
STYLES = [("#0072b2", ""), ("#d55e00", "7 4"), ("#009e73", "2 3")]
PREFIXES = {1e9: "G", 1e6: "M", 1e3: "k", 1: "", 1e-3: "m"}


def short(value):
    """10000 as 10k, 0.02 as 20m."""
    for factor, prefix in PREFIXES.items():
        if value >= factor * 0.999:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.1g}"


class Axis:
    """From values to places; its ends are powers of ten, or 2 and 5 of them."""

    def __init__(self, values, begin, end):
        ticks = [
            digit * 10.0**power
            for power in range(-4, 13)
            for digit in (1, 2, 5)
        ]
        low = max(tick for tick in ticks if tick <= min(values))
        high = min(tick for tick in ticks if tick >= max(values))
        self.ticks = [tick for tick in ticks if low <= tick <= high]
        self.low, self.high = math.log(low), math.log(high)
        self.begin, self.end = begin, end

    def place(self, value):
        share = (math.log(value) - self.low) / (self.high - self.low or 1)
        return self.begin + share * (self.end - self.begin)


def _text(x, y, text, anchor="middle", more=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
        f"{escape(text)}</text>"
    )


def _grid(x_axis, y_axis):
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" class="grid"/>'
        yield _text(x, HEIGHT - BOTTOM + 16, short(tick))
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="grid"/>'
        yield _text(LEFT - 6, y + 4, short(tick), "end")


def _line(number, name, points, axes):
    colour, dashes = STYLES[number % len(STYLES)]
    places = [(axes[0].place(x), axes[1].place(y)) for x, y in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield (
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"'
        f' stroke-dasharray="{dashes or "none"}"/>'
    )
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    # By the number: ends of lines may lie upon each other.
    x, y = WIDTH - RIGHT + 12, TOP + 14 + 20 * number
    yield (
        f'<path d="M{x} {y}h24" stroke="{colour}" stroke-width="2"'
        f' stroke-dasharray="{dashes or "none"}"/>'
    )
    yield _text(x + 30, y + 4, name, "start")


def _panel(title, x_name, y_name, lines):
    """lines: {name: [(x, y), ...]}."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    axes = Axis(xs, LEFT, WIDTH - RIGHT), Axis(ys, HEIGHT - BOTTOM, TOP)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield _text(LEFT, TOP - 16, title, "start", ' font-weight="bold"')
    yield from _grid(*axes)
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, x_name)
    turn = f' transform="rotate(-90 20 {middle:.1f})"'
    yield _text(20, middle, y_name, "middle", turn)
    for number, (name, points) in enumerate(lines.items()):
        yield from _line(number, name, points, axes)


def write(path, panels):
    """panels: [(title, name of x, name of y, lines), ...], side by side."""
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif"'
        f' font-size="12" viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}">',
        "<style>.grid { stroke: #ccc; fill: none }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        out.append(f'<g transform="translate({WIDTH * number} 0)">')
        out.extend(_panel(*panel))
        out.append("</g>")
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="ascii")
