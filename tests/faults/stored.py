"""What fuzzing tries of what is kept, carried and shared: sealed messages, archives, gallery files, picture headers."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import strategies as st

from edge.api.image_headers import ImageHeader, image_header
from edge.api.replication import RevisionMessage, read_revision_message
from edge.core.replication import FIELDS
from edge.errors import CipherError, GalleryError
from edge.storage import archive
from edge.storage.blobs import encoded
from edge.storage.gallery import SqliteGallery
from edge.storage.replication import SqliteReplication
from edge.system.crypto import REVISIONS, HouseholdCipher
from tests.faults import inputs
from tests.faults.targets import Target

STORED = {"sealed messages": 0.02, "seals": 0.02, "archives": 0.02, "gallery files": 0.02, "picture headers": 0.04}
MODEL, PLACE, NUMBERS = "a" * 64, "limen/household/place", st.integers(0, 9)
COLUMNS = {
    "person": ("id", "name", "key", "tau", "expires", "notify"),
    "template": ("id", "person", "model", "embedding", "crop", "added"),
    "negative": ("id", "person", "model", "embedding", "crop"),
    "revision": ("person", "said"),
}
VALUES = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=600)
    | st.text(max_size=80).filter(lambda text: "\ud800" not in text)
)
CHANGES = st.lists(
    st.sampled_from([(table, column) for table, columns in COLUMNS.items() for column in columns]).flatmap(
        lambda place: st.tuples(st.just(place), VALUES, st.integers(0, 3))
    ),
    max_size=3,
)
SCHEMA = st.sampled_from(
    [
        "DROP TABLE person",
        "DROP TABLE template",
        "ALTER TABLE person RENAME TO people",
        "ALTER TABLE template DROP COLUMN crop",
        "CREATE TRIGGER one AFTER INSERT ON person BEGIN DELETE FROM person; END",
        "DROP TABLE template; CREATE VIEW template AS SELECT 1 AS id, 2 AS person, 3 AS model, x'00' AS embedding",
        "DELETE FROM person",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 99",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 7",
    ]
)


def vector(number: int) -> np.ndarray:
    """(128,) float32 of unit length."""
    return np.eye(128, dtype=np.float32)[number]


def household(path: Path) -> bytes:
    """A gallery of two people, whose bytes these are, and the revisions of it."""
    crop = np.full((112, 112, 3), 128, np.uint8)
    with closing(SqliteGallery(path, MODEL)) as store:
        anna, _ = (
            store.add(name, [vector(number), vector(number + 10)], [crop, crop])
            for number, name in enumerate(["Anna", "Otto"])
        )
        store.deny(anna, vector(20), crop)
        SqliteReplication(store, "porch").record_local_changes()
        store.checkpoint()
    return path.read_bytes()


def changed(data: bytes, values: list, statement: str | None) -> bytes:
    """The database with other values in it, as far as SQLite lets that be written."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(data[:18] + b"\1\1" + data[20:])
        for (table, column), value, number in values:
            try:
                db.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid IN (SELECT rowid FROM {table} LIMIT 1 OFFSET ?)",  # noqa: S608 -- ours
                    (value, number),
                )
            except (sqlite3.Error, UnicodeEncodeError):
                continue
        if statement is not None:
            with suppress(sqlite3.Error):
                db.executescript(statement)
        return db.serialize()


def databases(good: bytes) -> st.SearchStrategy[bytes]:
    """That database with other values, other tables, other bytes; and what is none."""
    told = st.tuples(CHANGES, st.none() | SCHEMA).map(lambda parts: changed(good, *parts))
    damaged = st.tuples(inputs.flips(), st.one_of(st.just(good), told)).map(lambda parts: inputs.apply(*parts))
    return st.one_of(told, told, told, damaged, st.binary(max_size=200).map(lambda more: good[:100] + more))


def used(store: SqliteGallery) -> None:
    """Whatever a device does with its gallery at the start, in a frame and at a request."""
    people, templates = store.load()
    assert all(isinstance(person.name, str) for person in people)
    assert all(template.embedding.shape == (128,) for template in templates)
    store.foreign()
    store.export()
    SqliteReplication(store, "porch").record_local_changes()
    store.remove(store.add("Somebody new", [vector(30)], [np.zeros((112, 112, 3), np.uint8)]))


