"""What people can be called, and how that is written in a topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.names import clean_name, slug_of
from edge.errors import RefusedError


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("  ", "visible characters"),
        ("a\u0000b", "control characters"),
        ("Unknown", "nobody can be called Unknown"),
        ("a" * 65, "at most 64 characters; this one has 65"),
    ],
)
def test_what_nobody_can_be_called(name, says):
    with pytest.raises(RefusedError, match=says) as refused:
        clean_name(name)
    assert refused.value.code == "invalid"


def test_a_name_is_composed_and_has_no_space_around():
    assert clean_name(" Zoe\u0308 ") == "Zo\u00eb"


def test_a_slug():
    assert slug_of("Åsa Öberg") == "asa-oberg"
    assert slug_of("李雷") == slug_of("李雷") != slug_of("韩梅梅")


@given(st.text(min_size=1, max_size=64))
def test_any_name_that_holds_has_a_slug_for_a_topic(name):
    try:
        slug = slug_of(clean_name(name))
    except RefusedError:
        return
    assert slug
    assert not set(slug) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
