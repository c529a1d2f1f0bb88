"""The broker stops and starts while the door is at work: no event is missing once repeated ids are dropped.

    python -m tests.faults.flapping [--times 20] [--every SECONDS]

Somebody comes to the drawn porch again and again, faster than any clock on the wall; the broker is stopped and started
all the while: at moments of chance, or with --every as regularly as that. Whoever listens keeps a session there.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from edge.config import Config, GalleryConfig, MqttConfig
from edge.core.types import Frame
from edge.demo.film import FRAMES_PER_SECOND
from edge.demo.scene import porch, with_person
from tests.household import Broker, Household, running, until, visit

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
    """What happened to the events. late: of those delivered, on event/late; repeated: more often than once"""

    stops: int
    seconds: int
    expected: int
    delivered: int
    late: int
    repeated: int
    lost: int
    dropped: int
    frames_while_away: int


def pauses(every_seconds: float | None, seed: int = 0) -> Iterator[tuple[float, float]]:
    """How long the broker stays away, and then there, each time."""
    rng = random.Random(seed)  # noqa: S311 -- moments, not secrets
    while True:
        if every_seconds is None:
            yield rng.uniform(0.1, 2.0), rng.uniform(0.5, 2.0)
        else:
            yield every_seconds / 2, every_seconds / 2


def run(folder: Path, times: int, every_seconds: float | None = None) -> Count:
    """Stop and start the broker that often."""
    with Broker(folder) as broker, Household(broker.port) as household:
        config = Config(
            device="porch",
            gallery=GalleryConfig(folder / "gallery.db"),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        )
        source, frames = BusyPorch(), 0
        with running(config, lambda: source) as service:
            until(household.events)
            began = time.monotonic()
            for away, there in tqdm(islice(pauses(every_seconds), times), "broker stopped", times, unit="stop"):
                broker.stop()
                before = service.running.watch.count
                time.sleep(away)
                frames += service.running.watch.count - before
                broker.start()
                time.sleep(there)
            seconds = time.monotonic() - began
            source.leaving = True
            until(lambda: source.empty, 60)
            expected, dropped = service.publisher.published, service.outbox.dropped
            until(lambda: household.client.is_connected() and len(heard(household)) >= expected - dropped, 120)
        events = heard(household)
    return Count(
        stops=times,
        seconds=round(seconds),
        expected=expected,
        delivered=len(events),
        late=len(heard(household, "event/late")),
        repeated=events.total() - len(events),
        lost=len(set(range(1, expected + 1)) - {seq for seq, _ in events}),
        dropped=dropped,
        frames_while_away=frames,
    )


def heard(household: Household, *names: str) -> Counter:
    """How often each event was heard, by its number and id; on these topics, or on both that there are."""
    messages = [message for name in names or ("event", "event/late") for message in household.on(name)]
    return Counter((event["seq"], event["id"]) for event in (json.loads(message.payload) for message in messages))


@click.command()
@click.option("--times", default=20, show_default=True)
@click.option("--every", "every_seconds", type=float, help="Seconds from stop to stop, half of them without a broker.")
def main(times: int, every_seconds: float | None) -> None:
    """Print what happened; status 1 if an event was lost."""
    with TemporaryDirectory() as folder:
        count = run(Path(folder), times, every_seconds)
    click.echo(count)
    if count.lost:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
