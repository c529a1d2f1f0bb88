"""Which visits are erased, and their erasure: first they are marked, in one short transaction, and told no more."""

import json
from collections.abc import Collection

import numpy as np

from edge.storage.blobs import are_embeddings
from edge.storage.unit_of_work import UnitOfWork

BESIDE_SECONDS = 10.0  # of a visit: who came then may be in the scene of another one


def mark(db: UnitOfWork, numbers: Collection[int]) -> None:
    """Mark visits to be deleted, within a transaction."""
    db.execute("INSERT OR REPLACE INTO visit_erasure SELECT value, 0 FROM json_each(?)", (json.dumps(list(numbers)),))


def mark_strangers(db: UnitOfWork, kept: Collection[str]) -> None:
    """Mark every visit of a stranger who is not among these, within a transaction."""
    db.execute(
        "INSERT OR REPLACE INTO visit_erasure SELECT number, 0 FROM visit WHERE person IS NULL "
        "AND stranger IS NOT NULL AND stranger NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(list(kept)),),
    )


def mark_removed(db: UnitOfWork, enrolled: Collection[str], like: np.ndarray, within: float, model: str) -> int:
    """Mark the visits of everybody who is not enrolled any more, those that look like them, and scenes.

    enrolled: person ids; like: (L, D) float32 of unit length, of those who were removed. A visit that names nobody is
    theirs where its sample is that near, by d, to one of these, or cannot be compared: it is of another model. A scene
    stays only where one face was in sight, it was recognized as somebody else, and no visit that is deleted was at that
    time. Returns how many visits are to be deleted.
    """
    gone = {
        number
        for (number,) in db.rows(
            "SELECT number FROM visit WHERE person IS NOT NULL AND person NOT IN (SELECT value FROM json_each(?))",
            (json.dumps(list(enrolled)),),
        )
    } | near(db, like, within, model)
    if gone or len(like):
        mark_scenes(db, gone)
    mark(db, gone)
    return len(gone)


def mark_unnamed(db: UnitOfWork) -> None:
    """Mark every visit that names nobody, and of the others the scene, within a transaction."""
    db.execute(
        "INSERT OR IGNORE INTO visit_erasure SELECT number, person IS NOT NULL FROM visit "
        "LEFT JOIN visit_picture ON visit = number WHERE person IS NULL OR scene IS NOT NULL"
    )


def near(db: UnitOfWork, like: np.ndarray, within: float, model: str) -> set[int]:
    """The visits that name nobody whose sample is that near to one of the embeddings, or cannot be compared."""
    if not len(like):
        return set()
    rows = db.rows(
        "SELECT visit, model, embedding FROM visit_picture JOIN visit ON number = visit WHERE person IS NULL"
    )
    length = 4 * like.shape[1]
    own = [(number, blob) for number, made_by, blob in rows if made_by == model and blob and len(blob) == length]
    found = {number for number, made_by, blob in rows if blob is not None} - {number for number, _ in own}
    if not own:
        return found
    blobs = [blob for _, blob in own]
    probes = np.frombuffer(b"".join(blobs), "<f4").reshape(len(own), -1)  # (N, D)
    with np.errstate(all="ignore"):
        nearest = (2 - 2 * probes @ like.T).min(axis=1)  # (N, D) @ (D, L) -> (N, L) -> (N,)
    usable = are_embeddings(blobs, length)
    return found | {
        number for (number, _), d, good in zip(own, nearest, usable, strict=True) if not good or not d > within
    }


def mark_scenes(db: UnitOfWork, gone: Collection[int]) -> None:
    """Mark every scene in which somebody who is removed may be; see mark_removed."""
    db.execute(
        "INSERT OR IGNORE INTO visit_erasure SELECT number, 1 FROM visit JOIN visit_picture ON visit = number "
        "WHERE scene IS NOT NULL AND (person IS NULL OR faces > 1 OR EXISTS (SELECT 1 FROM visit AS other "
        "WHERE other.number IN (SELECT value FROM json_each(?1)) "
        "AND other.begun - ?2 <= ifnull(visit.ended, visit.begun) "
        "AND visit.begun - ?2 <= ifnull(other.ended, other.begun)))",
        (json.dumps(list(gone)), BESIDE_SECONDS),
    )


def erase_some(db: UnitOfWork, count: int) -> int:
    """Delete so many of what is marked, the oldest first, within a transaction. Returns how many."""
    rows = db.rows("SELECT visit, scene_only FROM visit_erasure ORDER BY visit LIMIT ?", (count,))
    for number, scene_only in rows:
        if scene_only:
            db.execute("UPDATE visit_picture SET scene = NULL WHERE visit = ?", (number,))
        else:
            db.execute("DELETE FROM visit WHERE number = ?", (number,))
        db.execute("DELETE FROM visit_erasure WHERE visit = ?", (number,))
    return len(rows)
