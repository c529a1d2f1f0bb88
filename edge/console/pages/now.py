"""Who is there, live, and how the cameras are."""

from nicegui import ui

from edge.console.household import Camera
from edge.console.view import COLOURS, View

EVENTS_SHOWN = 12
ANONYMOUS = {"unknown": "unknown_person", "somebody": "somebody"}  # in presence; nobody can be called so


def draw(view: View) -> None:
    """The page."""

    @ui.refreshable
    def state() -> None:
        with ui.element("div").classes("limen-grid"):
            for camera in view.household.cameras():
                presence(view, camera)
        events(view)

    state()
    view.each_change(state.refresh)


def presence(view: View, camera: Camera) -> None:
    """Who is before one camera."""
    text, people = view.text, camera.presence.people
    names = [text(ANONYMOUS[name]) if name in ANONYMOUS else name for name in people]
    with ui.card().classes("limen-card column"):
        with ui.row().classes("items-center justify-between full-width no-wrap"):
            ui.label(camera.device).classes("text-weight-medium")
            status = "online" if camera.online else "offline"
            ui.badge(text(status), color="positive" if camera.online else "negative")
        ui.label(text("at_the_door")).classes("text-caption limen-soft")
        ui.label(", ".join(names) or text("nobody")).classes("text-h5")
        problems = camera.health.problems() if camera.health is not None else []
        for problem in problems:
            ui.label(problem).classes("text-warning")
        if not problems and camera.online:
            ui.label(text("all_well")).classes("limen-soft")


def events(view: View) -> None:
    """The newest events of every camera."""
    text = view.text
    ui.label(text("recent")).classes("text-h6").props('role="heading" aria-level="2"')
    told = [(event, camera.device) for camera in view.household.cameras() for event in camera.events]
    told = [one for one in told if one[0].phase != "end"]
    if not told:
        ui.label(text("no_events")).classes("limen-soft")
        return
    with ui.list().classes("full-width").props("separator bordered").style("border-radius: 14px"):
        for event, device in sorted(told, key=lambda one: one[0].ts, reverse=True)[:EVENTS_SHOWN]:
            with ui.item():
                with ui.item_section():
                    ui.item_label(event.name or text("unknown_person"))
                    ui.item_label(f"{event.why}").props("caption")
                with ui.item_section().props("side"):
                    ui.badge(text(f"kind_{event.event_type}"), color=COLOURS.get(event.event_type, "grey"))
                    ui.item_label(f"{view.when(event.ts)} · {device}").props("caption")
