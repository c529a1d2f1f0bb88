import base64
import json
import struct
import zlib
from types import SimpleNamespace

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.answers import decode_answer, ok_answer, refusal_answer
from edge.api.messages import event_message
from edge.api.replies import EnrolledReply
from edge.api.requests import VERBS
from edge.api.requests.people import EnrollImages
from edge.api.verbs import Access, Limits, convert_request, decode_json, transaction_of
from edge.config import Config
from edge.core.codes import Code
from edge.core.enrollment import SAMPLES_MAX
from edge.core.events import Event, RunnerUp, measured
from edge.core.types import Match, Person, Quality
from edge.errors import RefusedError
from edge.runtime.context import DeviceContext
from edge.runtime.handlers import HANDLERS, PICTURE_READERS
from edge.runtime.pictures import images_of

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


def context():
    """The device of a command on its disk, of which a request needs nothing but pictures and the time."""
    device = SimpleNamespace(store=SimpleNamespace(clock=SimpleNamespace(now=lambda: 1_000_000.0)), recognizer=None)
    made = DeviceContext(Config(), device, LIMITS)
    made.running = True  # pictures of one request share a limit
    return made


def ask(verb, data):
    request = convert_request(verb, decode_json(verb, data))
    if not request.reads_pictures:
        return request, []
    (task,) = PICTURE_READERS[type(request)](request, context()).tasks
    return request, list(images_of(task))


def refused(verb, data):
    with pytest.raises(RefusedError) as found:
        ask(verb, data)
    return found.value.code, str(found.value)


CODES = {
    None,
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
    request, images = ask("enroll/image", payload(name="Al\u00edce", images=[text(PNG), text(JPEG)]))
    assert isinstance(request, EnrollImages)
    assert request.name == "Al\u00edce"
    assert (images[0] == PICTURE).all()
    assert images[1].shape == PICTURE.shape


def test_every_verb_has_a_handler_a_reply_and_codes():
    assert len(HANDLERS) + len(PICTURE_READERS) == len(VERBS)
    assert {*HANDLERS, *PICTURE_READERS} == set(VERBS.values())
    assert set(PICTURE_READERS) == {kind for kind in VERBS.values() if kind.reads_pictures}
    for name, kind in VERBS.items():
        assert (kind.verb, kind.access in Access) == (name, True)
        msgspec.json.schema(kind.reply)
        assert all(code in Code for code in kind.codes)
    assert VERBS["person/list"].access is Access.READ


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
        ("person/remove", payload(name="a" * 1025), "invalid", "length <= 1024"),
        ("enroll/image", payload(name="alice", images=[]), "invalid", "length >= 1"),
        ("enroll/image", payload(name="alice", images=["AA=="] * (SAMPLES_MAX + 1)), "invalid", "length <= 20"),
        ("enroll/image", payload(name="alice", images=["no base64!"]), "not_base64", "image 1"),
        ("enroll/image", payload(name="alice", images=[text(PNG), text(b"no image")]), "not_an_image", "image 2"),
        ("enroll/image", payload(name="alice", images=[text(JPEG[:200])]), "image_broken", "40x30 px"),
        ("enroll/image", payload(name="alice", images=[text(bomb(30_000, 30_000))]), "image_too_large", "30000x30000"),
        (
            "enroll/image",
            payload(name="al", images=[text(flat(800, 800))] * 2),
            "image_too_large",
            "at most 360000 pixels",
        ),
        ("recognize/image", payload(image=text(bomb(0, 10))), "image_broken", "0x10"),
    ],
)
def test_what_does_not_hold_is_refused_with_a_code_and_a_reason(verb, data, code, says):
    found, reason = refused(verb, data)
    assert found == code
    assert says in reason


@pytest.mark.usefixtures("no_collection")
def test_the_transaction_is_read_where_there_is_one():
    assert transaction_of(json.loads(payload(name=5))) == "t1"
    for value in ([], {"transaction": 7}, {"transaction": ""}, {"transaction": "x" * 129}, {}, None, "t1"):
        assert transaction_of(value) is None
    for data in (b"{", b"[" * 100_000, b'{"transaction": "a", "x": ' + b"[" * 100_000, b"\xff"):
        assert code_of(lambda data=data: decode_json("person/list", data)) == "not_json"


@given(
    st.sampled_from(sorted(VERBS)),
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


def event(name="alice", **values):
    person_id = None if name is None else "p_7f"
    return Event("recognized", "new", "t93", 12.5, name, person_id, "4 of 5 samples within tau", **values)


def test_an_event_says_all_that_the_contract_says():
    quality = Quality(0.78, 212.3, 120.0, 96.2, -8.4)
    seen = event(
        distance=0.61,
        tau=0.82,
        runner_up=RunnerUp("bob", 1.04),
        margin=0.43,
        votes={"alice": 4, "unknown": 1},
        quality=quality,
        box=(0.41, 0.22, 0.12, 0.19),
        faces_in_frame=2,
    )
    value = json.loads(event_message(seen, "e1", 412, "2026-11-22T02:31:00.120Z", "emb@a1b2").json())
    assert value == {
        "schema": 1,
        "event_type": "recognized",
        "id": "e1",
        "seq": 412,
        "ts": "2026-11-22T02:31:00.120Z",
        "clock_set": True,
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
        "why": "4 of 5 samples within tau",
    }


def test_a_match_with_nobody_stays_json():
    assert measured(Match(None, float("inf"), 0.8)) == (None, 0.8, None, None)
    value = json.loads(event_message(event(name=None, tau=0.8), "e1", 1, "", "").json())
    assert (value["name"], value["distance"], value["tau"], value["votes"]) == (None, None, 0.8, {})
    alice, bob = Person("p", "alice"), Person("q", "bob")
    assert measured(Match(alice, 1.5, 0.8, bob, 1.75)) == (1.5, 0.8, RunnerUp("bob", 1.75), 0.25)


def test_an_answer():
    reply = EnrolledReply(name="alice", person_id="p_1", templates=2)
    assert json.loads(ok_answer(reply, "t1").json()) == {
        "status": "ok",
        "data": {"name": "alice", "person_id": "p_1", "templates": 2},
        "code": None,
        "error": None,
        "transaction": "t1",
    }
    refusal = json.loads(refusal_answer(RefusedError("no_face", "image 1 shows no face"), None).json())
    assert (refusal["status"], refusal["code"], refusal["transaction"]) == ("error", "no_face", None)
    assert decode_answer(ok_answer(reply, None).json()).to("t2").transaction == "t2"
