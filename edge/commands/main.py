"""limen: run, and the commands that work on a device's own gallery. A thin skin over edge.runtime.loop."""

import json
import logging
import signal
import tempfile
import threading
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np

from edge.api.requests import DAYS_MAX
from edge.capture import open_source
from edge.commands.doctor import examine, reset_clock
from edge.config import CameraConfig, Config, MqttConfig, broker_at, device_named, load_config
from edge.core.align import align
from edge.core.commands import RecognizeImage
from edge.core.types import Face
from edge.errors import ConfigError, ImageError, LimenError
from edge.runtime.assembly import Device
from edge.runtime.clients import People, done, open_client
from edge.runtime.loop import DeviceLoop
from edge.storage.archive import check, read, write_new
from edge.system.crypto import new_key

SYSTEM_CONFIG = Path("/etc/limen/limen.toml")
FILE = click.Path(dir_okay=False, path_type=Path)


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except PermissionError as error:  # Path.is_file and its like raise it, of a folder that may not be entered
            raise click.ClickException(f"{error.filename} is not for this user to read or write") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen")
@click.option(
    "--config",
    "path",
    type=FILE,
    help=f"The configuration  [default: {SYSTEM_CONFIG} if it is there, else every default]",
)
@click.option("--gallery", type=FILE, help="Another gallery than the configured one.")
@click.pass_context
def main(context: click.Context, path: Path | None, gallery: Path | None) -> None:
    """Tell who is at the door, on the camera itself."""
    try:
        if path is None and SYSTEM_CONFIG.is_file():
            path = SYSTEM_CONFIG
    except PermissionError as error:
        raise ConfigError(f"{SYSTEM_CONFIG} is not for you to read: sudo -u limen, or --config FILE") from error
    config = Config() if path is None else load_config(path)
    context.obj = config if gallery is None else replace(config, gallery=replace(config.gallery, path=gallery))


@main.command()
@click.option("--source", help="picamera, a video file, rtsp://..., /dev/video0, a folder or a glob of pictures.")
@click.option("--broker", help="HOST or HOST:PORT of the MQTT broker.")
@click.option("--fast", is_flag=True, help="Every frame of a file as soon as the last one is done with.")
@click.option("--loop", is_flag=True, help="A file or folder begins again when it ends.")
@click.pass_obj
def run(config: Config, source: str | None, broker: str | None, *, fast: bool, loop: bool) -> None:
    """Watch the door and say over MQTT who is there, until stopped (Ctrl-C, SIGTERM) or the source ends."""
    config = with_overrides(config, source, broker)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    service = DeviceLoop(config, Device.of(config))
    service.run(open_source(config.camera, fast=fast, loop=loop), stop)


BROKER = click.option("--broker", help="HOST or HOST:PORT: ask a running device over MQTT, not this machine's disk.")
DEVICE = click.option("--device", help="The name of the device to ask over MQTT  [default: the configured one]")


@main.command()
@click.argument("name")
@click.argument("pictures", nargs=-1, type=FILE)
@click.option("--live", is_flag=True, help="From looks at whoever stands before a running device's door, not PICTURES.")
@click.option("--shots", type=click.IntRange(1, 20), default=5, show_default=True, help="With --live: how many looks.")
@click.option("--seconds", type=click.FloatRange(5, 600), default=60, show_default=True, help="With --live: how long.")
@click.option(
    "--days", type=click.FloatRange(0, DAYS_MAX, min_open=True), help="A guest: forgotten after so many days."
)
@BROKER
@DEVICE
@click.pass_obj
def enroll(
    config: Config,
    name: str,
    pictures: tuple[Path, ...],
    broker: str | None,
    device: str | None,
    *,
    live: bool,
    shots: int,
    seconds: float,
    days: float | None,
) -> None:
    """Know NAME from now on, from PICTURES with one face each; one is enough."""
    if live == bool(pictures):
        raise ConfigError("enroll takes PICTURES, or --live for whoever stands before the door")
    images = [read_picture(path) for path in pictures]
    with asked(config, broker, device or (config.device if live else None)) as people:
        if live:
            added = people.enroll_live(name, shots, seconds, print_progress, days)
        else:
            added = people.enroll(name, images, days)
    guest = f"; a guest, forgotten after {days:g} days" if days else ""
    click.echo(f"{added['name']}: {added['templates']} template(s) added{guest}")


@main.group(invoke_without_command=True)
@BROKER
@DEVICE
@click.pass_context
def people(context: click.Context, broker: str | None, device: str | None) -> None:
    """Who is known. With export or import: to and from a file."""
    if context.invoked_subcommand is not None:
        return
    with asked(context.obj, broker, device) as people:
        known = people.list()
    for person in known["people"]:
        click.echo(f"{person['name']}  {person['templates']} template(s)  {person['person_id']}")
    click.echo(f"{len(known['people'])} people; tau {known['tau']:.3f}")


