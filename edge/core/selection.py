"""Which of several pictures of one person become templates: the majority that belongs together.

Whoever enrolls says that the pictures are of one person, so a threshold holds here that lets pass one stranger in a
hundred: the strict one of the door would refuse every third pair of pictures of one person.
"""

from dataclasses import dataclass

import numpy as np

from edge.core.codes import Code
from edge.core.gallery import Gallery
from edge.core.thresholds import Thresholds, beyond
from edge.core.types import Sample
from edge.errors import RefusedError

SAME_FMR = 1e-2
SAME_SAMPLE = 1e-4  # d of a sample from itself, whatever the arithmetic
ROUNDS = 4


@dataclass(frozen=True)
class LeftOut:
    """A picture that does not become a template. image: its number, from 1; code, reason: why."""

    image: int
    code: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """The samples that become templates, and the pictures that do not."""

    samples: list[Sample]
    left_out: list[LeftOut]


def majority(embeddings: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """(S, D) float32 of unit length -> (S,) bool: those that belong together; none where that is no majority.

    It begins with those that are within tau of the one with the most such neighbours. Then each is compared with the
    mean of the others, which says more than any one of them, until nothing changes.
    """
    near = beyond(embeddings, embeddings, thresholds, SAME_FMR) <= 0  # (S, S)
    np.fill_diagonal(near, val=True)
    distances = 2 - 2 * embeddings @ embeddings.T
    members = near[int(np.lexsort((distances.sum(axis=1), -near.sum(axis=1)))[0])]
    for _ in range(ROUNDS):
        others = embeddings[members].sum(axis=0) - embeddings * members[:, None]  # each without itself
        others /= np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-9)
        kept = np.diagonal(beyond(embeddings, others, thresholds, SAME_FMR)) <= 0
        if members.sum() < 2 or (kept == members).all():
            break
        members = kept
    return members if 2 * members.sum() > len(members) else np.zeros(len(members), dtype=bool)


def mean_of(embeddings: np.ndarray) -> np.ndarray:
    """(L, D) of unit length -> (D,): the direction of their mean; zeros for none."""
    total: np.ndarray = embeddings.sum(axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-9)


def select(name: str, samples: dict[int, Sample], gallery: Gallery, *, force: bool = False) -> Selection:
    """Choose of the samples, by the number of their picture, those that become templates of that person.

    force: they are of the person, even if the person's templates say otherwise. Raises RefusedError with
    different_people, and with different_person where the person of that name is somebody else.
    """
    numbers, embeddings = list(samples), np.stack([sample.embedding for sample in samples.values()])
    members = majority(embeddings, gallery.thresholds)
    if not members.any():
        raise RefusedError(Code.DIFFERENT_PEOPLE, _farthest(numbers, embeddings))
    together = mean_of(embeddings[members])
    if not force:
        refuse_another(name, together, gallery)
    person = gallery.find(name)
    there = [] if person is None else list(gallery.embeddings_of(person.person_id))
    taken, left_out = list[Sample](), list[LeftOut]()
    for number, sample, member in zip(numbers, samples.values(), members, strict=True):
        embedding = sample.embedding
        if not member:
            reason = (
                f"image {number} is not of the person on the others, or too poor: d {apart(embedding, together):.2f}"
            )
            left_out.append(LeftOut(number, Code.DIFFERENT_PERSON, reason))
        elif there and min(apart(embedding, one) for one in there) <= SAME_SAMPLE:
            left_out.append(LeftOut(number, Code.ALREADY_THERE, f"image {number} is there already"))
        else:
            taken.append(sample)
            there.append(embedding)
    return Selection(taken, left_out)


def refuse_another(name: str, embedding: np.ndarray, gallery: Gallery) -> None:
    """Raise RefusedError with different_person where whoever has that name does not go with an embedding, (D,)."""
    person = gallery.find(name)
    given = np.zeros((0, 0)) if person is None else gallery.given_of(person.person_id)
    if person is None or not len(given):
        return
    own = mean_of(given)
    if beyond(own[None], embedding[None], gallery.thresholds, SAME_FMR)[0, 0] > 0:
        raise RefusedError(
            Code.DIFFERENT_PERSON,
            f"this is not the {person.name} who is enrolled: d {apart(own, embedding):.2f}. "
            "Choose another name, or insist (force)",
        )


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """d of two embeddings, (D,) of unit length each."""
    return max(0.0, float(2 - 2 * first @ second))


def _farthest(numbers: list[int], embeddings: np.ndarray) -> str:
    distances = 2 - 2 * embeddings @ embeddings.T
    one, other = np.unravel_index(distances.argmax(), distances.shape)
    return (
        f"image {numbers[one]} and image {numbers[other]} are not of one person: d {distances[one, other]:.2f}; "
        "most of the pictures must be of one"
    )
