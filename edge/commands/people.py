"""Who is enrolled: enroll, list, export, import, forget, rebuild."""

import base64
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
    from edge.system.crypto import HouseholdCipher

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
            enrolled = enroll_live(client, str(name), shots, seconds, days, force=force)
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
    client: "Client", name: str, shots: int, seconds: float, days: float | None, *, force: bool
) -> "EnrolledReply":
    """Samples of the person before the camera, with guidance for them."""
    from edge.api.replies import EnrolledReply
    from edge.api.requests import StartEnrollment
    from edge.runtime.clients import call

    end_as_by_ctrl_c()
    request = StartEnrollment.new(name=name, shots=shots, timeout_seconds=seconds, ttl_days=days, force=force)
    return call(client, request, EnrolledReply, print_progress)


def print_progress(progress: "ProgressReply") -> None:
    """Guide the person before the camera."""
    guidance = ""
    if progress.reason is not None:
        guidance = f": {GUIDANCE.get(progress.reason, progress.reason.replace('_', ' '))}"
    say(f"{progress.shots} of {progress.of}{guidance}")


@click.group(invoke_without_command=True)
@BROKER
@DEVICE
@JSON
@click.pass_context
def people(context: click.Context, broker: str | None, device: str | None, *, as_json: bool) -> None:
    """List who is enrolled; with export or import, to and from a file."""
    if context.invoked_subcommand is not None:
        return
    from edge.runtime.clients import everybody

    with client_of(context.obj, broker, device) as client:
        known = everybody(client)
    if as_json:
        print_json(known)
        return
    for person in known.people:
        near = "" if person.relative is None else f"  tau {person.tau:.3f}: near to {person.relative.name}"
        learned = f" ({person.learned} learned)" if person.learned else ""
        echo(f"{person.name}  {count_of(person.templates, 'template')}{learned}  {person.person_id}{near}")
    count = count_of(len(known.people), "person")
    echo(f"{count}; tau {known.tau:.3f} (match threshold: d <= tau is the same person)")


@people.command("export")
@click.argument("file", type=FILE)
@JSON
@click.pass_context
def export_people(context: click.Context, file: Path, *, as_json: bool) -> None:
    """Write everybody, with templates and pictures, into FILE. It is biometric data and not encrypted: keep it safe.

    From a device that is asked over MQTT (limen people --broker HOST export FILE) it crosses the network encrypted
    under the household's key, and is decrypted here.
    """
    from edge.api.replies import ExportedReply
    from edge.api.requests import ExportGallery
    from edge.runtime.clients import LocalClient, call
    from edge.storage.archive import write_new
    from edge.system.crypto import ARCHIVE

    config = context.obj
    with client_of(config, *asked_device(context)) as client:
        if isinstance(client, LocalClient):
            with client.device.store.transaction():
                data, count = client.device.store.export()
        else:
            cipher = household_cipher(config)
            exported = call(client, ExportGallery.new(), ExportedReply)
            data, count = cipher.decrypt(base64.b64decode(exported.gallery), ARCHIVE), exported.people
    write_new(file, data)
    if as_json:
        print_json({"file": str(file), "people": count})
    else:
        say(f"{file}: {count_of(count, 'person')}")


@people.command("import")
@click.argument("file", type=FILE)
@JSON
@click.pass_context
def import_people(context: click.Context, file: Path, *, as_json: bool) -> None:
    """Add everybody in FILE, an export. Somebody who is enrolled already gets the templates that are new."""
    from edge.api.replies import ImportedReply
    from edge.api.requests import ImportGallery
    from edge.runtime.clients import LocalClient, call, import_archive
    from edge.storage.archive import check, read
    from edge.system.crypto import ARCHIVE

    data = read(file)
    check(data, str(file))
    config = context.obj
    with client_of(config, *asked_device(context), make=True) as client:
        if isinstance(client, LocalClient):
            new = import_archive(client, data)
        else:
            encrypted = base64.b64encode(household_cipher(config).encrypt(data, ARCHIVE)).decode()
            new = call(client, ImportGallery.new(gallery=encrypted), ImportedReply)
    if as_json:
        print_json(new)
        return
    wait = f"; {new.waiting} of another model wait for `limen rebuild`" if new.waiting else ""
    say(f"{count_of(new.people, 'person')} and {count_of(new.templates, 'template')} are new{wait}")


@people.command("check")
@JSON
@click.pass_context
def check_people(context: click.Context, *, as_json: bool) -> None:
    """List what may be mended: who has one template, pictures unlike the others, people who are alike."""
    from edge.api.replies import CheckedReply
    from edge.api.requests import CheckGallery
    from edge.core.checkup import CHECKED_MAX
    from edge.runtime.clients import call

    with client_of(context.obj, *asked_device(context)) as client:
        found = call(client, CheckGallery.new(), CheckedReply)
    if as_json:
        print_json(found)
        return
    for one in found.findings:
        who = one.name if one.other is None else f"{one.name} and {one.other}"
        measured = "" if one.d is None else f" (d {one.d:.2f})"
        echo(f"{who}: {one.kind.replace('_', ' ')}{measured}: {one.advice}")
    if not found.findings:
        echo("nothing to mend")
    if found.learned:
        echo(f"{count_of(found.learned, 'template')} learned at the door (limen people templates NAME)")
    if found.checked == CHECKED_MAX:
        echo(f"at most {CHECKED_MAX} people are checked, those who were enrolled last")


def asked_device(context: click.Context) -> tuple[str | None, str | None]:
    """The broker and the device that `limen people` was given."""
    options = {} if context.parent is None else context.parent.params
    return options.get("broker"), options.get("device")


def household_cipher(config: "Config") -> "HouseholdCipher":
    """The cipher of galleries that cross MQTT. Raises ConfigError where there is no key."""
    from edge.system.crypto import ARCHIVE, HouseholdCipher

    key = config.fleet.key()
    if key is None:
        raise ConfigError("a gallery crosses MQTT encrypted alone: set fleet.key_file or LIMEN_HOUSEHOLD_KEY here too")
    return HouseholdCipher(key, ARCHIVE)


@click.command()
@click.argument("name")
@BROKER
@DEVICE
@JSON
@click.pass_obj
def forget(config: "Config", name: str, broker: str | None, device: str | None, *, as_json: bool) -> None:
    """Remove NAME: templates and pictures are deleted and overwritten on the disk."""
    from edge.api.replies import RemovedReply
    from edge.api.requests import RemovePerson
    from edge.runtime.clients import call

    with client_of(config, broker, device) as client:
        receipt = call(client, RemovePerson.new(name=name), RemovedReply)
    if as_json:
        print_json(receipt)
        return
    say(
        f"{name}: forgotten; {count_of(receipt.templates, 'template')} and {count_of(receipt.crops, 'picture')} "
        f"overwritten, {receipt.person_id} at {receipt.at}"
    )


@click.command()
@BROKER
@DEVICE
@JSON
@click.pass_obj
def rebuild(config: "Config", broker: str | None, device: str | None, *, as_json: bool) -> None:
    """Make every template again from its picture, after the embedder was replaced."""
    from edge.api.replies import RebuiltReply
    from edge.api.requests import RebuildGallery
    from edge.runtime.clients import call

    with client_of(config, broker, device) as client:
        made = call(client, RebuildGallery.new(), RebuiltReply)
    if as_json:
        print_json(made)
        return
    say(f"{count_of(made.templates, 'template')} rebuilt")
    if made.without_picture:
        echo(f"{made.without_picture} of another model have no picture: enroll those people again, or go back")
