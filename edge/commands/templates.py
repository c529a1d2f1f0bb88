"""The templates of one person: limen people templates, limen people forget-template."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import JSON, client_of, echo, print_json, say
from edge.commands.people import asked_device
from edge.errors import GalleryError
from edge.storage.words import count_of

if TYPE_CHECKING:
    from edge.core.templates import TemplateSummary


@click.command("templates")
@click.argument("name")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the picture of each, as far as it is stored, into DIRECTORY/ID.jpg.",
)
@JSON
@click.pass_context
def list_templates(context: click.Context, name: str, pictures: Path | None, *, as_json: bool) -> None:
    """List the templates of NAME: where each is from, and how far it is from the others."""
    from edge.runtime.clients import templates_of

    with client_of(context.obj, *asked_device(context)) as client:
        found, crops = templates_of(client, name, crops=pictures is not None)
    if pictures is not None:
        write_pictures(pictures, crops)
    for one in found:
        print_json(one) if as_json else echo(line(one))
    if not as_json:
        learned = sum(one.origin == "learned" for one in found)
        echo(f"{count_of(len(found), 'template')}, {learned} learned")


@click.command("forget-template")
@click.argument("name")
@click.argument("template", metavar="ID")
@JSON
@click.pass_context
def forget_template(context: click.Context, name: str, template: str, *, as_json: bool) -> None:
    """Remove the template of NAME with that ID, and what was learned by it: deleted and overwritten."""
    from edge.api.replies import RemovedTemplateReply
    from edge.api.requests.people import RemoveTemplate
    from edge.runtime.clients import call

    with client_of(context.obj, *asked_device(context)) as client:
        receipt = call(client, RemoveTemplate.new(name=name, id=template), RemovedTemplateReply)
    if as_json:
        print_json(receipt)
        return
    say(f"{name}: {count_of(receipt.removed, 'template')} overwritten, {receipt.templates} left, at {receipt.at}")


def line(one: "TemplateSummary") -> str:
    """One template, for people."""
    origin = one.origin if one.event is None else f"learned from event {one.event}"
    apart = "" if one.distance is None else f"  d {one.distance:.2f} from the others"
    quality = "" if one.sharpness is None else f"  sharpness {one.sharpness}, brightness {one.brightness}"
    return f"{one.id}  {origin}  {one.added}{apart}{quality}"


def write_pictures(folder: Path, crops: dict[str, str]) -> None:
    """Write JPEGs in base64, by the ids of their templates, readable by their owner alone. Raises GalleryError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for template_id, crop in crops.items():
            file = folder / f"{template_id.replace('/', '_')}.jpg"  # an imported id may be any text
            file.touch(mode=0o600)
            file.write_bytes(base64.b64decode(crop))
    except OSError as error:
        raise GalleryError(f"{folder} cannot be written: {error.strerror or error}") from error
