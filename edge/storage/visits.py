"""The tables of the history's file, and what passes into them and out of them."""

from dataclasses import dataclass

import numpy as np

from edge.core.events import EventType
from edge.storage.unit_of_work import Row

VERSION = 1
SHAPE = (
    """CREATE TABLE visit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of the visits, whatever the clock
        id TEXT NOT NULL UNIQUE, -- of its first event
        kind TEXT NOT NULL,
        begun REAL NOT NULL, -- seconds since 1970
        ended REAL,
        clock_set INTEGER NOT NULL,
        kept_from REAL, -- from when its age counts; NULL until the time of day is set
        person TEXT,
        stranger TEXT,
        corrected INTEGER NOT NULL DEFAULT 0,
        faces INTEGER NOT NULL,
        told BLOB NOT NULL -- JSON; people in it by their ids
    ) STRICT""",
    "CREATE INDEX visit_person ON visit (person)",
    """CREATE TABLE visit_event (
        id TEXT PRIMARY KEY,
        visit INTEGER NOT NULL REFERENCES visit (number) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX visit_event_visit ON visit_event (visit)",
    """CREATE TABLE visit_picture (
        visit INTEGER PRIMARY KEY REFERENCES visit (number) ON DELETE CASCADE,
        model TEXT, -- sha256 of the embedder that made the embedding
        embedding BLOB, -- little-endian float32, of unit length
        crop BLOB, -- JPEG, 112x112
        scene BLOB -- JPEG
    ) STRICT""",
    """CREATE TABLE visit_erasure ( -- what is to be deleted and was not yet: it is told no more
        visit INTEGER PRIMARY KEY,
        scene_only INTEGER NOT NULL
    ) STRICT""",
)
TABLES = {"visit", "visit_event", "visit_picture", "visit_erasure"}
VISIT = (
    "SELECT number, visit.id, kind, begun, ended, clock_set, person, stranger, corrected, told, crop IS NOT NULL, "
    "scene IS NOT NULL AND scene_only IS NULL FROM visit LEFT JOIN visit_picture ON visit_picture.visit = number "
    "LEFT JOIN visit_erasure ON visit_erasure.visit = number WHERE scene_only IS NOT 0"
)


@dataclass(frozen=True)
class Pictures:
    """What is kept of a sample, and of what the camera saw: JPEGs, or None. embedding: (D,) float32, or None."""

    embedding: np.ndarray | None = None
    crop: bytes | None = None
    scene: bytes | None = None


@dataclass(frozen=True)
class Note:
    """What one event says of its visit.

    visit_id: id of the visit's first event; ended: whether it is the last
    begins: whether a visit that is not kept begins with it; forget: the visit is not to be kept after all
    at: seconds since 1970; told: JSON, people in it by their ids; None is as before
    """

    visit_id: str
    event_id: str
    kind: EventType
    at: float
    clock_set: bool
    person_id: str | None
    stranger: str | None
    faces: int
    told: bytes | None
    ended: bool
    begins: bool
    forget: bool = False
    pictures: Pictures = Pictures()


@dataclass(frozen=True)
class StoredVisit:
    """A visit as it is on the disk. number: its place; begun, ended: seconds since 1970."""

    number: int
    visit_id: str
    kind: EventType
    begun: float
    ended: float | None
    clock_set: bool
    person_id: str | None
    stranger: str | None
    corrected: bool
    told: bytes
    crop: bool
    scene: bool


@dataclass(frozen=True)
class Wanted:
    """Which visits are asked for; None is any.

    person_ids: of one person, who may be of several parts; before: a number, of which only earlier ones are wanted
    """

    since: float | None = None
    until: float | None = None
    person_ids: tuple[str, ...] | None = None
    stranger: str | None = None
    kind: str | None = None
    before: int | None = None
    count: int = 50


@dataclass(frozen=True)
class Bounds:
    """How much is kept: so long, in so many bytes, and so many visits (None is any number).

    named_alone: of visits that name nobody nothing, and of others no scene
    """

    seconds: float
    bytes: int
    visits: int | None = None
    named_alone: bool = False


def stored(row: Row) -> StoredVisit:
    """A visit from the columns of VISIT."""
    number, visit_id, kind, begun, ended, clock_set, person, stranger, corrected, told, crop, scene = row
    return StoredVisit(
        number,
        visit_id,
        kind,
        begun,
        ended,
        bool(clock_set),
        person,
        stranger,
        bool(corrected),
        told,
        bool(crop),
        bool(scene),
    )
