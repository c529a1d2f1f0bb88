"""Serves the pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui import app, ui

from edge.config import MqttConfig
from edge.console.access import LOOPBACK, Access
from edge.console.household import Household
from edge.console.pages import cameras, now, people, settings, strangers, visits
from edge.console.password import Password
from edge.console.view import PAGES, View

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#2c5d4f"/>'
    '<path d="M10 26V8h12v18" fill="none" stroke="#fff" stroke-width="2.5"/>'
    '<circle cx="18.5" cy="17" r="1.6" fill="#fff"/></svg>'
)
DRAWN: dict[str, Callable[[View], Awaitable[None] | None]] = {
    "now": now.draw,
    "visits": visits.draw,
    "people": people.draw,
    "strangers": strangers.draw,
    "cameras": cameras.draw,
    "settings": settings.draw,
}


DRAWN_SECONDS = 60.0  # a camera may be slow to answer, and is asked for several things


@dataclass(frozen=True)
class Served:
    """Where the console is reached. names: other names of this machine; show: whether a browser is opened.

    frames: addresses whose pages may show the console in a frame
    """

    host: str
    port: int
    names: tuple[str, ...] = ()
    password: Password | None = None
    show: bool = False
    frames: tuple[str, ...] = ()


def serve(mqtt: MqttConfig, served: Served) -> None:
    """Serve the console until it is stopped. Raises ConfigError for a secret that cannot be read."""
    household = Household(mqtt)
    hosts = LOOPBACK | {served.host.lower(), *(name.lower() for name in served.names)}
    app.add_middleware(Access, hosts=hosts, password=served.password, frames=served.frames)
    app.on_startup(household.start)
    app.on_shutdown(household.stop)
    for name in PAGES:
        add_page(household, name)
    ui.run(
        host=served.host,
        port=served.port,
        title="limen",
        favicon=FAVICON,
        dark=None,
        language="en-US",
        show=served.show,
        reload=False,
        timeout_graceful_shutdown=3,
        show_welcome_message=False,
    )


def add_page(household: Household, name: str) -> None:
    """Register the page of that name."""

    @ui.page(PAGES[name][0], response_timeout=DRAWN_SECONDS)
    async def page(camera: str = "") -> None:
        view = View(household, camera)
        with view.page(name):
            drawn = DRAWN[name](view)
            if drawn is not None:
                await drawn
