"""What people can be called, and how that is written in a topic and on a terminal."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.graphemes import count_characters
from edge.core.names import NAME_BYTES_MAX, clean_name, levels_of, printable, slug_of
from edge.errors import RefusedError
from tests.faults.inputs import names


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("  ", "at least one visible character"),
        ("\u3164", "at least one visible character"),
        ("a\u0000b", r"cannot contain U\+0000 NULL: leave it out"),
        ("\x1b[31mred", r"U\+001B ESCAPE"),
        ("a\x7f", r"U\+007F DELETE"),
        ("a\x9bb", r"U\+009B \(a control character\)"),
        ("a\u2028b", r"U\+2028 LINE SEPARATOR"),
        ("gpj.\u202eanna", r"U\+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\u2067anna", r"U\+2067 RIGHT-TO-LEFT ISOLATE"),
        ("an\u200bna", r"U\+200B ZERO WIDTH SPACE"),
        ("an\u200dna", r"U\+200D ZERO WIDTH JOINER where it joins nothing"),
        ("علی\u200c", r"U\+200C ZERO WIDTH NON-JOINER where it joins nothing"),
        ("👩\u200danna", r"U\+200D ZERO WIDTH JOINER where"),
        ("\udcff", r"U\+DCFF \(half of a character"),
        ("\ue000", r"U\+E000 \(for private use"),
        ("\u0378", r"U\+0378 \(not assigned\)"),
        ("\U000e0067", r"U\+E0067 TAG LATIN SMALL LETTER G"),
        ("Unknown", "Unknown is no name: events and presence say it where nobody is known"),
        ("NOBODY", "NOBODY is no name"),
        ("Somebody", "Somebody is no name"),
        ("a" * 65, "at most 64 characters and 1024 bytes of UTF-8; this one has 65 and 65: shorten it"),
        ("a" + "\u0301" * 600, "this one has 1 and 1200"),
        ("a" * 1025, "this one has 1025 code points"),
    ],
)
def test_what_nobody_can_be_called(name, says):
    with pytest.raises(RefusedError, match=says) as refused:
        clean_name(name)
    assert refused.value.code == "invalid"


@pytest.mark.parametrize(
    ("name", "characters"),
    [
        ("علی\u200cرض\u0627", 6),  # Persian
        ("محمّد\u200cعلی", 7),
        ("ශ\u0dca\u200dරී", 2),  # Sinhala
        ("രാജന\u0d4d\u200d", 3),  # Malayalam, as it was written before Unicode 5.1
        ("র\u200d\u09cdযাচেল", 3),  # Bengali
        ("ಶ\u0ccd\u200cಯಾಮ", 3),  # Kannada
        ("👨\u200d👩\u200d👧\u200d👦 Berg", 6),
        ("👩🏽\u200d🚀", 1),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", 1),
        ("\U0001fae8", 1),  # of Unicode 15: Python 3.11 has 14
        ("\U0001face", 1),
        ("葛\U000e0100城", 2),
        ("กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่กี่", 30),
        ("👨\u200d👩\u200d👧\u200d👦" * 30, 30),
    ],
)
def test_names_of_the_world(name, characters):
    assert clean_name(name) == name
    assert count_characters(name) == characters
    assert printable(name) == name


def test_a_name_is_composed_and_has_no_space_around():
    assert clean_name(" Zoe\u0308 ") == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Åsa Öberg", "asa-oberg"),
        ("Søren Łukasz", "soren-lukasz"),
        ("Nguyễn Văn Đức", "nguyen-van-duc"),
        ("İlhan I\u015f\u0131k", "ilhan-isik"),
        ("O\u2019Brien", "o-brien"),
        ("Straße", "strasse"),
        ("\uff21nna \U0001d56c", "anna-a"),
        ("Иван 2", None),  # a letter would be lost
        ("Anna ❤", None),
        ("李雷", None),
        ("ǆ" * 64, None),  # too long
    ],
)
def test_a_slug(name, slug):
    assert slug_of(name) == slug


def test_a_level_is_the_name_where_nobody_else_has_the_same_and_else_the_id():
    assert levels_of({"p_1": "Zoë", "p_2": "Bob"}) == {"p_1": "zoe", "p_2": "bob"}
    assert levels_of({"p_1": "Zoë", "p_2": "Zoe", "p_3": "Bob"}) == {"p_1": "p_1", "p_2": "p_2", "p_3": "bob"}
    assert levels_of({"p_1": "Александр", "p_2": "Александра"}) == {"p_1": "p_1", "p_2": "p_2"}


NAMED = st.one_of(names(), st.sampled_from(["Zoe", "Zoë", "ZOE-", "p_1", "p 1", "p-1", "Анна", "i_0"])).map(
    lambda name: cleaned(name) or "Anna"
)
IDS = st.one_of(
    st.integers(0, 50).map(lambda number: f"p_{number:08x}"),
    st.sampled_from(["zoe", "p_1", "P_1", "p_1/#", "+", "i_0", "\x1b[2J"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
)


def cleaned(name):
    try:
        return clean_name(name)
    except RefusedError:
        return None


@given(st.dictionaries(IDS, NAMED, max_size=8), st.randoms())
@example({"zoe": "李", "p_2": "Zoe"}, None)
def test_no_two_people_have_one_level_in_whatever_order_they_came(people, random):
    levels = levels_of(people)
    assert len(set(levels.values())) == len(people)
    assert all(re.fullmatch("[a-z0-9_-]{1,66}", level) for level in levels.values())
    shuffled = list(people.items())
    if random is not None:
        random.shuffle(shuffled)
    assert levels_of(dict(shuffled)) == levels


@given(names())
def test_whatever_is_a_name_stays_as_it_is(name):
    clean = cleaned(name)
    if clean is not None:
        assert clean_name(clean) == clean == unicodedata.normalize("NFC", clean).strip()
        assert printable(clean) == clean
        assert len(clean.encode()) <= NAME_BYTES_MAX


def test_what_a_terminal_would_obey_is_escaped_as_in_json():
    assert printable("\x1b[31m \x9b \x7f \u202e \u2028 \ud800 \U000e0001 Zoë") == (
        r"\u001b[31m \u009b \u007f \u202e \u2028 \ud800 \udb40\udc01 Zoë"
    )
