"""Requests that cannot be carried out, of every kind: each is answered with a code and a reason, and the door goes on.

    python -m tests.faults.malformed [--times 200]

The device watches the drawn porch with somebody in it, at ten frames a second. Printed are the answers by kind, and its
frames a second, their cost and its memory before and at the end of the flood.
"""

import base64
import json
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from edge.demo.scene import HEIGHT, WIDTH, Pose, with_person
from edge.demo.story import portrait
from tests.faults.device import at_work, write_config
from tests.household import Broker, Household, base64_of, until


@dataclass(frozen=True)
class Bad:
    """A request, and the code it must be answered with.

    null: its transaction cannot be read; answered_on: another verb than the one that was asked
    """

    what: str
    code: str
    verb: str
    payload: Callable[[str], bytes]
    retain: bool = False
    null: bool = False
    answered_on: str | None = None


def asking(**fields: object) -> Callable[[str], bytes]:
    """A JSON request, given its transaction."""
    return lambda transaction: json.dumps({"transaction": transaction, **fields}).encode()


def enrolling(*images: str) -> Callable[[str], bytes]:
    """enroll/image of those pictures in base64."""
    return asking(name="Newcomer", images=list(images))


def png_that_claims(width: int, height: int) -> str:
    """A few bytes whose header says that they are that many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def flat(width: int, height: int) -> str:
    """A small file that is many pixels."""
    return base64_of(np.full((height, width, 3), 180, np.uint8), ".png")


def every_kind() -> list[Bad]:
    """One of each."""
    good = base64.b64encode(portrait(0, look=2.0)).decode()
    wall = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    two = with_person(with_person(wall, 0, Pose(0.25, 0.45, 150.0)), 3, Pose(0.75, 0.45, 150.0))
    whole = base64.b64decode(good)
    return [
        Bad("not JSON", "not_json", "person/list", lambda _: b"{'transaction'", null=True),
        Bad("not UTF-8", "not_json", "person/list", lambda _: b"\xff\xfe\x00", null=True),
        Bad("nothing", "not_json", "person/remove", lambda _: b"", null=True),
        Bad(
            "brackets without end", "not_json", "person/list", lambda _: b'{"transaction": ' + b"[" * 100_000, null=True
        ),
        Bad("a topic without end", "unknown_verb", "x" * 60_000, asking(), answered_on="unknown"),
        Bad("wrong type", "invalid", "enroll/image", asking(name=["Newcomer"], images=good)),
        Bad("a field too many", "invalid", "person/list", asking(colour="red")),
        Bad("10 MB", "too_large", "enroll/image", lambda _: b" " * 10_000_000, null=True),
        Bad("truncated JPEG", "image_broken", "enroll/image", enrolling(base64.b64encode(whole[:5000]).decode())),
        Bad("not a picture", "not_an_image", "enroll/image", enrolling(base64.b64encode(b"hello" * 50).decode())),
        Bad("not base64", "not_base64", "enroll/image", enrolling("%%%")),
        Bad("30,000 x 30,000 PNG", "image_too_large", "enroll/image", enrolling(png_that_claims(30_000, 30_000))),
        # The first is small, so that none of the large ones fits beside it: to look for faces in one takes seconds.
        Bad(
            "19 large pictures of nothing",
            "image_too_large",
            "enroll/image",
            enrolling(flat(400, 400), *[flat(4000, 4000)] * 19),
        ),
        Bad("two faces", "multiple_faces", "enroll/image", enrolling(base64_of(two))),
        Bad("no face", "no_face", "enroll/image", enrolling(base64_of(wall))),
        Bad("retained", "retained", "person/list", asking(), retain=True),
        Bad("unknown verb", "unknown_verb", "door/open", asking()),
        Bad("nobody of that name", "no_such_person", "person/remove", asking(name="Nemo")),
        Bad("a control character", "invalid", "enroll/image", asking(name="Bo\u0007b", images=[good])),
        Bad("two walls", "no_face", "enroll/image", enrolling(base64_of(wall), base64_of(wall))),
    ]


@dataclass
class Flood:
    """What happened. wrong: requests that got another answer than they should, in words."""

    answers: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    before: list[dict] = field(default_factory=list)  # health, second by second
    during: list[dict] = field(default_factory=list)
    people: list = field(default_factory=list)


def run(folder: Path, times: int) -> Flood:
    """Send that many, of every kind in turn."""
    flood = Flood()
    with Broker(folder) as broker, Household(broker.port) as household:
        config = write_config(folder, broker.port)
        with at_work(config, household):
            until(lambda: len(household.on("health")) >= 4)
            flood.before = healths(household)[1:]  # the first second is that of the start
            for number, bad in enumerate(islice(cycle(every_kind()), times)):
                transaction = f"bad-{number}"
                answer = household.ask(bad.verb, bad.payload(transaction), bad.answered_on, retain=bad.retain)
                expected = ("error", bad.code, None if bad.null else transaction)
                if (answer["status"], answer["code"], answer["transaction"]) != expected or not answer["error"]:
                    flood.wrong.append(f"{bad.what}: expected {expected}, got {answer}")
                flood.answers[f"{bad.what}: {answer['code']}"] += 1
                if bad.retain:
                    household.client.publish(f"{household.base}/request/{bad.verb}", b"", retain=True).wait_for_publish(
                        5
                    )
            until(lambda: len(household.on("health")) > len(flood.before) + 1)
            flood.during = healths(household)[len(flood.before) + 1 :]
            flood.people = household.ask("person/list", {"transaction": "who"})["data"]["people"]
    return flood


def healths(household: Household) -> list[dict]:
    """What the device said of itself, second by second."""
    return [json.loads(message.payload) for message in household.on("health")]


@click.command()
@click.option("--times", default=200, show_default=True)
def main(times: int) -> None:
    """Print what happened; status 1 if a request was answered wrongly."""
    with TemporaryDirectory() as folder:
        flood = run(Path(folder), times)
    for answer, count in sorted(flood.answers.items()):
        click.echo(f"{count:4} {answer}")
    for when, seconds in (("before", flood.before), ("during", flood.during)):
        fps, memory = ([second[what] for second in seconds] for what in ("fps", "rss_mb"))
        click.echo(
            f"{when}: {len(seconds)} s, {min(fps)} to {max(fps)} frames/s, {min(memory)} to {max(memory)} MB; at the "
            f"end {seconds[-1]['ms']['frame']} ms a frame, {seconds[-1]['dropped_frames']} frames dropped"
        )
    click.echo(f"wrong answers: {flood.wrong or 'none'}; people in the gallery: {len(flood.people)}")
    if flood.wrong:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
