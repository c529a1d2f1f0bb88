"""A camera's part of the household's gallery on a real disk, for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.storage.gallery import SqliteGallery
from edge.storage.replication import SqliteReplication

MODEL, OTHER = "a" * 64, "b" * 64
CROP = np.full((112, 112, 3), 7, dtype=np.uint8)


def embedding(seed):
    vector = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Camera:
    """A gallery on disk, and its revisions."""

    def __init__(self, folder, device, model=MODEL, **options):
        self.store = SqliteGallery(Path(folder) / device / "gallery.db", model, **options)
        self.time = None
        self.replication = SqliteReplication(self.store, device, now=lambda: self.time)
        self.made = 0

    def people(self):
        return {person.name: person for person in self.store.load()[0]}

    def enroll(self, name, expires=None):
        self.made += 1
        self.store.add(name, [embedding(self.made)], [CROP], expires)

    def expire(self):
        """As the frame loop does it."""
        for person in self.people().values():
            if self.time is not None and (person.expires or self.time) < self.time:
                self.store.remove(person)

    def deny(self, name):
        if name in self.people():
            self.made += 1
            self.store.deny(self.people()[name], embedding(self.made), CROP)

    def forget(self, name):
        if name in self.people():
            self.store.remove(self.people()[name])

    def rename(self, name, new_name):
        people = self.people()
        if name in people and new_name not in people:
            self.store.update(replace(people[name], name=new_name))

    def merge(self, name, into):
        people = self.people()
        if name in people and into in people and name != into:
            self.store.merge(people[name], people[into])

    def record(self):
        return [self.sent(person_id) for person_id in self.replication.record_local_changes()]

    def sent(self, person_id, *, crops=True):
        revision = self.replication.revisions[person_id]
        return revision, self.replication.records(revision, crops=crops)

    def receive(self, revision, records, ours=lambda record: record):
        with self.store.transaction():
            self.replication.record_local_changes()
            received = self.replication.receive(revision, records, ours)
            another = self.replication.apply()
        return received, another

    def everything(self):
        people, templates = self.store.load()
        assert {person.person_id: person for person in people} == {
            one: member.person for one, member in self.replication.gallery().items()
        }
        kept = sorted((t.template_id, t.person_id, t.negative, t.embedding.tobytes()) for t in templates)
        return sorted(people, key=lambda person: person.person_id), kept


def files_of(camera):
    return b"".join(file.read_bytes() for file in camera.store.path.parent.iterdir())
