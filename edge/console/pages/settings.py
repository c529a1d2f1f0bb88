"""What can be set: recognition of each camera."""

from dataclasses import dataclass
from functools import partial

from nicegui import ui

from edge.console.camera import Camera
from edge.console.cards import Cards, Switch
from edge.console.texts import Texts
from edge.console.view import View


@dataclass(frozen=True)
class Set:
    """What is said of one camera. fpir: None where it is not known, or the camera is offline."""

    device: str
    online: bool
    fpir: float | None


def draw(view: View) -> None:
    """The page."""
    cards = Cards(partial(draw_set, view.text))

    def show() -> None:
        cards.show({camera.device: shown(view, camera) for camera in view.household.cameras()})

    show()
    view.each_change(show)
    with ui.card().classes("limen-card column"):
        ui.label(f"{view.text('broker')}: {view.household.broker}")
        ui.label(view.text("look_help")).classes("limen-soft")


def shown(view: View, camera: Camera) -> tuple[Set, dict[str, Switch]]:
    """One camera, and what can be set of it while it runs."""
    switches = camera.switches if camera.online else None
    if switches is None:
        return Set(camera.device, online=False, fpir=None), {}

    async def turn(on: bool) -> bool:
        async def ask() -> None:
            await view.household.answer(camera.device, "config/set", recognition=on)
            ui.notify(view.text("saved"), type="positive")

        return await view.attempt(ask())

    said = Set(camera.device, online=True, fpir=switches.fpir)
    return said, {"recognition": Switch(view.text("recognition"), switches.recognition, turn)}


def draw_set(text: Texts, said: Set) -> None:
    """What its card says."""
    ui.label(said.device).classes("text-h6")
    if not said.online:
        ui.label(text("offline")).classes("limen-soft")
    elif said.fpir is not None:
        ui.label(f"{text('fpir')} {said.fpir:g}").classes("limen-soft")
