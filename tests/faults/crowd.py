"""Ten thousand people in the gallery, and requests that change and list them: the door goes on.

    python -m tests.faults.crowd [--people 10000] [--seconds 20]

The device watches the drawn porch with somebody in it, at ten frames a second. One household asks without a pause:
enroll, rename, list (every page), remove. Printed are the answers and the frames of each second before and during that.
"""

import base64
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from edge.commands.config_file import load_config
from edge.demo.story import portrait
from tests.bench.growth import fill
from tests.faults.device import at_work, write_config
from tests.household import Broker, Household, until

SHARE_MIN = 0.8  # of the frames of a second before


@dataclass
class Crowd:
    """What happened. wrong: requests that were not answered as they should, in words; before, during: health."""

    answers: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    before: list[dict] = field(default_factory=list)
    during: list[dict] = field(default_factory=list)

    @property
    def slow(self) -> list[float]:
        """Frames a second of those seconds in which there were too few."""
        usual = sorted(second["fps"] for second in self.before)[len(self.before) // 2]
        return [second["fps"] for second in self.during if second["fps"] < SHARE_MIN * usual]


class Asker:
    """Asks, and counts the answers."""

    def __init__(self, household: Household, crowd: Crowd) -> None:
        self.household, self.crowd, self.asked = household, crowd, 0

    def ask(self, verb: str, **fields: object) -> dict:
        """The data of the answer."""
        self.asked += 1
        answer = self.household.ask(verb, {"transaction": f"crowd-{self.asked}", **fields})
        self.crowd.answers[f"{verb}: {answer['code'] or 'ok'}"] += 1
        if answer["status"] != "ok":
            self.crowd.wrong.append(f"{verb}: {answer['code']} {answer['error']}")
        return answer["data"] or {}

    def round(self, picture: str, people: int) -> None:
        """Somebody comes, is renamed, is on the list, and goes."""
        self.ask("enroll/image", name="Newcomer", images=[picture])
        self.ask("person/rename", name="Newcomer", new_name="Resident")
        page = self.ask("person/list")
        listed = len(page["people"])
        while "next" in page:
            page = self.ask("person/list", after=page["next"])
            listed += len(page["people"])
        if listed != people + 1:
            self.crowd.wrong.append(f"person/list: {listed} people of {people + 1}")
        self.ask("person/remove", name="Resident")


def run(folder: Path, people: int, seconds: float) -> Crowd:
    """Ask for so many seconds."""
    crowd = Crowd()
    with Broker(folder) as broker, Household(broker.port) as household:
        config = write_config(folder, broker.port)
        fill(load_config(config), people)
        picture = base64.b64encode(portrait(0, look=2.0)).decode()
        with at_work(config, household):
            until(lambda: len(household.on("health")) >= 7)
            crowd.before = healths(household)[2:]  # the first seconds are those of the start
            asker, stop_at = Asker(household, crowd), time.monotonic() + seconds
            began = len(household.on("health"))
            while time.monotonic() < stop_at:
                asker.round(picture, people)
            crowd.during = healths(household)[began + 1 :]
    return crowd


def healths(household: Household) -> list[dict]:
    """What the device said of itself, second by second."""
    return [json.loads(message.payload) for message in household.on("health")]


@click.command()
@click.option("--people", default=10_000, show_default=True)
@click.option("--seconds", default=20.0, show_default=True)
def main(people: int, seconds: float) -> None:
    """Print what happened; status 1 if a request was not answered, or a second had fewer than 80 % of the frames."""
    with TemporaryDirectory() as folder:
        crowd = run(Path(folder), people, seconds)
    for answer, count in sorted(crowd.answers.items()):
        click.echo(f"{count:5} {answer}")
    for when, several in (("before", crowd.before), ("during", crowd.during)):
        fps, memory = ([second[what] for second in several] for what in ("fps", "rss_mb"))
        click.echo(f"{when}: {len(several)} s, {min(fps)} to {max(fps)} frames/s, at most {max(memory)} MB: {fps}")
    click.echo(f"wrong: {crowd.wrong or 'none'}; seconds with too few frames: {crowd.slow or 'none'}")
    if crowd.wrong or crowd.slow:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
