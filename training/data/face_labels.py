"""The faces that a teacher found in pictures: computed once, or kept with the code.

To label the pictures that a detector is evaluated on takes the teacher minutes on a processor. So what it found in them
is kept in evaluation_faces.safetensors (`python -m tests.bench.evaluation_faces` asks the teacher again); any other
pictures, or the same with another teacher, are labelled.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import safe_open
from tqdm import tqdm

from training.data.cache import compute_once, load_cached

LABELS = "labels-2"  # the version of the labelling code; a new version reads no labels of an old one
VERSION = {"labels": LABELS}  # of what is kept
KEPT = Path(__file__).with_name("evaluation_faces.safetensors")


def faces_of(key: str, labels: Iterable[np.ndarray], count: int, description: str, cache_dir: Path) -> list[np.ndarray]:
    """A list of (F, 15) float32, see training.data.faces: what is kept for the key, or else computed once.

    key:    names the pictures and the teachers, by their digests
    labels: computes the faces of each of `count` pictures, in turn
    """
    rows = kept(key)
    if rows is None:

        def compute(target: Path) -> None:
            progress = tqdm(labels, total=count, desc=description, unit="picture", disable=None)
            np.save(target, numbered(progress))

        rows = load_cached(compute_once(cache_dir / LABELS / f"{key}.npy", compute))
    return [rows[rows[:, 0] == number, 1:] for number in range(count)]


def numbered(labels: Iterable[np.ndarray]) -> np.ndarray:
    """The faces of all pictures as one array, (F, 16) float32, whose first column is the picture's number."""
    found = [np.zeros((0, 16), dtype=np.float32)]
    found += [np.column_stack([np.full(len(faces), number), faces]) for number, faces in enumerate(labels)]
    return np.concatenate(found).astype(np.float32)


def kept(key: str) -> np.ndarray | None:
    """The numbered faces that are kept for a key, (F, 16) float32, or None; none of an old version of the code."""
    with safe_open(KEPT, "numpy") as known:
        if known.metadata() != VERSION or key not in set(known.keys()):
            return None
        rows: np.ndarray = known.get_tensor(key)
    return rows
