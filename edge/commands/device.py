"""The device itself: audit, doctor, bench, and the household's key."""

import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import CONFIG_FILE, FILE, JSON, echo, print_json, say, with_overrides
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.config import Config

SIDE_PX = 160, 8192  # of frames that bench draws


@click.command()
@click.option("--last", type=click.IntRange(1), help="Only the newest so many.")
@JSON
@click.pass_obj
def audit(config: "Config", last: int | None, *, as_json: bool) -> None:
    """Show who changed what of people, and when. People appear by id: a person who was removed leaves no name."""
    from edge.runtime.assembly import Device

    with Device.open(config, make=False) as device:
        records = device.store.audit.records(last)
    for record in records:
        if as_json:
            print_json(record._asdict())
            continue
        when = record.at if record.clock_set else f"{record.at} (clock not set)"
        echo("  ".join(part for part in (when, record.verb, record.person_id, record.detail, record.who) if part))


@click.command()
@click.option("--source", help="Another source of frames than the configured one.")
@click.option("--broker", help="HOST or HOST:PORT, another broker than the configured one.")
@click.option("--reset-clock", "reset", is_flag=True, help="The time of day is right, though an earlier one was later.")
@JSON
@click.pass_context
def doctor(context: click.Context, source: str | None, broker: str | None, *, reset: bool, as_json: bool) -> None:
    """Check configuration, models, gallery, secrets, disk, camera, broker, clock; status 1 if anything fails."""
    from edge.commands.checks import Finding, examine, reset_clock
    from edge.runtime.device_name import named

    path = context.meta[CONFIG_FILE]
    if reset:
        reset_clock(context.obj)
    first = Finding("configuration", "OK", str(path or "none is there, so every default: `limen init` makes one"))
    failed = False
    for finding in chain([first], examine(named(with_overrides(context.obj, source, broker)), path)):
        failed |= finding.level == "FAIL"
        if as_json:
            print_json(finding)
            continue
        show = say if finding.level == "OK" else echo
        show(f"{finding.level:4}  {finding.what}: {finding.text}")
        if finding.remedy:
            show(f"      remedy: {finding.remedy}")
    if failed:
        raise click.exceptions.Exit(1)


def frame_size(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Width and height of WIDTHxHEIGHT."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    least, most = SIDE_PX
    if not all(least <= side <= most for side in size):
        raise click.BadParameter(f"{text!r} is not WIDTHxHEIGHT of {least} to {most} px, such as 1920x1080")
    return size


@click.command()
@click.option("--source", help="Frames of this source in place of a drawn porch.")
@click.option("--size", callback=frame_size, help="WIDTHxHEIGHT of the drawn porch, beside 640x480 in the same run.")
@click.option("--frames", type=click.IntRange(1), default=300, show_default=True, help="How many of each kind.")
@JSON
@click.pass_obj
def bench(config: "Config", source: str | None, size: tuple[int, int] | None, frames: int, *, as_json: bool) -> None:
    """Time the stages of a frame on this machine, with nobody and with somebody before the camera."""
    import tempfile

    from edge.commands.stages import DRAWN_SIZE, measure, table

    if source is not None and size is not None:
        raise ConfigError("--size is of the drawn porch; frames of --source have their own")
    with tempfile.TemporaryDirectory() as folder:
        config = with_overrides(config, source, None)
        rows = measure(config, Path(folder), frames, source=source is not None, size=size or DRAWN_SIZE)
        if as_json:
            for row in rows:
                print_json(row)
            return
        for line in table(rows):
            echo(line)


@click.group()
def fleet() -> None:
    """One gallery for all cameras of a household."""


@fleet.command()
@click.argument("file", type=FILE)
def key(file: Path) -> None:
    """Make a household's key and write it into FILE. Everybody who has the key can read all templates."""
    from edge.storage.archive import write_new
    from edge.system.crypto import new_key

    write_new(file, f"{new_key()}\n".encode())
    say(f"{file}: a new key; copy it to every camera of the household, and name it there as fleet.key_file")
