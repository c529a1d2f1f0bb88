"""Authenticated encryption of what the devices of a household send to one another.

AES-256-GCM with a random nonce of 96 bits (NIST SP 800-38D), under keys that are derived from the household's key by
HKDF (RFC 5869), one for each purpose. The package cryptography is needed where there is a household key, and nowhere
else.
"""

import base64
import binascii
import hashlib
import hmac
import os

from edge.errors import CipherError, ConfigError

KEY_BYTES = 32
NONCE_BYTES, TAG_BYTES = 12, 16
VERSION = b"\x01"
REVISIONS, ARCHIVE = "revisions", "gallery"  # purposes


def new_key() -> str:
    """Make a household's key, in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class HouseholdCipher:
    """Encrypts and decrypts for one purpose.

    key:     the household's, in base64
    purpose: REVISIONS or ARCHIVE; what is encrypted for one cannot be decrypted for the other

    Raises ConfigError where that is no key, or the package cryptography is not installed.
    """

    def __init__(self, key: str, purpose: str) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        except ImportError as error:
            raise ConfigError("a household key needs the package cryptography: pip install 'limen[fleet]'") from error
        try:
            secret = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ConfigError(f"the household key is not {KEY_BYTES} bytes in base64, as `limen fleet key` makes them")
        made = HKDF(SHA256(), 2 * KEY_BYTES, salt=None, info=f"limen {purpose}".encode()).derive(secret)
        self._cipher, self._names = AESGCM(made[:KEY_BYTES]), made[KEY_BYTES:]
        self._invalid = InvalidTag

    def encrypt(self, payload: bytes, place: str) -> bytes:
        """Encrypt a payload, which can be decrypted under the same key and with the same place alone."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, payload, VERSION + place.encode())

    def decrypt(self, encrypted: bytes, place: str) -> bytes:
        """Decrypt a payload.

        Raises CipherError where it was not encrypted under this key for this place, or was changed.
        """
        if encrypted[:1] != VERSION or len(encrypted) < 1 + NONCE_BYTES + TAG_BYTES:
            raise CipherError(f"{place}: {len(encrypted)} bytes that are not encrypted")
        try:
            return self._cipher.decrypt(
                encrypted[1 : 1 + NONCE_BYTES], encrypted[1 + NONCE_BYTES :], VERSION + place.encode()
            )
        except self._invalid as error:
            raise CipherError(f"{place}: encrypted under another key, for another place, or damaged") from error

    def opaque(self, name: str) -> str:
        """Derive a name's pseudonym, always the same, which only those who have the key can derive."""
        return hmac.new(self._names, name.encode(), hashlib.sha256).hexdigest()[:32]
