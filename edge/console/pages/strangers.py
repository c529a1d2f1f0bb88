"""Who came and is not enrolled, where strangers are told apart."""

from typing import Any

from nicegui import ui

from edge.console.dialogs import ask_who
from edge.console.view import View, actions, face, turned_off
from edge.errors import RefusedError

TURN_ON = "[strangers]\nkeep_days = 14"
VISITS_LOOKED_AT = 200


async def draw(view: View) -> None:
    """The page."""
    strangers = Strangers(view)
    await view.attempt(strangers.load())
    strangers.cards()


class Strangers:
    """The strangers of one camera as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text, self.off = view, view.text, False
        self.rows: list[dict[str, Any]] = []
        self.crops: dict[str, str] = {}  # of the newest visit, by stranger_id
        self.people: list[str] = []

    async def load(self) -> None:
        """Read them. Raises LimenError."""
        try:
            found = await self.view.ask("unknown/list")
        except RefusedError as refusal:
            self.off = refusal.code == "strangers_not_kept"
            if not self.off:
                raise
            return
        self.rows = sorted(found["strangers"], key=lambda row: str(row["last_seen"]), reverse=True)
        self.people = [person["name"] for person in await self.view.people()]
        try:
            page = await self.view.ask("event/list", kind="unknown", limit=VISITS_LOOKED_AT, crops=True)
        except RefusedError:  # visits are not kept
            return
        crops = page.get("crops", {})
        self.crops = {row["stranger"]: crops[row["id"]] for row in reversed(page["visits"]) if row["id"] in crops}

    async def reload(self) -> None:
        """Show them anew."""
        await self.view.attempt(self.load())
        self.cards.refresh()

    @ui.refreshable_method
    def cards(self) -> None:
        """The strangers."""
        if self.off:
            turned_off(self.text("strangers_off"), TURN_ON)
        elif not self.rows:
            ui.label(self.text("no_strangers")).classes("limen-soft")
        with ui.element("div").classes("limen-grid"):
            for row in self.rows:
                self._card(row)

    def _card(self, row: dict[str, Any]) -> None:
        text, count = self.text, row["sightings"]
        first, last = self.view.when(row["first_seen"]), self.view.when(row["last_seen"])
        with ui.card().classes("limen-card column"):
            with ui.row().classes("no-wrap full-width"):
                face(self.crops.get(row["stranger_id"]), text("unknown_person"))
                with ui.column().classes("limen-facts"):
                    said = text("once") if count == 1 else text("sightings", count=count)
                    ui.label(said).classes("text-subtitle1 text-weight-medium")
                    ui.label(text("first_last", first=first, last=last)).classes("text-caption limen-soft")
                    if row["ignored"]:
                        ui.badge(text("kind_ignored"), color="grey-7")

            async def label() -> None:
                who = await ask_who(self.view, self.people)
                if who:
                    await self._change("unknown/label", id=row["stranger_id"], name=who)

            async def ignore() -> None:
                await self._change("unknown/ignore", id=row["stranger_id"], ignored=not row["ignored"])

            async def delete() -> None:
                await self._change("unknown/purge", id=row["stranger_id"])

            ignored = text("stop_ignoring") if row["ignored"] else text("ignore")
            actions({text("this_is"): label, ignored: ignore, text("delete"): delete})

    async def _change(self, verb: str, **fields: object) -> None:
        async def ask() -> None:
            await self.view.ask(verb, **fields)
            ui.notify(self.text("saved"), type="positive")

        await self.view.attempt(ask(), self.reload)
