"""Faces of people, and of strangers, as their newest visits show them."""

from collections.abc import AsyncIterator, Collection

from edge.console.view import View
from edge.errors import RefusedError

PAGE, PAGES_MAX = 40, 5


class Crops:
    """JPEGs in base64 by a field of visits of one kind: person_id or stranger."""

    def __init__(self, view: View, kind: str, field: str) -> None:
        self._view, self._kind, self._field = view, kind, field
        self._crops: dict[str, str] = {}

    def of(self, one: str) -> str | None:
        """The crop of that one; None where none was found."""
        return self._crops.get(one)

    async def load(self, wanted: Collection[str], pages: int = PAGES_MAX) -> AsyncIterator[None]:
        """Look in so many pages of visits for the crops of those who have none yet, and keep none of others.

        Goes on after each page. Raises LimenError.
        """
        self._crops = {one: crop for one, crop in self._crops.items() if one in wanted}
        after: dict[str, object] = {}
        for _ in range(pages):
            if all(one in self._crops for one in wanted):
                break
            try:
                page = await self._view.ask("event/list", kind=self._kind, limit=PAGE, crops=True, **after)
            except RefusedError:  # visits are not kept
                break
            crops = page["crops"]
            for row in page["visits"]:
                if row[self._field] in wanted and row["id"] in crops:
                    self._crops.setdefault(row[self._field], crops[row["id"]])
            yield
            if "next" not in page:
                break
            after = {"after": page["next"]}
