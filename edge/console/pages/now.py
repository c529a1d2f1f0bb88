"""Who is there, live, and how the cameras are."""

from dataclasses import dataclass
from functools import partial

from nicegui import ui

from edge.console.camera import Camera
from edge.console.cards import Cards, Part
from edge.console.texts import Texts
from edge.console.view import COLOURS, View, status_badge

EVENTS_SHOWN = 12
ANONYMOUS = {"unknown": "unknown_person", "somebody": "somebody"}  # in presence; nobody can be called so


@dataclass(frozen=True)
class Door:
    """What is said of one camera."""

    device: str
    online: bool
    present: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """What is said of one event."""

    title: str
    why: str
    kind: str
    colour: str
    where: str


def draw(view: View) -> None:
    """The page."""
    doors = Cards(partial(draw_door, view.text))
    ui.label(view.text("recent")).classes("text-h6").props('role="heading" aria-level="2"')
    newest = Part(partial(draw_lines, view.text))

    def show() -> None:
        cameras = view.household.cameras()
        doors.show({camera.device: (door(view.text, camera), {}) for camera in cameras})
        newest.show(lines(view, cameras))

    show()
    view.each_change(show)


def door(text: Texts, camera: Camera) -> Door:
    """Who is before one camera; where it is not online, the presence that the broker keeps may be long past."""
    names = [text(ANONYMOUS[name]) if name in ANONYMOUS else name for name in camera.presence.people]
    present = ", ".join(names) or text("nobody") if camera.online else text("not_known")
    problems = () if camera.health is None else tuple(camera.health.problems())
    return Door(camera.device, camera.online, present, problems)


def draw_door(text: Texts, door: Door) -> None:
    """What its card says."""
    with ui.row().classes("items-center justify-between full-width no-wrap"):
        ui.label(door.device).classes("text-weight-medium")
        status_badge(text, online=door.online)
    ui.label(text("at_the_door")).classes("text-caption limen-soft")
    ui.label(door.present).classes("text-h5")
    for problem in door.problems:
        ui.label(problem).classes("text-warning")
    if not door.problems and door.online:
        ui.label(text("all_well")).classes("limen-soft")


def lines(view: View, cameras: list[Camera]) -> tuple[Line, ...]:
    """The newest events of every camera."""
    told = [(event, camera.device) for camera in cameras for event in camera.events if event.phase != "end"]
    told.sort(key=lambda one: one[0].ts, reverse=True)
    return tuple(
        Line(
            title=event.name or view.text("unknown_person"),
            why=event.why,
            kind=view.text(f"kind_{event.event_type}"),
            colour=COLOURS.get(event.event_type, "grey"),
            where=f"{view.when(event.ts)} · {device}",
        )
        for event, device in told[:EVENTS_SHOWN]
    )


def draw_lines(text: Texts, lines: tuple[Line, ...]) -> None:
    """A list of events."""
    if not lines:
        ui.label(text("no_events")).classes("limen-soft")
        return
    with ui.list().classes("full-width").props("separator bordered").style("border-radius: 14px"):
        for line in lines:
            with ui.item():
                with ui.item_section():
                    ui.item_label(line.title)
                    ui.item_label(line.why).props("caption")
                with ui.item_section().props("side"):
                    ui.badge(line.kind, color=line.colour)
                    ui.item_label(line.where).props("caption")
