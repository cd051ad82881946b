# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Plots as SVG, without a library: what a reader of the results looks at first."""
import math
from html import escape

from rows import quartiles

STYLE = ("<style>text{font:12px sans-serif;fill:#333}.t{font-weight:bold;font-size:14px}"
         "@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>")
GOOD, BAD, PLAIN = "#2a9d5c", "#d1495b", "#4573a8"
LINE, LEFT, WIDTH, RIGHT = 22, 480, 380, 70


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def image(height, parts):
    width = LEFT + WIDTH + RIGHT
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">{STYLE}\n' + "\n".join(parts) + "\n</svg>\n")


def targets(results, title):
    """Each row that has a target: how far from it, on a scale where left of 1 is good."""
    results = [one for one in results if one.row.target]

    def share(one, value):
        value = max(value, 1e-9)
        return value / one.row.target if one.row.at_most else one.row.target / value

    def place(value):
        return LEFT + WIDTH * (math.log10(min(max(value, 0.1), 10)) + 1) / 2

    bottom = 40 + LINE * len(results)
    parts = [text(8, 20, title, 'class="t"')]
    for mark in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        parts.append(f'<line x1="{place(mark):.1f}" x2="{place(mark):.1f}" y1="32" y2="{bottom}" '
                     f'stroke="{"#888" if mark == 1 else "#8884"}"/>')
        parts.append(text(place(mark), bottom + 15, f"{mark:g}", 'text-anchor="middle"'))
    for index, one in enumerate(results):
        y = 48 + LINE * index
        shares = sorted(share(one, value) for value in quartiles(one.values))
        colour = BAD if one.wrong or shares[1] > 1 else GOOD
        parts += [
            text(8, y + 4, f"{one.row.number} {one.row.name}"[:76]),
            f'<line x1="{place(shares[0]):.1f}" x2="{place(shares[2]):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="3"/>',
            f'<circle cx="{place(shares[1]):.1f}" cy="{y}" r="5" fill="{colour}"/>',
        ]
    parts.append(text(LEFT, bottom + 32, "share of the target: left of 1 it is met; ends at 0.1 and 10"))
    return image(bottom + 42, parts)


def bars(named, title, unit):
    """named: name -> values; a bar to the median, with the quartiles on it."""
    top = max(quartiles(values)[2] for values in named.values())
    parts = [text(8, 20, title, 'class="t"')]
    for index, (name, values) in enumerate(named.items()):
        y = 34 + LINE * index
        low, middle, high = (WIDTH * value / top for value in quartiles(values))
        parts += [
            text(8, y + 13, name),
            f'<rect x="{LEFT}" y="{y}" width="{middle:.1f}" height="16" fill="{PLAIN}"/>',
            f'<line x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{y + 8}" y2="{y + 8}" '
            'stroke="#888" stroke-width="2"/>',
            text(LEFT + high + 6, y + 13, f"{quartiles(values)[1]:.3g} {unit}"),
        ]
    return image(44 + LINE * len(named), parts)
