"""Small girls are enrolled and boys asked about, through the whole device: every name is wrong for certain.

    python -m tests.bench.children [--data ../shared]

The fifth of All-Age-Faces that was not learned from, which is sorted by sex, then by age. Each crop is made a picture;
households of 20 girls, the youngest first, are enrolled by one picture each, as somebody would: what is refused is not
enrolled. Then every boy of up to about ten is asked about, in each household. Intervals are exact, of 95 %, of
independent trials.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from edge.config import Config, GalleryConfig
from edge.errors import RefusedError
from edge.runtime.assembly import Device
from tests.edge.core.asking import found_in
from training.data.ages import FIRST_MALE, PACK
from training.data.packs import Pack
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]
HELD_OUT_EVERY = 5  # data.held_out_every of training/experiments/embedder.toml
GIRLS, BOYS = (0, 400), (FIRST_MALE, FIRST_MALE + 600)  # ranks: girls of up to about eight, boys of up to about ten
HOUSEHOLD = 20
PICTURE_PX, BORDER_PX = 168, 36  # of a face's crop, enlarged, and around it


@dataclass(frozen=True)
class Asked:
    """One household: who was enrolled, how often each refusal came before, and how many of the boys were named."""

    enrolled: int
    refused: int
    seen: int
    named: int


def pictures_of(data: Path, ranks: tuple[int, int]) -> list[np.ndarray]:
    """The held-out crops of these ranks as pictures, (240, 240, 3) uint8 RGB."""
    images = Pack(data / "data" / "faces" / f"{PACK}.zip", ROOT / ".cache").read().images
    chosen = (images[row] for row in range(*ranks) if row % HELD_OUT_EVERY == HELD_OUT_EVERY - 1)
    return [
        cv2.copyMakeBorder(cv2.resize(crop, (PICTURE_PX, PICTURE_PX)), *[BORDER_PX] * 4, cv2.BORDER_REPLICATE)
        for crop in chosen
    ]


def measure(girls: list[np.ndarray], boys: list[np.ndarray]) -> tuple[Asked, int]:
    """Enroll the first HOUSEHOLD girls who are taken. Returns what came of it, and how many girls were tried."""
    refused = enrolled = tried = named = seen = 0
    with TemporaryDirectory() as folder:
        config = Config(device="bench", gallery=GalleryConfig(Path(folder) / "gallery.db"))
        with Device.open(config) as device:
            recognizer = device.recognizer
            for number, girl in enumerate(girls):
                if enrolled == HOUSEHOLD:
                    break
                tried += 1
                try:
                    recognizer.enroll(f"girl {number}", [girl])
                    enrolled += 1
                except RefusedError:
                    refused += 1
            for boy in boys:
                faces = recognizer.recognize(found_in(recognizer, boy))
                seen += bool(faces)
                named += any(face.name is not None for face in faces)
    return Asked(enrolled, refused, seen, named), tried


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
def main(data: Path) -> None:
    girls, boys = pictures_of(data, GIRLS), pictures_of(data, BOYS)
    households: list[Asked] = []
    while len(girls) >= HOUSEHOLD:
        asked, tried = measure(girls, boys)
        girls = girls[tried:]
        if asked.enrolled < HOUSEHOLD:
            break
        households.append(asked)
        print(
            f"household {len(households)}: {asked.enrolled} girls enrolled, {asked.refused} refused; of {len(boys)} "
            f"boys {asked.seen} have a face, {asked.named} named"
        )
    total = Share(sum(one.named for one in households), len(households) * len(boys))
    print(f"named: {total.passed} of {total.trials}, {total}")


if __name__ == "__main__":
    main()
