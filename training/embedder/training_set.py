"""Everything an experiment learns from and is measured on, gathered, guarded against leaks and split."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.errors import DataError
from training.data.augment import door_camera
from training.data.crops import UNLABELLED, Crops, person_numbers
from training.data.folder import read_folder
from training.data.generated import generated_people
from training.data.lfw import LfwPairs, read_lfw
from training.data.packs import Pack
from training.data.splits import held_out, leaks
from training.data.teacher import Teacher
from training.engine.experiment import DataConfig, EmbedderExperiment


@dataclass(frozen=True)
class Places:
    """Where the data lies and where what is made of it is kept."""

    data_dir: Path
    cache_dir: Path

    def pack(self, name: str) -> Pack:
        """The face pack of that name."""
        return Pack(self.data_dir / "data" / "faces" / f"{name}.zip", self.cache_dir)

    def scenes(self, name: str) -> Pack:
        """The pack of scenes of that name."""
        return Pack(self.data_dir / "data" / "scenes" / f"{name}.zip", self.cache_dir)

    def teacher(self, name: str) -> Teacher:
        """The teacher of that name."""
        return Teacher(name, self.data_dir / "teachers", self.cache_dir)


@dataclass(frozen=True)
class Rows:
    """Some crops of several sources, without copying one: a row is a source and a place in it.

    sources: the image arrays, each (N_s, H, W, C) uint8, all of one size
    where:   (N, 2) int64, source and row
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
        source, place = self.where[row]
        return self.sources[source][place]

    def images(self) -> np.ndarray:
        """(N, H, W, C) uint8, copied into one array."""
        return np.stack([self.crop(row) for row in range(len(self))])

    def only(self, keep: np.ndarray) -> "Rows":
        """The rows where keep, (N,) bool, holds."""
        return Rows(
            self.sources, self.where[keep], self.people[keep], None if self.teacher is None else self.teacher[keep]
        )


@dataclass(frozen=True)
class TrainingSet:
    """What is learned from, what is measured on, and an account of what was left out and why."""

    train: Rows
    held_out: Rows
    lfw: LfwPairs | None
    account: dict[str, object]
    digest: str  # changes with any name or person that is learned from
    seen: Callable[[np.ndarray, np.random.Generator, float], np.ndarray]  # a crop as the world would show it again
    set_aside: dict[str, Rows]  # by pack: crops kept for measuring, not by person

    @property
    def person_numbers(self) -> np.ndarray:
        """(N,) int64 for the training rows, -1 where unlabelled."""
        return person_numbers(self.train.people)

    def summary(self) -> str:
        """One line for people."""
        account = self.account
        return (
            f"{account['crops_to_learn_from']:,} crops to learn from; left out {account['left_out_near_lfw']} near "
            f"somebody in LFW, {account['left_out_near_held_out']} near one of the {account['held_out_people']} "
            "held-out people"
        )


def gather(experiment: EmbedderExperiment, places: Places) -> TrainingSet:
    """Read every source of the experiment, leave out who is measured on, split off the held-out people.

    Raises DataError that names a missing pack, an empty folder or a corrupt image.
    """
    source = experiment.data.source
    if source == "packs":
        return _from_packs(experiment, places)
    crops = (
        generated_people(experiment.data.generated_people, experiment.data.generated_looks, experiment.seed)
        if source == "generated"
        else read_folder(places.data_dir)
    )
    teacher = places.teacher(experiment.data.teacher).embed(crops.images) if experiment.data.teacher else None
    return _split(experiment, [crops], [teacher], lfw=None, lfw_embeddings=None)


def _from_packs(experiment: EmbedderExperiment, places: Places) -> TrainingSet:
    config = experiment.data
    if not config.packs:
        raise DataError(f"experiment '{experiment.name}' names no packs")
    measured_on = [name for name in config.packs if name.startswith("lfw")]
    if measured_on:
        raise DataError(f"experiment '{experiment.name}': {', '.join(measured_on)} is measured on, never learned from")
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
        lfw_embeddings=teacher.embed_pack(lfw.pack),
    )


