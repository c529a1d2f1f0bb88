"""People who do not exist, for the demo: sampled from how faces differ between people and within one.

A crop is a mean face plus principal components (Turk and Pentland 1991). The components of many people's mean faces
have one covariance, the components of one person's pictures around their mean another (Moghaddam, Jebara and Pentland
2000). A person is a draw from the first, a look of theirs a draw from the second added to it.
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
from training.data.terms import PACK_TERMS
from training.embedder.training_set import Places

PACKS = ("celeba_wild", "pins")
TEACHER = "kw_mobilefacenet"
SEED = 2000
COMPONENTS = 200
BASIS_CROPS = 4000
ROWS_AT_ONCE = 500

PEOPLE, LOOKS = 4, 4
CANDIDATES = 80
BETWEEN_GAIN, WITHIN_GAIN = 2.0, 0.08  # of the covariances: people a little apart, looks of one evening
BETWEEN_DISTANCE_MIN = 1.3  # strangers to one another by any tau
WITHIN_DISTANCE_MAX = 0.6
REAL_COSINE_MAX = 0.5  # to the nearest real face: beyond it the leak guard, too, would say one person


@dataclass(frozen=True)
class FaceSpace:
    """How faces differ.

    mean: (P,) the mean face; basis: (P, K) principal components; P = 112 x 112 x 3
    between, within: (K, K) covariances of the components
    """

    mean: np.ndarray
    basis: np.ndarray
    between: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, people: np.ndarray, components: int = COMPONENTS) -> "FaceSpace":
        """(N, 112, 112, 3) uint8 and the (N,) people they show. Raises DataError where these are too few."""
        names, numbers, counts = np.unique(people, return_inverse=True, return_counts=True)
        if len(names) < 2 or len(images) <= len(names) or len(images) <= components:
            raise DataError(
                f"{len(images)} crops of {len(names)} people do not show {components} ways in which faces differ"
            )
        some = np.sort(np.random.default_rng(SEED).permutation(len(images))[:BASIS_CROPS])
        rows = flat(images[some])
        mean = rows.mean(axis=0)
        rows -= mean
        # The eigenvectors of rows.T @ rows (P x P) from those of rows @ rows.T, which is far smaller.
        values, vectors = np.linalg.eigh(rows @ rows.T)
        basis = rows.T @ (vectors[:, -components:] / np.sqrt(np.maximum(values[-components:], 1e-6)))  # (P, K)
        parts = [
            (flat(images[start : start + ROWS_AT_ONCE]) - mean) @ basis
            for start in tqdm(range(0, len(images), ROWS_AT_ONCE), desc="faces into components", unit="part")
        ]
        weights = np.concatenate(parts)  # (N, K)
        centres = np.zeros((len(names), weights.shape[1]))
        np.add.at(centres, numbers, weights)
        centres /= counts[:, None]
        looks = weights - centres[numbers]
        return cls(mean, basis, np.cov(centres.T), looks.T @ looks / (len(images) - len(names)))

    def person(self, rng: np.random.Generator, looks: int) -> np.ndarray:
        """(looks, 112, 112, 3) uint8: somebody new, whose left and right are alike; in a look they need not be."""
        face = image_of(self.mean + self.basis @ draw(rng, self.between, BETWEEN_GAIN))
        face = (face + face[:, ::-1]) / 2
        around = [image_of(self.basis @ draw(rng, self.within, WITHIN_GAIN)) for _ in range(looks)]
        return np.clip(face + np.stack(around), 0, 255).round().astype(np.uint8)


class Likeness(NamedTuple):
    """How the chosen people look to the embedders."""

    within_max: float
    between_min: float
    nearest_real_cosine: float


def imagine(places: Places, embedder: Embedder) -> tuple[np.ndarray, Likeness]:
    """(people, looks, 112, 112, 3) uint8 of people who are nobody in the packs, and how they look to the embedders.

    Raises DataError where a pack is missing, or too few of the candidates hold.
    """
    packs = [places.pack(name) for name in PACKS]
    crops = [pack.read() for pack in packs]
    space = FaceSpace.of(*gathered(crops))
    rng = np.random.default_rng(SEED)
    people = np.stack([space.person(rng, LOOKS) for _ in range(CANDIDATES)])
    teacher = places.teacher(TEACHER)
    seen = teacher.embed(people.reshape(-1, CROP_PX, CROP_PX, 3))
    real = np.max([(seen @ teacher.embed_pack(pack).T).max(axis=1) for pack in packs], axis=0)  # (candidates * looks,)
    return choose(people, embedder, real.reshape(CANDIDATES, LOOKS).max(axis=1))


def choose(people: np.ndarray, embedder: Embedder, real: np.ndarray) -> tuple[np.ndarray, Likeness]:
    """Of (N, looks, 112, 112, 3) candidates, the most constant ones who are strangers to one another and to everybody.

    real: (N,) each one's cosine to the nearest real face. Raises DataError where there are too few.
    """
    codes = np.stack([[embedder.embed(look) for look in looks] for looks in people])  # (N, looks, 128)
    distances = 2 - 2 * np.einsum("ald,bmd->ablm", codes, codes)
    within = distances[np.arange(len(people)), np.arange(len(people))].max(axis=(1, 2))  # (N,)
    between = distances.min(axis=(2, 3))  # (N, N)
    chosen: list[int] = []
    for candidate in np.argsort(within):
        strange = all(between[candidate, other] >= BETWEEN_DISTANCE_MIN for other in chosen)
        if strange and within[candidate] <= WITHIN_DISTANCE_MAX and real[candidate] <= REAL_COSINE_MAX:
            chosen.append(int(candidate))
    chosen = chosen[:PEOPLE]
    if len(chosen) < PEOPLE:
        raise DataError(f"of {len(people)} imagined people {len(chosen)} hold; {PEOPLE} are wanted")
    apart = between[np.ix_(chosen, chosen)][~np.eye(PEOPLE, dtype=bool)].min()
    return people[chosen], Likeness(float(within[chosen].max()), float(apart), float(real[chosen].max()))


def write(people: np.ndarray, likeness: Likeness, folder: Path) -> Path:
    """One picture, a row per person and a column per look, and beside it how it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet = np.concatenate([np.concatenate(list(looks), axis=1) for looks in people])
    path = folder / "people.jpg"
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    card = {
        "what": "people who do not exist: samples of principal components of face crops",
        "made_by": "limen-train imagine",
        "people": len(people),
        "looks": len(people[0]),
        "components": COMPONENTS,
        "gains": {"between": BETWEEN_GAIN, "within": WITHIN_GAIN},
        "distance": {"within_max": round(likeness.within_max, 3), "between_min": round(likeness.between_min, 3)},
        "cosine_to_nearest_real_face": {TEACHER: round(likeness.nearest_real_cosine, 3)},
        "statistics_of": {name: PACK_TERMS[name] for name in PACKS},
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")
    return path


def gathered(crops: list[Crops]) -> tuple[np.ndarray, np.ndarray]:
    """All their images and people."""
    return np.concatenate([part.images for part in crops]), np.concatenate([part.people for part in crops])


def draw(rng: np.random.Generator, covariance: np.ndarray, gain: float) -> np.ndarray:
    """(K,) from a normal distribution with gain times that (K, K) covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ (np.sqrt(np.maximum(gain * values, 0)) * rng.standard_normal(len(values)))


def flat(images: np.ndarray) -> np.ndarray:
    """(N, 112, 112, 3) -> (N, P) float32."""
    return images.reshape(len(images), -1).astype(np.float32)


def image_of(pixels: np.ndarray) -> np.ndarray:
    """(P,) -> (112, 112, 3)."""
    return pixels.reshape(CROP_PX, CROP_PX, 3)
