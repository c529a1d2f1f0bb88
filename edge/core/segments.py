"""Embeddings by owner in one matrix that grows and shrinks by what is changed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

ROWS_MIN = 64  # there is room for
SLACK = 2e-5  # of a float32 product of two vectors of unit length, with room


class Segment(NamedTuple):
    """The rows of one owner. number: of the segment; start: its first row; ids: of its rows, in order."""

    number: int
    start: int
    ids: tuple[str, ...]

    @property
    def rows(self) -> slice:
        """Where they are in the matrix."""
        return slice(self.start, self.start + len(self.ids))


class Segments:
    """Embeddings, (D,) float32 of unit length each; the rows of an owner lie together.

    Other rows of an owner are written behind all others, and the earlier ones are dead until half of all are: then the
    matrix is packed. So a change costs what was changed, and now and then, in proportion to the changes, a copy of all.
    """

    def __init__(self) -> None:
        self._segments: dict[str, Segment] = {}  # by owner
        self._matrix = np.zeros((0, 0), dtype=np.float32)
        self._starts = np.zeros(0, dtype=np.int64)
        self._dead = np.zeros(0, dtype=np.float32)  # by segment: 0 of one that lives, else minus infinity
        self._owners: list[str] = []
        self._rows = self._dead_rows = 0

    def __len__(self) -> int:
        return len(self._segments)

    def ids(self, owner: str) -> tuple[str, ...]:
        """The ids of an owner's rows; none where there are none."""
        segment = self._segments.get(owner)
        return () if segment is None else segment.ids

    def owners(self) -> Iterable[str]:
        """Everybody who has rows."""
        return self._segments.keys()

    def of(self, owner: str) -> np.ndarray:
        """(L, D): a copy of an owner's rows; (0, 0) where there are none."""
        segment = self._segments.get(owner)
        return np.zeros((0, 0), dtype=np.float32) if segment is None else self._matrix[segment.rows].copy()

    def put(self, owner: str, ids: Sequence[str], embeddings: Sequence[np.ndarray]) -> None:
        """Put these rows in the place of what an owner had; none remove them."""
        self._remove(owner)
        if ids:
            rows = np.stack(embeddings).astype(np.float32, copy=False)  # (L, D)
            self._reserve(self._rows + len(rows), len(self._owners) + 1, rows.shape[1])
            segment = Segment(len(self._owners), self._rows, tuple(ids))
            self._matrix[segment.rows] = rows
            self._starts[segment.number], self._dead[segment.number] = segment.start, 0
            self._owners.append(owner)
            self._segments[owner] = segment
            self._rows += len(rows)
        if self._dead_rows * 2 > max(ROWS_MIN, self._rows):
            self._pack()

    def fill(self, owned: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Put the rows of everybody, by id, into an empty matrix."""
        several = {owner: rows for owner, rows in owned.items() if rows}
        if not several:
            return
        self._owners = list(several)
        self._matrix = np.stack([row for rows in several.values() for row in rows.values()]).astype(np.float32)
        self._rows = len(self._matrix)
        ends = np.cumsum([len(rows) for rows in several.values()])
        self._starts = np.concatenate([[0], ends[:-1]])
        self._dead = np.zeros(len(several), dtype=np.float32)
        for number, (owner, start) in enumerate(zip(several, self._starts.tolist(), strict=True)):
            self._segments[owner] = Segment(number, start, tuple(several[owner]))

    def similarities(self, probe: np.ndarray) -> np.ndarray:
        """The largest cosine of each segment with a probe, (D,), within SLACK; minus infinity of a dead segment."""
        count = len(self._owners)
        if not count:
            return np.zeros(0, dtype=np.float32)
        cosines = self._matrix[: self._rows] @ probe  # (N, D) @ (D,) -> (N,)
        largest: np.ndarray = np.maximum.reduceat(cosines, self._starts[:count])  # (N,) -> (S,)
        largest += self._dead[:count]
        return largest

    def owner(self, number: int) -> str:
        """Whose segment that is."""
        return self._owners[number]

    def distance(self, owner: str, probe: np.ndarray) -> float:
        """The least d of an owner's rows from a probe, the same wherever they lie in the matrix; infinity for none."""
        segment = self._segments.get(owner)
        if segment is None:
            return float("inf")
        rows = self._matrix[segment.rows].astype(np.float64)
        return float((2 - 2 * (rows * probe).sum(axis=1)).min())  # d = 2 - 2 cos on unit vectors

    def near(self, embeddings: np.ndarray, distance: float) -> list[tuple[str, str]]:
        """Owner and id of each row at most that far from one of the embeddings, (L, D)."""
        if not self._segments or not len(embeddings):
            return []
        cosines = (self._matrix[: self._rows] @ embeddings.T).max(axis=1)  # (N, D) @ (D, L) -> (N, L) -> (N,)
        found = []
        for row in np.flatnonzero(2 - 2 * cosines <= distance):
            number = int(np.searchsorted(self._starts[: len(self._owners)], row, side="right")) - 1
            segment = self._segments.get(self._owners[number])
            if segment is not None and segment.number == number:
                found.append((self._owners[number], segment.ids[row - segment.start]))
        return found

    def _remove(self, owner: str) -> None:
        segment = self._segments.pop(owner, None)
        if segment is not None:
            self._matrix[segment.rows] = 0  # of who was removed, nothing stays in memory
            self._dead[segment.number] = -np.inf
            self._dead_rows += len(segment.ids)

    def _reserve(self, rows: int, segments: int, dimension: int) -> None:
        """Make room; twice of what is needed, so that rows are seldom copied."""
        if rows > len(self._matrix):
            self._matrix = grown(self._matrix, self._rows, (rows + max(ROWS_MIN, rows // 2), dimension))
        if segments > len(self._starts):
            room = (segments + max(ROWS_MIN, segments // 2),)
            self._starts = grown(self._starts, len(self._owners), room)
            self._dead = grown(self._dead, len(self._owners), room)

    def _pack(self) -> None:
        """Leave the dead rows out."""
        count = len(self._owners)
        living = self._dead[:count] == 0
        lengths = np.diff(self._starts[:count], append=self._rows)
        self._matrix = self._matrix[: self._rows][np.repeat(living, lengths)]
        self._owners = [self._owners[number] for number in np.flatnonzero(living)]
        self._starts = np.concatenate([[0], np.cumsum(lengths[living])[:-1]]) if living.any() else self._starts[:0]
        self._dead = self._dead[:count][living]
        self._rows, self._dead_rows = len(self._matrix), 0
        for number, (owner, start) in enumerate(zip(self._owners, self._starts.tolist(), strict=True)):
            self._segments[owner] = Segment(number, start, self._segments[owner].ids)


def grown(array: np.ndarray, used: int, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of that shape that begin with what is used of an array."""
    larger = np.zeros(shape, dtype=array.dtype)
    if used:
        larger[:used] = array[:used]
    return larger
