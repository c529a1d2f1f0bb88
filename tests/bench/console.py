"""How soon the console's pages are there, and what it holds in memory, before 10,000 visits, 50 people and 4 cameras.

    python -m tests.bench.console [--visits 10000] [--people 50] [--cameras 4] [--rounds 5]

Each camera is a `limen run` of its own at a real mosquitto, with the same people; the first has the visits, each with a
crop of somebody drawn. A headless Chromium loads each page once with nothing in its cache and then so many times; what
is said is when the first card was there, and when the first face was, from the beginning of the navigation on, by the
browser's own clock. Memory is the RSS of `limen console`.
"""

import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import msgspec
import numpy as np
from selenium.webdriver.common.by import By

from edge.api.images import crop_jpeg
from edge.config import Config, GalleryConfig
from edge.console.pages.visits import PAGE, SHOWN_MAX
from edge.demo.scene import people, porch
from edge.runtime.assembly import Device
from edge.runtime.visits import Told
from edge.storage.history import SqliteHistory
from edge.storage.visits import Note, Pictures
from tests.bench.fleet_speed import fill
from tests.bench.growth import vectors
from tests.edge.console.test_browser import Page
from tests.household import Broker, Household, free_port, until

PAGES = ("now", "visits", "people", "cameras")
HOUR_SECONDS = 3600.0
CARD = ".limen-grid .limen-card"
# In every document, as soon as there is one: when there was a card, and when there was a face.
WATCH = """
window.there = {};
const look = () => {
    const card = document.querySelector("CARD"), face = document.querySelector("img.limen-face");
    if (card) window.there.card ??= performance.now();
    if (face && face.naturalWidth) window.there.face ??= performance.now();
    if (!window.there.face) setTimeout(look, 5);
};
look();
""".replace("CARD", CARD)
TOML = """
device = "{device}"
clock = "trusted"
gallery.path = "{folder}/gallery.db"
mqtt = {{ host = "127.0.0.1", port = {port}, health_every_seconds = 5.0 }}
history = {{ keep_hours = 87600, megabytes_max = 10000 }}
"""


def keep(gallery: Path, count: int) -> None:
    """Put that many visits into the history beside a gallery: six of seven are of somebody who is enrolled."""
    config = Config(device="porch", gallery=GalleryConfig(gallery))
    with Device.open(config) as device:
        enrolled = [person.person_id for person in device.store.load()[0]]
        model = device.store.model
    crops = [crop_jpeg(crop) for crop in people().reshape(-1, 112, 112, 3)]
    drawn, now = vectors(count), time.time()
    history = SqliteHistory(config.history.beside(gallery), model)
    for begin in range(0, count, 500):
        history.add(note(row, count, enrolled, crops, drawn[row], now) for row in range(begin, min(count, begin + 500)))
    history.close()


def note(row: int, count: int, enrolled: list[str], crops: list[bytes], embedding: np.ndarray, now: float) -> Note:
    """The visit of that row, the last of which began just now."""
    person = None if row % 7 == 0 else enrolled[row % len(enrolled)]
    told = Told(
        distance=0.4, tau=0.97, nearest=None, runner_up=None, margin=None, votes={}, why="3 samples together: d 0.40",
        quality=None, box=None, faces_in_frame=1, model="embedder@c176a048",
    )  # fmt: skip
    return Note(
        visit_id=f"{row:032x}",
        event_id=f"{row:032x}",
        kind="unknown" if person is None else "recognized",
        at=now - HOUR_SECONDS * (count - row) / 20,
        clock_set=True,
        person_id=person,
        stranger=None,
        faces=1,
        told=msgspec.json.encode(told),
        ended=True,
        begins=True,
        pictures=Pictures(embedding, crops[row % len(crops)]),
    )


@contextmanager
def ran(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """limen with these words, until the block ends."""
    process = subprocess.Popen([sys.executable, "-m", "edge", *map(str, words)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def start_camera(stack: ExitStack, folder: Path, device: str, port: int, visits: int, count: int) -> None:
    """A camera of so many people."""
    folder.mkdir()
    cv2.imwrite(str(folder / "porch.png"), cv2.cvtColor(porch(), cv2.COLOR_RGB2BGR))
    (folder / "limen.toml").write_text(TOML.format(device=device, folder=folder, port=port))
    fill(Config(device=device, gallery=GalleryConfig(folder / "gallery.db")), count)
    if visits:
        keep(folder / "gallery.db", visits)
    household = stack.enter_context(Household(port, device))
    stack.enter_context(ran("--config", folder / "limen.toml", "run", "--loop", "--source", folder / "porch.png"))
    until(lambda: household.newest("status") == b"online", 120)


def is_served(port: int) -> bool:
    """Whether the console answers."""
    with suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200
    return False


def seen(page: Page, name: str) -> dict[str, float]:
    """Milliseconds after which there was a card and, where there are faces, a face."""
    wanted = {"card"} if name in {"now", "cameras"} else {"card", "face"}
    page.driver.get(f"{page.address}/{'' if name == 'now' else name}?camera=camera-0")
    until(lambda: wanted <= (there := page.driver.execute_script("return window.there")).keys() and there)
    return dict(page.driver.execute_script("return window.there"))


def rss_mb(process: subprocess.Popen[bytes]) -> float:
    """Of a process that runs."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def browser(address: str) -> Page:
    """One that notes when what is drawn is there."""
    page = Page(address)
    page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return page


@click.command()
@click.option("--visits", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--people", "count", type=click.IntRange(1), default=50, show_default=True)
@click.option("--cameras", type=click.IntRange(1), default=4, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
def main(visits: int, count: int, cameras: int, rounds: int) -> None:
    """Print it."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(Broker(folder))
        for number in range(cameras):
            start_camera(stack, folder / str(number), f"camera-{number}", broker.port, 0 if number else visits, count)
        port = free_port()
        address = f"127.0.0.1:{broker.port}"
        console = stack.enter_context(ran("console", "--no-show", "--port", port, "--broker", address))
        until(lambda: is_served(port), 60)
        time.sleep(2)  # until it has heard of all cameras
        click.echo(f"RSS after the start {rss_mb(console):.0f} MB")
        page = browser(f"http://127.0.0.1:{port}")
        stack.callback(page.driver.quit)
        for shown in PAGES:
            page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
            first, later = seen(page, shown), [seen(page, shown) for _ in range(rounds)]
            for what in sorted(first):
                times = [one[what] for one in later]
                said = f"{statistics.median(times):.0f} ms (at most {max(times):.0f})"
                click.echo(f"{shown}: first {what} after {first[what]:.0f} ms with an empty cache, then {said}")
        click.echo(f"RSS after {len(PAGES) * (rounds + 1)} pages {rss_mb(console):.0f} MB")
        page.open("visits?camera=camera-0")
        for shown in range(2 * PAGE, min(visits, SHOWN_MAX) + 1, PAGE):
            page.click("Older visits")
            until(lambda shown=shown: len(page.driver.find_elements(By.CSS_SELECTOR, CARD)) == shown)
        click.echo(f"RSS with {shown} visits on a page {rss_mb(console):.0f} MB")


if __name__ == "__main__":
    main()
