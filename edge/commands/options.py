"""What the commands share: options, the client they ask, and pictures from files."""

import base64
import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from edge.errors import LimenError
from edge.system.files import exists, is_dir

if TYPE_CHECKING:  # imported where they are used: --help and --version need not wait for OpenCV and the runtime
    import numpy as np

    from edge.config import CameraConfig, Config
    from edge.runtime.clients import Client

CONFIG_FILE = "limen.configuration"  # in the context's meta: the path of the configuration, or None
CAUGHT = "limen.caught"  # in the same: what catches the lines of libraries, to be closed by who asks questions
QUIET = "limen.quiet"  # in the same: whether nothing is printed but data, warnings and errors
FILE = click.Path(dir_okay=False, path_type=Path)
BROKER = click.option("--broker", help="HOST or HOST:PORT: ask a running device over MQTT, not this machine's disk.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a line.")
DEVICE = click.option(
    "--device", help="The device to ask over MQTT  [default: the configured one, or the only one there]"
)
PICTURE_PX_MAX = 1280  # of the longer side of a picture that crosses MQTT: more than a face needs
JPEG_QUALITY = 92


def echo(text: str, *, err: bool = False) -> None:
    """Print a line in which names, and what a device or a file said, may stand."""
    click.echo(shown(text, sys.stderr if err else sys.stdout), err=err)


def say(text: str, *, err: bool = False) -> None:
    """Print a line that tells what was done, and is no data: not with --quiet."""
    if not is_quiet():
        echo(text, err=err)


def is_quiet() -> bool:
    """Whether limen was called with --quiet."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def print_json(value: object, *, err: bool = False) -> None:
    """Print a value, such as a reply, as one line of JSON."""
    import json

    import msgspec

    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    only_ascii = encoding.lower().replace("-", "") != "utf8"  # what `shown` would escape, JSON escapes in its own way
    echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=only_ascii), err=err)


def shown(text: str, stream: TextIO) -> str:
    """The text without what a terminal would obey, and in what the stream can encode; the rest is escaped."""
    from edge.core.names import printable

    encoding = stream.encoding or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for; what libraries write to the standard error goes to the log."""
        from edge.system.foreign_lines import heard_once

        try:
            with ExitStack() as caught:
                caught.enter_context(heard_once())
                ctx.meta[CAUGHT] = caught
                return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(shown(" ".join(str(error).split()), sys.stderr)) from error
        except PermissionError as error:  # Path.is_file and its like raise it, of a folder that may not be entered
            raise click.ClickException(f"{error.filename} is not for this user to read or write") from error


def client_of(
    config: "Config", broker: str | None, device: str | None, *, make: bool = False
) -> "AbstractContextManager[Client]":
    """A client of a device: over MQTT where a broker or a device is named, else of this machine's disk.

    make: whether a gallery is created there where it is missing
    """
    from edge.commands.config_file import device_named
    from edge.runtime.clients import open_client
    from edge.runtime.device_name import named, named_at_broker

    config = with_overrides(config, None, broker)
    if device is not None:
        config = device_named(config, device)
    config = named(config) if broker is None else named_at_broker(config)
    return open_client(config, over_mqtt=broker is not None or device is not None, make=make)


def with_overrides(config: "Config", source: str | None, broker: str | None) -> "Config":
    """The configuration with another source and broker, where they are given."""
    from edge.commands.config_file import broker_at

    if source is not None:
        config = replace(config, camera=camera_of(source, config.camera))
    if broker is not None:
        config = broker_at(config, broker)
    return config


def camera_of(source: str, camera: "CameraConfig") -> "CameraConfig":
    """The camera that --source means."""
    if source == "picamera":
        return replace(camera, kind="picamera", location="")
    pictures = is_dir(Path(source)) or is_glob(source)
    return replace(camera, kind="images" if pictures else "video", location=source)


def is_glob(source: str) -> bool:
    """Whether a --source is a pattern of files: no address, in whose password any character may stand, and no file."""
    return "://" not in source and has_magic(source) and not exists(Path(source))


def end_as_by_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does: the enrollment is cancelled at the device."""
    import signal

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def read_picture(path: Path) -> "np.ndarray":
    """(H, W, 3) uint8 RGB, upright. Raises ImageError that names the file."""
    from edge.api.images import read_image_file

    return read_image_file(path)


def picture_text(path: Path, *, local: bool) -> str:
    """A picture file in base64: as it is for this machine's disk, a smaller JPEG to cross MQTT. Raises ImageError."""
    import cv2

    image = read_picture(path)
    if local:
        return base64.b64encode(path.read_bytes()).decode()
    height, width = image.shape[:2]
    scale = min(1.0, PICTURE_PX_MAX / max(height, width))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return base64.b64encode(encoded.tobytes()).decode()
