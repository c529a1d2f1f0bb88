"""Ask the teacher again for the faces in the pictures that a detector is evaluated on, and compare with what is kept.

    python -m tests.bench.evaluation_faces [--data ../shared] [--write]

Those pictures are the held-out scenes and the photographs of LFW. Processors round differently: faces agree where no
coordinate differs by more than a tenth of a pixel, and no score by more than 0.1. Status 1 where they do not. --write
keeps what was found.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import numpy as np
from safetensors.numpy import save_file
from tqdm import tqdm

from training.data.cores import cores
from training.data.face_labels import KEPT, VERSION, kept, numbered
from training.data.lfw import read_lfw_photos
from training.data.packs import Pack
from training.data.photographs import photographs_key
from training.data.places import Places
from training.data.scenes import labelled, picture_names, read_pictures, scenes_key
from training.data.yunet import YuNet
from training.detector.scene_set import CROP_TEACHER_PX, EVALUATE, SCENE_TEACHER_PX, split
from training.engine.detector_experiment import DetectorExperiment
from training.engine.experiment_files import load_experiment

WITHIN = 0.1


def pictures(places: Places) -> Iterator[tuple[str, int, Iterable[np.ndarray]]]:
    """Yield the key of each pack's evaluation pictures, their number, and what the teacher finds in each."""
    experiment = load_experiment("detector")
    assert isinstance(experiment, DetectorExperiment)
    folder, name = places.data_dir / "teachers", str(experiment.data.teacher)
    teacher = YuNet(name, SCENE_TEACHER_PX, folder, threads=cores())
    close = YuNet(name, CROP_TEACHER_PX, folder)
    for pack in map(places.scenes, experiment.data.scenes):
        names = picture_names(pack)
        (chosen,) = [[names[row] for row in rows] for part, rows in split(names, experiment.data) if part == EVALUATE]
        labels = (labelled(image, teacher, close) for image in read_pictures(pack, chosen))
        yield scenes_key(pack, chosen, teacher, close), len(chosen), labels
    photos = Pack(places.data_dir / "data" / "faces" / "lfw_photos.zip", places.cache_dir)
    images = read_lfw_photos(places.data_dir).images
    yield photographs_key(photos, close), len(images), (close.detect_surely(image) for image in images)


def agree(found: np.ndarray, known: np.ndarray | None) -> bool:
    """Whether both, (F, 16), have the same faces."""
    return known is not None and found.shape == known.shape and bool(np.abs(found - known).max(initial=0) <= WITHIN)


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
@click.option("--write", is_flag=True, help="Keep what was found.")
def main(data: Path, cache: Path, write: bool) -> None:
    """Ask and compare."""
    found, same = {}, True
    for key, count, labels in pictures(Places(data, cache)):
        found[key] = numbered(tqdm(labels, total=count, desc=key.partition("-")[0], unit="picture", disable=None))
        agrees = agree(found[key], kept(key))
        same = same and agrees
        click.echo(f"{key}: {len(found[key])} faces in {count} pictures {'as kept' if agrees else 'not as kept'}")
    if write:
        save_file(found, KEPT, VERSION)
    elif not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
