"""The configuration that a command works with: read from its file, and changed by what the command line says."""

import difflib
import re
from codecs import BOM_UTF8
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec

from edge.config import Config, DeviceName, Host, Port
from edge.core.patterns import in_words
from edge.errors import ConfigError


def load_config(path: Path) -> Config:
    """The configuration in that file.

    Raises ConfigError that names the file and the first key that does not hold, with the nearest known one.
    """
    try:
        values = msgspec.toml.decode(path.read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: [[[[... without end
        raise ConfigError(f"{path}: {error}") from error
    refuse_unknown(values, Config, str(path))
    try:
        return msgspec.convert(values, Config, dec_hook=lambda kind, value: kind(value))  # paths
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {in_words(error)}{choices(str(error))}") from error


def choices(message: str) -> str:
    """What may stand where msgspec says that an enum value is invalid; nothing where it says something else."""
    place = re.fullmatch(r"Invalid enum value .* - at `\$\.([\w.]+)`", message)
    if place is None:
        return ""
    kind = Config
    for key in place[1].split("."):
        kind = get_type_hints(kind)[key]
    return f"; expected {' or '.join(map(repr, get_args(kind)))}"


def device_named(config: Config, name: str) -> Config:
    """The configuration of another device. Raises ConfigError where that cannot be its name."""
    try:
        return replace(config, device=msgspec.convert(name, DeviceName))
    except msgspec.ValidationError as error:
        raise ConfigError(f"device {name!r} cannot be a part of its topics: {in_words(error)}") from error


def broker_at(config: Config, address: str) -> Config:
    """The configuration of another broker, HOST or HOST:PORT. Raises ConfigError."""
    host, colon, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "")
    try:
        mqtt = replace(config.mqtt, host=msgspec.convert(host, Host))
        if colon:
            mqtt = replace(mqtt, port=msgspec.convert(port, Port, strict=False))
    except msgspec.ValidationError as error:
        raise ConfigError(f"broker {address!r} is not HOST or HOST:PORT: {in_words(error)}") from error
    return replace(config, mqtt=mqtt)


def refuse_unknown(values: dict[str, object], kind: type, where: str, prefix: str = "") -> None:
    """Raise ConfigError for the first key that the dataclass, or one inside it, does not have."""
    types = get_type_hints(kind)
    for key, value in values.items():
        if key not in types:
            near = difflib.get_close_matches(key, list(types), n=1)
            hint = f"; did you mean `{prefix}{near[0]}`?" if near else f"; known are {', '.join(types)}"
            raise ConfigError(f"{where}: unknown key `{prefix}{key}`{hint}")
        if is_dataclass(types[key]) and isinstance(value, dict):
            refuse_unknown(value, types[key], where, f"{prefix}{key}.")
