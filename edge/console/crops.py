"""Faces of people, and of strangers, as their newest visits show them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

from edge.errors import RefusedError

PAGE, PAGES_MAX = 40, 5


class Crops:
    """JPEGs in base64 by a field of visits of one kind: person_id or stranger.

    ask: the data of a camera's answer to a verb with fields, as View.ask
    """

    def __init__(self, ask: Callable[..., Awaitable[dict[str, Any]]], kind: str, field: str) -> None:
        self._ask, self._kind, self._field = ask, kind, field
        self._wanted = frozenset[str]()
        self._crops: dict[str, str] = {}

    def of(self, one: str) -> str | None:
        """The crop of that one; None where none was found."""
        return self._crops.get(one)

    def keep(self, those: Collection[str]) -> None:
        """Look for crops of those, and drop all others at once, also those that are being read."""
        self._wanted = frozenset(those)
        self._crops = {one: crop for one, crop in self._crops.items() if one in self._wanted}

    async def load(self, pages: int = PAGES_MAX) -> AsyncIterator[None]:
        """Look in so many pages of visits for crops that are missing; goes on after each. Raises LimenError."""
        after: dict[str, object] = {}
        for _ in range(pages):
            if self._wanted <= self._crops.keys():
                break
            try:
                page = await self._ask("event/list", kind=self._kind, limit=PAGE, crops=True, **after)
            except RefusedError:  # visits are not kept
                break
            crops = page["crops"]
            for row in page["visits"]:
                if row[self._field] in self._wanted and row["id"] in crops:
                    self._crops.setdefault(row[self._field], crops[row["id"]])
            yield
            if "next" not in page:
                break
            after = {"after": page["next"]}
