"""Enrollment of a folder of people, as face libraries of other programs are exported: FOLDER/NAME/picture.jpg."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge.commands.options import picture_text
from edge.errors import ConfigError, ImageError, RefusedError
from edge.system.files import is_dir, is_file

if TYPE_CHECKING:
    from edge.runtime.clients import Client

BATCH_BYTES = 2_000_000  # of the pictures in one request: a broker takes that much as it comes


@dataclass
class Outcome:
    """What became of one person's pictures. left_out: a line for each that made no template."""

    name: str
    pictures: int = 0
    templates: int = 0
    left_out: list[str] = field(default_factory=list)
    refused: str | None = None


def people_in(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each person, by the name of the sub-folder; hidden files are not read. Raises ConfigError."""
    found = {
        place.name: sorted(path for path in place.iterdir() if is_file(path) and not path.name.startswith("."))
        for place in sorted(folder.iterdir())
        if is_dir(place) and not place.name.startswith(".")
    }
    people = {name: paths for name, paths in found.items() if paths}
    if not people:
        raise ConfigError(f"{folder} has no sub-folder with pictures: expected {folder}/NAME/picture.jpg")
    return people


def enroll_pictures(
    client: "Client",
    name: str,
    paths: list[Path],
    *,
    face: Literal["only", "largest"] = "only",
    days: float | None = None,
    force: bool = False,
) -> Outcome:
    """Enroll somebody from any number of pictures, in as many requests as they need; a refusal ends it."""
    from edge.api.replies import EnrolledReply
    from edge.api.requests.people import EnrollImages
    from edge.runtime.clients import call

    outcome, asked = Outcome(name, len(paths)), False
    for batch in batches(client, paths, outcome):
        request = EnrollImages.new(name=name, images=list(batch.values()), face=face, ttl_days=days, force=force)
        try:
            reply = call(client, request, EnrolledReply)
        except RefusedError as refusal:
            outcome.refused = str(refusal)
            return outcome
        outcome.name = reply.name
        outcome.templates += reply.templates
        sent = list(batch)
        outcome.left_out += [f"{sent[one.image - 1]}: {one.code}: {one.reason}" for one in reply.left_out or ()]
        asked = True
    if not asked:
        outcome.refused = "; ".join(outcome.left_out)
    return outcome


def batches(client: "Client", paths: list[Path], outcome: Outcome) -> Iterator[dict[Path, str]]:
    """The pictures in base64, so many at a time as one request takes; a file that is no picture is left out."""
    from edge.core.enrollment import SAMPLES_MAX

    batch = dict[Path, str]()
    for path in paths:
        try:
            text = picture_text(path, local=client.local)
        except ImageError as error:
            outcome.left_out.append(str(error))
            continue
        if batch and (len(batch) == SAMPLES_MAX or sum(map(len, batch.values())) + len(text) > BATCH_BYTES):
            yield batch
            batch = {}
        batch[path] = text
    if batch:
        yield batch


def table(outcomes: list[Outcome]) -> list[str]:
    """A line for each person, and one for each picture and person that was not taken."""
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'name':{width}}  pictures  templates"]
    for outcome in outcomes:
        lines.append(f"{outcome.name:{width}}  {outcome.pictures:8}  {outcome.templates:9}")
        lines += [f"    {line}" for line in outcome.left_out]
        lines += [] if outcome.refused is None else [f"    refused: {outcome.refused}"]
    return lines
