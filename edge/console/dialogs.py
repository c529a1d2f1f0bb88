"""Questions that a page asks whoever looks at it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from nicegui import ui

from edge.console.view import View

NAME_MAX = 200
NAMES_SHOWN = 50


@contextmanager
def box(title: str) -> Iterator[ui.dialog]:
    """A dialog with a title; what the block draws is inside."""
    with ui.dialog() as dialog, ui.card().classes("limen-card limen-dialog column"):
        dialog.props["aria-label"] = title
        ui.label(title).classes("text-h6")
        yield dialog


async def answer(dialog: ui.dialog) -> object:
    """What the dialog is closed with; None where somebody leaves it. Ends the task where they leave the page."""
    found: object = await dialog
    if dialog.is_deleted:
        raise asyncio.CancelledError
    dialog.delete()
    return found


def buttons(view: View, dialog: ui.dialog, label: str, value: Callable[[], object], colour: str = "primary") -> None:
    """The way out and the way on."""
    with ui.row().classes("full-width justify-end"):
        ui.button(view.text("cancel"), on_click=lambda: dialog.submit(None)).props("flat")
        ui.button(label, on_click=lambda: dialog.submit(value()), color=colour)


def line(view: View, dialog: ui.dialog, label: str, value: str = "") -> None:
    """A field for a line of text; Enter answers with it."""
    field = ui.input(label, value=value).classes("full-width").props(f"maxlength={NAME_MAX} autofocus")

    def written() -> str:
        return str(field.value).strip()

    field.on("keydown.enter", lambda: dialog.submit(written()))
    buttons(view, dialog, view.text("save"), written)


async def ask_who(view: View, people: Sequence[str]) -> str:
    """A name that is chosen of these or written; empty where somebody leaves."""
    with box(view.text("who_is_it")) as dialog:
        with ui.row().classes("limen-actions"):
            for name in people[:NAMES_SHOWN]:
                ui.button(name, on_click=lambda name=name: dialog.submit(name)).props("outline no-caps dense")
        line(view, dialog, view.text("name"))
    return str(await answer(dialog) or "")


async def ask_line(view: View, title: str, label: str, value: str = "") -> str | None:
    """A line of text; None where somebody leaves."""
    with box(title) as dialog:
        line(view, dialog, label, value)
    found = await answer(dialog)
    return None if found is None else str(found)


async def ask_sure(view: View, said: str, label: str) -> bool:
    """Whether somebody is sure."""
    with box(said) as dialog:
        buttons(view, dialog, label, lambda: True, "negative")
    return await answer(dialog) is True


async def tell(title: str, lines: Sequence[str]) -> None:
    """Show some lines."""
    with box(title) as dialog:
        for one in lines:
            ui.label(one)
        ui.button("OK", on_click=dialog.close).props("flat")
    await answer(dialog)
