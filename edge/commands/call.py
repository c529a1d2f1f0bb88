"""limen call: any verb, by its name."""

import json
from typing import TYPE_CHECKING

import click

from edge.commands.options import BROKER, DEVICE, JSON, client_of, echo, end_as_by_ctrl_c, print_json
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.config import Config


@click.command()
@click.argument("verb", required=False)
@click.argument("fields", nargs=-1, metavar="[KEY=VALUE]...")
@BROKER
@DEVICE
@JSON
@click.pass_obj
def call(
    config: "Config",
    verb: str | None,
    fields: tuple[str, ...],
    broker: str | None,
    device: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask VERB with its fields, and print the reply as JSON; without VERB, list the verbs, as JSON with --json.

    A VALUE is JSON, or else text: `limen call person/set name=Anna tau=0.9 notify=false`. KEY=@FILE takes a picture
    from a file, in base64.
    """
    import msgspec

    from edge.api.requests import VERBS
    from edge.api.requests.device import ImportGallery
    from edge.api.requests.people import EnrollImages
    from edge.api.verbs import Access, convert_request
    from edge.runtime.clients import call as ask
    from edge.runtime.clients import print_refusal

    if verb is None:
        for name, kind in VERBS.items():
            about = (kind.__doc__ or "").partition("\n")[0]
            if as_json:
                print_json({"verb": name, "access": kind.access, "about": about})
            else:
                echo(f"{name:18} {kind.access:6} {about}")
        return
    values = dict(map(parsed, fields))
    if "transaction" in values:
        raise ConfigError("transaction: every call makes its own")
    with print_refusal():
        kind = type(convert_request(verb, {"transaction": "0", **values}))
        if kind.access is Access.LIVE:
            end_as_by_ctrl_c()
        with client_of(config, broker, device, make=kind in {EnrollImages, ImportGallery}) as client:
            request = msgspec.convert({"transaction": kind.new_transaction(), **values}, kind)
            reply = ask(client, request, object, lambda progress: print_json(progress, err=True))
    print_json(reply)


def parsed(field: str) -> tuple[str, object]:
    """'tau=0.9' -> ('tau', 0.9). Raises ConfigError where there is no '='."""
    key, equals, text = field.partition("=")
    if not equals or not key:
        raise ConfigError(f"{field!r}: expected KEY=VALUE")
    if text.startswith("@"):
        return key, file_text(text[1:])
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text


def file_text(name: str) -> str:
    """The bytes of a file in base64. Raises ConfigError where it cannot be read."""
    import base64
    from pathlib import Path

    try:
        return base64.b64encode(Path(name).read_bytes()).decode()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