class Stored:
    """What is read of what others wrote into a file, or sealed; each time into a new file of that folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.good = household(folder / "made.db")
        with closing(SqliteGallery(folder / "made.db", MODEL)) as made:
            self.carried = made.export()[0]
        self.file, self.cipher = folder / "read.db", HouseholdCipher(base64.b64encode(bytes(32)).decode(), REVISIONS)

    def fresh(self, data: bytes | None = None) -> Path:
        """No file, or one of these bytes, without what SQLite keeps beside one."""
        for ending in ("", "-wal", "-shm", "-journal"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        if data is not None:
            self.file.write_bytes(data)
        return self.file

    def gallery(self, data: bytes) -> str:
        """A gallery's file."""
        try:
            with closing(SqliteGallery(self.fresh(data), MODEL)) as store:
                used(store)
        except GalleryError:
            return "GalleryError"
        return "ok"

    def imported(self, data: bytes) -> str:
        """An archive: all of it or nothing, and what came of it can be used."""
        with closing(SqliteGallery(self.fresh(), MODEL)) as store:
            try:
                archive.check(data, "the archive")
                archive.import_(store, store.audit, data, "the archive")
            except GalleryError:
                assert store.people() == []
                return "GalleryError"
            used(store)
        return "ok"

    def shared(self, payload: bytes) -> str:
        """A message of another camera, decrypted."""
        try:
            message = read_revision_message(payload)
        except CipherError:
            return "CipherError"
        with closing(SqliteGallery(self.fresh(), MODEL)) as store:
            known = SqliteReplication(store, "porch")
            with store.transaction():
                known.record_local_changes()
                known.receive(message.revision, message.records, lambda record: record)
                known.apply()
            used(store)
        return "forgotten" if message.revision.forgotten else "ok"

    def unsealed(self, sealed: bytes) -> str:
        """What says that it is encrypted."""
        try:
            self.cipher.decrypt(sealed, PLACE)
        except CipherError:
            return "CipherError"
        return "ok"


def stored_targets(folder: Path) -> Iterator[Target]:
    """Those of STORED."""
    stored = Stored(folder)
    sealed = st.binary(max_size=60).map(lambda payload: stored.cipher.encrypt(payload, PLACE))
    flipped = st.tuples(inputs.flips(), sealed).map(lambda parts: inputs.apply(*parts))
    tried = {
        "sealed messages": (st.one_of(messages(), messages(), st.binary(max_size=80)), stored.shared),
        "seals": (st.one_of(sealed, flipped, st.binary(max_size=80)), stored.unsealed),
        "archives": (databases(stored.carried), stored.imported),
        "gallery files": (databases(stored.good), stored.gallery),
        "picture headers": (headers(), header),
    }
    return (Target(name, STORED[name], *how) for name, how in tried.items())


def messages() -> st.SearchStrategy[bytes]:
    """MessagePack of a message that holds, with fields as a camera writes them or any, damaged or not."""
    crop = encoded(np.full((112, 112, 3), 128, np.uint8))
    kinds = {"name": inputs.NAMES | st.text(max_size=20), "tau": st.none() | st.floats(0, 4), "notify": st.booleans()}
    kinds["expires"] = st.none() | st.floats(0, 1e12)

    def written(values: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({"value": values, "number": NUMBERS, "device": st.just("back")})

    odd = {name: written(st.one_of(kinds[name], VALUES)) for name in FIELDS}
    fields = st.fixed_dictionaries({name: written(kinds[name]) for name in FIELDS})
    person, ids = st.sampled_from(["p_0", "p_1"]), st.lists(st.sampled_from(["t3", "t4", "x" * 64]), max_size=2)
    holds = st.fixed_dictionaries(
        {"person_id": person, "number": NUMBERS, "fields": fields, "templates": ids},
        optional={"negatives": st.lists(st.sampled_from(["t1", "t2"]), max_size=2), "removed": ids},
    )
    breaks = st.fixed_dictionaries(
        {"person_id": person, "number": NUMBERS | st.sampled_from([2**63, 2**64 - 1]), "forgotten": st.booleans()},
        optional={"fields": st.fixed_dictionaries(odd), "templates": ids | st.just(["x" * 70]), "negatives": ids},
    )
    revision = st.one_of(holds, holds, holds, breaks)
    blobs = st.sampled_from([vector(1).tobytes(), bytes(512), b"\xff" * 512, b"", b"x" * 17]) | st.binary(max_size=20)
    record = st.fixed_dictionaries(
        {
            "template_id": st.sampled_from(["t1", "t3", "t4"]),
            "model": st.sampled_from([MODEL, "b" * 64, ""]),
            "embedding": blobs,
        }
        | {"crop": st.none() | st.just(crop) | st.binary(max_size=60)}
    )
    near = st.fixed_dictionaries(
        {"device": st.just("back"), "revision": revision, "looks": st.lists(record, max_size=2)}
    )
    good = st.one_of(near, near, inputs.whatever_holds(RevisionMessage)).map(packed)
    return st.one_of(good, good, good, st.tuples(inputs.flips(), good).map(lambda parts: inputs.apply(*parts)))


def packed(value: object) -> bytes:
    """MessagePack of what Hypothesis drew, as far as it can be written."""
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return b""


def headers() -> st.SearchStrategy[bytes]:
    """The first bytes of a format, then anything; and pictures that are damaged."""
    starts = [
        b"\xff\xd8",
        b"\xff\xd8\xff\xc2",
        b"\xff\xd8\xff\xe1",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBPVP8",
        b"BM",
    ]
    starts += [b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\0\0\0\x20ftypavif", b"\0\0\0\x20ftypheic"]
    made = st.tuples(st.sampled_from(starts), st.binary(max_size=400)).map(b"".join)
    return st.one_of(made, inputs.pictures())


def header(encoded: bytes) -> str:
    """What a header says, before anything is decoded."""
    found = image_header(encoded)
    if found is None:
        return "none"
    assert isinstance(found, ImageHeader)
    assert found.decoded_px >= 0
    assert found.width_px >= 0 <= found.height_px
    assert 1 <= found.orientation <= 8
    return "a problem" if found.problem is not None else "ok"
