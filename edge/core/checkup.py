"""What a household may want to mend in its gallery."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from edge.core.gallery import Gallery
from edge.core.selection import apart, majority, mean_of
from edge.core.thresholds import beyond

ALIKE_FMR = 1e-3  # of two strangers, one pair in a thousand is as alike
ROWS_AT_ONCE = 256
# By which tau is stricter: of 1,559 people with one template each, the 24 with such a one were named in 54 % of their
# visits, the others in 80 % (LFW).
POOR = 0.08
FINDINGS_MAX = 200
CHECKED_MAX = 200  # people: it is done between two frames


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    kind: "no_template", "one_template", "outlier", "poor" or "alike"; other: of alike, the second name
    template_id: of poor, and of outlier where the others agree; d: from the mean of those, of alike between both means
    advice: what helps
    """

    kind: str
    name: str
    advice: str
    other: str | None = None
    template_id: str | None = None
    d: float | None = None


def check_gallery(gallery: Gallery) -> tuple[list[Finding], int]:
    """The first FINDINGS_MAX: by person in the order of enrollment; then the pairs of people, nearest first.

    Returns also how many people were looked at: CHECKED_MAX at most, those who were enrolled last.
    """
    newest = list(islice(reversed(gallery.people), CHECKED_MAX))
    own = {person_id: gallery.embeddings_of(person_id) for person_id in reversed(newest)}
    findings = [one for person_id, embeddings in own.items() for one in _of_person(gallery, person_id, embeddings)]
    means = {person_id: mean_of(embeddings) for person_id, embeddings in own.items() if len(embeddings)}
    return [*findings, *_poor(gallery, own), *_alike(gallery, means)][:FINDINGS_MAX], len(own)


def _of_person(gallery: Gallery, person_id: str, embeddings: np.ndarray) -> list[Finding]:
    name = gallery.people[person_id].name
    if not len(embeddings):
        return [Finding("no_template", name, "never recognized: rebuild the gallery, or enroll again")]
    if gallery.given_count(person_id) <= 1:  # what was learned depends on what people gave
        return [Finding("one_template", name, "two or three more pictures, in different light, help")]
    members = majority(embeddings, gallery.thresholds)
    if not members.any():
        return [Finding("outlier", name, "no majority of the templates is of one person: forget and enroll again")]
    together = mean_of(embeddings[members])
    return [
        Finding(
            "outlier",
            name,
            "a picture of somebody else, or a poor one: look at it, and remove it (limen people forget-template)",
            template_id=template_id,
            d=apart(embedding, together),
        )
        for template_id, embedding, member in zip(gallery.template_ids(person_id), embeddings, members, strict=True)
        if not member
    ]


def _poor(gallery: Gallery, own: Mapping[str, np.ndarray]) -> list[Finding]:
    """The templates of which the model knows little: compared with anybody, they need a much stricter tau."""
    embeddings = [rows for rows in own.values() if len(rows)]
    if not embeddings:
        return []
    stricter = gallery.strictness(np.concatenate(embeddings))  # (N,)
    owned = [(person_id, one) for person_id in own for one in gallery.template_ids(person_id)]
    return [
        Finding(
            "poor",
            gallery.people[person_id].name,
            "recognized by it less often than by others: add a sharper picture, from the front, in good light",
            template_id=template_id,
        )
        for (person_id, template_id), less in zip(owned, stricter, strict=True)
        if less > POOR
    ]


def _alike(gallery: Gallery, means: dict[str, np.ndarray]) -> list[Finding]:
    if len(means) < 2:
        return []
    ids, matrix = list(means), np.stack(list(means.values()))
    pairs: list[tuple[float, str, str]] = []
    for start in range(0, len(ids), ROWS_AT_ONCE):
        near = beyond(matrix[start : start + ROWS_AT_ONCE], matrix, gallery.thresholds, ALIKE_FMR) <= 0
        for row, column in zip(*np.nonzero(near), strict=True):
            one, other = int(row) + start, int(column)
            if one < other:
                pairs.append((apart(matrix[one], matrix[other]), ids[one], ids[other]))
    return [
        Finding(
            "alike",
            gallery.people[one].name,
            "they may be taken for one another: more pictures of both, or a stricter tau of their own (person/set)",
            other=gallery.people[other].name,
            d=distance,
        )
        for distance, one, other in sorted(pairs)
    ]
