"""A porch of encodings: people with one picture each in a real gallery's file, and visits of whoever comes."""

import time

import numpy as np

from edge.core.gallery import Gallery
from edge.core.learning import candidate
from edge.core.people import People
from edge.core.thresholds import OneThreshold
from edge.core.track import Track, TrackRules
from edge.core.types import Face, Quality, Sample
from edge.storage.gallery import SqliteGallery

MODEL, TAU, DAY = "a" * 64, 0.97, 86_400.0
SPREAD = 0.2  # d of a sample from the face it is of: two samples of a visit are 0.38 apart
FACE = Face(np.array([0, 0, 60, 60], np.float32), 0.9, np.zeros((5, 2), np.float32))
GOOD = Quality(0.9, 50, 120, 80, 0)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def turned(start, towards, distance):
    """The point at that d from the start, on the way to another one."""
    across = unit(towards - (towards @ start) * start)
    cosine = 1 - distance / 2
    return unit(cosine * start + np.sqrt(1 - cosine**2) * across)


def distances(rows, one):
    return 2 - 2 * rows @ one


class Porch:
    """Anna, and a few others who are nobody's relatives."""

    def __init__(self, path, seed=0, others=4):
        self.random = np.random.default_rng(seed)
        self.store = SqliteGallery(path, MODEL, 128, clock_trusted=True, keep_crops=False)
        self.gallery = Gallery(MODEL, OneThreshold(lambda _fmr: TAU))
        self.people = People(self.gallery, self.store, None)
        self.people.reload()
        self.anna = self.somebody()
        if not self.gallery.people:
            for name, face in {"Anna": self.anna, **{f"P{n}": self.somebody() for n in range(others)}}.items():
                self.people.add(name, [Sample(crop(0), face)])
        self.anna_id = self.gallery.find("Anna").person_id
        self.visits = 0

    def somebody(self):
        return unit(self.random.normal(size=128))

    def sample(self, face, quality=GOOD):
        return Sample(crop(self.visits), turned(face, self.somebody(), SPREAD), quality)

    def track(self, face, samples=5, quality=GOOD):
        """A visit that has ended."""
        track = Track(1, FACE, 0.0, TrackRules())
        for number in range(samples):
            track.add(self.sample(face, quality), quality, number * 3.0, self.gallery.identify)
        track.finish()
        return track

    def visit(self, face, learn=True):
        """One visit a day. Returns who it is."""
        self.visits += 1
        track = self.track(face)
        sample = candidate(track, self.gallery) if learn else None
        if sample is not None:
            now = time.time() + DAY * self.visits
            self.people.upkeep.learn(track.verdict.identity, sample, f"{self.visits:032x}", now)
        return track.verdict.identity

    def learned(self, person_id=None):
        """(L, D) of what was learned."""
        person_id = person_id or self.anna_id
        own = self.gallery.embeddings_of(person_id)
        return own[[one.startswith("l_") for one in self.gallery.template_ids(person_id)]]


def crop(number):
    """A picture of its own for each visit."""
    return np.full((112, 112, 3), number % 251, np.uint8)
