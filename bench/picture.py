# SPDX-License-Identifier: MIT
"""Bar charts as SVG, written by hand: rows of bars on a logarithmic scale, with words beside.

Two kinds: how far each figure is from its bar, and the times of many contestants case by case.
Colours are told apart in greyscale too, and what a bar says stands beside it in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

OURS, THEIRS, SHORT, INK, FAINT = "#1b6ca8", "#a9b8c4", "#c2410c", "#1f2933", "#d9e0e6"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    words: str
    colour: str


class Drawing:
    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height = width, height
        self.parts = [
            "<?xml version='1.0' encoding='UTF-8'?>",
            "<!-- SPDX-License-Identifier: MIT. Written by bench/report.py. -->",
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
            f"viewBox='0 0 {width} {height}' role='img'>",
            f"<title>{escape(title)}</title>",
            f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        ]

    def rect(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.parts.append(
            f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 1):.1f}' height='{height:.1f}' "
            f"fill='{colour}'/>"
        )

    def line(self, x: float, y: float, to_y: float, colour: str, dash: str = "") -> None:
        dashes = f" stroke-dasharray='{dash}'" if dash else ""
        self.parts.append(
            f"<line x1='{x:.1f}' y1='{y:.1f}' x2='{x:.1f}' y2='{to_y:.1f}' "
            f"stroke='{colour}'{dashes}/>"
        )

    def text(
        self, x: float, y: float, words: str, size: int = 12, anchor: str = "start", bold: int = 0
    ) -> None:
        weight = " font-weight='bold'" if bold else ""
        self.parts.append(
            f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' "
            f"fill='{INK}' {FONT}{weight}>{escape(words)}</text>"
        )

    def finish(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def scale(values: Sequence[float], width: float, around: float | None = None):
    """A function from a value to a length, logarithmic, and the powers of ten in its range."""
    positive = [v for v in values if v > 0] + ([around] if around else [])
    low = 10 ** math.floor(math.log10(min(positive)) - 0.01)
    high = 10 ** math.ceil(math.log10(max(positive)) + 0.01)
    span = math.log10(high / low)

    def length(value: float) -> float:
        return width * math.log10(max(value, low) / low) / span

    steps = [low * 10**i for i in range(round(span) + 1)]
    return length, steps


def against_bars(title: str, bars: Sequence[Bar], note: str) -> str:
    """Each bar's value is how many times better than its target; the line is the target."""
    label_width, bar_width, words_width, row, top = 410, 260, 410, 22, 70
    height = top + row * len(bars) + 24
    drawing = Drawing(label_width + bar_width + words_width, height, title)
    drawing.text(16, 26, title, 16, bold=1)
    drawing.text(16, 46, note, 11)
    length, steps = scale([bar.value for bar in bars], bar_width, 1.0)
    bottom = top + row * len(bars)
    for step in steps:
        drawing.line(label_width + length(step), top, bottom, FAINT)
    for i, bar in enumerate(bars):
        y = top + i * row
        drawing.text(label_width - 8, y + 15, bar.label, 11, "end")
        start, end = sorted((length(1.0), length(bar.value)))
        drawing.rect(label_width + start, y + 4, end - start, row - 8, bar.colour)
        drawing.text(label_width + bar_width + 10, y + 15, bar.words, 11)
    drawing.line(label_width + length(1.0), top - 6, bottom + 4, INK, "4 3")
    drawing.text(label_width + length(1.0), top - 10, "target", 10, "middle")
    return drawing.finish()


def panels(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], note: str) -> str:
    """One small chart for each group, two side by side; each has a scale of its own."""
    width, label_width, row, head = 500, 100, 17, 40
    columns = 2
    pairs = [groups[i : i + columns] for i in range(0, len(groups), columns)]
    heights = [head + row * max(len(bars) for _, bars in pair) + 12 for pair in pairs]
    drawing = Drawing(width * columns + 32, 70 + sum(heights), title)
    drawing.text(16, 26, title, 16, bold=1)
    drawing.text(16, 46, note, 11)
    y = 64
    for pair, height in zip(pairs, heights):
        for column, (name, bars) in enumerate(pair):
            x = 16 + column * width
            drawing.text(x, y + 22, name, 12, bold=1)
            if not bars:
                continue
            length, steps = scale([bar.value for bar in bars], width - label_width - 130)
            end = y + head + row * len(bars)
            for step in steps:
                drawing.line(x + label_width + length(step), y + head - 6, end, FAINT)
            for i, bar in enumerate(bars):
                at = y + head + i * row
                drawing.text(x + label_width - 8, at + 11, bar.label, 11, "end")
                drawing.rect(x + label_width, at + 1, length(bar.value), row - 4, bar.colour)
                drawing.text(x + label_width + length(bar.value) + 6, at + 11, bar.words, 10)
        y += height
    return drawing.finish()
