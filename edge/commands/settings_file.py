"""The file that `limen init` writes: what was chosen, with a comment for what else there is."""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path

from edge.commands.config_file import load_config
from edge.config import Config
from edge.errors import ConfigError
from edge.system.files import exists

HEAD = """\
# limen.toml: what differs from the defaults; deploy/CONFIGURATION.md has every key. Unknown keys are refused by name.
"""


def settings_text(config: Config) -> str:
    """A configuration as commented TOML."""
    camera, mqtt, history = config.camera, config.mqtt, config.history
    location = line("location", camera.location) if camera.kind != "picamera" else ""
    files = {"password_file": mqtt.password_file, "ca_file": mqtt.ca_file}
    broker = line("host", mqtt.host) + line("port", mqtt.port)
    broker += line("username", mqtt.username) if mqtt.username else ""
    broker += "".join(line(key, str(path)) for key, path in files.items() if path is not None)
    return (
        f"{HEAD}{line('device', config.device, 'part of every topic: limen/' + config.device + '/...')}\n"
        f"[camera]\n{line('kind', camera.kind)}{location}"
        "# rotate_deg = 180 # a camera that hangs upside down\n"
        "# privacy_zones = [[0.0, 0.0, 0.3, 0.4]] # left, top, width, height as shares of the picture: always black\n\n"
        f"[models]\n{line('embedder', config.models.embedder, 'lite on a Pi Zero 2 W')}\n"
        f"[gallery]\n{line('path', str(config.gallery.path))}\n"
        f"[mqtt]\n{broker}"
        '# signing_key_file = "/etc/limen/signing-key" # then the device carries out signed requests alone\n'
        f"{line('image_last', mqtt.image_last, 'the newest face, for whoever may read image/last')}"
        f"{line('snapshot', mqtt.snapshot, 'what the camera sees, for whoever may ask for it')}\n"
        f"[history]\n{line('keep_hours', history.keep_hours, 'visits with faces, of strangers too; 0 keeps none')}"
        f"{line('scene', history.scene, 'a small picture of all that the camera saw, with each visit')}\n"
        f"[strangers]\n{line('keep_days', config.strangers.keep_days, 'more: who comes again is the same stranger')}"
    )


def line(key: str, value: str | float, comment: str = "") -> str:
    """A key with its value, and a comment. JSON's literals are TOML's, but for DEL, which TOML wants escaped."""
    literal = json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")
    return f"{key} = {literal}{f' # {comment}' if comment else ''}\n"


def write_settings(path: Path, text: str, secrets: dict[Path, str]) -> None:
    """Write a configuration and the files of its secrets: all of each, or nothing.

    A file is its owner's alone. One that is replaced keeps its owner, and its group may read it if it could before; the
    files of secrets are as the configuration is.

    Raises ConfigError where they cannot be written, or the text is no configuration.
    """
    like = path.stat() if exists(path) else None
    partials = {target.with_name(f".{target.name}.partial"): target for target in (*secrets, path)}
    contents = [*secrets.values(), text]
    try:
        for partial, content in zip(partials, contents, strict=True):
            write_private(partial, content, like)
        load_config(path.with_name(f".{path.name}.partial"))
        for partial, target in partials.items():
            partial.replace(target)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from error
    except UnicodeError as error:
        raise ConfigError(f"{path} cannot be written: a path or a password in it is no text in UTF-8") from error
    finally:
        for partial in partials:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def write_private(path: Path, text: str, like: os.stat_result | None) -> None:
    """Write a file for its owner alone; like: of a file whose owner it gets, and whose group may read it too."""
    path.unlink(missing_ok=True)
    # Made anew: what somebody else puts there meanwhile is neither opened nor followed.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if like is not None:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), 0o600 | like.st_mode & stat.S_IRGRP)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
