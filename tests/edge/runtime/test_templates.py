"""A person's templates: listed page by page, with pictures within the packet; learned at the door, and removed."""

import base64
import time
from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest

from edge.api.replies import CheckedReply, TemplatesReply
from edge.api.requests.device import CheckGallery
from edge.api.requests.people import ListTemplates, RemoveTemplate
from edge.api.requests.visits import CorrectEvent, RemoveVisit
from edge.capture import open_source
from edge.config import Config, GalleryConfig
from edge.core.events import Event
from edge.core.types import Sample
from edge.errors import GalleryError, RefusedError
from edge.runtime.assembly import Device
from edge.runtime.clients import LocalClient
from edge.runtime.context import DeviceContext
from edge.runtime.learning import LEARNED, learn
from edge.storage.templates import SqliteTemplates
from tests.household import portrait_jpeg, running, until


def look(number, like=None):
    """(128,) of unit length, and a crop of its own."""
    random = np.random.default_rng(number)
    away = random.normal(size=128)
    embedding = away / np.linalg.norm(away) * (1 if like is None else 0.3) + (0 if like is None else like)
    crop = cv2.GaussianBlur(random.integers(0, 255, (112, 112, 3), np.uint8), (0, 0), 3)  # a JPEG keeps it
    return (embedding / np.linalg.norm(embedding)).astype(np.float32), crop


ANNA = look(0)[0]


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    path = tmp_path_factory.mktemp("templates") / "gallery.db"
    with Device.open(Config(device="porch", clock="trusted", gallery=GalleryConfig(path))) as device:
        yield device


@pytest.fixture
def context(device):
    """Anna with three templates, and nobody else."""
    for person in list(device.recognizer.gallery.people.values()):
        device.recognizer.people.remove(person.name)
    for number in range(3):
        embedding, crop = look(number, ANNA)
        device.store.add("Anna", [embedding], [crop])
    device.recognizer.reload()
    return DeviceContext(Config(), device)


def ask(context, **fields):
    reply = LocalClient(context).call(ListTemplates.new(name="Anna", **fields))
    assert isinstance(reply, TemplatesReply)
    return reply


def test_pages_of_templates_are_all_of_them_in_order(context):
    everything = ask(context)
    assert len(everything.templates) == 3
    assert everything.next is msgspec.UNSET
    pages = [first := ask(context, limit=2), ask(context, limit=2, after=first.next)]
    assert [one for page in pages for one in page.templates] == everything.templates
    assert {one.origin for one in everything.templates} == {"given"}
    assert all(0 < one.distance < 1 for one in everything.templates)
    assert {one.model for one in everything.templates} == {context.device.embedder.card.sha256}


def test_pictures_come_where_they_are_asked_for(context):
    assert ask(context).crops is msgspec.UNSET
    page = ask(context, crops=True)
    assert page.crops.keys() == {one.id for one in page.templates}
    encoded = base64.b64decode(page.crops[page.templates[1].id])
    crop = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(crop.astype(int) - look(1)[1]).mean() < 3


def test_a_page_has_as_many_as_the_brokers_packet_holds(context, monkeypatch):
    whole = len(msgspec.json.encode(ask(context, crops=True)))
    monkeypatch.setattr(DeviceContext, "answer_bytes_max", whole - 2000)
    first = ask(context, crops=True)
    assert len(first.templates) == len(first.crops) == 2
    assert len(msgspec.json.encode(first)) < whole - 2000
    assert [one.id for one in ask(context, crops=True, after=first.next).templates] == [ask(context).templates[2].id]


def test_where_no_picture_is_stored_none_is_given(context):
    context.store.keep_crops = False
    embedding, crop = look(7, ANNA)
    context.store.add("Anna", [embedding], [crop])
    context.store.keep_crops = True
    context.recognizer.reload()
    page = ask(context, crops=True)
    newest = page.templates[-1]
    assert (newest.crop, newest.sharpness, newest.id in page.crops, len(page.crops)) == (False, None, False, 3)


def test_nobody_has_no_templates(context):
    with pytest.raises(RefusedError, match="nobody has this name"):
        LocalClient(context).call(ListTemplates.new(name="Nemo"))


