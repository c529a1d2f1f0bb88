"""The configuration: one TOML file as typed values. Every value has its unit in its name.

deploy/CONFIGURATION.md is generated from these classes: a line `key: meaning` of a docstring is the key's row there.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge.core import patterns
from edge.core.quality import QualityRules
from edge.core.track import TrackRules
from edge.errors import ConfigError
from edge.system.secret import secret

Level = Annotated[str, msgspec.Meta(pattern=patterns.LEVEL, max_length=63)]
DeviceName = Annotated[str, msgspec.Meta(pattern=patterns.DEVICE, max_length=63)]
Host = Annotated[str, msgspec.Meta(pattern=patterns.HOST, max_length=253)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Zone = tuple[Part, Part, Part, Part]
Count = Annotated[int, msgspec.Meta(ge=1)]

PASSWORD_VARIABLE = "LIMEN_MQTT_PASSWORD"  # noqa: S105 -- the variable's name, not what is in it
SIGNING_KEY_VARIABLE = "LIMEN_MQTT_SIGNING_KEY"
SIGNING_KEY_BYTES_MIN = 32
HOUSEHOLD_KEY_VARIABLE = "LIMEN_HOUSEHOLD_KEY"


@dataclass(frozen=True)
class CameraConfig:
    """Where frames come from.

    kind: "picamera"; "video" for a file, an RTSP address or a V4L2 device; "images" for a folder or a glob
    location: the file, address, device (such as /dev/video0), folder or glob; empty for picamera
    fps_max: frames a second that are processed; more are dropped
    full_width_px: of the high-resolution stream of picamera, from which faces are cut
    full_height_px: of the same picture; as the sensor's shape has it if not given, so that all of its width is shown
    windows_per_frame_max: parts of a frame in which faces are looked for; more see far people sooner and cost more
    fov_deg: degrees that the picture shows from left to right, from which `limen doctor` says how far it sees; known of
        the Pi's own cameras if not given
    rotate_deg: by how much the picture is turned clockwise before anything else: 0, 90, 180 (a camera that hangs upside
        down) or 270
    mirror: whether left and right are exchanged, after the picture was turned
    privacy_zones: left, top, width, height of each, as shares of the turned and mirrored picture, as a snapshot shows
        it; black before any frame is processed
    """

    kind: Literal["picamera", "video", "images"] = "picamera"
    location: str = ""
    fps_max: Annotated[float, msgspec.Meta(gt=0, le=240)] = 10.0
    full_width_px: Count = 1280
    full_height_px: Count | None = None
    windows_per_frame_max: Count = 2
    fov_deg: Annotated[float, msgspec.Meta(ge=5, le=170)] | None = None
    rotate_deg: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    privacy_zones: tuple[Zone, ...] = ()


@dataclass(frozen=True)
class ModelsConfig:
    """Which models are used.

    detector: "standard", or the path of a .tflite file with its card beside it
    embedder: "standard", "lite" (for a Pi Zero 2 W), or the path of a .tflite file with its card beside it
    threads: of the runtime, for each model
    """

    detector: str = "standard"
    embedder: str = "standard"
    threads: Count = 1


@dataclass(frozen=True)
class GalleryConfig:
    """Where people are kept.

    path: the gallery's file
    keep_crops: whether each template's aligned picture is kept, from which another model can make its own template
    learn_templates: whether a sample of somebody who was recognized beyond doubt, and looks different from all their
        templates, becomes a template too: at most three of a person, one a day (edge/README.md)
    """

    path: Path = Path("/var/lib/limen/gallery.db")
    keep_crops: bool = True
    learn_templates: bool = False


@dataclass(frozen=True)
class StrangersConfig:
    """Whether strangers are matched with their earlier visits. They did not consent, so by default nothing is kept.

    keep_days: how long a stranger is kept after the last visit; 0 keeps nothing
    """

    keep_days: Annotated[float, msgspec.Meta(ge=0, le=365)] = 0.0


@dataclass(frozen=True)
class HistoryConfig:
    """Whether visits are kept on the device, with pictures, for `event/list` and `event/get`. By default they are not.

    Where they are not, the newest 100 visits of enrolled people are kept for a day, so that `event/correct` can learn
    from them after a restart; nobody can list them, and there is none of an unknown person.

    keep_hours: how long a visit is kept, of unknown people too; 0 keeps none
    megabytes_max: of the file; the oldest visits go first
    scene: whether a small picture of all that the camera saw is kept with a visit, with its privacy zones black
    path: the file in which visits are kept; history.db beside the gallery if not given
    """

    keep_hours: Annotated[float, msgspec.Meta(ge=0, le=87_600)] = 0.0
    megabytes_max: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    scene: bool = False
    path: Path | None = None

    def beside(self, gallery: Path) -> Path:
        """The history of a device with that gallery."""
        return self.path or gallery.with_name("history.db")


@dataclass(frozen=True)
class DecisionConfig:
    """When a face is recognized.

    The match threshold tau follows from fpir, the number of people and the model's card. The rate is that of strangers
    anywhere. People of one street, in one light, are nearer to one another: where one of five people of one room was
    enrolled, at 1e-4 five of 80 tracks of the others were named, at 1e-5 none, hence the default (tests/story).

    fpir: how often a stranger's track may be named, whatever the number of people (false positive identification rate)
    motion_gate: whether the detector rests while nothing in the picture moves
    """

    fpir: Share = 1e-5
    motion_gate: bool = True
    quality: QualityRules = field(default_factory=QualityRules)
    tracks: TrackRules = field(default_factory=TrackRules)


@dataclass(frozen=True)
class MqttConfig:
    """The broker. Secrets come from the environment (LIMEN_MQTT_PASSWORD, LIMEN_MQTT_SIGNING_KEY) or from a file.

    host: name or address of the broker
    port: of the broker; 8883 is usual with TLS
    version: of MQTT; auto is 5, or 3.1.1 where the broker has no 5
    username: login name at the broker, by the shipped ACL the device's name; without a login where it is empty
    password_file: holds the password of that user
    signing_key_file: holds a key; with it, the device accepts signed requests only, and `limen ... --broker` signs
    ca_file: turns TLS on: the broker must show a certificate of this authority, and of no other, for its host
    certificate_file: a certificate of the device's own, where the broker demands one
    key_file: the key of that certificate
    keepalive_seconds: how long the connection may be silent
    event_expiry_seconds: an event that was not delivered by then goes to event/late, on which nothing should act
    health_every_seconds: how often health is published
    queue_answers_max: answers that wait for the broker, in memory; more push the oldest out
    outbox_path: the file in which events wait for the broker; outbox.db beside the gallery if not given
    outbox_events_max: events that wait for the broker, on disk; more push the oldest out
    request_bytes_max: of one request
    packet_bytes_max: of one packet that the broker takes, where it does not say so itself, as MQTT 3.1.1 cannot
    image_pixels_max: of all pictures of one request together
    image_last: whether the newest face is published as a picture
    snapshot: whether snapshot/get is answered with what the camera sees
    response_prefix: a ResponseTopic (MQTT 5) must start with it, so that no request makes the device write elsewhere
    """

    host: Host = "localhost"
    port: Port = 1883
    version: Literal["auto", "5", "3.1.1"] = "auto"
    username: str = ""
    password_file: Path | None = None
    signing_key_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    keepalive_seconds: Count = 30
    event_expiry_seconds: Count = 120
    health_every_seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0
    queue_answers_max: Count = 1000
    outbox_path: Path | None = None
    outbox_events_max: Count = 10_000
    request_bytes_max: Count = 4_000_000
    packet_bytes_max: Count | None = None
    image_pixels_max: Count = 16_000_000
    image_last: bool = False
    snapshot: bool = False
    response_prefix: Annotated[str, msgspec.Meta(min_length=1)] = "limen/answers/"

    def outbox_beside(self, gallery: Path) -> Path:
        """The outbox of a device with that gallery."""
        return self.outbox_path or gallery.with_name("outbox.db")

    def password(self) -> str | None:
        """From the environment, else from the file. Raises ConfigError where the file cannot be read."""
        return secret(PASSWORD_VARIABLE, "mqtt.password_file", self.password_file)

    def signing_key(self) -> bytes | None:
        """As password. Raises ConfigError also where it is too short: an empty one is not none."""
        key = secret(SIGNING_KEY_VARIABLE, "mqtt.signing_key_file", self.signing_key_file)
        if key is not None and len(key.encode()) < SIGNING_KEY_BYTES_MIN:
            where = SIGNING_KEY_VARIABLE if SIGNING_KEY_VARIABLE in os.environ else self.signing_key_file
            raise ConfigError(
                f"mqtt.signing_key_file: the key in {where} has {len(key.encode())} bytes, at least "
                f"{SIGNING_KEY_BYTES_MIN} are wanted: openssl rand -hex 32"
            )
        return None if key is None else key.encode()


@dataclass(frozen=True)
class FleetConfig:
    """One gallery for all cameras of a household that have its key.

    The key comes from the environment (LIMEN_HOUSEHOLD_KEY) or from a file. Without a key nothing is shared.

    household: part of the topics that the cameras share
    key_file: holds the household's key, from `limen fleet key`
    message_bytes_max: of the message about one person; a larger one goes without crops, and if that does not help, not
        at all. A broker that takes less (MQTT 5 says so) gets less
    """

    household: Level = "home"
    key_file: Path | None = None
    message_bytes_max: Annotated[int, msgspec.Meta(ge=10_000, le=4_000_000)] = 1_000_000

    def key(self) -> str | None:
        """In base64: from the environment, else from the file. Raises ConfigError where the file cannot be read."""
        return secret(HOUSEHOLD_KEY_VARIABLE, "fleet.key_file", self.key_file)


@dataclass(frozen=True)
class HomeAssistantConfig:
    """Home Assistant's discovery.

    discovery: whether the device announces itself to Home Assistant
    prefix: of the topics on which Home Assistant discovers devices and announces its start
    people_max: how many people have a sensor of when they were last seen: those enrolled last
    """

    discovery: bool = True
    prefix: Annotated[str, msgspec.Meta(pattern=patterns.PREFIX)] = "homeassistant"
    people_max: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 50


@dataclass(frozen=True)
class LogConfig:
    """The log of limen run, which goes to the system's journal.

    names: whether it names people beside their ids; who is forgotten stays in the journal then
    """

    names: bool = False


@dataclass(frozen=True)
class Config:
    """Everything that can be set; the defaults are those of a Pi 5 with its camera and a broker on the same machine.

    device: the device's name, part of every topic: a to z, digits and dashes; if not given, the host's name at the
        first start
    clock: "trusted" where the time of day is right although neither the network nor a hardware clock confirms it
    """

    device: DeviceName = ""
    clock: Literal["system", "trusted"] = "system"
    camera: CameraConfig = field(default_factory=CameraConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    gallery: GalleryConfig = field(default_factory=GalleryConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    strangers: StrangersConfig = field(default_factory=StrangersConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    home_assistant: HomeAssistantConfig = field(default_factory=HomeAssistantConfig)
    fleet: FleetConfig = field(default_factory=FleetConfig)
    log: LogConfig = field(default_factory=LogConfig)