def _split(
    experiment: EmbedderExperiment,
    crops: list[Crops],
    embeddings: list[np.ndarray | None],
    lfw: LfwPairs | None,
    lfw_embeddings: np.ndarray | None,
) -> TrainingSet:
    rows = Rows(
        sources=[part.images for part in crops],
        where=np.concatenate([[(number, row) for row in range(len(part))] for number, part in enumerate(crops)]),
        people=np.concatenate([part.people for part in crops]),
        teacher=np.concatenate(embeddings) if all(part is not None for part in embeddings) else None,
    )
    config = experiment.data
    labelled = rows.people != UNLABELLED
    # Measured on are people of CelebA alone: pins has about 1 % wrong labels and was cut closer than a door sees.
    candidates = labelled & np.array([not person.startswith("pins/") for person in rows.people])
    measured = np.zeros(len(rows), dtype=bool)
    measured[candidates] = held_out(rows.people[candidates], config.held_out_fraction)
    near_lfw = np.zeros(len(rows), dtype=bool)
    near_held_out = np.zeros(len(rows), dtype=bool)
    if rows.teacher is not None:
        if lfw_embeddings is not None:
            near_lfw = leaks(rows.teacher, lfw_embeddings, config.leak_cosine_max)
        near_held_out = leaks(rows.teacher, rows.teacher[measured], config.leak_cosine_max) & ~measured
    aside = set_aside(config, rows.where)
    train = ~measured & ~near_lfw & ~near_held_out & ~aside
    if not train.any():
        raise DataError(f"experiment '{experiment.name}' leaves no crop to learn from out of {len(rows)}")
    left_out = LeftOut(measured=measured, near_lfw=near_lfw, near_held_out=near_held_out, set_aside=aside)
    names = np.concatenate([part.names for part in crops])
    listing = "\n".join(f"{name} {person}" for name, person in zip(names[train], rows.people[train], strict=True))
    return TrainingSet(
        train=rows.only(train),
        held_out=rows.only(measured & ~near_lfw),
        lfw=lfw,
        account=_account(experiment, rows, left_out),
        digest=hashlib.sha256(listing.encode()).hexdigest()[:12],
        seen=door_camera,
        set_aside={
            name: rows.only(aside & (rows.where[:, 0] == config.packs.index(name))) for name in config.held_out_every
        },
    )


def set_aside(config: DataConfig, where: np.ndarray) -> np.ndarray:
    """(N, 2) source and row -> (N,) bool: every n-th crop of the packs that the experiment names.

    Raises DataError for a pack that the experiment does not read.
    """
    aside = np.zeros(len(where), dtype=bool)
    for name, every in config.held_out_every.items():
        if name not in config.packs:
            raise DataError(f"data.held_out_every names pack '{name}', which is not among data.packs")
        source, row = where.T
        aside |= (source == config.packs.index(name)) & (row % every == every - 1)
    return aside


class LeftOut(NamedTuple):
    """Which rows, each (N,) bool, are not learned from, and why; a row may be in several."""

    measured: np.ndarray
    near_lfw: np.ndarray
    near_held_out: np.ndarray
    set_aside: np.ndarray


def _account(experiment: EmbedderExperiment, rows: Rows, left_out: LeftOut) -> dict[str, object]:
    """Who was left out and why, in numbers, for the report and the card."""
    config = experiment.data
    learned_from = ~np.logical_or.reduce(left_out)
    held_out_rows = left_out.measured & ~left_out.near_lfw
    names = config.packs or (config.source,)
    sources = [rows.where[:, 0] == number for number in range(len(names))]
    return {
        "crops": len(rows),
        "crops_to_learn_from": int(learned_from.sum()),
        "left_out_near_lfw": int(left_out.near_lfw.sum()),
        "left_out_near_held_out": int((left_out.near_held_out & ~left_out.near_lfw).sum()),
        "set_aside_crops": int(left_out.set_aside.sum()),
        "held_out_crops": int(held_out_rows.sum()),
        "held_out_people": len(np.unique(rows.people[held_out_rows])),
        "labelled_people_to_learn_from": len(np.unique(rows.people[learned_from & (rows.people != UNLABELLED)])),
        "leak_guard": (
            f"teacher cosine > {config.leak_cosine_max}"
            if rows.teacher is not None
            else "none: these pictures are not of people in LFW"
        ),
        "per_source": {
            name: {
                "crops": int(rows_of.sum()),
                "left_out_near_lfw": int((rows_of & left_out.near_lfw).sum()),
                "learned_from": int((rows_of & learned_from).sum()),
            }
            for name, rows_of in zip(names, sources, strict=True)
        },
    }
