"""A door where people are squares of one colour."""

import numpy as np

from edge.core.gallery import Gallery
from edge.core.quality import QualityRules
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.core.thresholds import OneThreshold
from edge.core.types import Frame
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from tests.edge.core.asking import EnrollImages, ListStrangers, handle
from tests.edge.core.fakes import ColourEmbedder, SquareDetector, square

RED, GREEN, BLUE, PINK = (255, 20, 20), (20, 255, 20), (20, 20, 255), (255, 20, 250)

MODEL = "a" * 64

EASY = QualityRules(face_px_min=20, sharpness_min=0, brightness_min=1)  # a square of one colour is never sharp


def open_door(path, embedder=None, model=MODEL, strangers=True, **rules):
    gallery, store = Gallery(model, OneThreshold(lambda _fmr: 0.3)), SqliteGallery(path, model, 3, clock_trusted=True)
    rules = RecognizerRules(EASY, **rules)
    kept = SqliteStrangers(store, strangers_max=3) if strangers else None
    return Recognizer(SquareDetector(), embedder or ColourEmbedder(), gallery, store, rules, kept)


def picture(*faces, shape=(240, 320)):
    image = np.full((*shape, 3), 40, dtype=np.uint8)
    for colour, left, top, size in faces:
        square(image, colour, left, top, size)
    return image


def watch(door, faces_at, seconds, start=0.0, fps=10):
    events = []
    for step in range(round(seconds * fps)):
        faces = faces_at(step / fps) if callable(faces_at) else faces_at
        events += door.process(Frame(picture(*faces), start + step / fps))
    return events


def walking(colour, top=80):
    return lambda at: [(colour, int(40 + 40 * at), top, 48)]


def said(events):
    return [(event.event_type, event.phase, event.name) for event in events]


def enrolled(door, **people):
    for name, colour in people.items():
        reply = handle(door, EnrollImages(name, [picture((colour, 100, 80, 60))]))
        assert reply.ok, reply.error
    return door


def visit(door, colour, start):
    """Somebody comes, and has gone again before the next one does."""
    events = watch(door, walking(colour), 2, start) + watch(door, [], 3, start + 2)
    assert [event.phase for event in events] == ["new", "end"]
    return events[0]


class TurnedEmbedder(ColourEmbedder):
    """Another model: the same people, elsewhere in space."""

    def embed(self, crop):
        return super().embed(crop)[[1, 2, 0]].copy()


def strangers(door):
    return {told["stranger_id"]: told["sightings"] for told in handle(door, ListStrangers()).data["strangers"]}
