"""Draws measured groups as SVG: bars of time, on one logarithmic scale."""

import math
from collections.abc import Sequence
from html import escape

from avatarwire.bench.measuring import COPY, Group

__all__ = ["bars", "micros"]

_OURS, _OTHER, _BOUND = "#1f6feb", "#9aa4b2", "#d29922"
_ROW, _NAMES, _BARS, _LABELS = 20, 200, 440, 170


def micros(seconds: float) -> str:
    """Return a time in microseconds, in four digits or fewer where they do not mislead."""
    value = seconds * 1e6
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def bars(groups: Sequence[Group], *, title: str, subtitle: str) -> str:
    """Return a picture of all groups."""
    drawn = [group for group in groups if group.lines]
    times = [line.seconds for group in drawn for line in group.lines]
    times += [group.copy_s for group in drawn]
    low = 10 ** math.floor(math.log10(min(times, default=1e-7)))
    high = 10 ** math.ceil(math.log10(max(times, default=1e-6)))
    parts, y = [], 56
    for group in drawn:
        parts.append(_text(0, y + 14, group.workload.title, "font-weight='bold'"))
        y += _ROW + 4
        rows = [(line.name, line.seconds, line.ratio, line.is_bound) for line in group.lines]
        ours_s = group.lines[0].seconds
        rows.append((COPY, group.copy_s, group.copy_s / ours_s, True))
        for at, (name, seconds, ratio, is_bound) in enumerate(rows):
            colour = _BOUND if is_bound else _OTHER if at else _OURS
            width = _BARS * math.log(seconds / low) / math.log(high / low)
            parts += [
                _text(_NAMES - 8, y + 14, name, "text-anchor='end'"),
                _bar(y + 3, max(1, width), colour),
                _text(_NAMES + width + 6, y + 14, f"{micros(seconds)} µs  ({ratio:.3g}x)"),
            ]
            y += _ROW
        y += 12
    width = _NAMES + _BARS + _LABELS
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{y + 8}' "
        f"viewBox='-8 0 {width + 8} {y + 8}' font-family='sans-serif' font-size='12'>"
        f"<rect x='-8' width='{width + 8}' height='{y + 8}' fill='#fff'/>"
    )
    top = [
        _text(0, 20, f"{title} (shorter is better, logarithmic)", "font-size='15'"),
        _text(0, 40, subtitle, "fill='#57606a'"),
    ]
    return "\n".join([head, *top, *parts, "</svg>"]) + "\n"


def _bar(y: float, width: float, colour: str) -> str:
    return f"<rect x='{_NAMES}' y='{y}' width='{width:.1f}' height='14' fill='{colour}'/>"


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {more}>{escape(words)}</text>"
