"""What an experiment starts from and what it was trained on: weights, lineage and terms of use."""

from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from edge.errors import ExperimentError
from training.data.terms import DRAWN, OMNIGLOT, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS, YOUR_OWN, terms_of_both
from training.embedder.backbone import Backbone
from training.engine.checkpoints import CHECKPOINT, read_checkpoint, trained_weights, weights_of
from training.engine.encoder_experiment import BackboneConfig, EmbedderExperiment, EncoderExperiment
from training.engine.experiment_files import load_experiment
from training.engine.weights import About, read_weights, save_weights

TERMS_OF_SOURCE = {"generated": DRAWN, "drawn": DRAWN, "omniglot": OMNIGLOT}


def parent_of(experiment: EncoderExperiment) -> EncoderExperiment | None:
    """The experiment that this one starts from. Raises ExperimentError where that is not an encoder."""
    if experiment.start_from is None:
        return None
    parent = load_experiment(experiment.start_from)
    if not isinstance(parent, EncoderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', which is not an embedder")
    return parent


def stages(experiment: EncoderExperiment) -> list[str]:
    """The names of the experiments to fit, in order; the last is this one."""
    parent = parent_of(experiment)
    return [*(stages(parent) if parent else []), experiment.name]


def lineage(experiment: EncoderExperiment) -> dict[str, object]:
    """What the experiment was trained on, and the lineage of what it started from."""
    data = experiment.data
    return {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(),
        "images_seen": experiment.steps * experiment.batch_size,
        "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in data.packs} or data.source,
        "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
        "started_from": started_from(experiment),
    }


def started_from(experiment: EncoderExperiment) -> dict[str, Any] | None:
    """The lineage of what the experiment starts from, or None."""
    if parent := parent_of(experiment):
        return lineage(parent)
    if isinstance(experiment, EmbedderExperiment) and experiment.from_weights:
        before: dict[str, Any] = read_weights(experiment.from_weights)[1]["lineage"]
        return before
    return None


def terms(experiment: EncoderExperiment) -> str:
    """The terms of all data, of this experiment and of those it started from."""
    of_packs = experiment.data.source == "packs" or experiment.data.teacher is not None
    own = RESEARCH_ONLY if of_packs else TERMS_OF_SOURCE.get(experiment.data.source, YOUR_OWN)
    if isinstance(experiment, EmbedderExperiment) and experiment.from_weights:
        return terms_of_both(str(read_weights(experiment.from_weights)[1]["terms"]), own)
    parent = parent_of(experiment)
    return own if parent is None else terms_of_both(terms(parent), own)


def starting_weights(experiment: EmbedderExperiment, runs_dir: Path) -> dict[str, Tensor]:
    """The weights of the finished run that this experiment starts from.

    Raises ExperimentError where they are of another backbone, or were trained on people whom the experiment holds out.
    """
    parent = parent_of(experiment)
    if not isinstance(parent, EmbedderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' starts from no embedder: '{experiment.start_from}'")
    if parent.backbone != experiment.backbone:
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', of another backbone")
    held, held_before = experiment.data.held_out_fraction, parent.data.held_out_fraction
    if parent.data.source == experiment.data.source and held > held_before:
        raise ExperimentError(
            f"experiment '{experiment.name}' holds out {held:g} of the people, but '{parent.name}', which it starts "
            f"from, only {held_before:g}: it would be evaluated on people it was trained on"
        )
    return trained_weights(runs_dir / parent.name, parent, "backbone.")


def trained_backbone(experiment: EmbedderExperiment, runs_dir: Path) -> Backbone:
    """The backbone of a finished run, in evaluation mode, on the CPU.

    Raises ExperimentError where the run is not finished.
    """
    weights = trained_weights(runs_dir / experiment.name, experiment, "backbone.")
    return backbone_with(experiment.backbone, weights).eval()


def backbone_with(config: BackboneConfig, weights: dict[str, Tensor]) -> Backbone:
    """A backbone of this shape with these weights."""
    backbone = Backbone(config)
    backbone.load_state_dict(weights)
    return backbone


def save_run_weights(experiment: EmbedderExperiment, runs_dir: Path, path: Path) -> About:
    """Save the backbone of a run as it is, finished or not; return what the file tells of it.

    Raises ExperimentError where there is no checkpoint.
    """
    checkpoint = read_checkpoint(runs_dir / experiment.name / CHECKPOINT, experiment)
    step = checkpoint["step"]
    about = {
        "backbone": msgspec.to_builtins(experiment.backbone),
        "data": msgspec.to_builtins(experiment.data),
        "lineage": lineage(experiment) | {"images_seen": step * experiment.batch_size},
        "processor_seconds": round(checkpoint["processor_seconds"]),
        "px": experiment.px_at(step - 1),
        "finished": step == experiment.steps,
        "terms": terms(experiment),
    }
    save_weights(backbone_with(experiment.backbone, weights_of(checkpoint, "backbone.")), about, path)
    return about
