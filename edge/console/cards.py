"""Cards that are brought up to date in place: what did not change keeps its focus and its place."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nicegui import ui

from edge.console.texts import Texts

T = TypeVar("T")


@dataclass(frozen=True)
class Act:
    """A button of a card."""

    label: str
    do: Callable[[], Any]


@dataclass(frozen=True)
class Switch:
    """A switch of a card. turn: turns it, and returns whether that was done."""

    label: str
    on: bool
    turn: Callable[[bool], Awaitable[bool]]


Acts = Mapping[str, Act | Switch]


class Part(Generic[T]):
    """A part of a page that is drawn anew where what it says has changed: nothing in it can have the focus."""

    def __init__(self, draw: Callable[[T], None]) -> None:
        self._draw, self._said = draw, list[T]()  # one, once there is one
        self._box = ui.element("div").classes("limen-part")

    def show(self, value: T) -> None:
        """Say that; nothing where whoever looked at it has left."""
        if self._said != [value] and not self._box.is_deleted:
            self._said = [value]
            self._box.clear()
            with self._box:
                self._draw(value)


class Card(Generic[T]):
    """One card: what it says, and below it what can be done."""

    def __init__(self, draw: Callable[[T], None]) -> None:
        with ui.card().classes("limen-card column") as self.box:
            self._part = Part(draw)
            self._row = ui.row().classes("limen-actions")
        self._acts: Acts = {}
        self._controls: dict[str, ui.button | ui.switch] = {}
        self._setting = False  # a switch, which nobody turns

    def show(self, value: T, acts: Acts) -> None:
        """Say that, and let that be done, by names under which a button is known again."""
        self._part.show(value)
        before, self._acts = self._acts, acts
        for name in self._controls.keys() - acts.keys():
            self._controls.pop(name).delete()
        for place, (name, act) in enumerate(acts.items()):
            if name not in self._controls:
                with self._row:
                    self._controls[name] = self._button(name) if isinstance(act, Act) else self._switch(name)
                self._controls[name].move(target_index=place)
            if self._controls[name].text != act.label:
                self._controls[name].set_text(act.label)
            earlier = before.get(name)
            if isinstance(act, Switch) and not (isinstance(earlier, Switch) and earlier.on == act.on):
                self._set(name, on=act.on)
        if self._row.visible != bool(acts):
            self._row.set_visibility(bool(acts))

    def _button(self, name: str) -> ui.button:
        def do() -> object:
            act = self._acts[name]
            return act.do() if isinstance(act, Act) else None

        return ui.button(on_click=do).props("dense flat no-caps")

    def _switch(self, name: str) -> ui.switch:
        async def turn(*, on: bool) -> None:
            act = self._acts[name]
            if isinstance(act, Switch) and not await act.turn(on):
                self._set(name, on=not on)

        return ui.switch(on_change=lambda event: None if self._setting else turn(on=bool(event.value)))

    def _set(self, name: str, *, on: bool) -> None:
        control = self._controls.get(name)
        if isinstance(control, ui.switch):
            self._setting = True
            control.set_value(on)
            self._setting = False


class Cards(Generic[T]):
    """A grid of cards by key.

    draw: draws what one of them says; nothing in that can have the focus
    drag: called with the key of a card whose picture is dragged, and with None when it is let go
    """

    def __init__(self, draw: Callable[[T], None], drag: Callable[[str | None], None] | None = None) -> None:
        self._draw, self._drag, self._cards = draw, drag, dict[str, Card[T]]()
        self._grid = ui.element("div").classes("limen-grid")

    def __len__(self) -> int:
        """How many are shown."""
        return len(self._cards)

    def show(self, values: Mapping[str, tuple[T, Acts]]) -> None:
        """Show these and no others: what each says, and what can be done with it.

        A card that is there stays where it is, so that none moves away from under a finger; where the one that has the
        focus is gone, the next gets it. Nothing is shown where whoever looked at them has left.
        """
        if self._grid.is_deleted:
            return
        boxes = self._grid.default_slot.children
        gone = [self._cards.pop(key).box for key in self._cards.keys() - values.keys()]
        after_gone = min((boxes.index(box) for box in gone), default=0)
        for box in gone:
            box.delete()
        place = 0
        for key, (value, acts) in values.items():
            if key not in self._cards:
                self._cards[key] = self._add(key)
                self._cards[key].box.move(target_index=place)
            self._cards[key].show(value, acts)
            place = boxes.index(self._cards[key].box) + 1
        if gone and boxes:
            self._focus(boxes[min(after_gone, len(boxes) - 1)])

    def _add(self, key: str) -> Card[T]:
        with self._grid:
            card = Card(self._draw)
        drag = self._drag
        if drag is not None:
            card.box.on("dragstart", lambda: drag(key), args=[])
            card.box.on("dragend", lambda: drag(None), args=[])
        return card

    def focus(self, key: str) -> None:
        """Where the focus is nowhere, move it into that card, so that who uses the keyboard can go on."""
        if key in self._cards:
            self._focus(self._cards[key].box)

    def _focus(self, box: ui.element) -> None:
        focus = f"getHtmlElement({box.id})?.querySelector('button')?.focus()"
        self._grid.client.run_javascript(f"setTimeout(() => document.activeElement === document.body && {focus}, 50)")


@dataclass(frozen=True)
class Facts:
    """What a card says of somebody. crop: JPEG in base64; badges: words and colour; tau: the threshold of distance."""

    title: str
    crop: str | None
    lines: tuple[str, ...] = ()
    badges: tuple[tuple[str, str], ...] = ()
    distance: float | None = None
    tau: float | None = None
    why: str = ""


def draw_facts(text: Texts, facts: Facts) -> None:
    """A face and what is known of it."""
    with ui.row().classes("no-wrap full-width items-center"):
        face(facts.crop, facts.title)
        with ui.column().classes("limen-facts"):
            ui.label(facts.title).classes("text-subtitle1 text-weight-medium")
            for line in facts.lines:
                ui.label(line).classes("text-caption limen-soft")
            for words, colour in facts.badges:
                ui.badge(words, color=colour)
    distance_bar(text, facts.distance, facts.tau)
    if facts.why:
        ui.label(facts.why).classes("text-caption limen-soft")


def face(jpeg: str | None, name: str) -> None:
    """A crop, JPEG in base64, or what stands for one. name: what a screen reader says."""
    if jpeg is None:
        with ui.element("div").classes("limen-face limen-none").props('aria-hidden="true"'):
            ui.label(name[:1].upper() or "?")
        return
    image = ui.element("img").classes("limen-face")
    image.props["src"], image.props["alt"] = f"data:image/jpeg;base64,{jpeg}", name


def distance_bar(text: Texts, distance: float | None, tau: float | None) -> None:
    """How near, beside the threshold, which is in the middle."""
    if distance is None or not tau:
        return
    said = text("distance_of", distance=f"{distance:.2f}", tau=f"{tau:.2f}")
    with ui.element("div").classes("limen-bar").props("role=img") as bar:
        bar.props["aria-label"] = said
        ui.element("span").style(f"width: {min(100.0, 50 * distance / tau):.0f}%")
        ui.element("i")
    ui.label(said).classes("text-caption limen-soft")
