"""The pictures by which somebody is known, one by one."""

from functools import partial
from typing import Any

from nicegui import ui

from edge.console.cards import Act, Acts, Cards, Facts, draw_facts
from edge.console.dialogs import answer, ask_sure, box
from edge.console.view import View

PAGE = 20


async def show_templates(view: View, name: str) -> None:
    """Show them, and let them be removed, until somebody leaves. Raises LimenError."""
    with box(view.text("pictures_of", name=name)) as dialog:
        templates = Templates(view, name)
        with ui.row().classes("full-width justify-end"):
            ui.button(view.text("close"), on_click=dialog.close).props("flat")
    await templates.load()
    await answer(dialog)


class Templates:
    """Those of one person."""

    def __init__(self, view: View, name: str) -> None:
        self._view, self._text, self._name = view, view.text, name
        self._cards = Cards(partial(draw_facts, view.text))

    async def load(self) -> None:
        """Read and show them, page after page. Raises LimenError."""
        shown: dict[str, tuple[Facts, Acts]] = {}
        after: dict[str, object] = {}
        while True:
            page = await self._view.ask("person/templates", name=self._name, limit=PAGE, crops=True, **after)
            for row in page["templates"]:
                facts = self._facts(row, page["crops"].get(row["id"]))
                shown[row["id"]] = facts, {"remove": Act(self._text("delete"), partial(self._remove, row["id"]))}
            if "next" not in page:
                break
            after = {"after": page["next"]}
        self._cards.show(shown)

    def _facts(self, row: dict[str, Any], crop: str | None) -> Facts:
        text, distance, lines = self._text, row["distance"], [self._view.when(row["added"])]
        if distance is not None:
            lines.append(text("to_others", distance=f"{distance:.2f}"))
        return Facts(text("learned") if row["origin"] == "learned" else text("given"), crop, tuple(lines))

    async def _remove(self, template: str) -> None:
        if await ask_sure(self._view, self._text("picture_sure"), self._text("delete")):

            async def remove() -> None:
                await self._view.ask("template/remove", name=self._name, id=template)
                ui.notify(self._text("deleted"), type="positive")

            await self._view.attempt(remove(), self.load)
