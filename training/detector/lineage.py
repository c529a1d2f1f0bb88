"""What a detector's experiment starts from and what it was trained on: weights, lineage and terms of use."""

from pathlib import Path

import msgspec
import numpy as np

from edge.errors import ExperimentError
from edge.inference.model_card import DetectorCard, read_card
from training.data.terms import DRAWN, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS, terms_of_both
from training.detector.dequantized import dequantized
from training.detector.network import Detector
from training.detector.weights import kept_weights
from training.engine.checkpoints import CHECKPOINT, read_checkpoint, trained_weights, weights_of
from training.engine.detector_experiment import DetectorConfig, DetectorExperiment
from training.engine.experiment_files import load_experiment
from training.engine.weights import About, save_weights


def parent_of(experiment: DetectorExperiment) -> DetectorExperiment | None:
    """The experiment that this one starts from. Raises ExperimentError where that is not a detector."""
    if experiment.start_from is None:
        return None
    parent = load_experiment(experiment.start_from)
    if not isinstance(parent, DetectorExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', which is not a detector")
    return parent


def stages(experiment: DetectorExperiment) -> list[str]:
    """The names of the experiments to fit, in order; the last is this one."""
    parent = parent_of(experiment)
    return [*(stages(parent) if parent else []), experiment.name]


def lineage(experiment: DetectorExperiment) -> dict[str, object]:
    """What the experiment was trained on, and the lineage of what it started from."""
    data = experiment.data
    packs = (*data.scenes, *data.negatives, *data.crops)
    return {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(),
        "images_seen": experiment.steps * experiment.batch_size,
        "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in packs} or data.source,
        "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
        "leak_teacher": {data.leak_teacher: TEACHER_TERMS[data.leak_teacher]} if data.leak_teacher else None,
        "started_from": started_from(experiment),
    }


def started_from(experiment: DetectorExperiment) -> About | None:
    """The lineage of what the experiment starts from, or None."""
    if parent := parent_of(experiment):
        return lineage(parent)
    return kept_weights(experiment.from_weights).told.lineage if experiment.from_weights else None


def pasted_counts(experiment: DetectorExperiment) -> dict[str, int]:
    """Pack -> the number of its crops that this experiment and all before it paste."""
    counts = dict.fromkeys(experiment.data.crops, experiment.data.crops_per_pack)
    before: dict[str, int] = {}
    if experiment.from_weights:
        before = kept_weights(experiment.from_weights).told.pasted_crops
    if parent := parent_of(experiment):
        before = pasted_counts(parent)
    return {name: max(counts.get(name, 0), before.get(name, 0)) for name in [*counts, *(before.keys() - counts)]}


def terms(experiment: DetectorExperiment) -> str:
    """The terms of all data, of this experiment and of those it started from."""
    own = DRAWN if experiment.data.source == "generated" else RESEARCH_ONLY
    if experiment.from_weights:
        return terms_of_both(kept_weights(experiment.from_weights).told.terms, own)
    parent = parent_of(experiment)
    return own if parent is None else terms_of_both(terms(parent), own)


def start(detector: Detector, experiment: DetectorExperiment, runs_dir: Path) -> None:
    """Load the weights of the finished run that the experiment starts from; heads only where they have the same width.

    Raises ExperimentError where its trunk is another, or where it was trained on pictures that this one holds out.
    """
    parent = parent_of(experiment)
    if parent is None or trunk_of(parent.network) != trunk_of(experiment.network):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{experiment.start_from}', of another trunk")
    if parent.data.held_out_fraction < experiment.data.held_out_fraction:
        raise ExperimentError(
            f"experiment '{experiment.name}' holds out {experiment.data.held_out_fraction:g} of the pictures, but "
            f"'{parent.name}', which it starts from, only {parent.data.held_out_fraction:g}"
        )
    weights = trained_weights(runs_dir / parent.name, parent, "detector.")
    if parent.network.head == experiment.network.head:
        detector.load_state_dict(weights)
    else:
        detector.load_trunk(weights)


def trunk_of(network: DetectorConfig) -> tuple[object, ...]:
    """The shape of a network without its heads."""
    return network.stem, network.widths, network.blocks, network.neck


def save_run_weights(experiment: DetectorExperiment, runs_dir: Path, path: Path) -> About:
    """Save the network of a run as it is, finished or not; return what the file tells of it.

    Raises ExperimentError where there is no checkpoint.
    """
    checkpoint = read_checkpoint(runs_dir / experiment.name / CHECKPOINT, experiment)
    network = Detector(experiment.network)
    network.load_state_dict(weights_of(checkpoint, "detector."))
    about = _about(experiment) | {
        "lineage": lineage(experiment) | {"images_seen": checkpoint["step"] * experiment.batch_size},
        "processor_seconds": round(checkpoint["processor_seconds"]),
        "finished": checkpoint["step"] == experiment.steps,
    }
    save_weights(network, about, path)
    return about


def save_dequantized(experiment: DetectorExperiment, model: Path, pictures: list[np.ndarray], path: Path) -> About:
    """Save the weights of an int8 model, to train on from; return what the file tells of them.

    experiment: has the model's network, and the data that the model was trained on
    pictures:   (H, W, 3) uint8 RGB as in training
    Raises ExperimentError where the model has another network.
    """
    learned = read_card(model, DetectorCard).learned_from
    about = _about(experiment) | {"lineage": {name: learned.get(name) for name in lineage(experiment)}}
    save_weights(dequantized(model, experiment.network, np.stack(pictures)), about, path)
    return about


def _about(experiment: DetectorExperiment) -> About:
    return {
        "network": msgspec.to_builtins(experiment.network),
        "data": msgspec.to_builtins(experiment.data),
        "pasted_crops": pasted_counts(experiment),
        "terms": terms(experiment),
    }
