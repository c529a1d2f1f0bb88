"""What tells a device from others at the broker: its client id, and the instance id of each of its runs."""

import hashlib

import msgspec

from edge.config import MqttConfig

ROUNDS = 100_000  # of PBKDF2: whoever reads ids in the broker's log learns no password from them
REMEDY = "give each device its own `device` name"
SECRET_DIGITS = 12  # hexadecimal: 48 bits; a device with a name of four letters has 23 characters (MQTT 3.1.1, 3.1.3.1)


class Instance(msgspec.Struct):
    """What tells one run of a device from another, in `info`."""

    instance: str | None = None


def client_id(config: MqttConfig, device: str) -> str:
    """The client id of a device; where it has a password, one that nobody knows without it.

    A broker disconnects a client when another one connects under its id (MQTT 5, 3.1.4-3). The same device has the same
    id after a restart, so that its own lost connection is closed. Raises ConfigError.
    """
    password = config.password()
    if not password:
        return f"limen-{device}"
    salt = f"limen client id\0{config.username}\0{device}".encode()
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ROUNDS)
    return f"limen-{device}-{digest.hex()[:SECRET_DIGITS]}"


def instance_of(payload: bytes) -> str | None:
    """The instance id in an `info`; None where there is none."""
    try:
        return msgspec.json.decode(payload, type=Instance).instance
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
