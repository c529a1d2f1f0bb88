"""Embeddings by owner in one matrix that grows and shrinks by what is changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
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
    neighbourhoods: (L, D) -> (L, 2), what the thresholds of a row depend on; computed once for each.
    """

    def __init__(self, neighbourhoods: Callable[[np.ndarray], np.ndarray]) -> None:
        self._neighbourhoods = neighbourhoods
        self._segments: dict[str, Segment] = {}  # by owner
        self._matrix = np.zeros((0, 0), dtype=np.float32)
        self._around = np.zeros((0, 2), dtype=np.float32)  # the neighbourhood of each row
        self._starts = np.zeros(0, dtype=np.int64)
        self._dead = np.zeros(0, dtype=np.float32)  # by row: 0 of one that lives, else minus infinity
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
            self._matrix[segment.rows], self._around[segment.rows] = rows, self._neighbourhoods(rows)
            self._starts[segment.number], self._dead[segment.rows] = segment.start, 0
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
        self._around = self._neighbourhoods(self._matrix)
        self._dead = np.zeros(self._rows, dtype=np.float32)
        self._set_starts({owner: tuple(rows) for owner, rows in several.items()})

    def cosines(self, probe: np.ndarray) -> np.ndarray:
        """(N,): the cosine of each row with a probe, (D,), within SLACK; minus infinity of a dead row."""
        if not self._rows:
            return np.zeros(0, dtype=np.float32)
        cosines: np.ndarray = self._matrix[: self._rows] @ probe  # (N, D) @ (D,) -> (N,)
        cosines += self._dead[: self._rows]
        return cosines

    def neighbourhoods(self) -> np.ndarray:
        """(N, 2): a view of the neighbourhood of each row, for those of `cosines`."""
        return self._around[: self._rows]

    def nearest_two(self, nearness: np.ndarray) -> list[str]:
        """The owners of the two largest of (N,), and all whom SLACK may make as near; fewer where there are fewer."""
        if not len(nearness) or not np.isfinite(nearness[first := int(nearness.argmax())]):
            return []
        rows = self._segments[self._owner(first)].rows
        own, nearness[rows] = nearness[rows].copy(), -np.inf
        second = nearness.max()
        nearness[rows] = own
        least = second if np.isfinite(second) else own.max()
        return list(dict.fromkeys(self._owner(row) for row in np.flatnonzero(nearness >= least - SLACK).tolist()))

    def leave_out(self, nearness: np.ndarray, owner: str) -> None:
        """Make the values of an owner's rows minus infinity."""
        nearness[self._segments[owner].rows] = -np.inf

    def distances(self, owner: str, probe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(L,) d of an owner's rows from a probe, the same wherever they lie; and their neighbourhoods, (L, 2)."""
        segment = self._segments.get(owner)
        if segment is None:
            return np.zeros(0), np.zeros((0, 2), dtype=np.float32)
        rows = self._matrix[segment.rows].astype(np.float64)
        return 2 - 2 * (rows * probe).sum(axis=1), self._around[segment.rows]  # d = 2 - 2 cos on unit vectors

    def near(self, embeddings: np.ndarray, distances: float | np.ndarray) -> list[tuple[str, str]]:
        """Owner and id of each row at most that far from one of the embeddings, (L, D); distances: one, or (N, L)."""
        if not self._segments or not len(embeddings):
            return []
        cosines = self._matrix[: self._rows] @ embeddings.T  # (N, D) @ (D, L) -> (N, L)
        found = []
        for row in np.flatnonzero((2 - 2 * cosines <= distances).any(axis=1)).tolist():
            if self._dead[row] == 0:
                owner = self._owner(row)
                found.append((owner, self._segments[owner].ids[row - self._segments[owner].start]))
        return found

    def _owner(self, row: int) -> str:
        return self._owners[int(np.searchsorted(self._starts[: len(self._owners)], row, side="right")) - 1]

    def _set_starts(self, ids: Mapping[str, tuple[str, ...]]) -> None:
        """Note the segments of a matrix without dead rows, in the order of their rows."""
        starts = [0, *accumulate(map(len, ids.values()))][:-1] if ids else []
        self._starts = np.array(starts, dtype=np.int64)
        for number, ((owner, own), start) in enumerate(zip(ids.items(), starts, strict=True)):
            self._segments[owner] = Segment(number, start, own)

    def _remove(self, owner: str) -> None:
        segment = self._segments.pop(owner, None)
        if segment is not None:
            self._matrix[segment.rows] = 0  # of who was removed, nothing stays in memory
            self._dead[segment.rows] = -np.inf
            self._dead_rows += len(segment.ids)

    def _reserve(self, rows: int, segments: int, dimension: int) -> None:
        """Make room; twice of what is needed, so that rows are seldom copied."""
        if rows > len(self._matrix):
            room = rows + max(ROWS_MIN, rows // 2)
            self._matrix = grown(self._matrix, self._rows, (room, dimension))
            self._around = grown(self._around, self._rows, (room, 2))
            self._dead = grown(self._dead, self._rows, (room,))
        if segments > len(self._starts):
            room = segments + max(ROWS_MIN, segments // 2)
            self._starts = grown(self._starts, len(self._owners), (room,))

    def _pack(self) -> None:
        """Leave the dead rows out."""
        living = self._dead[: self._rows] == 0
        self._matrix, self._dead = self._matrix[: self._rows][living], self._dead[: self._rows][living]
        self._around = self._around[: self._rows][living]
        self._rows, self._dead_rows = len(self._matrix), 0
        self._owners = [owner for _, owner in sorted((one.number, owner) for owner, one in self._segments.items())]
        self._set_starts({owner: self._segments[owner].ids for owner in self._owners})


def grown(array: np.ndarray, used: int, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of that shape that begin with what is used of an array."""
    larger = np.zeros(shape, dtype=array.dtype)
    if used:
        larger[:used] = array[:used]
    return larger
