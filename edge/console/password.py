"""The console's password: a scrypt hash in a file (RFC 7914)."""

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError

COST, BLOCK, PARALLEL = 2**15, 8, 1  # 32 MB, a tenth of a second
MEMORY = 64 * 1024 * 1024
LENGTH_MIN, LENGTH_MAX = 10, 1000


@dataclass(frozen=True)
class Password:
    """What a password hashes to with that salt."""

    salt: bytes
    digest: bytes

    async def matches(self, given: str) -> bool:
        """Whether it is that password; the hash is computed beside the other requests."""
        return hmac.compare_digest(await asyncio.to_thread(digest_of, given, self.salt), self.digest)


def digest_of(password: str, salt: bytes) -> bytes:
    """(64,) bytes."""
    secret = password[:LENGTH_MAX].encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=COST, r=BLOCK, p=PARALLEL, maxmem=MEMORY)


def write_password(path: Path, password: str) -> None:
    """Write the hash into a file that nobody else may read. Raises ConfigError."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise ConfigError(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters, this one has {len(password)}")
    salt = secrets.token_bytes(16)
    parts = (base64.b64encode(part).decode() for part in (salt, digest_of(password, salt)))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"scrypt${'$'.join(parts)}\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def read_password(path: Path) -> Password:
    """The hash in a file. Raises ConfigError that names the file."""
    try:
        kind, salt, digest = path.read_text("ascii").strip().split("$")
        found = Password(base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; --set-password {path} writes one") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no password: write one with --set-password {path}") from error
    if kind != "scrypt" or len(found.digest) != 64:
        raise ConfigError(f"{path} holds no password: write one with --set-password {path}")
    return found
