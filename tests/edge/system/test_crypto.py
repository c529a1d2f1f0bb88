"""The seal: whoever has the key reads it where it belongs, and nobody else anywhere."""

import base64
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import CipherError, ConfigError
from edge.system.crypto import ARCHIVE, KEY_BYTES, REVISIONS, HouseholdCipher, new_key

KEY = new_key()
PLACE = "limen/household/home/person/1f"


def test_what_was_sealed_is_opened_where_it_belongs():
    sealed = HouseholdCipher(KEY, REVISIONS).encrypt(b"Alice", PLACE)
    assert HouseholdCipher(KEY, REVISIONS).decrypt(sealed, PLACE) == b"Alice"
    assert b"Alice" not in sealed
    assert len(sealed) == 1 + 12 + len(b"Alice") + 16
    assert HouseholdCipher(KEY, REVISIONS).encrypt(b"Alice", PLACE) != sealed  # another nonce


@pytest.mark.parametrize(
    ("seal", "place"),
    [
        (HouseholdCipher(new_key(), REVISIONS), PLACE),
        (HouseholdCipher(KEY, ARCHIVE), PLACE),
        (HouseholdCipher(KEY, REVISIONS), PLACE + "0"),
    ],
    ids=["another household", "another purpose", "somebody else's topic"],
)
def test_nowhere_else_is_it_opened(seal, place):
    with pytest.raises(CipherError, match="another key, for another place, or damaged"):
        seal.decrypt(HouseholdCipher(KEY, REVISIONS).encrypt(b"Alice", PLACE), place)


@given(st.integers(0, 33 * 8 - 1), st.binary(max_size=40))
def test_not_a_bit_of_it_is_changed_and_nothing_else_is_taken_for_it(bit, noise):
    seal = HouseholdCipher(KEY, REVISIONS)
    sealed = bytearray(seal.encrypt(b"Anna", PLACE))
    sealed[bit // 8] ^= 1 << bit % 8
    for bad in (bytes(sealed), noise, b"\x01" + noise):
        with pytest.raises(CipherError):
            seal.decrypt(bad, PLACE)


def test_an_opaque_name_is_the_same_for_all_who_have_the_key_and_for_nobody_else():
    assert HouseholdCipher(KEY, REVISIONS).opaque("p_1") == HouseholdCipher(KEY, REVISIONS).opaque("p_1")
    assert len({HouseholdCipher(key, REVISIONS).opaque(who) for key in (KEY, new_key()) for who in ("p_1", "p_2")}) == 4
    assert len(HouseholdCipher(KEY, REVISIONS).opaque("p_1")) == 32


@pytest.mark.parametrize(
    "key",
    ["", "secret", "é", base64.b64encode(bytes(KEY_BYTES - 1)).decode(), KEY + KEY],
    ids=["empty", "a word", "no ASCII", "31 bytes", "two"],
)
def test_what_is_no_key_is_refused_and_not_repeated(key):
    with pytest.raises(ConfigError, match="not 32 bytes in base64, as `limen fleet key` makes them") as found:
        HouseholdCipher(key, REVISIONS)
    assert not key or key not in str(found.value).replace("32 bytes", "")


def test_without_the_package_it_is_said_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigError, match=r"needs the package cryptography: pip install 'limen\[fleet\]'"):
        HouseholdCipher(KEY, REVISIONS)
