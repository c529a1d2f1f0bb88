"""Who is enrolled: pictures are added, names mended, people forgotten."""

from typing import Any

from nicegui import ui

from edge.console.dialogs import ask_line, ask_sure, ask_who, tell
from edge.console.upload import enroll
from edge.console.view import View, actions, face
from edge.errors import RefusedError

VISITS_LOOKED_AT = 200


async def draw(view: View) -> None:
    """The page."""
    people = People(view)
    await view.attempt(people.load())
    with ui.row():
        ui.button(view.text("add_person"), icon="person_add", on_click=people.add).props("no-caps")
        ui.button(view.text("check"), icon="checklist", on_click=people.check).props("flat no-caps")
    people.cards()


class People:
    """Everybody who is enrolled at one camera, as one browser sees them."""

    def __init__(self, view: View) -> None:
        self.view, self.text = view, view.text
        self.rows: list[dict[str, Any]] = []
        self.crops: dict[str, str] = {}  # of the newest visit, by name

    async def load(self) -> None:
        """Read them. Raises LimenError."""
        self.rows = await self.view.people()
        try:
            page = await self.view.ask("event/list", kind="recognized", limit=VISITS_LOOKED_AT, crops=True)
        except RefusedError:  # visits are not kept
            return
        crops = page.get("crops", {})
        self.crops = {row["name"]: crops[row["id"]] for row in reversed(page["visits"]) if row["id"] in crops}

    async def reload(self) -> None:
        """Show them anew."""
        await self.view.attempt(self.load())
        self.cards.refresh()

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

    @ui.refreshable_method
    def cards(self) -> None:
        """The people."""
        if not self.rows:
            ui.label(self.text("no_people")).classes("limen-soft")
        with ui.element("div").classes("limen-grid"):
            for row in self.rows:
                self._card(row)

    def _card(self, row: dict[str, Any]) -> None:
        text, name, count = self.text, row["name"], row["templates"]
        with ui.card().classes("limen-card limen-person column"):
            with ui.row().classes("no-wrap full-width items-center"):
                face(self.crops.get(name), name)
                with ui.column().classes("limen-facts"):
                    ui.label(name).classes("text-subtitle1 text-weight-medium")
                    ui.label(text("one_picture") if count == 1 else text("pictures", count=count)).classes("limen-soft")
                    ui.label(text("threshold", tau=f"{row['tau']:.2f}")).classes("text-caption limen-soft")
                    if row["expires"] is not None:
                        ui.badge(text("guest_until", when=self.view.when(row["expires"])), color="secondary")
                    if not row["notify"]:
                        ui.badge(text("notify_off"), color="grey-7")
            person = Person(self, row)
            actions(
                {
                    text("add_picture"): person.add_picture,
                    text("rename"): person.rename,
                    text("merge"): person.merge,
                    text("guest"): person.make_guest,
                    text("notify_stop") if row["notify"] else text("notify"): person.switch_notify,
                    text("forget"): person.forget,
                }
            )


class Person:
    """What can be done with one of them."""

    def __init__(self, people: People, row: dict[str, Any]) -> None:
        self._people, self._view, self._text = people, people.view, people.text
        self._row, self._name = row, row["name"]

    async def _change(self, verb: str, **fields: object) -> None:
        async def ask() -> None:
            await self._view.ask(verb, name=self._name, **fields)
            ui.notify(self._text("saved"), type="positive")

        await self._view.attempt(ask(), self._people.reload)

    async def add_picture(self) -> None:
        """Add to their templates."""
        await enroll(self._view, self._name)
        await self._people.reload()

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
            ui.notify(said, type="positive", timeout=0, close_button=True)

        await self._view.attempt(remove(), self._people.reload)
