"""What can be set: recognition of each camera."""

from nicegui import ui

from edge.console.household import Camera
from edge.console.view import View


def draw(view: View) -> None:
    """The page."""
    text = view.text

    @ui.refreshable
    def cameras() -> None:
        with ui.element("div").classes("limen-grid"):
            for camera in view.household.cameras():
                card(view, camera)

    cameras()
    view.each_change(cameras.refresh)
    with ui.card().classes("limen-card column"):
        ui.label(f"{text('broker')}: {view.household.broker}")
        ui.label(text("look_help")).classes("limen-soft")


def card(view: View, camera: Camera) -> None:
    """What can be set of one camera while it runs."""
    text, switches = view.text, camera.switches

    async def set_recognition(on: bool) -> None:
        async def ask() -> None:
            await view.household.answer(camera.device, "config/set", recognition=on)
            ui.notify(text("saved"), type="positive")

        await view.attempt(ask())

    with ui.card().classes("limen-card column"):
        ui.label(camera.device).classes("text-h6")
        if switches is None or not camera.online:
            ui.label(text("offline")).classes("limen-soft")
            return
        ui.switch(
            text("recognition"), value=switches.recognition, on_change=lambda event: set_recognition(bool(event.value))
        )
        if switches.fpir is not None:
            ui.label(f"{text('fpir')} {switches.fpir:g}").classes("limen-soft")
