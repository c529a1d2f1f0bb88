"""The broker stops and starts while the door is at work: no event is missing once repeated ids are dropped.

    python -m tests.faults.flapping [--times 20]

Somebody comes to the drawn porch again and again, faster than any clock on the wall; the broker is stopped and started
all the while. Whoever listens keeps a session at the broker.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from edge.config import Config, GalleryConfig, MqttConfig
from edge.core.types import Frame
from edge.demo.film import FRAMES_PER_SECOND, visit
from edge.demo.scene import porch, with_person
from tests.household import Broker, Household, running, until

SPEED = 5.0  # times the clock on the wall


class BusyPorch:
    """Somebody comes, stays, goes; a moment of nobody; the next. See edge.core.ports.FrameSource."""

    def __init__(self) -> None:
        self.ended, self.dropped = False, 0
        self.leaving = False  # whoever is there is the last
        self.empty = False  # nobody was there for a while, and nobody comes any more
        self._frames = self._endless()

    def read(self, timeout_seconds: float) -> Frame | None:
        """The next frame."""
        time.sleep(min(timeout_seconds, 1 / FRAMES_PER_SECOND / SPEED))
        return next(self._frames)

    def close(self) -> None:
        """Nothing is held open."""

    def _endless(self) -> Iterator[Frame]:
        number = 0
        for visitor in range(1_000_000):
            poses = [] if self.leaving else visit(0.0)
            pictures = [with_person(porch(), visitor % 4, pose) for pose in poses]
            for picture in [*pictures, *[porch()] * 20]:
                yield Frame(picture, number / FRAMES_PER_SECOND)
                number += 1
            self.empty = not poses


@dataclass
class Count:
    """What happened to the events."""

    stops: int
    expected: int
    delivered: int
    repeated: int
    lost: int
    dropped: int
    frames_while_away: int


def run(folder: Path, times: int, seed: int = 0) -> Count:
    """Stop and start the broker that often."""
    rng = random.Random(seed)  # noqa: S311 -- moments, not secrets
    with Broker(folder) as broker, Household(broker.port) as household:
        config = Config(
            device="porch",
            gallery=GalleryConfig(folder / "gallery.db"),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        )
        source, frames = BusyPorch(), 0
        with running(config, lambda: source) as service:
            until(household.events)
            for _ in tqdm(range(times), desc="broker stopped", unit="stop"):
                broker.stop()
                before = service.watch.count
                time.sleep(rng.uniform(0.1, 2.0))
                frames += service.watch.count - before
                broker.start()
                time.sleep(rng.uniform(0.5, 2.0))
            source.leaving = True
            until(lambda: source.empty, 60)
            expected, dropped = service.herald.published, service.outbox.dropped
            until(lambda: household.client.is_connected() and len(ids(household)) >= expected - dropped, 60)
        seen = ids(household)
        numbers = {event["seq"] for event in household.events()}
    return Count(
        stops=times,
        expected=expected,
        delivered=len(seen),
        repeated=seen.total() - len(seen),
        lost=len(set(range(1, expected + 1)) - numbers),
        dropped=dropped,
        frames_while_away=frames,
    )


def ids(household: Household) -> Counter:
    """How often each event was heard."""
    return Counter(event["id"] for event in household.events())


@click.command()
@click.option("--times", default=20, show_default=True)
def main(times: int) -> None:
    """Print what happened; status 1 if an event was lost."""
    with TemporaryDirectory() as folder:
        count = run(Path(folder), times)
    click.echo(count)
    if count.lost:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
