"""What a detector's experiment starts from and what it was trained on: weights, lineage and terms of use."""

from pathlib import Path

from torch import Tensor

from edge.errors import ExperimentError
from training.data.terms import DRAWN, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS
from training.engine.checkpoints import trained_weights
from training.engine.detector_experiment import DetectorConfig, DetectorExperiment
from training.engine.experiment_files import load_experiment


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
    data, parent = experiment.data, parent_of(experiment)
    packs = (*data.scenes, *data.negatives, *data.crops)
    return {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(),
        "images_seen": experiment.steps * experiment.batch_size,
        "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in packs} or data.source,
        "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
        "leak_teacher": {data.leak_teacher: TEACHER_TERMS[data.leak_teacher]} if data.leak_teacher else None,
        "started_from": lineage(parent) if parent else None,
    }


def terms(experiment: DetectorExperiment) -> str:
    """The strictest terms of all data, of this experiment and of those it started from."""
    if experiment.data.source != "generated":
        return RESEARCH_ONLY
    parent = parent_of(experiment)
    return terms(parent) if parent else DRAWN


def starting_weights(experiment: DetectorExperiment, runs_dir: Path) -> dict[str, Tensor]:
    """The weights of the finished run that this experiment starts from.

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
    return trained_weights(runs_dir / parent.name, parent, "detector.")


def trunk_of(network: DetectorConfig) -> tuple[object, ...]:
    """The shape of a network without its heads."""
    return network.stem, network.widths, network.blocks, network.neck
