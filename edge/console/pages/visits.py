"""Who came, with pictures; one click names, corrects, ignores, deletes."""

import asyncio
from functools import partial
from typing import Any

from nicegui import ui

from edge.console.cards import Act, Cards, Facts, draw_facts
from edge.console.dialogs import ask_who
from edge.console.drop import Names
from edge.console.view import COLOURS, View, hide, turned_off
from edge.errors import RefusedError

PAGE = 24
READ_MAX = 200
SHOWN_MAX = 20 * PAGE  # whoever goes further back loses the newest from the page
KINDS = ("recognized", "unknown", "ignored", "low_quality")
TURN_ON = "[history]\nkeep_hours = 168"
NEAR = 1.3  # of the threshold: farther away, the nearest person is no guess


async def draw(view: View) -> None:
    """The page."""
    visits = Visits(view)
    view.each_event(visits.follow)
    await view.attempt(visits.load())
    await view.draw_in_steps(visits.show, PAGE)
    await view.attempt(visits.load_people())


class Visits:
    """The visits of one camera as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text = view, view.text
        self._rows: dict[str, dict[str, Any]] = {}  # by the visit's id
        self._crops: dict[str, str] = {}
        self._next: str | None = None
        self._off, self._people = False, list[str]()
        self._reading = asyncio.Lock()
        with ui.column() as self._off_said:
            turned_off(self.text("history_off"), TURN_ON)
        kinds = {"": self.text("everything")} | {kind: self.text(f"kind_{kind}") for kind in KINDS}
        with ui.row().classes("items-end full-width") as self._filters:
            everybody = {"": self.text("everybody")}
            self._who = ui.select(everybody, value="", label=self.text("who"), on_change=self.reload).classes("w-48")
            self._what = ui.select(kinds, value="", label=self.text("kind"), on_change=self.reload).classes("w-40")
            self._new = ui.button(self.text("visits_new"), icon="refresh", on_click=self.show_new)
            self._new.props("rounded no-caps").classes("invisible")
        self._none = ui.label(self.text("no_visits")).classes("limen-soft")
        self._cards = Cards(partial(draw_facts, self.text), self._drag)
        self._names = Names(self.text("drop_on"), self._learn)
        self._more = ui.button(self.text("more"), on_click=self.load_older).props("flat no-caps")
        hide(self._off_said, self._filters, self._none, self._more)

    async def load(self, *, older: bool = False) -> None:
        """Read the first page, or the one after what is shown. Raises LimenError."""
        async with self._reading:
            after: dict[str, Any] = {"after": self._next} if older else {}
            page = await self._ask(crops=True, **after)
            read = {row["id"]: row for row in page["visits"]}
            shown = list({**(self._rows if older else {}), **read}.items())
            self._rows = dict(shown[-SHOWN_MAX:])
            self._keep_crops(page.get("crops", {}))
            self._next = page.get("next")
            if not older or len(shown) > SHOWN_MAX:
                self._offer_new(len(shown) > SHOWN_MAX)

    async def renew(self) -> None:
        """Read anew what is shown, and offer to show what came since. Raises LimenError."""
        async with self._reading:
            read, whole = await self._newest(max(PAGE, len(self._rows)))
            known = [one for one in read if one in self._rows]
            since = list(read)[: list(read).index(known[-1])] if known else list(read)
            self._offer_new(any(one not in self._rows for one in since))
            shown = list(self._rows)
            past = [] if whole else shown[shown.index(known[-1]) + 1 if known else 0 :]
            self._rows = {one: read.get(one, self._rows[one]) for one in [*known, *past]}
            if any(row["crop"] and one not in self._crops for one, row in self._rows.items()):
                self._keep_crops((await self._ask(crops=True)).get("crops", {}))

    async def _newest(self, count: int) -> tuple[dict[str, dict[str, Any]], bool]:
        """At least so many visits, without crops, and whether these are all. Raises LimenError."""
        read: dict[str, dict[str, Any]] = {}
        after: dict[str, Any] = {}
        while len(read) < count:
            page = await self._ask(limit=max(PAGE, min(READ_MAX, count - len(read))), **after)
            read |= {row["id"]: row for row in page["visits"]}
            if "next" not in page:
                return read, True
            after = {"after": page["next"]}
        return read, False

    async def load_people(self) -> None:
        """Read who is enrolled. Raises LimenError."""
        self._people = [person["name"] for person in await self.view.people()]
        names = dict.fromkeys([*self._people, *([self._who.value] if self._who.value else [])])
        self._names.show(self._people)
        options = {"": self.text("everybody")} | {name: name for name in names}
        if options != self._who.options:
            self._who.set_options(options)

    async def reload(self) -> None:
        """Show the first page as it is now."""
        await self.view.attempt(self.load())
        self.show()

    async def show_new(self) -> None:
        """Show what came since, and go on there."""
        await self.reload()
        self._cards.focus(next(iter(self._rows), ""))

    async def load_older(self) -> None:
        """Show one page more."""
        await self.view.attempt(self.load(older=True))
        self.show()

    async def follow(self, changed: bool) -> None:
        """Bring what is shown up to date. Raises LimenError."""
        if changed:
            await self.load_people()
        await self.renew()
        self.show()

    def show(self, count: int | None = None) -> None:
        """Show what was read; or of it so many, and no fewer than there are."""
        self._off_said.set_visibility(self._off)
        self._filters.set_visibility(not self._off)
        self._none.set_visibility(not self._off and not self._rows)
        self._more.set_visibility(self._next is not None)
        shown = list(self._rows.items())[: None if count is None else max(count, len(self._cards))]
        self._cards.show({one: (self._facts(row), self._acts(row)) for one, row in shown})

    async def _ask(self, limit: int = PAGE, **fields: object) -> dict[str, Any]:
        """A page of the visits that are chosen; an empty one where none are kept. Raises LimenError."""
        wanted = {key: value for key, value in (("name", self._who.value), ("kind", self._what.value)) if value}
        try:
            page = await self.view.ask("event/list", limit=limit, **wanted, **fields)
        except RefusedError as refusal:
            self._off = refusal.code == "history_off"
            if not self._off:
                raise
            return {"visits": []}
        self._off = False
        return page

    def _keep_crops(self, crops: dict[str, str]) -> None:
        """Of what is shown."""
        self._crops = {one: crop for one, crop in (self._crops | crops).items() if one in self._rows}

    def _offer_new(self, there_are: bool) -> None:
        """The place of the button stays, so that nothing moves when it comes."""
        self._new.classes(remove="invisible") if there_are else self._new.classes("invisible")

    def _facts(self, row: dict[str, Any]) -> Facts:
        kind = row["event_type"]
        return Facts(
            title=row["name"] or self.text("unknown_person"),
            crop=self._crops.get(row["id"]),
            lines=(self.view.when(row["begin"]),),
            badges=((self.text(f"kind_{kind}"), COLOURS.get(kind, "grey-7")),),
            distance=row["distance"],
            tau=row["tau"],
            why=self.text("named_later") if row["corrected"] else row["why"],
        )

    def _drag(self, visit: str | None) -> None:
        """Offer the people to whom the face of a visit can be added, as long as it is dragged."""
        is_clear = visit in self._rows and self._rows[visit]["event_type"] != "low_quality"
        self._names.hold(visit if is_clear else None)

    async def _learn(self, visit: str, who: str) -> None:
        """Add the face of a visit to somebody's pictures."""
        await self._change(self.text("added_to", name=who), "event/correct", id=visit, name=who)

    async def _change(self, said: str, verb: str, **fields: object) -> None:
        async def ask() -> None:
            await self.view.ask(verb, **fields)
            ui.notify(said, type="positive")

        await self.view.attempt(ask(), self.renew)
        self.show()

    def _acts(self, row: dict[str, Any]) -> dict[str, Act]:
        """What can be done with a visit."""
        change = self._change

        async def name(who: str | None) -> None:
            said = text("named", name=who) if who else text("corrected")
            await change(said, "event/correct", id=row["id"], name=who)

        async def ask_name() -> None:
            who = await ask_who(self.view, self._people)
            if who:
                await name(who)

        text, nearest = self.text, row["nearest"]
        near = row["distance"] is not None and row["tau"] and row["distance"] <= NEAR * row["tau"]
        acts = {}
        if row["name"] is None and nearest and near:
            acts["it_is"] = Act(text("it_is", name=nearest), lambda: name(nearest))
        if row["event_type"] != "low_quality":
            acts["this_is"] = Act(text("this_is"), ask_name)
        if row["name"] is not None and not row["corrected"]:
            add = partial(self._learn, row["id"], row["name"])
            acts["add_to"] = Act(text("add_to", name=row["name"]), add)
        if row["name"] is not None:
            acts["not_person"] = Act(text("not_person", name=row["name"]), lambda: name(None))
        if row["stranger"] is not None and row["event_type"] == "unknown":
            ignore = partial(change, text("ignored_done"), "unknown/ignore", id=row["stranger"])
            acts["ignore"] = Act(text("ignore"), ignore)
        acts["delete"] = Act(text("delete"), partial(change, text("deleted"), "event/remove", id=row["id"]))
        return acts
