"""How a number went, as a small line."""

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from edge.console.texts import Texts

WIDTH, HEIGHT = 100, 20  # of the box in which the line is
POINTS_MAX = 120


@dataclass(frozen=True)
class Course:
    """A line. points: of an SVG polyline in a box of WIDTH by HEIGHT; low, high: of its values, for people."""

    points: str
    low: str
    high: str


def course(times: Sequence[float], values: Sequence[float], span: float, unit: str) -> Course | None:
    """How values went; None where there are fewer than two. span: differences that are smaller do not fill the box."""
    if len(times) < 2:
        return None
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max(high - low, span) / 2
    step = -(-len(times) // POINTS_MAX)
    points = [
        f"{WIDTH * (at - times[0]) / max(1e-9, times[-1] - times[0]):.1f},"
        f"{HEIGHT / 2 - (HEIGHT / 2 - 1) * (value - middle) / half:.1f}"
        for at, value in list(zip(times, values, strict=True))[::-step][::-1]
    ]
    return Course(" ".join(points), number(low, unit), number(high, unit))


def draw_course(text: Texts, label: str, course: Course) -> None:
    """Draw it; a screen reader says between what it was."""
    line = f'<polyline fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" points="{course.points}"/>'
    shape = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" width="100%" height="20"'
    with ui.element("div").classes("limen-course text-primary").props("role=img") as box:
        box.props["aria-label"] = text("course", what=label, low=course.low, high=course.high)
        ui.html(f"<svg {shape}>{line}</svg>", sanitize=False)


def number(value: float | None, unit: str = "") -> str:
    """A number for people; nothing where it is not known."""
    if value is None:
        return ""
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 100 else f"{value:.1f} {unit}".strip()
