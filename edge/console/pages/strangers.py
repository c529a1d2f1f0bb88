"""Who came and is not enrolled, where strangers are told apart."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from nicegui import ui

from edge.console.cards import Act, Cards, Facts, draw_facts
from edge.console.crops import PAGES_MAX, Crops
from edge.console.dialogs import ask_who
from edge.console.view import View, hide, turned_off
from edge.errors import RefusedError

TURN_ON = "[strangers]\nkeep_days = 14"


async def draw(view: View) -> None:
    """The page."""
    strangers = Strangers(view)
    view.each_event(strangers.follow)
    faces = strangers.faces()
    await view.attempt(strangers.load(), partial(anext, faces, None))  # so that the cards have theirs at once
    strangers.show()
    await view.attempt(strangers.load_people(), partial(strangers.show_each, faces))


class Strangers:
    """The strangers of one camera as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text = view, view.text
        self._rows: list[dict[str, Any]] = []
        self._crops = Crops(view.ask, "unknown", "stranger")
        self._off, self._people = False, list[str]()
        with ui.column() as self._off_said:
            turned_off(self.text("strangers_off"), TURN_ON)
        self._none = ui.label(self.text("no_strangers")).classes("limen-soft")
        self._cards = Cards(partial(draw_facts, self.text))
        hide(self._off_said, self._none)

    async def load(self) -> None:
        """Read them, and keep no picture of anybody else. Raises LimenError."""
        try:
            found = await self.view.ask("unknown/list")
        except RefusedError as refusal:
            self._off = refusal.code == "strangers_not_kept"
            if not self._off:
                raise
            return
        self._rows = sorted(found["strangers"], key=lambda row: str(row["last_seen"]), reverse=True)
        self._crops.keep({row["stranger_id"] for row in self._rows})

    async def load_people(self) -> None:
        """Read who is enrolled. Raises LimenError."""
        self._people = [person["name"] for person in await self.view.people()]

    def faces(self, pages: int = PAGES_MAX) -> AsyncIterator[None]:
        """Read what they look like in that many pages of visits; goes on after each. Raises LimenError."""
        return self._crops.load(pages)

    async def show_each(self, faces: AsyncIterator[None]) -> None:
        """Show faces as they are read. Raises LimenError."""
        async for _ in faces:
            await self.view.there()
            self.show()

    async def follow(self, changed: bool) -> None:
        """Bring what is shown up to date. Raises LimenError."""
        if changed:
            await self.load_people()
        await self.load()
        await self.show_each(self.faces(pages=1))
        self.show()

    def show(self) -> None:
        """Show what was read."""
        self._off_said.set_visibility(self._off)
        self._none.set_visibility(not self._off and not self._rows)
        self._cards.show({row["stranger_id"]: (self._facts(row), self._acts(row)) for row in self._rows})

    def _facts(self, row: dict[str, Any]) -> Facts:
        text, count = self.text, row["sightings"]
        first, last = self.view.when(row["first_seen"]), self.view.when(row["last_seen"])
        return Facts(
            title=text("once") if count == 1 else text("sightings", count=count),
            crop=self._crops.of(row["stranger_id"]),
            lines=(text("first_last", first=first, last=last),),
            badges=((text("kind_ignored"), "grey-7"),) if row["ignored"] else (),
        )

    def _acts(self, row: dict[str, Any]) -> dict[str, Act]:
        """What can be done with a stranger."""
        text, stranger = self.text, row["stranger_id"]

        async def label() -> None:
            who = await ask_who(self.view, self._people)
            if who:
                await self._change("unknown/label", id=stranger, name=who)

        ignore = partial(self._change, "unknown/ignore", id=stranger, ignored=not row["ignored"])
        return {
            "this_is": Act(text("this_is"), label),
            "ignore": Act(text("stop_ignoring") if row["ignored"] else text("ignore"), ignore),
            "delete": Act(text("delete"), partial(self._change, "unknown/purge", id=stranger)),
        }

    async def _change(self, verb: str, **fields: object) -> None:
        async def ask() -> None:
            await self.view.ask(verb, **fields)
            ui.notify(self.text("saved"), type="positive")

        await self.view.attempt(ask(), self.load)
        self.show()
