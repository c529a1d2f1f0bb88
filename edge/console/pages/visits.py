"""Who came, with pictures; one click names, corrects, ignores, deletes."""

from typing import Any

from nicegui import ui

from edge.console.dialogs import ask_who
from edge.console.view import COLOURS, View, actions, distance_bar, face, turned_off
from edge.errors import RefusedError

PAGE = 24
KINDS = ("recognized", "unknown", "ignored", "low_quality")
TURN_ON = "[history]\nkeep_hours = 168"
NEAR = 1.3  # of the threshold: farther away, the nearest person is no guess


async def draw(view: View) -> None:
    """The page."""
    visits = Visits(view)
    await view.attempt(visits.load())
    visits.cards()
    view.each_change(visits.look_for_new)


class Visits:
    """The visits of one camera as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text = view, view.text
        self.name, self.kind = "", ""
        self.rows: list[dict[str, Any]] = []
        self.crops: dict[str, str] = {}
        self.next: str | None = None
        self.off, self.people = False, list[str]()
        self._newest = self._newest_event()
        self._new = ui.button(self.text("visits_new"), icon="refresh", on_click=self.reload).props("rounded no-caps")
        self._new.set_visibility(False)

    async def load(self, *, older: bool = False) -> None:
        """Read the first page, or the one after what is shown. Raises LimenError."""
        chosen = {"name": self.name, "kind": self.kind, "after": self.next if older else ""}
        wanted = {key: value for key, value in chosen.items() if value}
        try:
            page = await self.view.ask("event/list", limit=PAGE, crops=True, **wanted)
        except RefusedError as refusal:
            self.off = refusal.code == "history_off"
            if not self.off:
                raise
            return
        self.off = False
        self.rows = [*(self.rows if older else []), *page["visits"]]
        self.crops = {**(self.crops if older else {}), **page.get("crops", {})}
        self.next = page.get("next")
        self.people = [person["name"] for person in await self.view.people()]

    async def reload(self) -> None:
        """Show the first page anew."""
        self._new.set_visibility(False)
        await self.view.attempt(self.load())
        self.cards.refresh()

    async def load_older(self) -> None:
        """Show one page more."""
        await self.view.attempt(self.load(older=True))
        self.cards.refresh()

    def look_for_new(self) -> None:
        """Offer to show what came since."""
        newest = self._newest_event()
        if newest != self._newest and not self.off:
            self._newest = newest
            self._new.set_visibility(True)

    def _newest_event(self) -> str:
        camera = self.view.camera
        return next((event.id for event in camera.events), "") if camera is not None else ""

    @ui.refreshable_method
    def cards(self) -> None:
        """The filters and the visits."""
        if self.off:
            turned_off(self.text("history_off"), TURN_ON)
            return
        self._filters()
        if not self.rows:
            ui.label(self.text("no_visits")).classes("limen-soft")
        with ui.element("div").classes("limen-grid"):
            for row in self.rows:
                self._card(row)
        if self.next:
            ui.button(self.text("more"), on_click=self.load_older).props("flat no-caps")

    def _filters(self) -> None:
        async def choose() -> None:
            self.name, self.kind = who.value, what.value
            await self.reload()

        names = dict.fromkeys([*self.people, *([self.name] if self.name else [])])
        kinds = {"": self.text("everything")} | {kind: self.text(f"kind_{kind}") for kind in KINDS}
        with ui.row().classes("items-end"):
            people = {"": self.text("everybody")} | {name: name for name in names}
            who = ui.select(people, value=self.name, label=self.text("who"), on_change=choose).classes("w-48")
            what = ui.select(kinds, value=self.kind, label=self.text("kind"), on_change=choose).classes("w-40")

    def _card(self, row: dict[str, Any]) -> None:
        name, kind = row["name"] or self.text("unknown_person"), row["event_type"]
        with ui.card().classes("limen-card limen-visit column"):
            with ui.row().classes("no-wrap full-width"):
                face(self.crops.get(row["id"]), name)
                with ui.column().classes("limen-facts"):
                    ui.label(name).classes("text-subtitle1 text-weight-medium")
                    ui.label(self.view.when(row["begin"])).classes("text-caption limen-soft")
                    ui.badge(self.text(f"kind_{kind}"), color=COLOURS.get(kind, "grey-7"))
            distance_bar(self.text, row["distance"], row["tau"])
            why = self.text("named_later") if row["corrected"] else row["why"]
            ui.label(why).classes("text-caption limen-soft")
            actions(self._actions(row))

    def _actions(self, row: dict[str, Any]) -> dict[str, Any]:
        """What can be done with a visit, by the words on its button."""

        async def name(who: str | None) -> None:
            await self.view.ask("event/correct", id=row["id"], name=who)
            ui.notify(self.text("named", name=who) if who else self.text("corrected"), type="positive")

        async def ask() -> None:
            who = await ask_who(self.view, self.people)
            if who:
                await self.view.attempt(name(who), self.reload)

        async def ignore() -> None:
            await self.view.ask("unknown/ignore", id=row["stranger"])
            ui.notify(self.text("ignored_done"), type="positive")

        async def delete() -> None:
            await self.view.ask("event/remove", id=row["id"])
            ui.notify(self.text("deleted"), type="positive")

        attempt, reload, text = self.view.attempt, self.reload, self.text
        near = row["distance"] is not None and row["tau"] and row["distance"] <= NEAR * row["tau"]
        possible = {
            text("it_is", name=row["nearest"]): (
                row["name"] is None and row["nearest"] and near,
                lambda: attempt(name(row["nearest"]), reload),
            ),
            text("this_is"): (row["event_type"] != "low_quality", ask),
            text("not_person", name=row["name"]): (row["name"] is not None, lambda: attempt(name(None), reload)),
            text("ignore"): (
                row["stranger"] is not None and row["event_type"] == "unknown",
                lambda: attempt(ignore(), reload),
            ),
            text("delete"): (True, lambda: attempt(delete(), reload)),
        }
        return {label: act for label, (is_possible, act) in possible.items() if is_possible}
