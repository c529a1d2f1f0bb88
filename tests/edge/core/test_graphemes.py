"""Characters as people count them, held against the cases of Unicode and against another implementation."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.graphemes import CONSONANTS, EXTENDING, LINKERS, PICTOGRAPHIC, PREPENDED, count_characters, kind_of

# From GraphemeBreakTest.txt of the Unicode Character Database, one of each rule: code points, and how many clusters.
OFFICIAL = [
    ("0020 0020", 2),  # GB999
    ("000D 000A", 1),  # GB3
    ("000D 0020", 2),  # GB4
    ("000A 0308", 2),  # GB4
    ("0001 0308 000D", 3),
    ("0061 000D 000A 0300", 3),
    ("0020 0308 0020", 2),  # GB9
    ("0020 0308 0001", 2),  # GB5
    ("1100 1160", 1),  # GB6
    ("1100 11A8", 2),
    ("1100 AC00 11A8", 1),
    ("1100 1100 AC01", 1),
    ("1160 1160 11A8", 1),  # GB7
    ("1160 1100", 2),
    ("AC00 1160 11A8", 1),
    ("AC01 11A8", 1),  # GB8
    ("AC01 1160", 2),
    ("AC00 11A8 1100", 2),
    ("11A8 11A8", 1),
    ("0061 0308 200D 0308 0062", 2),
    ("0061 0903 0062", 2),  # GB9a
    ("0061 0600 0062", 2),  # GB9b
    ("0600 0020", 1),
    ("0600 000A", 2),
    ("0600 0600", 1),
    ("1F1E6 1F1E7 1F1E8 0062", 3),  # GB12
    ("0061 1F1E6 1F1E7 1F1E8 0062", 4),  # GB13
    ("0061 1F1E6 1F1E7 200D 1F1E8 0062", 4),
    ("0061 1F1E6 200D 1F1E7 1F1E8 0062", 4),
    ("0061 1F1E6 1F1E7 1F1E8 1F1E9 0062", 4),
    ("0061 200D", 1),
    ("1F476 1F3FF 1F476", 2),
    ("0061 1F3FF 1F476", 2),
    ("0061 1F3FF 1F476 200D 1F6D1", 2),  # GB11
    ("1F476 1F3FF 0308 200D 1F476 1F3FF", 1),
    ("1F6D1 200D 1F6D1", 1),
    ("0061 200D 1F6D1", 2),
    ("2701 200D 2701", 2),  # no pictograph since Unicode 17
    ("0061 200D 2701", 2),
    ("0915 0924", 2),
    ("0915 094D 0924", 1),  # GB9c
    ("0915 094D 094D 0924", 1),
    ("0915 094D 200D 0924", 1),
    ("0915 093C 200D 094D 0924", 1),
    ("0915 093C 094D 200D 0924", 1),
    ("0915 094D 0924 094D 092F", 1),
    ("0915 094D 0061", 2),
    ("0061 094D 0924", 2),
    ("003F 094D 0924", 2),
    ("0915 094D 094D 0924", 1),
]
LETTERS = st.one_of(
    st.sampled_from(sorted(PICTOGRAPHIC)),
    st.sampled_from(sorted(CONSONANTS)),
    st.sampled_from(sorted(LINKERS | EXTENDING | PREPENDED)),
    st.sampled_from([0x200C, 0x200D, 0xFE0F, 0x301, 0x903, 0xE33, 0x1160, 0x11A8, 0xAC00, 0xAC01, 0x1F3FD, 0x0D, 0x0A]),
    st.integers(0x1100, 0x11FF),
    st.integers(0x1F1E6, 0x1F1FF),
    st.characters(exclude_categories=["Cs", "Cn"]).map(ord),
).map(chr)


@pytest.mark.parametrize(("codes", "clusters"), OFFICIAL)
def test_the_cases_of_unicode(codes, clusters):
    assert count_characters("".join(chr(int(code, 16)) for code in codes.split())) == clusters


@settings(max_examples=3000)
@given(st.lists(LETTERS, max_size=10).map("".join))
def test_another_implementation_counts_the_same(text):
    regex = pytest.importorskip("regex")
    kinds = "".join(map(kind_of, text))
    if re.search("(^|[^KENZ])[ENZJS]*N[ENZJS]*K", kinds):
        return  # it joins a virama and a consonant after anything, which GB9c does after a consonant alone
    if any(unicodedata.category(letter) == "Cn" and ord(letter) not in PICTOGRAPHIC for letter in text):
        return
    assert count_characters(text) == len(regex.findall(r"\X", text))


@pytest.mark.parametrize("family", ["👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍⚧️", "🇩🇪", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\U0001fae8"])
def test_an_emoji_is_one_character(family):
    assert count_characters(family) == 1
    assert count_characters(f"{family} Berg") == 6
