"""People who do not exist, for the demo: samples from the distribution of faces.

A crop is a mean face plus principal components (Turk and Pentland 1991). The components have one covariance between
the mean faces of people, and another between the pictures of one person (Moghaddam, Jebara and Pentland 2000). A person
is a sample of the first; a picture of that person adds a sample of the second. Such a face is blurred, so its detail
comes from patches of many real ones (training.data.facial_detail).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from edge.core.align import CROP_PX
from edge.errors import DataError
from edge.inference.embedder import Embedder
from training.data.crops import Crops
from training.data.facial_detail import FacialDetail, blurred
from training.data.places import Places
from training.data.terms import PACK_TERMS

PACKS = ("celeba_wild", "pins")
DETAIL_PACK = "celeba_wild"  # its terms are stated, and its pictures are large
TEACHER = "kw_mobilefacenet"
SEED = 2000  # of the basis
PEOPLE_SEED = 2002
LIKED = (11, 31, 23, 24)  # of the candidates, chosen by eye; each is checked like any other
COMPONENTS = 200
BASIS_CROPS = 4000
ROWS_AT_ONCE = 500

PEOPLE, PICTURES = 4, 4
CANDIDATES = 40
BETWEEN_GAIN, WITHIN_GAIN = 2.0, 0.08  # factors on the covariances: distinct people, pictures of one evening
BETWEEN_DISTANCE_MIN = 1.5  # above every tau, that of enrollment too
WITHIN_DISTANCE_MAX = 0.6
REAL_COSINE_MAX = 0.5  # to the nearest real face: the limit of the leak guard


@dataclass(frozen=True)
class FaceSpace:
    """The distribution of faces.

    mean:            (P,) the mean face; P = 112 x 112 x 3
    basis:           (P, K) principal components
    between, within: (K, K) covariances of the components, between people and within one
    """

    mean: np.ndarray
    basis: np.ndarray
    between: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, people: np.ndarray, components: int = COMPONENTS) -> "FaceSpace":
        """Fit to (N, 112, 112, 3) uint8 crops of (N,) people. Raises DataError where there are too few."""
        names, numbers, counts = np.unique(people, return_inverse=True, return_counts=True)
        if len(names) < 2 or len(images) <= len(names) or len(images) <= components:
            raise DataError(
                f"{len(images)} crops of {len(names)} people are too few for {components} components of faces"
            )
        some = np.sort(np.random.default_rng(SEED).permutation(len(images))[:BASIS_CROPS])
        rows = flat(images[some])
        mean = rows.mean(axis=0)
        rows -= mean
        # The eigenvectors of rows.T @ rows (P x P) follow from those of rows @ rows.T, which is far smaller.
        values, vectors = np.linalg.eigh(rows @ rows.T)
        basis = rows.T @ (vectors[:, -components:] / np.sqrt(np.maximum(values[-components:], 1e-6)))  # (P, K)
        parts = [
            (flat(images[start : start + ROWS_AT_ONCE]) - mean) @ basis
            for start in tqdm(range(0, len(images), ROWS_AT_ONCE), desc="project faces", unit="part", disable=None)
        ]
        weights = np.concatenate(parts)  # (N, K)
        centres = np.zeros((len(names), weights.shape[1]))
        np.add.at(centres, numbers, weights)
        centres /= counts[:, None]
        around = weights - centres[numbers]
        return cls(mean, basis, np.cov(centres.T), around.T @ around / (len(images) - len(names)))

    def person(self, rng: np.random.Generator, pictures: int) -> np.ndarray:
        """Sample a person, (pictures, 112, 112, 3) float32. The person is symmetric; a picture need not be."""
        face = image_of(self.mean + self.basis @ sample(rng, self.between, BETWEEN_GAIN))
        face = np.clip((face + face[:, ::-1]) / 2, 0, 255)
        around = [image_of(self.basis @ sample(rng, self.within, WITHIN_GAIN)) for _ in range(pictures)]
        return (face + np.stack(around)).astype(np.float32)


class Likeness(NamedTuple):
    """Distances and cosines of the chosen people."""

    within_max: float
    between_min: float
    nearest_real_cosine: float


def imagine_people(places: Places, embedder: Embedder) -> tuple[np.ndarray, Likeness]:
    """Sample (people, pictures, 112, 112, 3) uint8 that are near to nobody in the packs, with their distances.

    Raises DataError where a pack is missing, or too few candidates pass.
    """
    packs = [places.pack(name) for name in PACKS]
    crops = [pack.read() for pack in packs]
    space = FaceSpace.of(*concatenated(crops))
    rng = np.random.default_rng(PEOPLE_SEED)
    large = crops[PACKS.index(DETAIL_PACK)]
    detail = FacialDetail.of(large.images, large.people)
    candidates = [space.person(rng, PICTURES) for _ in range(CANDIDATES)]
    people = np.stack(
        [detailed(candidates[who], detail) for who in tqdm(LIKED, desc="imagine people", unit="person", disable=None)]
    )
    teacher = places.teacher(TEACHER)
    embeddings = teacher.embed(people.reshape(-1, CROP_PX, CROP_PX, 3))
    real = np.max(
        [(embeddings @ teacher.embed_pack(pack).T).max(axis=1) for pack in packs], axis=0
    )  # (candidates * pictures,)
    return choose(people, embedder, real.reshape(len(people), PICTURES).max(axis=1))


def detailed(pictures: np.ndarray, detail: FacialDetail) -> np.ndarray:
    """(pictures, 112, 112, 3) -> the same, uint8: coarse as before, and all with the detail that fits their mean."""
    fine = detail.for_face(pictures.mean(axis=0))
    return np.stack([np.clip(blurred(picture) + fine, 0, 255).round().astype(np.uint8) for picture in pictures])


def choose(people: np.ndarray, embedder: Embedder, real: np.ndarray) -> tuple[np.ndarray, Likeness]:
    """Choose the first of (N, pictures, 112, 112, 3) candidates whose pictures are alike.

    The chosen are distinct from one another and from every real person.
    real: (N,) the cosine of each to the nearest real face.
    Raises DataError where too few candidates pass.
    """
    codes = np.stack([[embedder.embed(picture) for picture in pictures] for pictures in people])  # (N, pictures, 128)
    distances = 2 - 2 * np.einsum("ald,bmd->ablm", codes, codes)
    within = distances[np.arange(len(people)), np.arange(len(people))].max(axis=(1, 2))  # (N,)
    between = distances.min(axis=(2, 3))  # (N, N)
    chosen: list[int] = []
    for candidate in range(len(people)):
        distinct = all(between[candidate, other] >= BETWEEN_DISTANCE_MIN for other in chosen)
        if distinct and within[candidate] <= WITHIN_DISTANCE_MAX and real[candidate] <= REAL_COSINE_MAX:
            chosen.append(candidate)
    chosen = chosen[:PEOPLE]
    if len(chosen) < PEOPLE:
        raise DataError(f"{len(chosen)} of {len(people)} imagined people pass; {PEOPLE} are needed")
    apart = between[np.ix_(chosen, chosen)][~np.eye(PEOPLE, dtype=bool)].min()
    return people[chosen], Likeness(float(within[chosen].max()), float(apart), float(real[chosen].max()))


def write_people(people: np.ndarray, likeness: Likeness, folder: Path) -> Path:
    """Write one picture, with a row for each person, and a JSON file that tells how it was made; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet = np.concatenate([np.concatenate(list(pictures), axis=1) for pictures in people])
    path = folder / "people.jpg"
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    card = {
        "what": "people who do not exist: samples of principal components of face crops, detail from patches of many",
        "made_by": "limen-train imagine",
        "people": len(people),
        "looks": len(people[0]),
        "components": COMPONENTS,
        "gains": {"between": BETWEEN_GAIN, "within": WITHIN_GAIN},
        "distance": {"within_max": round(likeness.within_max, 3), "between_min": round(likeness.between_min, 3)},
        "cosine_to_nearest_real_face": {TEACHER: round(likeness.nearest_real_cosine, 3)},
        "detail_of": {DETAIL_PACK: PACK_TERMS[DETAIL_PACK]},
        "statistics_of": {name: PACK_TERMS[name] for name in PACKS},
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    return path


def concatenated(crops: list[Crops]) -> tuple[np.ndarray, np.ndarray]:
    """The images and the people of all of them."""
    return np.concatenate([part.images for part in crops]), np.concatenate([part.people for part in crops])


def sample(rng: np.random.Generator, covariance: np.ndarray, gain: float) -> np.ndarray:
    """Sample (K,) from a normal distribution with gain times the (K, K) covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ (np.sqrt(np.maximum(gain * values, 0)) * rng.standard_normal(len(values)))


def flat(images: np.ndarray) -> np.ndarray:
    """(N, 112, 112, 3) -> (N, P) float32."""
    return images.reshape(len(images), -1).astype(np.float32)


def image_of(pixels: np.ndarray) -> np.ndarray:
    """(P,) -> (112, 112, 3)."""
    return pixels.reshape(CROP_PX, CROP_PX, 3)
