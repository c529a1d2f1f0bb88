"""What a household may want to mend in its gallery."""

from dataclasses import dataclass

import numpy as np

from edge.core.gallery import Gallery
from edge.core.selection import apart, majority, mean_of
from edge.core.thresholds import beyond

ALIKE_FMR = 1e-3  # of two strangers, one pair in a thousand is as alike
ROWS_AT_ONCE = 256
FINDINGS_MAX = 200


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    kind: "no_template", "one_template", "outlier" or "alike"; other: of alike, the second name; template_id: of
    outlier, where the others agree; d: from the mean of those, of alike between both means; advice: what helps
    """

    kind: str
    name: str
    advice: str
    other: str | None = None
    template_id: str | None = None
    d: float | None = None


def check_gallery(gallery: Gallery) -> list[Finding]:
    """The first FINDINGS_MAX: by person in the order of enrollment; then the pairs of people, nearest first."""
    own = {person_id: gallery.embeddings_of(person_id) for person_id in gallery.people}
    findings = [one for person_id, embeddings in own.items() for one in _of_person(gallery, person_id, embeddings)]
    means = {person_id: mean_of(embeddings) for person_id, embeddings in own.items() if len(embeddings)}
    return [*findings, *_alike(gallery, means)][:FINDINGS_MAX]


def _of_person(gallery: Gallery, person_id: str, embeddings: np.ndarray) -> list[Finding]:
    name = gallery.people[person_id].name
    if not len(embeddings):
        return [Finding("no_template", name, "never recognized: rebuild the gallery, or enroll again")]
    if len(embeddings) == 1:
        return [Finding("one_template", name, "two or three more pictures, in different light, help")]
    members = majority(embeddings, gallery.thresholds)
    if not members.any():
        return [Finding("outlier", name, "no majority of the templates is of one person: forget and enroll again")]
    together = mean_of(embeddings[members])
    return [
        Finding(
            "outlier",
            name,
            "a picture of somebody else, or a poor one: forget the person and enroll them again without it",
            template_id=template_id,
            d=apart(embedding, together),
        )
        for template_id, embedding, member in zip(gallery.template_ids(person_id), embeddings, members, strict=True)
        if not member
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