def event(context, phase, number=5, track="t1"):
    """An event of Anna at the door, whose track left a sample at its end."""
    embedding, crop = look(number, ANNA)
    sample = Sample(crop, embedding)
    anna = context.recognizer.gallery.find("Anna")
    candidate = sample if phase == "end" else None
    why = "5 samples together"
    return Event("recognized", phase, track, 0.0, "Anna", anna.person_id, why, sample=sample, candidate=candidate)


def come(context, **fields):
    """Anna comes and goes. Returns the last event, and whether something was learned."""
    context.history.note("e" * 32, time.time(), True, event(context, "new", **fields), None)
    end = event(context, "end", **fields)
    told = learn(end, context.device)
    context.history.note("f" * 32, time.time(), True, told[0], None)
    return told


def test_the_last_event_says_that_one_of_its_samples_became_a_template(context):
    told, learned = come(context)
    assert (learned, told.why) == (True, f"5 samples together{LEARNED}")
    newest = ask(context).templates[-1]
    assert (newest.origin, newest.event) == ("learned", "e" * 32)
    assert newest.distance is not None
    found = LocalClient(context).call(CheckGallery.new())
    assert isinstance(found, CheckedReply)
    assert (found.learned, found.findings) == (1, [])
    again, learned = come(context, number=6, track="t2")  # on the same day
    assert (learned, again.why) == (False, "5 samples together")


@pytest.mark.parametrize("reason", ["no_clock", "removed", "storage"])
def test_nothing_is_learned_where_it_cannot_be_dated_or_kept(context, monkeypatch, reason):
    def fail(*_):
        raise GalleryError("the disk is full")

    if reason == "no_clock":
        monkeypatch.setattr(context.store.clock, "now", lambda: None)
    elif reason == "storage":
        monkeypatch.setattr(SqliteTemplates, "learn", fail)
    else:
        monkeypatch.setattr(context.history, "visit", lambda *_: None)
    told, learned = come(context)
    assert (learned, told.why) == (False, "5 samples together")
    assert len(ask(context).templates) == 3


def test_a_correction_after_a_restart_takes_back_what_was_learned(context):
    come(context)
    context.history.tick()
    reply = LocalClient(context).call(CorrectEvent.new(id="f" * 32, name=None))
    assert reply.not_ == "Anna"
    assert {one.origin for one in ask(context).templates} == {"given"}


def test_with_a_visit_that_is_removed_goes_what_was_learned_from_it(context, monkeypatch):
    come(context)
    monkeypatch.setattr(context, "remove_visit", lambda _event_id: "e" * 32)  # the history keeps no visit here
    LocalClient(context).call(RemoveVisit.new(id="f" * 32))
    assert {one.origin for one in ask(context).templates} == {"given"}


def test_a_template_is_removed_by_its_id(context):
    first, *others = ask(context).templates
    receipt = LocalClient(context).call(RemoveTemplate.new(name="anna", id=first.id))
    assert (receipt.id, receipt.removed, receipt.templates) == (first.id, 1, 2)
    assert [one.id for one in ask(context).templates] == [one.id for one in others]
    with pytest.raises(RefusedError, match="list them again") as refused:
        LocalClient(context).call(RemoveTemplate.new(name="Anna", id=first.id))
    assert refused.value.code == "no_such_template"


def test_over_mqtt_no_event_of_enrollment_tells_of_it_and_any_event_of_the_visit_takes_it_back(config, household):
    learns = replace(config, gallery=replace(config.gallery, learn_templates=True))
    with running(learns, lambda: open_source(config.camera, loop=True)) as service:
        until(lambda: household.on("status"))
        assert service.device.recognizer.rules.learn
        household.ask("enroll/image", {"transaction": "t1", "name": "Eileen", "images": [portrait_jpeg()]})
        named = household.next_event(0, event_type="recognized", phase="new")
        end = household.next_event(household.events().index(named), phase="end")
        embedding, crop = look(5)
        with Device.open(learns) as other:  # as if the device had learned it at that end
            other.store.each.learn(named["person_id"], embedding, crop, named["id"], [])
        asked = {"transaction": "t2", "name": "eileen"}
        listed = lambda: household.ask("person/templates", asked)["data"]["templates"]  # noqa: E731 -- asked again
        until(lambda: len(listed()) == 2)
        assert [one["event"] for one in listed()] == [None, named["id"]]
        household.ask("event/correct", {"transaction": "t3", "id": end["id"], "name": None})
        assert [one["origin"] for one in listed()] == ["given"]
        assert sum(one["event_type"] == "enrolled" for one in household.events()) == 1
