"""limen init: a configuration from questions, or from options."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from edge.commands.options import CAUGHT, CONFIG_FILE, FILE, camera_of, echo, is_glob, say
from edge.errors import ConfigError, LimenError

if TYPE_CHECKING:
    from edge.config import CameraConfig, Config, HistoryConfig, MqttConfig

T = TypeVar("T")
CONFIG_HERE = Path("limen.toml")
PASSWORD_FILE = "mqtt-password"  # noqa: S105 -- beside the configuration
TLS_PORT = 8883


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed where no option says otherwise.")
@click.option("--source", help="picamera, a video file, rtsp://..., /dev/video0, or a folder  [proposed: what is here]")
@click.option("--broker", help="HOST or HOST:PORT of the MQTT broker  [proposed: localhost]")
@click.option("--username", help="The device's login at the broker  [proposed: none]")
@click.option("--password-file", type=FILE, help="Holds its password; or the environment: LIMEN_MQTT_PASSWORD.")
@click.option("--ca-file", type=FILE, help="The certificate of the broker's authority: TLS.")
@click.option("--name", help="The device's name, part of its topics  [proposed: the host's name]")
@click.option("--keep-hours", type=click.FloatRange(0, 87_600), help="Keep visits, with faces, so long  [proposed: 0]")
@click.option("--scene/--no-scene", default=None, help="Keep all that the camera saw with a visit  [proposed: no]")
@click.option("--image-last/--no-image-last", default=None, help="Publish the newest face  [proposed: no]")
@click.option("--snapshot/--no-snapshot", default=None, help="Show the view to whoever asks  [proposed: no]")
@click.option("--no-check", "unchecked", is_flag=True, help="Try neither the camera nor the broker.")
@click.option("--force", is_flag=True, help="Replace the files that are there.")
@click.pass_context
def init(
    context: click.Context,
    source: str | None,
    broker: str | None,
    username: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    name: str | None,
    keep_hours: float | None,
    *,
    yes: bool,
    scene: bool | None,
    image_last: bool | None,
    snapshot: bool | None,
    unchecked: bool,
    force: bool,
) -> None:
    """Ask for the camera, the broker, the name and what is kept; try them, and write limen.toml.

    The file is ./limen.toml, or the one of `limen --config FILE init`.
    """
    from edge.commands.settings_file import settings_text, write_settings
    from edge.system.files import exists

    context.meta[CAUGHT].close()  # a question goes to the standard error from C
    path: Path = context.meta[CONFIG_FILE] or CONFIG_HERE
    refuse_to_replace(path, force=force)
    if not yes and not sys.stdin.isatty():
        raise ConfigError("standard input is no terminal, so nothing can be asked: --yes takes what is proposed")
    questions = Questions(ask=not yes, check=not unchecked)
    config: Config = context.obj
    config = replace(config, gallery=replace(config.gallery, path=gallery_path(config.gallery.path, path)))
    config = replace(config, camera=questions.camera(source))
    mqtt, password = questions.broker(config, broker, username, password_file, ca_file)
    secrets = {}
    if password is not None:
        mqtt = replace(mqtt, password_file=path.absolute().with_name(PASSWORD_FILE))
        if exists(path.with_name(PASSWORD_FILE)) and not force:
            raise ConfigError(
                f"{mqtt.password_file} is there already: --password-file takes the password in it, --force replaces it"
            )
        secrets[path.with_name(PASSWORD_FILE)] = f"{password}\n"
    config = replace(config, mqtt=mqtt)
    config = replace(config, device=questions.name(config, name, password))
    config = replace(config, history=questions.history(keep_hours, scene))
    config = replace(config, mqtt=questions.pictures(config.mqtt, image_last, snapshot))
    write_settings(path, settings_text(config), secrets)
    limen = "limen" if path == CONFIG_HERE else f"limen --config {path}"
    for secret in secrets:
        say(f"{secret}: written; the password, for its owner alone")
    say(f"{path}: written; people are kept in {config.gallery.path}")
    say(f"next: {limen} doctor, then {limen} run, and in another terminal {limen} enroll NAME --live")


def refuse_to_replace(path: Path, *, force: bool) -> None:
    """Raise ConfigError where a configuration cannot be written there."""
    from edge.system.files import exists, is_dir, other_kind

    if not is_dir(path.absolute().parent):
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} to: mkdir -p {path.parent}")
    if kind := other_kind(path):
        raise ConfigError(f"{path} is {kind}, not a file: `limen --config FILE init` writes another")
    if exists(path) and not force:
        raise ConfigError(f"{path} is there already: --force replaces it, `limen --config FILE init` writes another")
    if not os.access(path.absolute().parent, os.W_OK):
        raise ConfigError(
            f"{path.absolute().parent} is not for this user to write: --config FILE names another, or sudo"
        )


def gallery_path(configured: Path, path: Path) -> Path:
    """Where people are kept: as configured where that can be written, otherwise beside the configuration."""
    from edge.system.files import is_dir

    if is_dir(configured.parent) and os.access(configured.parent, os.W_OK):
        return configured.absolute()
    return path.absolute().with_name(configured.name)


class Questions:
    """Settles each part of a configuration: by an option, by a question, or by what is proposed.

    ask: whether there is somebody to ask; check: whether cameras and brokers are tried
    """

    def __init__(self, *, ask: bool, check: bool) -> None:
        self.ask, self.check = ask, check
        self._broker_works = False

    def camera(self, source: str | None) -> "CameraConfig":
        """Which camera: one that is here, or another."""
        from edge.commands.probes import cameras, look

        here = cameras() if source is None else {}
        for number, (one, what) in enumerate(here.items(), 1):
            say(f"camera {number}: {one} ({what})")
        if not here and source is None:
            say("no camera is connected to this machine: neither picamera2 nor a /dev/video* has one")
            if not self.ask:
                raise ConfigError("there is no camera to propose: --source names a file, a folder or rtsp://...")

        def ask() -> "CameraConfig":
            proposed = "1" if here else None
            text = self.prompt("Camera, by its number; or a file, a folder, rtsp://...", proposed)
            chosen = list(here)[int(text) - 1] if text in map(str, range(1, len(here) + 1)) else text
            return camera_at(chosen)

        first = None if source is None else camera_at(source)
        return self.settled(first, ask, look)

    def broker(
        self, config: "Config", address: str | None, username: str | None, password_file: Path | None, ca: Path | None
    ) -> tuple["MqttConfig", str | None]:
        """Which broker, and a password that was typed."""
        from edge.commands.config_file import broker_at
        from edge.commands.probes import try_broker
        from edge.config import PASSWORD_VARIABLE

        base = replace(
            config.mqtt,
            username=username or "",
            password_file=password_file and password_file.absolute(),
            ca_file=ca and ca.absolute(),
        )

        def ask() -> tuple["MqttConfig", str | None]:
            proposed = address or "localhost"
            mqtt = broker_at(replace(config, mqtt=base), self.prompt("Broker, HOST or HOST:PORT", proposed)).mqtt
            if mqtt.port == TLS_PORT and ca is None:
                file = Path(self.prompt("File of its authority's certificate, for TLS", None))
                mqtt = replace(mqtt, ca_file=file.absolute())
            if username is None:
                mqtt = replace(mqtt, username=self.prompt("Login at the broker (empty: none)", ""))
            if not mqtt.username or password_file is not None or PASSWORD_VARIABLE in os.environ:
                return mqtt, None
            return mqtt, self.prompt("Password", None, hidden=True)

        def check(chosen: tuple["MqttConfig", str | None]) -> str:
            mqtt, password = chosen
            self._broker_works = False
            try_broker(replace(config, mqtt=mqtt, device=config.device or "door"), password)
            self._broker_works = True
            return f"{mqtt.host}:{mqtt.port} lets this device in"

        first: tuple[MqttConfig, str | None] | None = None
        if address is not None or not self.ask:
            first = broker_at(replace(config, mqtt=base), address or "localhost").mqtt, None
        return self.settled(first, ask, check)

    def name(self, config: "Config", name: str | None, password: str | None) -> str:
        """What the device is called, and that no other one is."""
        from edge.commands.config_file import device_named
        from edge.commands.probes import look_for_namesake
        from edge.runtime.device_name import named

        def check(chosen: str) -> str:
            if not self._broker_works:
                return "whether another device has this name is not known: no broker was asked"
            return look_for_namesake(device_named(config, chosen), password)

        def ask() -> str:
            return device_named(config, self.prompt("Name of this device", named(config).device)).device

        return self.settled(None if name is None else device_named(config, name).device, ask, check)

    def history(self, keep_hours: float | None, scene: bool | None) -> "HistoryConfig":
        """Whether visits are kept."""
        from edge.config import HistoryConfig

        if keep_hours is None and self.ask:
            say(
                "Visits can be kept on this device, each with a picture of the face, to look back at and to correct. "
                "Strangers are kept too, who were not asked."
            )
            keep_hours = click.prompt("How many hours (0 keeps none)", default=0.0, type=click.FloatRange(0, 87_600))
        if keep_hours:
            scene = self.agreed(scene, "Keep with each visit a small picture of all that the camera saw?")
        return HistoryConfig(keep_hours=keep_hours or 0.0, scene=bool(scene))

    def pictures(self, mqtt: "MqttConfig", image_last: bool | None, snapshot: bool | None) -> "MqttConfig":
        """Which pictures leave the device."""
        newest = "Publish the newest face as a picture? Everybody at the broker who may read image/last sees it"
        view = "Show what the camera sees to everybody at the broker who may ask for it?"
        return replace(mqtt, image_last=self.agreed(image_last, newest), snapshot=self.agreed(snapshot, view))

    def agreed(self, given: bool | None, question: str) -> bool:
        """Yes or no; no is proposed."""
        return click.confirm(question, default=False) if given is None and self.ask else bool(given)

    def prompt(self, question: str, proposed: str | None, *, hidden: bool = False) -> str:
        """An answer, without the blanks around it; what is proposed where nobody is asked."""
        if not self.ask:
            return proposed or ""
        text: str = click.prompt(question, default=proposed, hide_input=hidden, show_default=bool(proposed))
        return text if hidden else text.strip()

    def settled(self, first: T | None, ask: Callable[[], T], check: Callable[[T], str]) -> T:
        """What was given, or else the answer to a question, until it works or is taken although it does not."""
        from edge.system.foreign_lines import heard_once

        while True:
            try:
                chosen = ask() if first is None else first
            except LimenError as error:  # it cannot be, whatever the camera or the broker says
                if not self.ask:
                    raise
                echo(f"  {error}")
                continue
            try:
                if self.check:
                    with heard_once():
                        said = check(chosen)
                    say(f"  {said}")
            except LimenError as error:
                if not self.ask:
                    raise ConfigError(f"{error} (--no-check writes the file nevertheless)") from error
                echo(f"  {error}")
                if not click.confirm("Take it nevertheless?", default=False):
                    first = None
                    continue
            return chosen


def camera_at(source: str) -> "CameraConfig":
    """The camera that a --source means; a file or folder by its whole path, wherever limen is run."""
    from edge.config import CameraConfig
    from edge.system.files import exists

    camera = camera_of(source, CameraConfig())
    if camera.kind != "picamera" and (is_glob(source) or exists(Path(source))):
        return replace(camera, location=str(Path(source).absolute()))
    return camera