@people.command("export")
@click.argument("file", type=FILE)
@click.pass_context
def export_people(context: click.Context, file: Path) -> None:
    """Write everybody, with templates and pictures, into FILE. It is biometric data and not encrypted: keep it safe.

    From a device that is asked over MQTT (limen people --broker HOST export FILE) it comes sealed under the household's
    key, and is opened here.
    """
    with asked(context.obj, **context.parent.params) as people:
        data, count = people.export()
    write_new(file, data)
    click.echo(f"{file}: {count} people")


@people.command("import")
@click.argument("file", type=FILE)
@click.pass_context
def import_people(context: click.Context, file: Path) -> None:
    """Know everybody in FILE, an export, too. Who is known already gets the templates that are new."""
    data = read(file)
    check(data, str(file))
    with asked(context.obj, **context.parent.params) as people:
        new = people.import_(data)
    wait = f"; {new['waiting']} of another model wait for `limen rebuild`" if new["waiting"] else ""
    click.echo(f"{new['people']} people and {new['templates']} templates are new{wait}")


@main.group()
def fleet() -> None:
    """One gallery for all cameras of a household."""


@fleet.command()
@click.argument("file", type=FILE)
def key(file: Path) -> None:
    """Make a household's key and write it into FILE. Whoever has it can read everybody's templates."""
    write_new(file, f"{new_key()}\n".encode())
    click.echo(f"{file}: a new key; copy it to every camera of the household, and name it there as fleet.key_file")


@main.command()
@click.argument("name")
@BROKER
@DEVICE
@click.pass_obj
def forget(config: Config, name: str, broker: str | None, device: str | None) -> None:
    """Forget NAME: templates and pictures are overwritten on the disk."""
    with asked(config, broker, device) as people:
        receipt = people.forget(name)
    click.echo(
        f"{name}: forgotten; {receipt['templates']} template(s) and {receipt['crops']} picture(s) overwritten, "
        f"{receipt['person_id']} at {receipt['at']}"
    )


