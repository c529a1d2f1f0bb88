"""Who is enrolled: pictures are added, names mended, people forgotten."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from nicegui import ui

from edge.console.cards import Act, Cards, Facts, draw_facts
from edge.console.crops import PAGES_MAX, Crops
from edge.console.dialogs import ask_line, ask_sure, ask_who, tell
from edge.console.templates import show_templates
from edge.console.upload import enroll
from edge.console.view import View, hide
from edge.errors import RefusedError

PICTURES_MAX = 24  # each is asked for by itself


async def draw(view: View) -> None:
    """The page."""
    people = People(view)
    view.each_event(people.follow)
    faces = people.faces()
    await view.attempt(people.load(), partial(anext, faces, None))  # so that the first cards have theirs at once
    await view.draw_in_steps(people.show, len(people.rows))
    await view.attempt(people.show_each(faces))


class People:
    """Everybody who is enrolled at one camera, as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text = view, view.text
        self.rows: list[dict[str, Any]] = []
        self._crops = Crops(view.ask, "recognized", "person_id")
        self._pictures: dict[str, str | None] = {}  # the first template, by person_id, of who has not come yet
        with ui.row():
            ui.button(view.text("add_person"), icon="person_add", on_click=self.add).props("no-caps")
            ui.button(view.text("check"), icon="checklist", on_click=self.check).props("flat no-caps")
        self._none = ui.label(self.text("no_people")).classes("limen-soft")
        self._cards = Cards(partial(draw_facts, self.text))
        hide(self._none)

    async def load(self) -> None:
        """Read them, and keep no picture of anybody else. Raises LimenError."""
        self.rows = await self.view.people()
        enrolled = {row["person_id"] for row in self.rows}
        self._crops.keep(enrolled)
        self._pictures = {one: picture for one, picture in self._pictures.items() if one in enrolled}

    async def faces(self, pages: int = PAGES_MAX) -> AsyncIterator[None]:
        """Read what they look like, in that many pages of visits, and of who has not come in their templates.

        Goes on after each request. Raises LimenError.
        """
        async for _ in self._crops.load(pages):
            yield
        for row in self.rows:
            who = row["person_id"]
            if self._crops.of(who) is None and who not in self._pictures and len(self._pictures) < PICTURES_MAX:
                self._pictures[who] = await self._picture(row["name"])
                yield

    async def show_each(self, faces: AsyncIterator[None]) -> None:
        """Show faces as they are read. Raises LimenError."""
        async for _ in faces:
            await self.view.there()
            self.show()

    async def _picture(self, name: str) -> str | None:
        """The first template of somebody; None where there is none, and of a camera of an earlier release."""
        try:
            page = await self.view.ask("person/templates", name=name, limit=1, crops=True)
        except RefusedError:
            return None
        return next(iter(page["crops"].values()), None)

    async def reload(self) -> None:
        """Show them as they are now."""
        await self.view.attempt(self.load())
        self.show()

    async def follow(self, changed: bool) -> None:
        """Bring what is shown up to date. Raises LimenError."""
        if changed:
            self._pictures.clear()
            await self.load()
        await self.show_each(self.faces(pages=1))
        self.show()

    async def add(self) -> None:
        """Enroll somebody."""
        await enroll(self.view, None)
        await self.reload()

    async def check(self) -> None:
        """Show what may be mended in the gallery."""

        async def ask() -> None:
            findings = (await self.view.ask("gallery/check"))["findings"]
            names = [" / ".join(name for name in (one["name"], one.get("other")) if name) for one in findings]
            lines = [f"{who}: {one['advice']}" for who, one in zip(names, findings, strict=True)]
            await tell(self.text("check"), lines or [self.text("check_good")])

        await self.view.attempt(ask())

    def show(self, count: int | None = None) -> None:
        """Show what was read; or of it so many, and no fewer than there are."""
        self._none.set_visibility(not self.rows)
        shown = self.rows[: None if count is None else max(count, len(self._cards))]
        self._cards.show({row["person_id"]: (self._facts(row), Person(self, row).acts()) for row in shown})

    def _facts(self, row: dict[str, Any]) -> Facts:
        text, count, badges = self.text, row["templates"], []
        if row["expires"] is not None:
            badges.append((text("guest_until", when=self.view.when(row["expires"])), "secondary"))
        if not row["notify"]:
            badges.append((text("notify_off"), "grey-7"))
        return Facts(
            title=row["name"],
            crop=self._crops.of(row["person_id"]) or self._pictures.get(row["person_id"]),
            lines=(
                text("one_picture") if count == 1 else text("pictures", count=count),
                text("threshold", tau=f"{row['tau']:.2f}"),
            ),
            badges=tuple(badges),
        )


class Person:
    """What can be done with one of them."""

    def __init__(self, people: People, row: dict[str, Any]) -> None:
        self._people, self._view, self._text = people, people.view, people.text
        self._row, self._name = row, row["name"]

    def acts(self) -> dict[str, Act]:
        """All of it."""
        text, notify = self._text, self._row["notify"]
        return {
            "add_picture": Act(text("add_picture"), self.add_picture),
            "pictures": Act(text("show_pictures"), self.show_pictures),
            "rename": Act(text("rename"), self.rename),
            "merge": Act(text("merge"), self.merge),
            "guest": Act(text("guest"), self.make_guest),
            "notify": Act(text("notify_stop") if notify else text("notify"), self.switch_notify),
            "forget": Act(text("forget"), self.forget),
        }

    async def _change(self, verb: str, **fields: object) -> None:
        async def ask() -> None:
            await self._view.ask(verb, name=self._name, **fields)
            ui.notify(self._text("saved"), type="positive")

        await self._view.attempt(ask(), self._people.reload)

    async def add_picture(self) -> None:
        """Add to their templates."""
        await enroll(self._view, self._name)
        await self._people.reload()

    async def show_pictures(self) -> None:
        """Show their templates, of which some may be removed."""
        await self._view.attempt(show_templates(self._view, self._name), self._people.reload)

    async def rename(self) -> None:
        """Give them another name."""
        new = await ask_line(self._view, self._text("rename"), self._text("name"), self._name)
        if new and new != self._name:
            await self._change("person/rename", new_name=new)

    async def merge(self) -> None:
        """Make them and somebody else one."""
        into = await ask_who(self._view, [one["name"] for one in self._people.rows if one["name"] != self._name])
        if into:
            await self._change("person/merge", into=into)

    async def make_guest(self) -> None:
        """Have them forgotten after some days, or not any more."""
        said = await ask_line(self._view, self._text("guest"), self._text("guest_days"))
        if said is None:
            return
        try:
            days = float(said.replace(",", ".")) if said else None
        except ValueError:
            ui.notify(self._text("guest_days"), type="negative")
            return
        await self._change("person/set", ttl_days=days)

    async def switch_notify(self) -> None:
        """Have events name them, or not."""
        await self._change("person/set", notify=not self._row["notify"])

    async def forget(self) -> None:
        """Remove them, and show the receipt."""
        text = self._text
        if not await ask_sure(self._view, text("forget_sure", name=self._name), text("forget")):
            return

        async def remove() -> None:
            receipt = await self._view.ask("person/remove", name=self._name)
            at = self._view.when(receipt["at"])
            said = text("receipt", templates=receipt["templates"], crops=receipt["crops"], at=at)
            ui.notify(said, type="positive", timeout=0, close_button=text("close"))

        await self._view.attempt(remove(), self._people.reload)
