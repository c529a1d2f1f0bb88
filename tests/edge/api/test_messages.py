import base64
import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.images import decode_picture, header_size
from edge.api.messages import answer_json, event_json
from edge.api.requests import REQUESTS, Limits, read_request, transaction_in
from edge.core.commands import EnrollImages, RenamePerson, Reply
from edge.core.enrollment import SAMPLES_MAX
from edge.core.types import Event, Match, Person, Quality
from edge.errors import RefusedError

LIMITS = Limits(request_bytes_max=100_000, image_pixels_max=1_000_000)
PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def encoded(ending, *options):
    return cv2.imencode(ending, PICTURE[..., ::-1], list(options))[1].tobytes()


JPEG, PNG = encoded(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95), encoded(".png")


def text(data):
    return base64.b64encode(data).decode()


def flat(width, height):
    """A picture of one colour, which is a small file whatever its size."""
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def payload(**values):
    return json.dumps({"transaction": "t1"} | values).encode()


class Elsewhere:
    """What a request may ask of the device besides its door; see edge.api.requests.DeviceContext."""

    limits = LIMITS

    def now(self):
        return 1_000_000.0

    def told(self, event_id):
        raise RefusedError("no_such_event", f"none is {event_id}")

    def health(self):
        return {"fps": 9.5}

    def snapshot(self):
        raise RefusedError("snapshot_off", "no pictures are given away")

    def export(self, *, crops):
        raise RefusedError("no_household_key", f"nothing to seal it with, crops {crops}")

    def opened(self, gallery):
        raise RefusedError("no_household_key", f"nothing to open {gallery} with")


def ask(verb, data):
    return read_request(verb, data, len(data), LIMITS).command(Elsewhere())


def refused(verb, data):
    with pytest.raises(RefusedError) as found:
        ask(verb, data)
    return found.value.code, str(found.value)


CODES_ELSEWHERE = {"no_such_event", "snapshot_off", "no_household_key"}
CODES = {
    None,
    *CODES_ELSEWHERE,
    "too_large",
    "not_json",
    "invalid",
    "not_base64",
    "not_an_image",
    "image_too_large",
    "image_broken",
}


def code_of(call):
    """None where it works, else the code of the refusal; anything else that is raised fails the test."""
    try:
        call()
    except RefusedError as refusal:
        return refusal.code


