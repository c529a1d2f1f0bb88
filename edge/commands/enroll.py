"""Who is to be recognized: enroll from pictures, from a folder of them, or from the camera."""

import io
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from edge.commands.folder import Outcome, enroll_pictures, people_in, table
from edge.commands.options import (
    BROKER,
    DEVICE,
    FILE,
    JSON,
    client_of,
    echo,
    end_as_by_ctrl_c,
    is_quiet,
    print_json,
    say,
)
from edge.errors import ConfigError, GalleryError
from edge.storage.words import count_of

if TYPE_CHECKING:
    from edge.api.replies import EnrolledReply, ProgressReply
    from edge.config import Config
    from edge.runtime.clients import Client

DAYS_MAX = 3650  # as edge.api.fields; imported there, OpenCV would be too

# What the person before the camera should do, by the reason why a face gave no sample.
GUIDANCE = {
    "no_face": "nobody is there",
    "multiple_faces": "one at a time, please",
    "too_small": "come nearer",
    "turned_away": "look into the camera",
    "not_upright": "the picture is upside down: turn the camera (camera.rotate_deg)",
    "dark": "there is too little light",
    "blurred": "hold still for a moment",
    "unclear": "show the whole face",
    "too_similar": "turn your head a little",
    "different_people": "that is somebody else",
}


@click.command()
@click.argument("name", required=False)
@click.argument("pictures", nargs=-1, type=FILE)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Enroll everybody of DIRECTORY/NAME/picture.jpg; status 1 if somebody was refused.",
)
@click.option(
    "--face",
    type=click.Choice(["only", "largest"]),
    default="only",
    show_default=True,
    help="Of a picture with several people: refuse it, or take the nearest.",
)
@click.option("--force", is_flag=True, help="They are of NAME, even if they differ much from those of before.")
@click.option("--live", is_flag=True, help="From samples of the person before a running device.")
@click.option(
    "--shots", type=click.IntRange(1, 20), default=5, show_default=True, help="With --live: how many samples."
)
@click.option("--seconds", type=click.FloatRange(5, 600), default=60, show_default=True, help="With --live: how long.")
@click.option(
    "--days", type=click.FloatRange(0, DAYS_MAX, min_open=True), help="A guest: forgotten after so many days."
)
@BROKER
@DEVICE
@JSON
@click.pass_obj
def enroll(
    config: "Config",
    name: str | None,
    pictures: tuple[Path, ...],
    folder: Path | None,
    broker: str | None,
    device: str | None,
    *,
    face: Literal["only", "largest"],
    force: bool,
    live: bool,
    shots: int,
    seconds: float,
    days: float | None,
    as_json: bool,
) -> None:
    """Enroll NAME from PICTURES with one face each; one is enough. Pictures of somebody else are left out."""
    from edge.core.enrollment import FEWER, SAMPLES_MAX
    from edge.runtime.device_name import named

    if (folder is not None) + bool(pictures) + live != 1 or (name is None) != (folder is not None):
        raise ConfigError("enroll takes NAME and PICTURES, NAME and --live, or --folder")
    if len(pictures) > SAMPLES_MAX:
        raise ConfigError(f"enroll takes at most {SAMPLES_MAX} PICTURES, not {len(pictures)}: {FEWER}")
    if live and broker is None and device is None:  # the camera of this machine
        device = named(config).device
    with client_of(config, broker, device, make=True) as client:
        if live:
            enrolled = enroll_live(client, str(name), shots, seconds, days, force=force, as_json=as_json)
            outcomes = [Outcome(enrolled.name, templates=enrolled.templates)]
        else:
            chosen = {str(name): list(pictures)} if folder is None else people_in(folder)
            enroll_one = partial(enroll_pictures, client, face=face, days=days, force=force)
            hidden = folder is None or is_quiet() or not sys.stderr.isatty()
            with click.progressbar(chosen.items(), file=io.StringIO() if hidden else sys.stderr) as people:
                outcomes = [enroll_one(person, paths) for person, paths in people]
    (show_table if folder is not None else show_one)(outcomes, days, as_json=as_json)


def show_table(outcomes: list[Outcome], _days: float | None, *, as_json: bool) -> None:
    """A line for each person of a folder; status 1 where somebody was refused."""
    if as_json:
        for outcome in outcomes:
            print_json(outcome)
    else:
        for line in table(outcomes):
            echo(line)
    if any(outcome.refused for outcome in outcomes):
        raise click.exceptions.Exit(1)


def show_one(outcomes: list[Outcome], days: float | None, *, as_json: bool) -> None:
    """What became of one person's pictures. Raises GalleryError where they were refused."""
    (outcome,) = outcomes
    if outcome.refused is not None:
        raise GalleryError(outcome.refused)
    if as_json:
        print_json(outcome)
        return
    for line in outcome.left_out:
        echo(f"left out {line}", err=True)
    guest = f"; a guest, forgotten after {days:g} days" if days else ""
    say(f"{outcome.name}: {count_of(outcome.templates, 'template')} added{guest}")


def enroll_live(
    client: "Client", name: str, shots: int, seconds: float, days: float | None, *, force: bool, as_json: bool
) -> "EnrolledReply":
    """Samples of the person before the camera, with guidance for them."""
    from edge.api.replies import EnrolledReply
    from edge.api.requests.people import StartEnrollment
    from edge.runtime.clients import call

    end_as_by_ctrl_c()
    request = StartEnrollment.new(name=name, shots=shots, timeout_seconds=seconds, ttl_days=days, force=force)
    return call(client, request, EnrolledReply, partial(print_progress, err=as_json))


def print_progress(progress: "ProgressReply", *, err: bool = False) -> None:
    """Guide the person before the camera. err: on the standard error, where the output is data."""
    guidance = ""
    if progress.reason is not None:
        guidance = f": {GUIDANCE.get(progress.reason, progress.reason.replace('_', ' '))}"
    say(f"{progress.shots} of {progress.of}{guidance}", err=err)
