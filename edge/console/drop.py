"""Where a face that is dragged can be dropped: the names of people, shown as long as it is held."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from edge.console.cards import Part
from edge.console.dialogs import NAMES_SHOWN


class Names:
    """The names, with a text before them. take: called with the key of what was dropped, and with the name.

    It is for a mouse alone: what it does can be done by buttons too.
    """

    def __init__(self, said: str, take: Callable[[str, str], Awaitable[None]]) -> None:
        self._take, self._held = take, ""
        with ui.row().classes("limen-drop").props('aria-hidden="true"') as self._row:
            ui.label(said).classes("full-width text-center")
            self._names = Part(self._draw)
        self._row.set_visibility(False)

    def show(self, names: Sequence[str]) -> None:
        """Offer these."""
        self._names.show(tuple(names[:NAMES_SHOWN]))

    def _draw(self, names: tuple[str, ...]) -> None:
        for name in names:
            target = ui.label(name).classes("limen-target")
            target.on("dragover", js_handler="(event) => event.preventDefault()")  # else nothing can be dropped
            target.on("drop.prevent", lambda name=name: self._drop(name), args=[])

    def hold(self, key: str | None) -> None:
        """That is dragged; None: nothing any more."""
        if key is not None:
            self._held = key
        self._row.set_visibility(key is not None)

    async def _drop(self, name: str) -> None:
        held, self._held = self._held, ""
        if held:
            await self._take(held, name)
