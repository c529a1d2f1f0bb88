"""What a peer may send, and what follows from the greatest that it may."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.api.replication import RevisionMessage, read_greeting, read_revision_message
from edge.core.replication import (
    IDS_MAX,
    NUMBER_FREE,
    NUMBER_MAX,
    FieldWrite,
    Revision,
    TemplateRecord,
    bounded,
    join,
)
from edge.errors import CipherError
from tests.edge.core.test_replication import Camera, exchange


def fields(number=1, **values):
    values = {"name": "Alice", "tau": None, "expires": None, "notify": True} | values
    return {name: FieldWrite(value, number, "porch") for name, value in values.items()}


WHOLE = Revision("p_1", 1, fields=fields())
RECORD = TemplateRecord("e_1", "a" * 64, bytes(512), None)


def message(revision=WHOLE, records=(), device="porch"):
    return RevisionMessage(device=device, revision=revision, records=list(records)).bytes()


def ids(count, kind="e"):
    return frozenset(f"{kind}_{number}" for number in range(count))


def test_what_a_camera_sends_is_read():
    full = Revision("p" * 64, NUMBER_MAX, False, fields(NUMBER_MAX, tau=4.0, expires=4e9), ids(IDS_MAX), ids(5, "n"))
    for revision, records in ((WHOLE, []), (full, [RECORD] * 3), (Revision("p_1", 0, forgotten=True), [])):
        read = read_revision_message(message(revision, records))
        assert (read.revision, read.records) == (revision, list(records))
    newer = replace(WHOLE, fields=fields(colour="blue", level=3.0))
    assert read_revision_message(message(newer)).revision == newer


@pytest.mark.parametrize(
    "payload",
    [
        message(replace(WHOLE, number=2**64 - 1)),
        message(replace(WHOLE, number=NUMBER_MAX + 1)),
        message(replace(WHOLE, number=-1)),
        message(Revision("p_1", 2**64 - 1, forgotten=True)),
        message(replace(WHOLE, fields=fields(2**63))),
        message(replace(WHOLE, fields=fields(-1))),
        message(replace(WHOLE, person_id="")),
        message(replace(WHOLE, person_id="p" * 65)),
        message(replace(WHOLE, templates=ids(IDS_MAX + 1))),
        message(replace(WHOLE, negatives=ids(IDS_MAX + 1))),
        message(replace(WHOLE, removed=ids(IDS_MAX + 1))),
        message(replace(WHOLE, removed=frozenset({"e" * 65}))),
        message(replace(WHOLE, templates=ids(1), negatives=ids(1))),
        message(replace(WHOLE, fields=fields(name="A" * 65))),
        message(replace(WHOLE, fields=fields(name=" Alice"))),
        message(replace(WHOLE, fields=fields(name="nobody"))),
        message(replace(WHOLE, fields=fields(name="A\nB"))),
        message(replace(WHOLE, fields=fields(tau=float("nan")))),  # it would never be equal to itself
        message(replace(WHOLE, fields=fields(tau=4.1))),
        message(replace(WHOLE, fields=fields(tau=-0.1))),
        message(replace(WHOLE, fields=fields(expires=float("inf")))),
        message(replace(WHOLE, fields=fields(expires=1e12))),  # no calendar has that year
        message(replace(WHOLE, fields=fields(colour="b" * 257))),
        message(replace(WHOLE, fields=fields(**{"c" * 65: True}))),
        message(replace(WHOLE, fields=fields(**{f"field{number}": True for number in range(16)}))),
        message(replace(WHOLE, fields={name: replace(write, device="d" * 65) for name, write in fields().items()})),
        message(device="d" * 65),
        message(device=""),
        message(records=[replace(RECORD, template_id="e" * 65)]),
        message(records=[replace(RECORD, model="a" * 65)]),
        message(records=[replace(RECORD, embedding=bytes(20_000))]),
        message(records=[replace(RECORD, crop=bytes(70_000))]),
        message(records=[RECORD] * (2 * IDS_MAX + 1)),
    ],
)
def test_a_message_that_no_camera_would_send_is_refused(payload):
    with pytest.raises(CipherError, match="a revision cannot be read"):
        read_revision_message(payload)


@pytest.mark.parametrize(
    "greeting",
    [b"", b"\xc1", b"[]", *(msgspec.msgpack.encode(one) for one in (
        {"device": "back"},
        {"device": "", "sent_at": 1.0},
        {"device": "x" * 65, "sent_at": 1.0},
        {"device": "back", "sent_at": float("nan")},
        {"device": "back", "sent_at": -1.0},
        {"device": "back", "sent_at": 1e300},
    ))],
)  # fmt: skip
def test_a_greeting_that_no_camera_would_send_is_refused(greeting):
    with pytest.raises(CipherError, match="a greeting cannot be read"):
        read_greeting(greeting)


@pytest.mark.parametrize("number", [NUMBER_FREE - 1, NUMBER_FREE, NUMBER_MAX - 1, NUMBER_MAX])
def test_the_greatest_numbers_that_are_read_freeze_nobody_else(number):
    porch, back = Camera("porch"), Camera("back")
    for name in ("Alice", "Bob"):
        porch.enroll(name)
    porch.record()
    exchange(porch, back)
    (alice,) = (revision for revision in porch.revisions.values() if revision.key == "alice")
    written = {name: replace(write, number=number) for name, write in alice.fields.items()}
    for camera in (porch, back):
        camera.receive(replace(alice, number=number, fields=written))
    for camera, name, new_name in ((porch, "Bob", "Bo"), (back, "Bo", "Bobby"), (porch, "Bobby", "Al")):
        camera.rename(name, new_name)
        assert len(camera.record()) == 1
        exchange(porch, back)
        assert porch.gallery == back.gallery
        assert {member.person.name for member in back.gallery.values()} == {"Alice", new_name}
        for revision in camera.revisions.values():
            read_revision_message(message(revision))
    porch.enroll("Zoe")
    porch.record()
    exchange(porch, back)
    back.forget("Alice")
    assert len(back.record()) == 1
    exchange(porch, back)
    assert {member.person.name for member in porch.gallery.values()} == {"Al", "Zoe"}


NUMBERS = st.sampled_from([-(2**63), -1, 0, 1, NUMBER_FREE, NUMBER_MAX, NUMBER_MAX + 1, 2**64 - 1])
SMALL = st.frozensets(st.sampled_from([f"e_{number}" for number in range(8)]), max_size=8)


@given(st.lists(st.builds(lambda number, removed: (number, removed), NUMBERS, SMALL), min_size=3, max_size=3))
@settings(max_examples=200)
def test_what_is_cut_to_its_limits_is_the_same_in_any_order(parts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.core.replication.IDS_MAX", 3)
        a, b, c = (bounded(Revision("p", number, False, fields(number), removed=removed)) for number, removed in parts)
        assert all(len(one.removed) <= 3 and 0 <= one.number <= NUMBER_MAX for one in (a, b, c))
        assert join(a, b) == join(b, a)
        assert join(a, join(b, c)) == join(join(a, b), c)
        assert bounded(join(a, b)) == join(a, b)
