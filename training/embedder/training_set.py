"""The training and held-out crops of an experiment, read, guarded against leaks and split."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from edge.errors import DataError
from training.data.augment import door_camera
from training.data.crops import UNLABELLED, Crops, person_numbers
from training.data.folder import read_folder
from training.data.generated import generated_people
from training.data.lfw import LfwPairs, read_lfw
from training.data.listed_twice import one_name
from training.data.near_lfw import near_lfw
from training.data.places import Places
from training.data.splits import held_out, leaks
from training.engine.encoder_experiment import DataConfig, EncoderExperiment

Augment = Callable[..., np.ndarray]  # (crop, random generator, strength) -> another picture of the same person


@dataclass(frozen=True)
class Rows:
    """Some crops of several sources, without a copy: a row is a source and an index in it.

    sources: the image arrays, each (N_s, H, W, C) uint8, all of one size
    where:   (N, 2) int64, source and index
    people:  (N,) str
    teacher: (N, D) float32 of unit length, or None
    """

    sources: list[np.ndarray]
    where: np.ndarray
    people: np.ndarray
    teacher: np.ndarray | None

    def __len__(self) -> int:
        return len(self.where)

    def crop(self, row: int) -> np.ndarray:
        """(H, W, C) uint8; (112, 112, 3) RGB of a face."""
        source, index = self.where[row]
        crop: np.ndarray = self.sources[source][index]
        return crop

    def images(self) -> np.ndarray:
        """(N, H, W, C) uint8, copied into one array."""
        return np.stack([self.crop(row) for row in range(len(self))])

    def only(self, keep: np.ndarray) -> "Rows":
        """The rows where keep, (N,) bool, is true."""
        return Rows(
            self.sources, self.where[keep], self.people[keep], None if self.teacher is None else self.teacher[keep]
        )


@dataclass(frozen=True)
class TrainingSet:
    """The training crops, the held-out crops, and the numbers of the split.

    held_out:    crops of the people held out for evaluation
    split_stats: what is used, what is left out and why, for the report and the card
    digest:      changes with any name or label of a training crop; from a folder, with its pixels too
    augment:     the augmentation
    set_aside:   by pack, the crops of data.held_out_every: for evaluation, but not by person
    """

    train: Rows
    held_out: Rows
    lfw: LfwPairs | None
    split_stats: dict[str, object]
    digest: str
    augment: Augment
    set_aside: dict[str, Rows]

    @property
    def of_faces(self) -> bool:
        """Whether the crops are faces at a door, whose mirror images show the same person."""
        return self.augment is door_camera

    @property
    def person_numbers(self) -> np.ndarray:
        """(N,) int64 for the training rows, -1 where unlabelled."""
        return person_numbers(self.train.people)

    def summary(self) -> str:
        """One line for the terminal."""
        stats = self.split_stats
        return (
            f"{stats['crops_to_learn_from']:,} training crops; left out: {stats['left_out_near_lfw']} near a person "
            f"of LFW, {stats['left_out_near_held_out']} near one of the {stats['held_out_people']} held-out people"
        )


def gather(experiment: EncoderExperiment, places: Places) -> TrainingSet:
    """Read every source of the experiment, leave out what leaks, and split off the held-out people.

    Raises DataError that names a missing pack, an empty folder or a corrupt image.
    """
    config = experiment.data
    if config.source == "packs":
        return _from_packs(experiment, places)
    crops = (
        generated_people(config.generated_people, config.generated_looks, experiment.seed)
        if config.source == "generated"
        else read_folder(places.data_dir)
    )
    teacher = places.teacher(config.teacher).embed(crops.images) if config.teacher else None
    return _split(experiment, [crops], [teacher], lfw=None, near=None)


def _from_packs(experiment: EncoderExperiment, places: Places) -> TrainingSet:
    config = experiment.data
    if not config.packs:
        raise DataError(f"experiment '{experiment.name}' names no packs")
    evaluation_packs = [name for name in config.packs if name.startswith("lfw")]
    if evaluation_packs:
        raise DataError(
            f"experiment '{experiment.name}': {', '.join(evaluation_packs)} is for evaluation, never for training"
        )
    if config.teacher is None:
        raise DataError(
            f"experiment '{experiment.name}': packs need data.teacher, for the leak guard that keeps LFW out"
        )
    packs = [places.pack(name) for name in config.packs]
    teacher = places.teacher(config.teacher)
    crops = [pack.read() for pack in packs]
    lfw = read_lfw(places.data_dir, places.cache_dir)
    return _split(
        experiment,
        crops=crops,
        embeddings=[teacher.embed_pack(pack) for pack in packs],
        lfw=lfw,
        near=np.concatenate([near_lfw(teacher, pack, lfw.pack, config.leak_cosine_max) for pack in packs]),
    )


class Excluded(NamedTuple):
    """The rows that are not for training, each (N,) bool, by reason; a row may have several.

    held_out:      crops of a held-out person
    near_lfw:      near a crop of LFW
    near_held_out: near a crop of a held-out person
    set_aside:     every n-th crop of a pack, see data.held_out_every
    """

    held_out: np.ndarray
    near_lfw: np.ndarray
    near_held_out: np.ndarray
    set_aside: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """(N,) bool: excluded for some reason."""
        return self.held_out | self.near_lfw | self.near_held_out | self.set_aside


def _split(
    experiment: EncoderExperiment,
    crops: list[Crops],
    embeddings: list[np.ndarray | None],
    lfw: LfwPairs | None,
    near: np.ndarray | None,
) -> TrainingSet:
    config = experiment.data
    known = [part for part in embeddings if part is not None]
    rows = Rows(
        sources=[part.images for part in crops],
        where=np.concatenate([[(number, row) for row in range(len(part))] for number, part in enumerate(crops)]),
        people=np.concatenate([part.people for part in crops]),
        teacher=np.concatenate(known) if len(known) == len(crops) else None,
    )
    excluded = _exclude(config, rows, near)
    train = ~excluded.any
    if not train.any():
        raise DataError(f"experiment '{experiment.name}' leaves no training crop out of {len(rows)}")
    names = np.concatenate([part.names for part in crops])
    held_out_rows = rows.only(excluded.held_out & ~excluded.near_lfw)
    return TrainingSet(
        train=rows.only(train),
        held_out=replace(held_out_rows, people=one_name(held_out_rows.people)),
        lfw=lfw,
        split_stats=_split_stats(config, rows, excluded),
        digest=digest_of(rows.only(train), names[train], with_pixels=config.source == "folder"),
        augment=door_camera,
        set_aside={
            name: rows.only(excluded.set_aside & (rows.where[:, 0] == config.packs.index(name)))
            for name in config.held_out_every
        },
    )


def _exclude(config: DataConfig, rows: Rows, near: np.ndarray | None) -> Excluded:
    labelled = rows.people != UNLABELLED
    # Only people of CelebA are held out: pins has about 1 % wrong labels and is cut closer than a door camera sees.
    candidates = labelled & np.array([not person.startswith("pins/") for person in rows.people])
    held = np.zeros(len(rows), dtype=bool)
    held[candidates] = held_out(rows.people[candidates], config.held_out_fraction)
    near_held_out = np.zeros(len(rows), dtype=bool)
    if rows.teacher is not None:
        near_held_out = leaks(rows.teacher, rows.teacher[held], config.leak_cosine_max) & ~held
    near = np.zeros(len(rows), dtype=bool) if near is None else near
    return Excluded(held, near, near_held_out, every_nth(config, rows.where))


def every_nth(config: DataConfig, where: np.ndarray) -> np.ndarray:
    """(N, 2) source and index -> (N,) bool: every n-th crop of the packs in data.held_out_every.

    Raises DataError for a pack that the experiment does not read.
    """
    aside = np.zeros(len(where), dtype=bool)
    source, index = where.T
    for name, every in config.held_out_every.items():
        if name not in config.packs:
            raise DataError(f"data.held_out_every names pack '{name}', which is not in data.packs")
        aside |= (source == config.packs.index(name)) & (index % every == every - 1)
    return aside


def digest_of(train: Rows, names: np.ndarray, *, with_pixels: bool) -> str:
    """Twelve hex digits over the training crops: names, (N,) str, and labels; with_pixels over their pixels too.

    A pack does not change under its name. A user's folder does: a resumed run must notice a picture that was replaced.
    """
    lines = [f"{name} {person}" for name, person in zip(names, train.people, strict=True)]
    if with_pixels:
        lines = [f"{line} {zlib.crc32(np.ascontiguousarray(train.crop(row)).data)}" for row, line in enumerate(lines)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _split_stats(config: DataConfig, rows: Rows, excluded: Excluded) -> dict[str, object]:
    """The numbers of the split, for the report and the card."""
    train = ~excluded.any
    held_out_rows = excluded.held_out & ~excluded.near_lfw
    names = config.packs or (config.source,)
    sources = [rows.where[:, 0] == number for number in range(len(names))]
    return {
        "crops": len(rows),
        "crops_to_learn_from": int(train.sum()),
        "left_out_near_lfw": int(excluded.near_lfw.sum()),
        "left_out_near_held_out": int((excluded.near_held_out & ~excluded.near_lfw).sum()),
        "set_aside_crops": int(excluded.set_aside.sum()),
        "held_out_crops": int(held_out_rows.sum()),
        "held_out_people": len(np.unique(one_name(rows.people[held_out_rows]))),
        "labelled_people_to_learn_from": len(np.unique(rows.people[train & (rows.people != UNLABELLED)])),
        "leak_guard": (
            f"teacher cosine > {config.leak_cosine_max}"
            if rows.teacher is not None
            else "none: these pictures are not of people in LFW"
        ),
        "per_source": {
            name: {
                "crops": int(rows_of.sum()),
                "left_out_near_lfw": int((rows_of & excluded.near_lfw).sum()),
                "learned_from": int((rows_of & train).sum()),
            }
            for name, rows_of in zip(names, sources, strict=True)
        },
    }
