"""What people can be called."""

import re
import unicodedata

from edge.errors import RefusedError

NAME_MAX = 64  # characters
RESERVED_NAMES = {"unknown", "nobody"}


def clean_name(name: str) -> str:
    """The name as it is kept: composed, without space around. Raises RefusedError where it cannot be one."""
    composed = unicodedata.normalize("NFC", name).strip()
    if not composed or any(unicodedata.category(letter).startswith("C") for letter in composed):
        raise RefusedError("invalid", "a name has visible characters, and no control characters")
    if len(composed) > NAME_MAX:
        raise RefusedError("invalid", f"a name has at most {NAME_MAX} characters; this one has {len(composed)}")
    if composed.casefold() in RESERVED_NAMES:
        raise RefusedError("invalid", f"nobody can be called {composed}: it says that nobody is known")
    return composed


def slug_of(name: str) -> str:
    """The name as one level of a topic: a to z, digits and dashes."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug or "x" + name.casefold().encode().hex()[:32]
