"""Every camera of the broker: what it is, how it is, what it sees."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import ui

from edge.console.camera import Camera
from edge.console.cards import Act, Cards
from edge.console.course import Course, course, draw_course, number
from edge.console.dialogs import answer as shown
from edge.console.dialogs import box
from edge.console.texts import Texts
from edge.console.view import View, status_badge

FPS_SPAN, TEMPERATURE_SPAN, DISK_SPAN = 5.0, 20.0, 500.0  # smaller differences are drawn smaller
SIDES = ("left", "top", "width", "height")  # of a privacy zone


@dataclass(frozen=True)
class Row:
    """One thing that is said of a camera, and how it went."""

    label: str
    value: str
    course: Course | None = None


@dataclass(frozen=True)
class State:
    """What is said of one camera."""

    device: str
    online: bool
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def draw(view: View) -> None:
    """The page."""
    cards = Cards(partial(draw_state, view.text))

    def show() -> None:
        cameras = view.household.cameras()
        cards.show({camera.device: (state(view.text, camera), acts(view, camera.device)) for camera in cameras})

    show()
    view.each_change(show)


def acts(view: View, device: str) -> dict[str, Act]:
    """What can be done with one camera."""

    async def look() -> None:
        async def ask() -> None:
            seen = await view.household.answer(device, "snapshot/get")
            with box(device) as dialog:
                draw_snapshot(view.text, device, seen)
            await shown(dialog)

        await view.attempt(ask())

    return {"look": Act(view.text("snapshot"), look)}


def draw_snapshot(text: Texts, device: str, seen: dict[str, Any]) -> None:
    """What a camera sees, and where it is kept from seeing."""
    zones = seen.get("privacy_zones", [])  # which a camera of an earlier release does not tell
    with ui.element("div").classes("limen-snapshot"):
        picture = ui.element("img")
        picture.props["src"], picture.props["alt"] = f"data:image/jpeg;base64,{seen['image']}", device
        for zone in zones:
            place = (f"{side}: {100 * float(share):.2f}%" for side, share in zip(SIDES, zone, strict=True))
            ui.element("div").classes("limen-zone").style("; ".join(place)).props('aria-hidden="true"')
    if zones:
        ui.label(text("one_zone") if len(zones) == 1 else text("zones", count=len(zones))).classes("limen-soft")


def state(text: Texts, camera: Camera) -> State:
    """What is known of a camera."""
    health = camera.health
    rows = [Row(text("version"), camera.about.version), Row(text("model"), camera.about.embedder.name)]
    if health is not None:
        rows += [
            Row(text("frames"), number(health.fps), went(camera, "fps", FPS_SPAN)),
            Row(text("memory"), number(health.rss_mb, "MB")),
            Row(text("temperature"), number(health.temp_c, "°C"), went(camera, "temp_c", TEMPERATURE_SPAN, "°C")),
            Row(text("disk"), number(health.disk_free_mb, "MB"), went(camera, "disk_free_mb", DISK_SPAN, "MB")),
            Row(text("waiting"), str(health.outbox)),
        ]
    return State(
        device=camera.device,
        online=camera.online,
        rows=tuple(row for row in rows if row.value),
        problems=() if health is None else tuple(health.problems()),
    )


def went(camera: Camera, what: str, span: float, unit: str = "") -> Course | None:
    """How that went since the console was started, at most a day."""
    known = [(one.at, float(value)) for one in camera.course if (value := getattr(one, what)) is not None]
    return course([at for at, _ in known], [value for _, value in known], span, unit)


def draw_state(text: Texts, state: State) -> None:
    """What its card says."""
    with ui.row().classes("items-center justify-between full-width no-wrap"):
        ui.label(state.device).classes("text-h6")
        status_badge(text, online=state.online)
    for row in state.rows:
        with ui.row().classes("justify-between items-center full-width no-wrap"):
            ui.label(row.label).classes("limen-soft")
            if row.course is not None:
                draw_course(text, row.label, row.course)
            ui.label(row.value).classes("no-wrap")
    for problem in state.problems:
        ui.label(problem).classes("text-warning")
