"""A picture of a simulated day: songs that arrive, songs that wait, and tasks that run (SVG)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handlers.bench.scaling import DAY, Outcome

WIDTH, BAND, GAP, LEFT, TOP = 1000, 130, 46, 60, 70
_INK, _QUIET, _COLOURS = "#1f2328", "#8c959f", ("#0969da", "#cf222e", "#1a7f37")
_MINUTES_SHOWN = 10


def draw(outcome: Outcome, title: str, path: Path) -> None:
    """Three bands under each other, over the hours of the day."""
    moments = [m for m in outcome.moments if m.second < DAY]
    arrived = _gathered([m.arrived for m in moments])
    bands = [
        (f"songs that arrive in {_MINUTES_SHOWN} minutes", arrived),
        ("songs that wait", [m.waiting for m in moments]),
        ("tasks that run", [m.tasks for m in moments]),
    ]
    height = TOP + len(bands) * (BAND + GAP) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 28, title, _INK, weight=600, size=16),
        _text(LEFT, 48, _told(outcome), _QUIET),
    ]
    for number, ((name, values), colour) in enumerate(zip(bands, _COLOURS, strict=True)):
        parts += _band(name, values, TOP + number * (BAND + GAP) + 20, colour)
    parts += [
        _text(_across(hour / 24), height - 12, f"{hour}:00", _QUIET, anchor="middle")
        for hour in range(0, 25, 4)
    ]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _told(outcome: Outcome) -> str:
    return (
        f"half of the songs wait {outcome.wait(0.5)} s or less, 95 % {outcome.wait(0.95)} s or "
        f"less, the longest {outcome.waits[-1]} s; {outcome.paid / 3600:,.1f} task hours, "
        f"{outcome.busy:.0%} of them busy"
    )


def _band(name: str, values: Sequence[int], top: float, colour: str) -> list[str]:
    most = max(*values, 1)
    bottom = top + BAND
    points = [(_across(n / len(values)), bottom - BAND * v / most) for n, v in enumerate(values)]
    # Steps, not slopes: a task is there or it is not.
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in _stepped(points))
    area = f"{LEFT},{bottom} {line} {WIDTH - 20},{bottom}"
    return [
        f'<polygon points="{area}" fill="{colour}" opacity="0.12"/>',
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>',
        f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - 20}" y2="{bottom}" stroke="{_QUIET}"/>',
        _text(LEFT, top - 8, name, colour, weight=600),
        _text(LEFT - 8, top + 10, f"{most:,}", _QUIET, anchor="end"),
        _text(LEFT - 8, bottom, "0", _QUIET, anchor="end"),
    ]


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = [points[0]]
    for x, y in points[1:]:
        found += [(x, found[-1][1]), (x, y)]
    return [*found, (WIDTH - 20.0, found[-1][1])]


def _gathered(values: Sequence[int]) -> list[int]:
    step = _MINUTES_SHOWN
    return [sum(values[start : start + step]) for start in range(0, len(values), step)]


def _across(share: float) -> float:
    return LEFT + share * (WIDTH - 20 - LEFT)


def _text(
    x: float, y: float, text: str, colour: str, *, weight: int = 400, size: int = 13,
    anchor: str = "start",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" font-weight="{weight}" '
        f'font-size="{size}" text-anchor="{anchor}">{text}</text>'
    )
