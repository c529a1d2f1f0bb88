"""The templates of one person, one by one: where each is from, and how it goes with the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.core.gallery import Gallery
from edge.core.origin import learned_from
from edge.core.quality import light_and_sharpness
from edge.core.selection import apart, mean_of

Origin = Literal["given", "learned"]


@dataclass(frozen=True)
class StoredTemplate:
    """A template as it is on the disk. model: sha256; added: RFC 3339, by this device; crop: whether it is stored."""

    template_id: str
    model: str
    added: str
    crop: bool


@dataclass(frozen=True)
class TemplateSummary:
    """One template of a person.

    origin: "given" by people, or "learned" at the door
    event: of a learned one, the first event of the visit it was learned from, or null
    added: when this device got it
    model: sha256 of the embedder that made it
    crop: whether its picture is stored
    distance: d from the mean of the person's other templates; null where there is no other, or another model made it
    stricter: by how much tau is stricter with it than with an ordinary template: above 0.08 the model knows little of
        it; null where another model made it
    sharpness, brightness: of its picture, as of an event's quality; null where none is stored
    """

    id: str
    origin: Origin
    event: str | None
    added: str
    model: str
    crop: bool
    distance: float | None
    stricter: float | None
    sharpness: int | None
    brightness: int | None


def describe(
    gallery: Gallery, person_id: str, stored: Sequence[StoredTemplate], crops: Mapping[str, np.ndarray]
) -> list[TemplateSummary]:
    """Describe templates of a person. crops: (112, 112, 3) uint8 RGB by template id, where there are any."""
    rows = gallery.embeddings_of(person_id)  # (L, D)
    place = {template_id: row for row, template_id in enumerate(gallery.template_ids(person_id))}
    stricter = gallery.strictness(rows) if len(rows) else np.zeros(0)
    found = []
    for one in stored:
        event, crop, row = learned_from(one.template_id), crops.get(one.template_id), place.get(one.template_id)
        others = np.delete(rows, [] if row is None else row, axis=0)
        brightness, sharpness = (None, None) if crop is None else map(round, light_and_sharpness(crop))
        found.append(
            TemplateSummary(
                id=one.template_id,
                origin="given" if event is None else "learned",
                event=event,
                added=one.added,
                model=one.model,
                crop=one.crop,
                distance=None if row is None or not len(others) else apart(rows[row], mean_of(others)),
                stricter=None if row is None else float(stricter[row]),
                sharpness=sharpness,
                brightness=brightness,
            )
        )
    return found
