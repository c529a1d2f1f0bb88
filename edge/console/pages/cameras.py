"""Every camera of the broker: what it is, how it is, what it sees."""

from dataclasses import dataclass
from functools import partial

from nicegui import ui

from edge.console.cards import Act, Cards
from edge.console.dialogs import answer as shown
from edge.console.dialogs import box
from edge.console.household import Camera
from edge.console.texts import Texts
from edge.console.view import View, status_badge


@dataclass(frozen=True)
class State:
    """What is said of one camera. course: frames per second over time, points of a line; empty where there is none."""

    device: str
    online: bool
    rows: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    course: str
    course_said: str


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
            answer = await view.household.answer(device, "snapshot/get")
            with box(device) as dialog:
                picture = ui.element("img").style("max-width: 85vw; max-height: 75vh")
                picture.props["src"] = f"data:image/jpeg;base64,{answer['image']}"
                picture.props["alt"] = device
            await shown(dialog)

        await view.attempt(ask())

    return {"look": Act(view.text("snapshot"), look)}


def state(text: Texts, camera: Camera) -> State:
    """What is known of a camera."""
    health = camera.health
    rows = [(text("version"), camera.about.version), (text("model"), camera.about.embedder.name)]
    if health is not None:
        rows += [
            (text("frames"), number(health.fps)),
            (text("memory"), number(health.rss_mb, "MB")),
            (text("temperature"), number(health.temp_c, "°C")),
            (text("disk"), number(health.disk_free_mb, "MB")),
            (text("waiting"), str(health.outbox)),
        ]
    rates = [(at, fps) for at, fps, _ in camera.course if fps is not None]
    return State(
        device=camera.device,
        online=camera.online,
        rows=tuple((label, value) for label, value in rows if value),
        problems=() if health is None else tuple(health.problems()),
        course=points(rates),
        course_said=f"{text('frames')}: {rates[-1][1]:.1f}" if rates else "",
    )


def draw_state(text: Texts, state: State) -> None:
    """What its card says."""
    with ui.row().classes("items-center justify-between full-width no-wrap"):
        ui.label(state.device).classes("text-h6")
        status_badge(text, online=state.online)
    for label, value in state.rows:
        with ui.row().classes("justify-between full-width no-wrap"):
            ui.label(label).classes("limen-soft")
            ui.label(value)
    for problem in state.problems:
        ui.label(problem).classes("text-warning")
    if state.course:
        course(state.course, state.course_said)


def number(value: float | None, unit: str = "") -> str:
    """A number for people; nothing where it is not known."""
    if value is None:
        return ""
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 100 else f"{value:.1f} {unit}".strip()


def points(rates: list[tuple[float, float]]) -> str:
    """A line from times and values, in a box of 100 by 30; empty where there are fewer than two."""
    if len(rates) < 2:
        return ""
    first, last, most = rates[0][0], rates[-1][0], max(fps for _, fps in rates) or 1.0
    return " ".join(
        f"{100 * (at - first) / max(1e-9, last - first):.1f},{29 - 28 * fps / most:.1f}" for at, fps in rates
    )


def course(points: str, said: str) -> None:
    """A line. said: what a screen reader says."""
    line = f'<polyline fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" points="{points}"/>'
    with ui.element("div").classes("full-width text-primary").props('role="img"') as box:
        box.props["aria-label"] = said
        ui.html(
            f'<svg viewBox="0 0 100 30" preserveAspectRatio="none" width="100%" height="36">{line}</svg>',
            sanitize=False,
        )
