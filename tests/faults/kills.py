"""kill -9 in the middle of enrollments: whatever was acknowledged is there, and nothing is half there.

    python -m tests.faults.kills [--times 200]

Each time a `limen run` of its own is sent enrollments over MQTT, one after the other, and killed at some moment between
the first message, or every other time the first answer, and a while later. Then the gallery is opened and compared with
the answers that came.
"""

import base64
import json
import random
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from edge.demo.story import portrait
from edge.storage.idempotency import hashed
from tests.faults.device import at_work, write_config
from tests.household import Broker, Household, until

KILL_WITHIN_SECONDS = 0.2
REQUESTS = 12


@dataclass
class Count:
    """What happened. lost: acknowledged, but not on the disk; half: a template without its answer, or the reverse."""

    kills: int = 0
    sent: int = 0
    acknowledged: int = 0
    kept_unacknowledged: int = 0
    lost: int = 0
    half: int = 0


def run(folder: Path, times: int, seed: int = 0) -> Count:
    """Kill it that often. Raises AssertionError where the database does not open clean."""
    rng, count = random.Random(seed), Count()  # noqa: S311 -- moments, not secrets
    photos = [base64.b64encode(portrait(0, look=2 + number / 1000)).decode() for number in range(times * REQUESTS)]
    acknowledged: set[str] = set()
    with Broker(folder) as broker:
        config = write_config(folder, broker.port)
        for turn in tqdm(range(times), desc="kill -9", unit="kill"):
            with Household(broker.port) as household, at_work(config, household) as device:
                for number in range(REQUESTS):
                    request = {"transaction": f"t{turn}-{number}", "name": "Anna", "images": [photos.pop()]}
                    household.send("enroll/image", request)
                if turn % 2:  # the process that reads pictures has started
                    until(lambda household=household: household.on("response/enroll/image"))
                time.sleep(rng.uniform(0, KILL_WITHIN_SECONDS))
                device.kill()
                device.wait()
                until(lambda household=household: household.newest("status") == b"offline")  # the last of its answers
                answers = [json.loads(message.payload) for message in household.on("response/enroll/image")]
            acknowledged |= {hashed(answer["transaction"]) for answer in answers if answer["status"] == "ok"}
            count.kills += 1
            count.sent += REQUESTS
    with sqlite3.connect(folder / "gallery.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {request for (request,) in raw.execute("SELECT request FROM answer")}
        templates = raw.execute("SELECT count(*) FROM template").fetchone()[0]
    count.acknowledged = len(acknowledged)
    count.kept_unacknowledged = len(kept - acknowledged)
    count.lost = len(acknowledged - kept)
    count.half = abs(templates - len(kept))
    return count


@click.command()
@click.option("--times", default=200, show_default=True)
def main(times: int) -> None:
    """Print what happened; status 1 if an acknowledged enrollment was lost or is half there."""
    with TemporaryDirectory() as folder:
        count = run(Path(folder), times)
    click.echo(count)
    if count.lost or count.half:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
