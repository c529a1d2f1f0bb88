"""Patterns of texts that can be set or sent, and each in words: nobody has to read a regular expression."""

import re
from typing import Final

LABEL: Final = r"[A-Za-z0-9_-]{1,63}"
LEVEL: Final = r"^[a-z0-9][a-z0-9-]*$"
# It is part of every topic; below limen/household is what all devices share, below limen/answers what they answer.
DEVICE: Final = r"^(?!household$|answers$)[a-z0-9][a-z0-9-]*$"
HOST: Final = rf"^({LABEL}(\.{LABEL})*\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"
PREFIX: Final = r"^[^+#/]+(/[^+#/]+)*$"
NONCE: Final = "^[A-Za-z0-9_-]{16,64}$"
SIGNATURE: Final = "^[0-9A-Fa-f]{64}$"
NUMBER: Final = "^[0-9]+$"

IN_WORDS = {
    LEVEL: "of lower-case letters a to z, digits and dashes, with no dash at the beginning",
    DEVICE: "of lower-case letters a to z, digits and dashes, with no dash at the beginning, other than `household` "
    "and `answers`",
    HOST: "that is the name or the address of a host",
    PREFIX: "that is the beginning of a topic: without + and #, and with no / at either end",
    NONCE: "of 16 to 64 letters, digits, dashes and underscores",
    SIGNATURE: "of 64 hexadecimal digits",
    NUMBER: "of decimal digits",
}


def in_words(message: object) -> str:
    """What msgspec says of a value, with a pattern in words."""
    return re.sub(
        r"matching regex '(.*)'(?= - at `|$)",
        lambda found: IN_WORDS.get(found[1].replace("\\\\", "\\"), found[0]),
        str(message),
    )
