"""A person's templates, asked of the device: page by page, with pictures within the packet, and removed."""

import base64

import cv2
import msgspec
import numpy as np
import pytest

from edge.api.replies import TemplatesReply
from edge.api.requests import ListTemplates
from edge.config import Config, GalleryConfig
from edge.errors import RefusedError
from edge.runtime.assembly import Device
from edge.runtime.clients import LocalClient
from edge.runtime.context import DeviceContext


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
