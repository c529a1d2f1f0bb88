"""The checks of `limen doctor` that look at files and at the system's unit."""

import os
import pwd
import shutil
import socket
import stat
import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from edge.config import Config
from edge.runtime.assembly import Device
from edge.storage.aside import files_set_aside
from edge.storage.words import count_of
from edge.system.files import exists, mode_of
from edge.system.secret import masked

UNIT = "limen.service"
SYSTEMCTL_SECONDS = 2.0
FENCE = "OPERATIONS.md has the drop-in that lets it reach others"


class Warned(Exception):  # noqa: N818 -- nothing failed
    """A check found something that works, and should be looked at."""


def gallery(config: Config) -> str:
    """Every page can be read. Raises GalleryError, or Warned where single templates are damaged."""
    path = config.gallery.path
    if not exists(path):
        return f"{path} is not there yet, `limen run` and `limen enroll` make it"
    with Device.open(config, make=False) as device:
        device.store.check()
        people, damaged = len(device.recognizer.gallery.people), device.store.damaged.total()
    if damaged:
        raise Warned(f"{path}: {count_of(damaged, 'template')} damaged and not used: enroll these people again")
    for what, place in (("outbox", config.mqtt.outbox_beside(path)), ("history", config.history.beside(path))):
        if aside := files_set_aside(place):
            raise Warned(f"damaged files of the {what} were set aside: {', '.join(map(str, aside))}; delete them")
    return f"{path}, {count_of(people, 'person')}"


def denied(path: Path) -> str | None:
    """Why this user may not use a gallery, or make one there; None where nothing stands in the way."""
    path = path.absolute()
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return None if not exists(folder) else not_ours("enter", folder)
    needed = [(path, os.R_OK | os.W_OK)] if exists(path) else []
    if exists(path.parent):
        needed.append((path.parent, os.W_OK))  # SQLite writes files beside its own
    return next((not_ours("write", place) for place, access in needed if not os.access(place, access)), None)


def not_ours(verb: str, place: Path) -> str:
    """That this user may not do something with a place, and whose it is."""
    return f"user {user_of(os.getuid())} may not {verb} {place}, which belongs to {user_of(place.stat().st_uid)}"


def user_of(uid: int) -> str:
    """The name of a user, where it has one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def secrets(config: Config, path: Path | None) -> str:
    """Nobody else can read or write the gallery and what holds a secret. path: the configuration. Raises Warned."""
    mqtt, gallery_path = config.mqtt, config.gallery.path
    beside = mqtt.outbox_beside(gallery_path), config.history.beside(gallery_path)
    files = [gallery_path, *beside, mqtt.password_file, mqtt.signing_key_file, mqtt.key_file, config.fleet.key_file]
    if masked(config.camera.location) != config.camera.location:
        files.append(path)
    found = [said for file in files if file is not None and (said := open_to_others(file))]
    if found:
        raise Warned("; ".join(dict.fromkeys(found)))
    return "nobody else can read or write the gallery, the outbox, the history and the files of passwords and keys"


def open_to_others(path: Path) -> str | None:
    """What every user of this machine can do with a file, and what to do about it; None where that is nothing."""
    folders = path.absolute().parents
    if not all(mode_of(folder) & stat.S_IXOTH for folder in folders):
        return None
    mode, folder = mode_of(path), mode_of(folders[0])
    can = [verb for verb, bit in (("read", stat.S_IROTH), ("write", stat.S_IWOTH)) if mode & bit]
    if can:
        return f"every user of this machine can {' and '.join(can)} {path}: chmod o-rwx {path}"
    if mode and folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        return f"every user of this machine can replace {path}: chmod o-w {folders[0]}"
    return None


def fence(config: Config) -> str:
    """The unit may reach broker and camera. Raises Warned where it may not, OSError where a name has no address."""
    allowed, denied = (networks(name) for name in ("IPAddressAllow", "IPAddressDeny"))
    if not denied:
        return f"no address is shut out by a unit {UNIT} here"
    hosts = {"broker": config.mqtt.host}
    if camera := host_of(config.camera.location):
        hosts["camera"] = camera
    for what, host in hosts.items():
        found = addresses_of(host)
        if not any(any(one in net for net in allowed) or not any(one in net for net in denied) for one in found):
            addresses = ", ".join(sorted(map(str, found)))
            raise Warned(f"{UNIT} may not reach the {what}, {addresses} (IPAddressAllow): {FENCE}")
    return f"{UNIT} may reach {' and '.join(f'the {what}' for what in hosts)}"


def host_of(location: str) -> str | None:
    """The host in a camera's address, or None. Raises Warned where the address cannot be parsed."""
    try:
        return urlsplit(location).hostname
    except ValueError:  # such as a [ in its password, which the error's text holds
        raise Warned(
            f"{masked(location)}: it cannot be parsed; write what is neither letter nor digit in a password as %XX"
        ) from None


def addresses_of(host: str) -> set[IPv4Address | IPv6Address]:
    """Its addresses. Raises OSError where it has none."""
    try:
        return {ip_address(str(info[4][0]).partition("%")[0]) for info in socket.getaddrinfo(host, None)}
    except UnicodeError as error:  # a label of more than 63 characters
        raise OSError(f"{host[:80]} is no name of a host: {error}") from error


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """The networks of a property of the unit; none where there is no systemd or no such unit."""
    program = shutil.which("systemctl")
    if program is None:
        return []
    command = [program, "show", UNIT, f"--property={name}", "--value"]
    try:
        answer = subprocess.run(  # noqa: S603 -- ours
            command, env={"LC_ALL": "C"}, capture_output=True, text=True, timeout=SYSTEMCTL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [ip_network(word, strict=False) for word in answer.stdout.split()]
