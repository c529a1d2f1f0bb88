"""Handwritten characters as a training set: a character takes the place of a person, an alphabet that of a crowd."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from edge.errors import DataError
from training.data.drawings import Drawings, Prepare, aligned, shrunk
from training.data.drawn_characters import PER_ALPHABET, drawn_alphabets
from training.data.omniglot import LakeRun, omniglot_folder, read_drawings, read_runs
from training.embedder.training_set import Places, Rows, TrainingSet
from training.engine.experiment import EncoderExperiment
from training.omniglot.handwriting import handwriting
from training.omniglot.trials import Trials, drawn_trials

WATCHED_TRIALS = 2000  # while it learns; a standard error of one point at 70 %
UNSEEN_SEED = 1  # of the drawn alphabets that nothing is learned or chosen from


@dataclass(frozen=True)
class CharacterSet(TrainingSet):
    """A training set whose held-out rows are whole alphabets, with what one-shot trials are made of."""

    held_out_drawings: Drawings
    trials: Trials  # 20-way one-shot within a held-out alphabet

    def summary(self) -> str:
        """One line for people."""
        account = self.account
        return (
            f"{account['crops_to_learn_from']:,} drawings of {account['labelled_people_to_learn_from']:,} characters "
            f"to learn from; held out {account['held_out_crops']:,} of {account['held_out_people']}"
        )


class Unseen(NamedTuple):
    """What is looked at last: alphabets that nothing was learned or chosen from, and Lake's runs through them."""

    drawings: Drawings
    runs: list[LakeRun]


def gather_characters(experiment: EncoderExperiment, places: Places) -> CharacterSet:
    """The background alphabets, split into those to learn from and those held out.

    Raises DataError where Omniglot is missing, or an alphabet of the experiment is not in it.
    """
    drawings = background(experiment, places)
    wanted = experiment.data.held_out_alphabets
    unknown = sorted(set(wanted) - set(drawings.alphabets))
    if unknown or not wanted:
        raise DataError(
            f"experiment '{experiment.name}': data.held_out_alphabets wants names of background alphabets, "
            f"got {', '.join(unknown) or 'none'}; there are {', '.join(sorted(set(drawings.alphabets)))}"
        )
    measured = np.isin(drawings.alphabets, wanted)
    if measured.all():
        raise DataError(f"experiment '{experiment.name}' holds every alphabet out: none is left to learn from")
    held_out = drawings.only(measured)
    train = as_rows(drawings.only(~measured), turned_copies=experiment.data.turned_copies)
    listing = "\n".join(train.people).encode() + b"".join(image.tobytes() for image in train.sources[0])
    return CharacterSet(
        train=train,
        held_out=as_rows(held_out),
        lfw=None,
        account=_account(experiment, drawings.only(~measured), train, held_out),
        digest=hashlib.sha256(listing).hexdigest()[:12],
        seen=handwriting,
        set_aside={},
        held_out_drawings=held_out,
        trials=drawn_trials(held_out, WATCHED_TRIALS, ways=20),
    )


def background(experiment: EncoderExperiment, places: Places) -> Drawings:
    """Every drawing that may be learned or chosen from, at the size the experiment's network takes."""
    config, prepare = experiment.data, prepared(experiment)
    if config.source == "omniglot":
        return read_drawings(omniglot_folder(places.data_dir), "background", prepare)
    return drawn_alphabets("drawn", config.generated_people // PER_ALPHABET, config.generated_looks, prepare, seed=0)


def prepared(experiment: EncoderExperiment) -> Prepare:
    """What a drawing goes through once, before anything is learned from it or asked about it."""
    return partial(aligned if experiment.data.aligned else shrunk, px=experiment.backbone.input_px)


def unseen(experiment: EncoderExperiment, places: Places) -> Unseen:
    """Every drawing that the test is made of; see background."""
    config, prepare = experiment.data, prepared(experiment)
    if config.source == "omniglot":
        folder = omniglot_folder(places.data_dir)
        return Unseen(read_drawings(folder, "evaluation", prepare), read_runs(folder, prepare))
    drawings = drawn_alphabets("unseen", 2, config.generated_looks, prepare, UNSEEN_SEED)
    return Unseen(drawings, runs_in(drawings))


def runs_in(drawings: Drawings) -> list[LakeRun]:
    """One run of Lake's kind in each alphabet: 20 drawings by the second drawer among those of the first."""
    runs = []
    for alphabet in np.unique(drawings.alphabets):
        of_alphabet = drawings.only(drawings.alphabets == alphabet)
        first, second = (of_alphabet.only(of_alphabet.drawers == drawer) for drawer in (1, 2))
        answers = np.random.default_rng(0).permutation(PER_ALPHABET)
        runs.append(LakeRun(first.images, second.images[answers], answers))
    return runs


def as_rows(drawings: Drawings, *, turned_copies: bool = False) -> Rows:
    """The drawings as rows to learn from; with turned copies, four times as many, as characters of their own.

    A turned alphabet is another alphabet: "Greek/07", "Greek turned 90/07".
    """
    turns = range(4) if turned_copies else range(1)
    names = np.array([character.rpartition("/")[::2] for character in drawings.characters])  # (N, 2)
    return Rows(
        sources=[np.rot90(drawings.images, turn, axes=(1, 2)) for turn in turns],
        where=np.concatenate([[(turn, row) for row in range(len(drawings))] for turn in turns]),
        people=np.concatenate(
            [
                [
                    f"{alphabet} turned {90 * turn}/{number}" if turn else f"{alphabet}/{number}"
                    for alphabet, number in names
                ]
                for turn in turns
            ]
        ),
        teacher=None,
    )


def _account(
    experiment: EncoderExperiment, learned_from: Drawings, train: Rows, held_out: Drawings
) -> dict[str, object]:
    """In numbers, under the names that the account of faces has."""
    return {
        "alphabets_to_learn_from": len(np.unique(learned_from.alphabets)),
        "characters_to_learn_from": len(np.unique(learned_from.characters)),
        "crops": len(train) + len(held_out),
        "crops_to_learn_from": len(train),
        "left_out_near_lfw": 0,
        "left_out_near_held_out": 0,
        "held_out_crops": len(held_out),
        "held_out_people": len(np.unique(held_out.characters)),
        "labelled_people_to_learn_from": len(np.unique(train.people)),
        "leak_guard": f"none: whole alphabets are held out ({', '.join(experiment.data.held_out_alphabets)})",
        "per_source": {
            experiment.data.source: {
                "crops": len(train) + len(held_out),
                "left_out_near_lfw": 0,
                "learned_from": len(train),
            }
        },
    }
