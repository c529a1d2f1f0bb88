"""What every page is made of: the frame around it, and the ways it asks a camera and shows what came."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nicegui import ui

from edge.console.camera import Camera
from edge.console.household import Household
from edge.console.texts import Texts, language_of
from edge.errors import LimenError

PAGES = {
    "now": ("/", "sensor_door"),
    "visits": ("/visits", "photo_library"),
    "people": ("/people", "groups"),
    "strangers": ("/strangers", "person_search"),
    "cameras": ("/cameras", "videocam"),
    "settings": ("/settings", "tune"),
}
FIRST = 9  # cards that fill a window: these are sent before the others
REFRESH_SECONDS = 1.0
DRAWN_SECONDS = 3.0
COLOURS = {
    "recognized": "positive",
    "enrolled": "positive",
    "unknown": "warning",
    "low_quality": "grey",
    "ignored": "grey",
}
CSS = Path(__file__).with_name("style.css")


class View:
    """One page of one browser: whose texts it speaks, which camera it shows, and what it can ask."""

    def __init__(self, household: Household, device: str) -> None:
        request = ui.context.client.request
        accept = request.headers.get("accept-language", "") if request is not None else ""
        self.household, self.text = household, Texts(language_of(accept))
        # One camera for as long as the page is open: what somebody does is never done at another one.
        shown = household.camera(device)
        self._chosen, self._device = device, device or (shown.device if shown is not None else "")
        self._root: ui.element | None = None
        self._seen = self._heard()

    @property
    def camera(self) -> Camera | None:
        """The camera that the page shows; None where it is not there any more."""
        return next((one for one in self.household.cameras() if one.device == self._device), None)

    async def ask(self, verb: str, **fields: object) -> dict[str, Any]:
        """The data of the camera's answer. Raises RefusedError or BrokerError."""
        camera = self.camera
        if camera is None:
            raise LimenError(self.text("no_camera"))
        return await self.household.answer(camera.device, verb, **fields)

    async def people(self) -> list[dict[str, Any]]:
        """Everybody who is enrolled at the camera."""
        camera = self.camera
        return [] if camera is None else await self.household.everybody(camera.device)

    async def drawn(self) -> None:
        """Wait until the browser has drawn what there is, so that it need not wait for what comes then."""
        await self.there()
        with suppress(TimeoutError):
            await self.root.client.run_javascript("return 0", timeout=DRAWN_SECONDS)
        await self.there()

    async def draw_in_steps(self, show: Callable[[int], None], count: int) -> None:
        """Show so many cards, a windowful more each time the browser has drawn those before; wait for the last too.

        show: shows so many of them
        """
        for shown in range(FIRST, max(1, count) + FIRST, FIRST):
            show(shown)
            await self.drawn()

    async def there(self) -> None:
        """Wait for a browser that is not there now: what it may never see is not drawn, nor asked of a camera."""
        await self.root.client.connected()
        self._end_if_left()

    def _end_if_left(self) -> None:
        """End the task where whoever looked at the page has left it."""
        if self.root.is_deleted:
            raise asyncio.CancelledError

    async def attempt(self, task: Awaitable[None], then: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Do something, and then that; show in words why it failed. Returns whether it did not.

        The task ends where whoever looks at the page leaves it.
        """
        try:
            with self.root:  # what a handler shows outlives the card that it was asked from
                await task
                if then is not None:
                    await then()
        except LimenError as error:
            self._end_if_left()
            with self.root:
                ui.notify(str(error), type="negative", multi_line=True, close_button=self.text("close"), timeout=10_000)
            return False
        self._end_if_left()
        return True

    def when(self, moment: datetime | str | float | None) -> str:
        """A time, in RFC 3339 or in seconds since 1970, as people of this machine's time zone say it."""
        if moment is None:
            return ""
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        utc = datetime.fromtimestamp(moment, UTC) if isinstance(moment, float | int) else moment
        here, now = utc.astimezone(), datetime.now().astimezone()
        days = {now.date(): self.text("today"), (now - timedelta(days=1)).date(): self.text("yesterday")}
        return f"{days.get(here.date(), here.strftime('%Y-%m-%d'))} {here.strftime('%H:%M')}"

    @contextmanager
    def page(self, active: str) -> Iterator[None]:
        """The frame around a page: navigation, the choice of a camera, what is wrong with the broker."""
        text = self.text
        ui.colors(primary="#2c5d4f", secondary="#6d5a7e", positive="#2e7d4f", warning="#a15c00", negative="#b3261e")
        ui.add_css(CSS)
        ui.page_title(f"{text(active)} - limen")
        ui.run_javascript(f"document.documentElement.lang = '{text.language}'")
        with (
            ui.header().classes("items-center q-py-xs"),
            ui.element("nav").classes("row limen-nav items-center full-width"),
        ):
            ui.label("limen").classes("text-h6 q-mr-sm")
            for name, (path, icon) in PAGES.items():
                target = f"{path}?camera={quote(self._chosen)}" if self._chosen else path
                current = f'aria-label="{text(name)}"' + (' aria-current="page"' if name == active else "")
                with ui.link(target=target).props(current):
                    ui.icon(icon, size="sm").props('aria-hidden="true"')
                    ui.label(text(name)).classes("limen-word")
        with ui.column().classes("limen-page") as self._root:
            ui.label(text(active)).classes("limen-unseen").props('role="heading" aria-level="1"')
            self._notice()
            self._choice(PAGES[active][0])
            yield

    @property
    def root(self) -> ui.element:
        """What all of the page is inside of."""
        assert self._root is not None  # noqa: S101 -- page() comes first
        return self._root

    def _notice(self) -> None:
        """Say, as long as it is so, that there is no connection."""
        banner = ui.label().classes("text-negative text-weight-medium").props('role="status" aria-live="polite"')

        def show() -> None:
            household = self.household
            said = "" if household.connected else self.text("connecting", broker=household.broker)
            if household.problem:
                said = self.text("broker_away", broker=household.broker, problem=household.problem)
            elif household.connected and self.camera is None:
                said = self.text("no_camera")
            banner.set_text(said)
            banner.set_visibility(bool(said))

        show()
        ui.timer(REFRESH_SECONDS, show)

    def _choice(self, path: str) -> None:
        """Let several cameras be chosen from."""
        cameras, shown = self.household.cameras(), self.camera
        if len(cameras) > 1 and shown is not None and path not in {"/", "/cameras"}:
            names = [camera.device for camera in cameras]
            ui.select(
                names,
                value=shown.device,
                label=self.text("camera"),
                on_change=lambda event: ui.navigate.to(f"{path}?camera={quote(event.value)}"),
            ).classes("w-48")

    def each_event(self, follow: Callable[[bool], Awaitable[None]]) -> None:
        """Do that after each event of the camera and each change of its gallery: told whether that changed.

        Where the camera does not answer, it is done with the next change again.
        """

        async def look() -> None:
            heard = self._heard()
            if heard != self._seen:
                await follow(heard[1] != self._seen[1])
                self._seen = heard

        self.each_change(look)

    def _heard(self) -> tuple[str, int]:
        """The newest event of the camera, and the state of its gallery."""
        camera = self.camera
        return ("", 0) if camera is None else (camera.newest_event, camera.gallery)

    def each_change(self, follow: Callable[[], Awaitable[None] | None]) -> None:
        """Do that after each change of what is known."""
        seen = [self.household.version]

        async def look() -> None:
            if self.household.version == seen[0]:
                return
            seen[0] = self.household.version
            with suppress(LimenError):  # what is wrong is said above the page
                done = follow()
                if done is not None:
                    await done

        ui.timer(REFRESH_SECONDS, look)


def hide(*elements: ui.element) -> None:
    """Do not show these until it is known what to show: a page is sent before a camera has answered."""
    for one in elements:
        one.set_visibility(False)


def turned_off(said: str, lines: str) -> None:
    """Say how something is turned on."""
    with ui.card().classes("limen-card column"):
        ui.label(said)
        ui.label(lines).classes("limen-lines")


def status_badge(text: Texts, *, online: bool) -> None:
    """Whether a camera is online."""
    ui.badge(text("online") if online else text("offline"), color="positive" if online else "negative")
