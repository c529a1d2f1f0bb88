"""limen: run, and the commands that work on a device's own gallery. A thin skin over edge.service."""

import logging
import signal
import threading
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np

from edge.config import CameraConfig, Config, load_config
from edge.core.align import align
from edge.core.types import EnrollImages, Face, RecognizeImage, RemovePerson, Reply
from edge.doctor import examine
from edge.errors import ConfigError, ImageError, LimenError, RefusedError
from edge.service import Device, Service

SYSTEM_CONFIG = Path("/etc/limen/limen.toml")
PICTURE = click.Path(dir_okay=False, path_type=Path)


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen")
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The configuration  [default: {SYSTEM_CONFIG} if it is there, else every default]",
)
@click.option(
    "--gallery", type=click.Path(dir_okay=False, path_type=Path), help="Another gallery than the configured one."
)
@click.pass_context
def main(context: click.Context, path: Path | None, gallery: Path | None) -> None:
    """Tell who is at the door, on the camera itself."""
    if path is None and SYSTEM_CONFIG.is_file():
        path = SYSTEM_CONFIG
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
    config = pointed_at(config, source, broker)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    Service(config, Device.of(config)).run(stop, fast=fast, loop=loop)


@main.command()
@click.argument("name")
@click.argument("pictures", nargs=-1, required=True, type=PICTURE)
@click.pass_obj
def enroll(config: Config, name: str, pictures: tuple[Path, ...]) -> None:
    """Know NAME from now on, from PICTURES with one face each; one is enough."""
    reply = Device.of(config).door.handle(EnrollImages(name, [read_picture(path) for path in pictures]))
    click.echo(f"{done(reply)['name']}: {reply.data['templates']} template(s) added")


@main.command()
@click.pass_obj
def people(config: Config) -> None:
    """Who is known."""
    door = Device.of(config).door
    for person in door.people():
        click.echo(f"{person['name']}  {person['templates']} template(s)  {person['person_id']}")
    click.echo(f"{len(door.people())} people; tau {door.gallery.tau:.3f}")


@main.command()
@click.argument("name")
@click.pass_obj
def forget(config: Config, name: str) -> None:
    """Forget NAME: templates and pictures are overwritten on the disk."""
    click.echo(f"{done(Device.of(config).door.handle(RemovePerson(name)))['name']}: forgotten")


@main.command()
@click.argument("picture", type=PICTURE)
@click.pass_obj
def identify(config: Config, picture: Path) -> None:
    """Who is in PICTURE: every face with its name, d and tau."""
    faces = done(Device.of(config).door.handle(RecognizeImage(read_picture(picture))))["faces"]
    for face in faces:
        near = (
            "the gallery is empty" if face["distance"] is None else f"d {face['distance']:.3f}, tau {face['tau']:.3f}"
        )
        problem = f", {face['problem'].replace('_', ' ')}" if face["problem"] else ""
        click.echo(f"{face['name'] or 'unknown'}  {near}{problem}")
    if not faces:
        click.echo("no face")


@main.command()
@click.argument("first", type=PICTURE)
@click.argument("second", type=PICTURE)
@click.pass_obj
def verify(config: Config, first: Path, second: Path) -> None:
    """Is it the same person in FIRST and SECOND? d, tau, same or different; status 1 if different."""
    device = Device.of(config)
    one, other = (device.embedder.embed(crop_of(device, path)) for path in (first, second))
    distance, tau = float(np.square(one - other).sum()), device.door.gallery.tau
    click.echo(f"{'same person' if distance <= tau else 'different people'}  d {distance:.3f}, tau {tau:.3f}")
    if distance > tau:
        raise click.exceptions.Exit(1)


@main.command()
@click.option("--source", help="Another source of frames than the configured one.")
@click.option("--broker", help="HOST or HOST:PORT, another broker than the configured one.")
@click.pass_obj
def doctor(config: Config, source: str | None, broker: str | None) -> None:
    """Is everything there? Runs a real inference, looks at camera, broker and disk; status 1 if anything is amiss."""
    findings = []
    for finding in examine(pointed_at(config, source, broker)):
        click.echo(f"{'good' if finding.good else 'AMISS'}  {finding.what}: {finding.said}")
        findings.append(finding.good)
    if not all(findings):
        raise click.exceptions.Exit(1)


def pointed_at(config: Config, source: str | None, broker: str | None) -> Config:
    """The configuration with another source and broker, where they are given."""
    if source is not None:
        config = replace(config, camera=camera_of(source, config.camera))
    if broker is not None:
        config = replace(config, mqtt=replace(config.mqtt, **broker_of(broker, config.mqtt.port)))
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
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if image is None:
        raise ImageError(f"{path} is not a readable image" if path.is_file() else f"there is no picture {path}")
    return image


def done(reply: Reply) -> dict:
    """The reply's data. Raises RefusedError where it was refused."""
    if reply.code is not None:
        raise RefusedError(reply.code, f"{reply.code}: {reply.error}")
    return reply.data


def camera_of(source: str, camera: CameraConfig) -> CameraConfig:
    """What --source says."""
    if source == "picamera":
        return replace(camera, kind="picamera", location="")
    pictures = Path(source).is_dir() or "*" in source
    return replace(camera, kind="images" if pictures else "video", location=source)


def broker_of(text: str, port: int) -> dict[str, object]:
    """'host' or 'host:port'. Raises ConfigError."""
    host, _, number = text.partition(":")
    if not host or (number and not (number.isdigit() and 0 < int(number) < 65536)):
        raise ConfigError(f"--broker {text!r} is not HOST or HOST:PORT")
    return {"host": host, "port": int(number) if number else port}
