"""What people can be called, and how that is written in a topic and on a terminal."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from edge.core.graphemes import PICTOGRAPHIC, count_characters, kind_of
from edge.errors import RefusedError

NAME_MAX = 64  # characters, as people count them
NAME_BYTES_MAX = 1024  # in UTF-8: one character may have many code points
SLUG_MAX = 64
RESERVED_NAMES = {"unknown", "nobody", "somebody"}

NON_JOINER, JOINER = "\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"
VIRAMA = 9  # canonical combining class
CURSIVE = {"ARABIC", "SYRIAC", "MANDAIC", "NKO", "MONGOLIAN", "PHAGS-PA", "MANICHAEAN", "ADLAM", "HANIFI", "SOGDIAN"}
SUBDIVISION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
BLANK = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", NON_JOINER, JOINER}  # without ink, beside marks and spaces
WITHOUT_NAME = {
    "Cc": "a control character",
    "Cs": "half of a character: the text was not UTF-8",
    "Co": "for private use: it has no agreed meaning",
    "Cn": "not assigned",
}
LATIN = str.maketrans(  # which NFKD leaves as they are
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h"}
    | {"\N{LATIN SMALL LETTER DOTLESS I}": "i"}
    | {"\N{MODIFIER LETTER TURNED COMMA}": "'", "\N{MODIFIER LETTER APOSTROPHE}": "'"}
)
PERSON_ID = re.compile("p_[0-9a-z]{1,62}")


def clean_name(name: str) -> str:
    """The name as it is kept: in NFC, without space around. Raises RefusedError where it cannot be one."""
    too_long = f"a name has at most {NAME_MAX} characters and {NAME_BYTES_MAX} bytes of UTF-8"
    if len(name) > NAME_BYTES_MAX:
        raise RefusedError("invalid", f"{too_long}; this one has {len(name)} code points: shorten it")
    composed = composed_name(name)
    if (wrong := refused_letter(composed)) is not None:
        raise RefusedError("invalid", f"a name cannot contain {wrong}: leave it out")
    if all(letter in BLANK or unicodedata.category(letter)[0] in "MZ" for letter in composed):
        raise RefusedError("invalid", "a name has at least one visible character")
    count, size = count_characters(composed), len(composed.encode())
    if count > NAME_MAX or size > NAME_BYTES_MAX:
        raise RefusedError("invalid", f"{too_long}; this one has {count} and {size}: shorten it")
    if composed.casefold() in RESERVED_NAMES:
        raise RefusedError(
            "invalid", f"{composed} is no name: events and presence say it where nobody is known; choose another one"
        )
    return composed


def composed_name(name: str) -> str:
    """The name in NFC, without space around, as people are looked up by it; it may be none that clean_name takes."""
    return unicodedata.normalize("NFC", name).strip()


def refused_letter(name: str) -> str | None:
    """The first code point that no name contains, in words; None where there is none.

    Refused are controls, line separators, surrogates, code points without a meaning, and formats, such as those that
    override the direction of text. Not refused are emoji of a newer Unicode than Python's, tags in the flag of a part
    of a country, and joiners that join (RFC 5892, appendices A.1 and A.2, and emoji sequences).
    """
    name = SUBDIVISION_FLAG.sub("\U0001f3f4", name)
    for at, letter in enumerate(name):
        if letter in {NON_JOINER, JOINER}:
            if not joins(name, at):
                return f"{described(letter)} where it joins nothing"
        elif is_refused(letter):
            return described(letter)
    return None


def is_refused(letter: str) -> bool:
    """Whether a code point is one that no name contains, whatever stands around it."""
    category = unicodedata.category(letter)
    return category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or (category == "Cn" and ord(letter) not in PICTOGRAPHIC)


def joins(name: str, at: int) -> bool:
    """Whether the joiner there stands beside a virama, between letters of a cursive script, or between emoji."""
    previous, following = name[at - 1 : at], name[at + 1 : at + 2]
    base = next((letter for letter in reversed(name[:at]) if kind_of(letter) not in "ENS"), "")
    if not base or unicodedata.combining(previous) == VIRAMA:
        return bool(base)
    if not following:
        return False
    if unicodedata.combining(following) == VIRAMA:
        return base.isalpha()
    if name[at] == JOINER and ord(base) in PICTOGRAPHIC:
        return ord(following) in PICTOGRAPHIC
    return is_cursive(base) and is_cursive(following)


def is_cursive(letter: str) -> bool:
    """Whether this is a letter of a script whose letters join."""
    return letter.isalpha() and unicodedata.name(letter, "").partition(" ")[0] in CURSIVE


def described(letter: str) -> str:
    """A code point and its name: U+202E RIGHT-TO-LEFT OVERRIDE."""
    code, category = ord(letter), unicodedata.category(letter)
    name = unicodedata.name(letter, "")
    if category == "Cc":  # Unicode names their pictures, not them
        picture = unicodedata.name(chr(0x2421 if code == 0x7F else 0x2400 + code), "") if code < 0x80 else ""
        name = picture.removeprefix("SYMBOL FOR ")
    return f"U+{code:04X} {name}" if name else f"U+{code:04X} ({WITHOUT_NAME.get(category, 'without a name')})"


def printable(text: str) -> str:
    """The text for a terminal or a log: what could move the cursor or reorder a line is escaped as in JSON."""
    return "".join(escaped(letter) if is_unsafe(letter) else letter for letter in text)


def is_unsafe(letter: str) -> bool:
    """Whether a terminal may do something else with a code point than show it."""
    shown = letter in {NON_JOINER, JOINER} or "\U000e0020" <= letter <= "\U000e007f"
    return not shown and unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def escaped(letter: str) -> str:
    """A code point as JSON escapes it."""
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(letter)[1:-1]


def slug_of(name: str) -> str | None:
    """The name as one level of a topic: a to z, digits and dashes; None where a letter would be lost, or it is long."""
    letters = unicodedata.normalize("NFKD", name.casefold()).casefold().translate(LATIN)
    level = ""
    for letter in letters:
        kind = unicodedata.category(letter)[0]
        if letter.isascii() and letter.isalnum():
            level += letter
        elif letter.isascii() or kind in "PZ":
            level += "-"
        elif kind != "M":
            return None
    slug = re.sub("-+", "-", level).strip("-")
    return slug if 0 < len(slug) <= SLUG_MAX else None


def levels_of(people: Mapping[str, str]) -> dict[str, str]:
    """Everybody's own level of a topic, by person id; people: names by person id.

    It is the slug of the name where nobody else has the same one, otherwise the person id. So it depends on who is
    enrolled, and not on the order in which they came: all cameras of a household have the same.
    """
    return levels_of_slugs({person_id: slug_of(name) for person_id, name in people.items()})


def levels_of_slugs(slugs: Mapping[str, str | None]) -> dict[str, str]:
    """As levels_of, of slugs that are known already; slugs: by person id."""
    count = Counter(slugs.values())
    return {
        person_id: slug if slug is not None and count[slug] == 1 else level_of(person_id)
        for person_id, slug in slugs.items()
    }


def level_of(person_id: str) -> str:
    """A person id as one level of a topic, which no slug equals; of an id that limen would not make, a hash."""
    return person_id if PERSON_ID.fullmatch(person_id) else "i_" + hashlib.sha256(person_id.encode()).hexdigest()
