"""Shots -> templates, or a named refusal."""

import numpy as np

from edge.core.align import align
from edge.core.commands import Progress
from edge.core.gallery import Gallery
from edge.core.ports import Detector, Embedder
from edge.core.quality import QualityRules
from edge.core.types import Face, Frame, Sample
from edge.errors import RefusedError

SAMPLES_MAX = 20
APART_MIN = 0.03  # d between two shots that are worth keeping both: frames of somebody who stands still are nearer


def samples_of(
    name: str, images: list[np.ndarray], detector: Detector, embedder: Embedder, gallery: Gallery, rules: QualityRules
) -> list[Sample]:
    """A shot of every image.

    Raises RefusedError with no_image, no_face, multiple_faces, the quality's problem, different_people (two images are
    not of one person) or conflicts_with (another person of the gallery is already within tau).
    """
    if not 1 <= len(images) <= SAMPLES_MAX:
        raise RefusedError("no_image", f"expected 1 to {SAMPLES_MAX} images, got {len(images)}")
    shots = [sample_of(image, f"image {number}", detector, embedder, rules) for number, image in enumerate(images, 1)]
    encodings = np.stack([shot.embedding for shot in shots])
    distances = 2 - 2 * encodings @ encodings.T  # (S, D) @ (D, S) -> (S, S)
    one, other = np.unravel_index(distances.argmax(), distances.shape)
    if distances[one, other] > gallery.tau:
        raise RefusedError(
            "different_people",
            f"images {one + 1} and {other + 1} are not of one person: "
            f"d {distances[one, other]:.2f}, tau {gallery.tau:.2f}",
        )
    for number, shot in enumerate(shots, 1):
        refuse_conflict(f"image {number}", name, shot.embedding, gallery)
    return shots


def refuse_conflict(what: str, name: str, look: np.ndarray, gallery: Gallery) -> None:
    """Raise RefusedError with conflicts_with where a look, (D,), is of somebody known under another name."""
    match = gallery.identify(look)
    if match.person is not None and match.person.name.casefold() != name.casefold():
        raise RefusedError(
            "conflicts_with", f"{what} is {match.person.name}: d {match.distance:.2f}, tau {match.tau:.2f}"
        )


class LiveEnrollment:
    """Shots of whoever stands before the door, no two of them alike.

    A look gives a shot or a reason why not: no_face, multiple_faces, the quality's problem, different_people,
    too_similar. It says so only when that changes, so that whoever guides the person is not flooded.
    """

    def __init__(self, name: str, wanted: int, expires: float | None = None) -> None:
        self.name, self.wanted, self.expires = name, wanted, expires
        self.shots: list[Sample] = []
        self._said: str | None = "nothing yet"

    def look(
        self, frame: Frame, faces: list[Face], embedder: Embedder, gallery: Gallery, rules: QualityRules
    ) -> Progress | None:
        """What is new, or None. Raises RefusedError with conflicts_with: nothing of them is kept under this name."""
        reason = self._take(frame, faces, embedder, gallery, rules)
        if reason is not None and reason == self._said:
            return None
        self._said = reason
        return Progress(len(self.shots), self.wanted, reason)

    def _take(
        self, frame: Frame, faces: list[Face], embedder: Embedder, gallery: Gallery, rules: QualityRules
    ) -> str | None:
        if len(faces) != 1:
            return "multiple_faces" if faces else "no_face"
        face = faces[0].scaled(frame.zoom)
        crop = align(frame.best, face.landmarks)
        quality = rules.assess(crop, face)
        if quality.problem is not None:
            return quality.problem
        shot = Sample(crop, embedder.embed(crop))
        refuse_conflict("whoever is there", self.name, shot.embedding, gallery)
        distances = [float(np.square(shot.embedding - kept.embedding).sum()) for kept in self.shots]
        if distances and max(distances) > gallery.tau:
            return "different_people"
        if distances and min(distances) < APART_MIN:
            return "too_similar"
        self.shots.append(shot)
        return None


def sample_of(image: np.ndarray, what: str, detector: Detector, embedder: Embedder, rules: QualityRules) -> Sample:
    """The one face of an image. Raises RefusedError where there is none, more than one, or one not good enough."""
    faces = detector.detect(image)
    if not faces:
        raise RefusedError("no_face", f"{what} shows no face")
    if len(faces) > 1:
        raise RefusedError("multiple_faces", f"{what} shows {len(faces)} faces; expected one")
    (face,) = faces
    crop = align(image, face.landmarks)
    quality = rules.assess(crop, face)
    if quality.problem is not None:
        raise RefusedError(
            quality.problem, f"{what}: the face is {quality.problem.replace('_', ' ')} ({quality.summary()})"
        )
    return Sample(crop, embedder.embed(crop))
