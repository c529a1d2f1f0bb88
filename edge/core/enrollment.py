"""Shots -> templates, or a named refusal."""

from dataclasses import dataclass

import numpy as np

from edge.core.align import align
from edge.core.gallery import Gallery
from edge.core.ports import Detector, Embedder
from edge.core.quality import QualityRules
from edge.errors import RefusedError

SHOTS_MAX = 20


@dataclass(frozen=True, eq=False)
class Shot:
    """What becomes a template: (112, 112, 3) uint8 RGB and (D,) float32 of unit length."""

    crop: np.ndarray
    embedding: np.ndarray


def shots_of(
    name: str, images: list[np.ndarray], detector: Detector, embedder: Embedder, gallery: Gallery, rules: QualityRules
) -> list[Shot]:
    """A shot of every image.

    Raises RefusedError with no_image, no_face, multiple_faces, the quality's problem, different_people (two images are
    not of one person) or conflicts_with (another person of the gallery is already within tau).
    """
    if not 1 <= len(images) <= SHOTS_MAX:
        raise RefusedError("no_image", f"expected 1 to {SHOTS_MAX} images, got {len(images)}")
    shots = [shot_of(image, f"image {number}", detector, embedder, rules) for number, image in enumerate(images, 1)]
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
        match = gallery.identify(shot.embedding)
        if match.person is not None and match.person.name.casefold() != name.casefold():
            raise RefusedError(
                "conflicts_with",
                f"image {number} is {match.person.name}: d {match.distance:.2f}, tau {match.tau:.2f}",
            )
    return shots


def shot_of(image: np.ndarray, what: str, detector: Detector, embedder: Embedder, rules: QualityRules) -> Shot:
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
    return Shot(crop, embedder.embed(crop))
