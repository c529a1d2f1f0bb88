"""Handwritten characters as a training set: a character takes the place of a person."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from edge.errors import DataError
from training.data.drawings import Drawings, Prepare, aligned, scaled
from training.data.drawn_characters import PER_ALPHABET, drawn_alphabets
from training.data.omniglot import LakeRun, omniglot_folder, read_drawings, read_runs
from training.data.places import Places
from training.embedder.training_set import Rows, TrainingSet
from training.engine.encoder_experiment import EncoderExperiment
from training.omniglot.handwriting import handwriting
from training.omniglot.trials import Trials, drawn_trials

VALIDATION_TRIALS = 2000  # a standard error of one point at 70 %
TEST_SEED = 1  # of the drawn alphabets of the test set


@dataclass(frozen=True)
class CharacterSet(TrainingSet):
    """A training set whose held-out rows are whole alphabets.

    trials: 20-way one-shot, each within a held-out alphabet
    """

    held_out_drawings: Drawings
    trials: Trials

    def summary(self) -> str:
        """One line for the terminal."""
        stats = self.split_stats
        return (
            f"{stats['crops_to_learn_from']:,} training drawings of {stats['labelled_people_to_learn_from']:,} "
            f"characters; held out: {stats['held_out_crops']:,} drawings of {stats['held_out_people']}"
        )


class EvaluationSet(NamedTuple):
    """The test set: alphabets that are used neither in training nor for a choice, and Lake's runs on them."""

    drawings: Drawings
    runs: list[LakeRun]


def gather_characters(experiment: EncoderExperiment, places: Places) -> CharacterSet:
    """Read the background alphabets and split off the held-out ones.

    Raises DataError where Omniglot is missing, or has not an alphabet that the experiment names.
    """
    drawings = background(experiment, places)
    wanted = experiment.data.held_out_alphabets
    unknown = sorted(set(wanted) - set(drawings.alphabets))
    if unknown or not wanted:
        raise DataError(
            f"experiment '{experiment.name}': data.held_out_alphabets needs names of background alphabets, "
            f"got {', '.join(unknown) or 'none'}; known alphabets: {', '.join(sorted(set(drawings.alphabets)))}"
        )
    held = np.isin(drawings.alphabets, wanted)
    if held.all():
        raise DataError(f"experiment '{experiment.name}' holds out every alphabet: none is left for training")
    held_out = drawings.only(held)
    train = as_rows(drawings.only(~held), turned_copies=experiment.data.turned_copies)
    listing = "\n".join(train.people).encode() + b"".join(image.tobytes() for image in train.sources[0])
    return CharacterSet(
        train=train,
        held_out=as_rows(held_out),
        lfw=None,
        split_stats=_split_stats(experiment, drawings.only(~held), train, held_out),
        digest=hashlib.sha256(listing).hexdigest()[:12],
        augment=handwriting,
        set_aside={},
        held_out_drawings=held_out,
        trials=drawn_trials(held_out, VALIDATION_TRIALS, ways=20),
    )


def background(experiment: EncoderExperiment, places: Places) -> Drawings:
    """Every drawing for training or for a choice, at the input size of the experiment's network."""
    config, prepare = experiment.data, prepared(experiment)
    if config.source == "omniglot":
        return read_drawings(omniglot_folder(places.data_dir), "background", prepare)
    return drawn_alphabets("drawn", config.generated_people // PER_ALPHABET, config.generated_looks, prepare, seed=0)


def prepared(experiment: EncoderExperiment) -> Prepare:
    """The function that aligns or scales a drawing, once, before any use."""
    return partial(aligned if experiment.data.aligned else scaled, px=experiment.backbone.input_px)


def read_evaluation_set(experiment: EncoderExperiment, places: Places) -> EvaluationSet:
    """Every drawing of the test set, at the input size of the experiment's network."""
    config, prepare = experiment.data, prepared(experiment)
    if config.source == "omniglot":
        folder = omniglot_folder(places.data_dir)
        return EvaluationSet(read_drawings(folder, "evaluation", prepare), read_runs(folder, prepare))
    drawings = drawn_alphabets("unseen", 2, config.generated_looks, prepare, TEST_SEED)
    return EvaluationSet(drawings, runs_in(drawings))


def runs_in(drawings: Drawings) -> list[LakeRun]:
    """Make one run like Lake's in each alphabet: classify 20 drawings by drawer 2 among those by drawer 1."""
    runs = []
    for alphabet in np.unique(drawings.alphabets):
        of_alphabet = drawings.only(drawings.alphabets == alphabet)
        first, second = (of_alphabet.only(of_alphabet.drawers == drawer) for drawer in (1, 2))
        answers = np.random.default_rng(0).permutation(PER_ALPHABET)
        runs.append(LakeRun(first.images, second.images[answers], answers))
    return runs


def as_rows(drawings: Drawings, *, turned_copies: bool = False) -> Rows:
    """The drawings as rows; with turned_copies there are four times as many, and each turn is another alphabet.

    The names are like "Greek/07" and "Greek turned 90/07".
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


def _split_stats(
    experiment: EncoderExperiment, training: Drawings, train: Rows, held_out: Drawings
) -> dict[str, object]:
    """The numbers of the split, with the keys that they have for faces."""
    return {
        "alphabets_to_learn_from": len(np.unique(training.alphabets)),
        "characters_to_learn_from": len(np.unique(training.characters)),
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
