"""Who is enrolled: list, export, import, check, forget, rebuild."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import BROKER, DEVICE, FILE, JSON, client_of, echo, print_json, say
from edge.errors import ConfigError
from edge.storage.words import count_of

if TYPE_CHECKING:
    from edge.config import Config
    from edge.system.crypto import HouseholdCipher


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
    from edge.api.requests.device import ExportGallery
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
    from edge.api.requests.device import ImportGallery
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
    from edge.api.requests.device import CheckGallery
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
    from edge.api.requests.people import RemovePerson
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
    from edge.api.requests.device import RebuildGallery
    from edge.runtime.clients import call

    with client_of(config, broker, device) as client:
        made = call(client, RebuildGallery.new(), RebuiltReply)
    if as_json:
        print_json(made)
        return
    say(f"{count_of(made.templates, 'template')} rebuilt")
    if made.without_picture:
        echo(f"{made.without_picture} of another model have no picture: enroll those people again, or go back")