def bomb(width, height):
    """A PNG whose header alone promises many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_an_enrollment():
    command = ask("enroll/image", payload(name="Al\u00edce", images=[text(PNG), text(JPEG)]))
    assert isinstance(command, EnrollImages)
    assert command.name == "Al\u00edce"
    assert (command.images[0] == PICTURE).all()
    assert command.images[1].shape == PICTURE.shape


def test_every_verb_has_a_command():
    values = {
        "enroll/image": {"name": "alice", "images": [text(PNG)]},
        "enroll/start": {"name": "alice"},
        "person/rename": {"name": "alice", "new_name": "bob"},
        "person/merge": {"name": "alice", "into": "bob"},
        "person/set": {"name": "alice", "tau": None},
        "person/remove": {"name": "alice"},
        "unknown/label": {"id": "u_1", "name": "alice"},
        "unknown/ignore": {"id": "u_1"},
        "recognize/image": {"image": text(PNG)},
        "config/set": {"recognition": False},
    }
    elsewhere = {  # where there is such an event, ...
        "event/correct": {"id": "e1", "name": None},
        "snapshot/get": {},
        "gallery/export": {},
        "gallery/import": {"gallery": "AA=="},
    }
    assert {refused(verb, payload(**fields))[0] for verb, fields in elsewhere.items()} == CODES_ELSEWHERE
    commands = {verb: ask(verb, payload(**values.get(verb, {}))) for verb in REQUESTS if verb not in elsewhere}
    kinds = {verb: type(command).__name__ for verb, command in commands.items()}
    assert kinds["config/get"] == kinds["config/set"] == "SwitchRecognition"
    assert len(set(kinds.values())) == len(kinds) - 1
    assert commands["health/check"] == Reply({"fps": 9.5})
    assert ask("person/rename", payload(name="alice", new_name="bob")) == RenamePerson("alice", "bob")


@pytest.mark.parametrize(
    ("verb", "data", "code", "says"),
    [
        ("open/sesame", payload(), "unknown_verb", "known are enroll/image"),
        ("person/list", b"{not json", "not_json", "not JSON"),
        ("person/list", b"\xff\xfe{}", "not_json", "not JSON"),
        ("person/list", b"", "not_json", "not JSON"),
        ("person/list", b"[]", "invalid", "Expected `object`, got `array`"),
        ("person/list", b"{}", "invalid", "missing required field `transaction`"),
        ("person/list", b'{"transaction": 5}', "invalid", "Expected `str`, got `int`"),
        ("person/list", b'{"transaction": ""}', "invalid", "length >= 1"),
        ("person/list", payload(nmae="x"), "invalid", "unknown field `nmae`"),
        ("person/set", payload(name="alice", tau=5), "invalid", "Expected `float` < 4"),
        ("person/remove", payload(name=["alice"]), "invalid", "Expected `str`, got `array`"),
        ("person/remove", payload(name="a" * 65), "invalid", "length <= 64"),
        ("enroll/image", payload(name="alice", images=[]), "invalid", "length >= 1"),
        ("enroll/image", payload(name="alice", images=["AA=="] * (SAMPLES_MAX + 1)), "invalid", "length <= 20"),
        ("enroll/image", payload(name="alice", images=["no base64!"]), "not_base64", "image 1"),
        ("enroll/image", payload(name="alice", images=[text(PNG), text(b"GIF89a")]), "not_an_image", "image 2"),
        ("enroll/image", payload(name="alice", images=[text(JPEG[:200])]), "image_broken", "40x30 px, 200 bytes"),
        ("enroll/image", payload(name="alice", images=[text(bomb(30_000, 30_000))]), "image_too_large", "30000x30000"),
        (
            "enroll/image",
            payload(name="al", images=[text(flat(800, 800))] * 2),
            "image_too_large",
            "at most 360000 pixels",
        ),
        ("recognize/image", payload(image=text(bomb(0, 10))), "image_broken", "0x10"),
        ("recognize/image", payload(image="A" * 200_000), "too_large", "at most 100000 are read"),
    ],
)
def test_what_does_not_hold_is_refused_with_a_code_and_a_reason(verb, data, code, says):
    found, reason = refused(verb, data)
    assert found == code
    assert says in reason


def test_the_transaction_is_read_where_there_is_one():
    assert transaction_in(payload(name=5)) == "t1"
    for data in (
        b"{",
        b"[" * 100_000,
        b'{"transaction": "a", "x": ' + b"[" * 100_000,
        b"[]",
        b'{"transaction": 7}',
        b"{}",
        b"\xff",
    ):
        assert transaction_in(data) is None


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.98])
def test_a_jpeg_that_was_cut_off_is_broken_wherever(cut):
    whole = encoded(".jpg", cv2.IMWRITE_JPEG_QUALITY, 90)
    with pytest.raises(RefusedError, match=r"cannot be decoded|neither JPEG nor PNG"):
        decode_picture(whole[: int(len(whole) * cut)], "image", 10_000)


@pytest.mark.parametrize("cut", [9, 60, -1])
def test_a_png_that_ends_before_its_last_chunk_does_is_broken(cut):
    with pytest.raises(RefusedError, match=r"ends before its last chunk does|neither JPEG nor PNG"):
        decode_picture(PNG[:cut], "image", 10_000)


@pytest.mark.parametrize("kind", [b"IDAT", b"IEND", b"tEXt"])
def test_no_room_is_made_for_a_chunk_that_is_not_there(kind):
    """OpenCV takes 4 GB for a PNG of a thousand bytes that says so, and the kernel ends whoever takes that on a Pi."""
    place = PNG.index(kind) - 4 if kind in PNG else PNG.index(b"IDAT") - 4
    claim = struct.pack(">I", 0xFF000000) + kind
    for data in (PNG[:place] + claim + PNG[place + 8 :], PNG[:place] + claim + PNG[place:]):
        with pytest.raises(RefusedError, match="ends before its last chunk does"):
            decode_picture(data, "image", 10_000)


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)])
def test_the_size_is_read_from_the_header_of_every_kind_of_jpeg(options):
    assert header_size(encoded(".jpg", *options)) == (40, 30)
    assert header_size(PNG) == (40, 30)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_refused(data):
    for start in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", JPEG[:100], PNG[:40]):
        outcome = code_of(lambda start=start: decode_picture(start + data, "image", 10_000))
        assert outcome in {None, "not_an_image", "image_too_large", "image_broken"}


@given(
    st.sampled_from(sorted(REQUESTS)),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["transaction", "name", "images", "image"]) | st.text(), inner, max_size=4
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_payload_is_a_command_or_refused(verb, data):
    assert code_of(lambda: ask(verb, data)) in CODES


def event(match, quality=None):
    return Event(
        "recognized",
        "new",
        "t93",
        12.5,
        match.person,
        match,
        {"alice": 4, "unknown": 1},
        quality,
        (0.41, 0.22, 0.12, 0.19),
        2,
        "4 of 5 votes within tau",
    )


def test_an_event_says_all_that_the_contract_says():
    alice, bob = Person("p_7f", "alice"), Person("p_8a", "bob")
    quality = Quality(0.78, 212.3, 120.0, 96.2, -8.4)
    value = json.loads(
        event_json(
            event(Match(alice, 0.61, 0.82, bob, 1.04), quality), "e1", 412, "2026-11-22T02:31:00.120Z", "emb@a1b2"
        )
    )
    assert value == {
        "schema": 1,
        "event_type": "recognized",
        "id": "e1",
        "seq": 412,
        "ts": "2026-11-22T02:31:00.120Z",
        "track": "t93",
        "phase": "new",
        "name": "alice",
        "person_id": "p_7f",
        "stranger": None,
        "distance": 0.61,
        "tau": 0.82,
        "runner_up": {"name": "bob", "distance": 1.04},
        "margin": 0.43,
        "votes": {"alice": 4, "unknown": 1},
        "quality": {"score": 0.78, "sharpness": 212, "face_px": 96, "yaw_deg": -8},
        "box": [0.41, 0.22, 0.12, 0.19],
        "faces_in_frame": 2,
        "model": "emb@a1b2",
        "why": "4 of 5 votes within tau",
    }


def test_what_is_particular_to_somebody_is_changed_one_by_one():
    day = 86_400.0
    assert ask("person/set", payload(name="alice", tau=None)).changes == {"tau": None}
    assert ask("person/set", payload(name="alice", notify=False)).changes == {"notify": False}
    assert ask("person/set", payload(name="alice", ttl_days=2)).changes == {"expires": 1_000_000 + 2 * day}
    assert ask("person/set", payload(name="alice", ttl_days=None, tau=0.5)).changes == {"expires": None, "tau": 0.5}
    assert refused("person/set", payload(name="alice")) == (
        "invalid",
        "person/set: expected tau, ttl_days or notify",
    )
    assert ask("enroll/image", payload(name="guest", images=[text(PNG)], ttl_days=1)).expires == 1_000_000 + day
    assert ask("enroll/start", payload(name="guest", ttl_days=0.5)).expires == 1_000_000 + day / 2


def test_an_event_about_nobody_names_nobody_and_stays_json():
    value = json.loads(event_json(event(Match(None, float("inf"), 0.8)), "e1", 1, "", ""))
    assert value["name"] is None
    assert value["distance"] is None
    far = json.loads(event_json(event(Match(Person("p", "alice"), 1.5, 0.8)), "e1", 1, "", ""))
    assert far["name"] is None
    assert far["distance"] == 1.5


def test_an_answer():
    assert json.loads(answer_json(Reply({"templates": 2}), "t1")) == {
        "status": "ok",
        "data": {"templates": 2},
        "code": None,
        "error": None,
        "transaction": "t1",
    }
    refusal = json.loads(answer_json(Reply(code="no_face", error="image 1 shows no face"), None))
    assert (refusal["status"], refusal["code"], refusal["transaction"]) == ("error", "no_face", None)