@main.command()
@click.option("--last", type=click.IntRange(1), help="Only the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def audit(config: Config, last: int | None, *, as_json: bool) -> None:
    """Who changed what is known of people, and when. People by their id: who is forgotten leaves no name."""
    for record in Device.of(config).store.audit.records(last):
        if as_json:
            click.echo(json.dumps(record._asdict()))
            continue
        when = record.at if record.clock_set else f"{record.at} (clock not set)"
        click.echo("  ".join(part for part in (when, record.verb, record.person_id, record.detail, record.who) if part))


@main.command()
@BROKER
@DEVICE
@click.pass_obj
def rebuild(config: Config, broker: str | None, device: str | None) -> None:
    """Make every template anew from its picture, after another embedder was put in place of the last one."""
    with asked(config, broker, device) as people:
        made = people.rebuild()
    click.echo(f"{made['templates']} template(s) made anew")
    if made.get("without_picture"):
        click.echo(f"{made['without_picture']} of another model have no picture: enroll those people again, or go back")


def print_progress(progress: dict) -> None:
    """To whoever guides the person before the door."""
    advice = f": {GUIDE[progress['reason']]}" if progress["reason"] else ""
    click.echo(f"{progress['shots']} of {progress['of']}{advice}")


GUIDE = {
    "no_face": "nobody is there",
    "multiple_faces": "one at a time, please",
    "too_small": "come nearer",
    "turned_away": "look into the camera",
    "dark": "there is too little light",
    "blurred": "hold still for a moment",
    "too_similar": "turn your head a little",
    "different_people": "that is somebody else",
}


def asked(config: Config, broker: str | None, device: str | None) -> AbstractContextManager[People]:
    """The people of a device: over MQTT where a broker or a device is named, else on this machine's disk."""
    config = with_overrides(config, None, broker)
    if device is not None:
        config = device_named(config, device)
    return open_client(config, over_mqtt=broker is not None or device is not None)


@main.command()
@click.argument("picture", type=FILE)
@click.pass_obj
def identify(config: Config, picture: Path) -> None:
    """Who is in PICTURE: every face with its name, d and tau."""
    faces = done(Device.of(config).recognizer.handle(RecognizeImage(read_picture(picture))))["faces"]
    for face in faces:
        near = (
            "the gallery is empty" if face["distance"] is None else f"d {face['distance']:.3f}, tau {face['tau']:.3f}"
        )
        problem = f", {face['problem'].replace('_', ' ')}" if face["problem"] else ""
        click.echo(f"{face['name'] or 'unknown'}  {near}{problem}")
    if not faces:
        click.echo("no face")


@main.command()
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.pass_obj
def verify(config: Config, first: Path, second: Path) -> None:
    """Is it the same person in FIRST and SECOND? d, tau, same or different; status 1 if different."""
    device = Device.of(config)
    one, other = (device.embedder.embed(crop_of(device, path)) for path in (first, second))
    distance, tau = float(np.square(one - other).sum()), device.recognizer.gallery.tau
    click.echo(f"{'same person' if distance <= tau else 'different people'}  d {distance:.3f}, tau {tau:.3f}")
    if distance > tau:
        raise click.exceptions.Exit(1)


@main.command()
@click.option("--source", help="Another source of frames than the configured one.")
@click.option("--broker", help="HOST or HOST:PORT, another broker than the configured one.")
@click.option("--reset-clock", "reset", is_flag=True, help="The time of day is right, though an earlier one was later.")
@click.pass_obj
def doctor(config: Config, source: str | None, broker: str | None, *, reset: bool) -> None:
    """Is everything there? Runs a real inference, looks at camera, broker and disk; status 1 if anything is amiss."""
    if reset:
        reset_clock(config)
    findings = []
    for finding in examine(with_overrides(config, source, broker)):
        click.echo(f"{'good' if finding.good else 'AMISS'}  {finding.what}: {finding.said}")
        findings.append(finding.good)
    if not all(findings):
        raise click.exceptions.Exit(1)


@main.command()
@click.option("--source", help="Frames of this source in place of a drawn porch.")
@click.option("--frames", type=click.IntRange(1), default=300, show_default=True, help="How many of each kind.")
@click.pass_obj
def bench(config: Config, source: str | None, frames: int) -> None:
    """What a frame costs on this machine, stage by stage, with nobody there and with somebody there."""
    from edge.commands.bench import measure, table

    with tempfile.TemporaryDirectory() as folder:
        config = with_overrides(config, source, None)
        for line in table(measure(config, Path(folder), frames, source=source is not None)):
            click.echo(line)


@main.command()
@click.option("--broker", help="HOST or HOST:PORT of a broker to use in place of the embedded one.")
@click.option(
    "--picture",
    type=FILE,
    default="limen-demo.jpg",
    show_default=True,
    help="Where the frame is written in which somebody was recognized.",
)
@click.option(
    "--slowly",
    type=click.FloatRange(1, 100),
    default=1,
    show_default=True,
    help="How many times slower everybody comes and goes, where a machine cannot look ten times a second.",
)
@click.pass_obj
def demo(config: Config, broker: str | None, picture: Path, slowly: float) -> None:
    """A stranger, one picture, a friend, and another stranger: half a minute, no camera, no broker, no network."""
    from edge.demo.broker import EmbeddedBroker
    from edge.demo.story import tell

    with tempfile.TemporaryDirectory() as folder, ExitStack() as resources:
        if broker is None:
            embedded = resources.enter_context(EmbeddedBroker())
            mqtt = MqttConfig(host="127.0.0.1", port=embedded.port, version="3.1.1")  # amqtt has no 5
            click.echo(f"A broker on 127.0.0.1:{embedded.port}, a drawn porch, and people who do not exist.")
        else:
            mqtt = with_overrides(config, None, broker).mqtt
        tell(replace(config, mqtt=mqtt), Path(folder), picture, click.echo, slowly)


def with_overrides(config: Config, source: str | None, broker: str | None) -> Config:
    """The configuration with another source and broker, where they are given."""
    if source is not None:
        config = replace(config, camera=camera_of(source, config.camera))
    if broker is not None:
        config = broker_at(config, broker)
    return config


def crop_of(device: Device, path: Path) -> np.ndarray:
    """The largest face of a picture, aligned. Raises ImageError where there is none."""
    image = read_picture(path)
    face: Face | None = max(device.detector.detect(image), key=lambda face: face.size_px, default=None)
    if face is None:
        raise ImageError(f"{path} shows no face")
    return align(image, face.landmarks)


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises ImageError that names the file."""
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    except cv2.error as error:  # more pixels than OpenCV reads
        raise ImageError(f"{path} cannot be decoded: {error.err}") from error
    if image is None:
        raise ImageError(f"{path} is not a readable image" if path.is_file() else f"there is no picture {path}")
    return image


def camera_of(source: str, camera: CameraConfig) -> CameraConfig:
    """What --source says."""
    if source == "picamera":
        return replace(camera, kind="picamera", location="")
    pictures = Path(source).is_dir() or "*" in source
    return replace(camera, kind="images" if pictures else "video", location=source)
