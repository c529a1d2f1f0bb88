"""Whether fine-tuning on one's own labelled pictures helps: the shipped float weights, before and after.

    python -m tests.bench.fine_tuning [--data ../shared] [--weights embedder]

Half of the people of LFW with two crops or more are somebody's own pictures, as a folder; the other half are compared
with one another, each crop with each. The fine-tuning is that of training/README.md ("Train on your own pictures"), at
two rates. The intervals are of 95 %, by drawing the people of the second half again (bootstrap).
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from training.data.crops import groups_of
from training.data.lfw import LfwPairs, read_lfw
from training.embedder.encoder import encode_float
from training.embedder.lineage import backbone_with, trained_backbone
from training.engine.encoder_experiment import EmbedderExperiment
from training.engine.experiment_files import load_experiment
from training.engine.weights import read_weights

ROOT = Path(__file__).parents[2]
IMAGES, RATES = 32_000, (2e-4, 2e-5)
FMRS = 1e-3, 1e-4
DRAWS = 100
EXPERIMENT = """
name = "mine"
from_weights = "{weights}"
checkpoint_every_steps = 1000
validate_every_images = 1_000_000

[data]
source = "folder"
held_out_fraction = 0.05
augmentation_strength = 0.4

[backbone]
{backbone}

[loss]
margin_softmax = 1.0
triplet = 0.5

[sampler]
kind = "people"
batch_size = 128
crops_per_person = 4

[optimizer]
images = {images}
peak_learning_rate = {rate}
warmup_images = 2_000
"""


def own_folder(lfw: LfwPairs, rows: np.ndarray, people: np.ndarray, folder: Path) -> None:
    """Write the crops as folder/PERSON/ROW.png."""
    for row in rows:
        own = folder / people[row].replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(own / f"{row}.png"), np.asarray(lfw.images[row])[..., ::-1])


def fine_tuned(folder: Path, weights: str, backbone: str, rate: float) -> EmbedderExperiment:
    """Train in the folder, by the command line, and return the experiment."""
    path = folder / f"{rate:g}" / "mine.toml"
    path.parent.mkdir()
    path.write_text(EXPERIMENT.format(rate=rate, weights=weights, images=IMAGES, backbone=backbone))
    where = ["--data", str(folder / "own"), "--runs", str(path.parent), "--cache", str(folder / "cache")]
    subprocess.run([sys.executable, "-m", "training", "fit", str(path), *where], check=True, cwd=ROOT)
    experiment = load_experiment(str(path))
    if not isinstance(experiment, EmbedderExperiment):
        raise TypeError(f"{path} is no experiment of an embedder")
    return experiment


@dataclass(frozen=True)
class Compared:
    """Every pair of crops of some people, the nearest first.

    first, second: (P,) the person of either crop; mated: (P,) bool
    """

    first: np.ndarray
    second: np.ndarray
    mated: np.ndarray

    @classmethod
    def of(cls, encodings: np.ndarray, numbers: np.ndarray) -> "Compared":
        """encodings: (N, D) of unit length; numbers: (N,) the person of each."""
        first, second = np.triu_indices(len(encodings), k=1)
        order = np.argsort(-(encodings @ encodings.T)[first, second])
        first, second = numbers[first[order]], numbers[second[order]]
        return cls(first, second, first == second)

    def rates(self, drawn: np.ndarray) -> np.ndarray:
        """TAR at FMRS; drawn: (people,) how often each person counts."""
        non_mated = np.cumsum(np.where(self.mated, 0, drawn[self.first] * drawn[self.second]))
        mated = np.cumsum(np.where(self.mated, drawn[self.first], 0))
        within = np.searchsorted(non_mated, [fmr * non_mated[-1] for fmr in FMRS])
        return np.asarray(mated[within] / mated[-1])


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--weights", default="embedder", show_default=True)
@click.option("--draws", default=DRAWS, show_default=True, help="Of the bootstrap.")
def main(data: Path, weights: str, draws: int) -> None:
    lfw = read_lfw(data, ROOT / ".cache")
    people = groups_of(lfw.pack.read().names)
    names, counts = np.unique(people, return_counts=True)
    several = names[counts >= 2]
    own, others = (np.flatnonzero(np.isin(people, several[half::2])) for half in (0, 1))
    crops, numbers = lfw.images[others], np.unique(people[others], return_inverse=True)[1]
    state, about = read_weights(weights)
    experiment = load_experiment(weights)
    assert isinstance(experiment, EmbedderExperiment)
    backbone = "\n".join(f"{key} = {value}" for key, value in about["backbone"].items())
    compared = {"before": Compared.of(encode_float(backbone_with(experiment.backbone, state).eval(), crops), numbers)}
    with TemporaryDirectory() as place:
        folder = Path(place)
        own_folder(lfw, own, people, folder / "own")
        for rate in RATES:
            mine = fine_tuned(folder, weights, backbone, rate)
            after = encode_float(trained_backbone(mine, folder / f"{rate:g}"), crops)
            compared[f"after, at {rate:g}"] = Compared.of(after, numbers)
    print(f"{len(own)} crops of {len(several[::2])} people learned, {len(others)} of {len(several[1::2])} compared")
    once, rng = np.ones(len(several[1::2]), dtype=int), np.random.default_rng(0)
    again = [np.bincount(rng.integers(len(once), size=len(once)), minlength=len(once)) for _ in range(draws)]
    before = [compared["before"].rates(drawn) for drawn in again]
    for name, pairs in compared.items():
        gains = 100 * np.array([pairs.rates(drawn) - other for drawn, other in zip(again, before, strict=True)])
        for column, fmr in enumerate(FMRS):
            low, high = np.quantile(gains[:, column], [0.025, 0.975])
            tar = 100 * pairs.rates(once)[column]
            gain = tar - 100 * compared["before"].rates(once)[column]
            print(f"{name}: {tar:.1f} % at FMR {fmr:g}, {gain:+.1f} [{low:+.1f}, {high:+.1f}]")


if __name__ == "__main__":
    main()
