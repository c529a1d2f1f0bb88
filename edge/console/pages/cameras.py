"""Every camera of the broker: what it is, how it is, what it sees."""

from nicegui import ui

from edge.console.dialogs import answer as shown
from edge.console.dialogs import box
from edge.console.household import Camera
from edge.console.view import View


def draw(view: View) -> None:
    """The page."""

    @ui.refreshable
    def cards() -> None:
        with ui.element("div").classes("limen-grid"):
            for camera in view.household.cameras():
                card(view, camera)

    cards()
    view.each_change(cards.refresh)


def card(view: View, camera: Camera) -> None:
    """One camera."""
    text, health = view.text, camera.health

    async def look() -> None:
        async def ask() -> None:
            answer = await view.household.answer(camera.device, "snapshot/get")
            with box(camera.device) as dialog:
                picture = ui.element("img").style("max-width: 85vw; max-height: 75vh")
                picture.props["src"] = f"data:image/jpeg;base64,{answer['image']}"
                picture.props["alt"] = camera.device
            await shown(dialog)

        await view.attempt(ask())

    with ui.card().classes("limen-card column"):
        with ui.row().classes("items-center justify-between full-width no-wrap"):
            ui.label(camera.device).classes("text-h6")
            status = "online" if camera.online else "offline"
            ui.badge(text(status), color="positive" if camera.online else "negative")
        rows = [(text("version"), camera.about.version), (text("model"), camera.about.embedder.name)]
        if health is not None:
            rows += [
                (text("frames"), number(health.fps)),
                (text("memory"), number(health.rss_mb, "MB")),
                (text("temperature"), number(health.temp_c, "°C")),
                (text("disk"), number(health.disk_free_mb, "MB")),
                (text("waiting"), str(health.outbox)),
            ]
        for label, value in rows:
            if value:
                with ui.row().classes("justify-between full-width no-wrap"):
                    ui.label(label).classes("limen-soft")
                    ui.label(value)
        for problem in health.problems() if health is not None else []:
            ui.label(problem).classes("text-warning")
        course(view, camera)
        ui.button(text("snapshot"), icon="photo_camera", on_click=look).props("dense flat no-caps")


def number(value: float | None, unit: str = "") -> str:
    """A number for people; nothing where it is not known."""
    if value is None:
        return ""
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 100 else f"{value:.1f} {unit}".strip()


def course(view: View, camera: Camera) -> None:
    """Frames per second since the console was started, at most a day, as a line."""
    rates = [(at, fps) for at, fps, _ in camera.course if fps is not None]
    if len(rates) < 2:
        return
    first, last, most = rates[0][0], rates[-1][0], max(fps for _, fps in rates) or 1.0
    points = " ".join(
        f"{100 * (at - first) / max(1e-9, last - first):.1f},{29 - 28 * fps / most:.1f}" for at, fps in rates
    )
    line = f'<polyline fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" points="{points}"/>'
    with ui.element("div").classes("full-width text-primary").props('role="img"') as box:
        box.props["aria-label"] = f"{view.text('frames')}: {rates[-1][1]:.1f}"
        ui.html(
            f'<svg viewBox="0 0 100 30" preserveAspectRatio="none" width="100%" height="36">{line}</svg>',
            sanitize=False,
        )
