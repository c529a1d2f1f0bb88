"""limen-train: fit, export, evaluate, report; or run, which is all four. A thin layer over the rooms of training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.errors import ExperimentError
from training.engine.command_line import Commands, Size, SizeType, folder_option, folders, in_workspace, on_machine
from training.engine.detector_experiment import DetectorExperiment
from training.engine.encoder_experiment import EmbedderExperiment, EncoderExperiment
from training.engine.experiment import Experiment
from training.engine.machine import Machine
from training.engine.workspace import Workspace

if TYPE_CHECKING:  # the tasks import torch, which takes seconds; --help and a misspelt name do not need it
    from training.engine.task import Task

TO_FOLDER = folder_option("--to", "models_dir", None, "Also copy the .tflite file and its card here.")
MODEL = click.option(
    "--model",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another .tflite file  [default: the one the run made, else the one that ships]",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen-train")
def main() -> None:
    """Train a similarity function or a face detector, quantize it, and measure what ships.

    EXPERIMENT is a name from training/experiments/ (smoke, embedder, embedder-lite, detector) or the path of a TOML
    file like those. `limen-train run smoke` does everything once, on faces that it draws itself, in two minutes.
    """


@main.command()
@in_workspace
@on_machine
def fit(experiment: Experiment, workspace: Workspace, machine: Machine) -> None:
    """Train EXPERIMENT; the same command continues a run that was interrupted."""
    workspace.train(task_of(experiment), machine)


@main.command()
@in_workspace
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), help="[default: in the run's folder]")
@click.option(
    "--model",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="An int8 detector of EXPERIMENT's network and data: save its weights in place of the run's.",
)
def weights(experiment: Experiment, workspace: Workspace, path: Path | None, model: Path | None) -> None:
    """Save the float weights of EXPERIMENT's run as they are, finished or not, as a .safetensors file."""
    path = path or workspace.run_dir(experiment) / f"{experiment.name}.safetensors"
    if path.suffix != ".safetensors":
        raise ExperimentError(f"--to {path}: expected a name that ends in .safetensors, as --from takes it")
    about = _save_weights(experiment, workspace, path, model)
    last = f", the last of {about['px']} px" if "px" in about else ""
    click.echo(
        f"weights: {path}, {path.stat().st_size:,} bytes, after {about['lineage']['images_seen']:,} images{last}; "
        f"{about['terms']}"
    )


@main.command()
@in_workspace
@TO_FOLDER
@click.option(
    "--size", type=SizeType(), help="WIDTHxHEIGHT of a detector's input, multiples of 8  [default: as in training]"
)
def export(experiment: Experiment, workspace: Workspace, models_dir: Path | None, size: Size | None) -> None:
    """Convert a finished EXPERIMENT to int8 TFLite, measure it, write its card."""
    task = task_of(experiment, size)
    _export(task, workspace, workspace.gather(task), models_dir)


@main.command()
@in_workspace
@MODEL
def evaluate(experiment: Experiment, workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model on LFW and on the data that EXPERIMENT holds out."""
    _, evaluation = _measure(task_of(experiment), workspace, model)
    click.echo(json.dumps(evaluation.numbers(), indent=2))


@main.command()
@in_workspace
@MODEL
def report(experiment: Experiment, workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model and write report.html with its figures into the run's folder."""
    task = task_of(experiment)
    card, evaluation = _measure(task, workspace, model)
    click.echo(task.write_report(card, evaluation, workspace.run_dir(experiment)))


@main.command()
@in_workspace
@on_machine
@TO_FOLDER
def run(experiment: Experiment, workspace: Workspace, machine: Machine, models_dir: Path | None) -> None:
    """Fit, export, evaluate and report EXPERIMENT, in one go."""
    task = task_of(experiment)
    data = workspace.train(task, machine)
    if data is None:  # of several processes only the first continues
        return
    card, evaluation = _export(task, workspace, data, models_dir)
    click.echo(f"report: {task.write_report(card, evaluation, workspace.run_dir(experiment))}")


@main.command()
@folder_option("--to", "to_dir", "edge/demo", "Where people.jpg and people.json are written.")
@folder_option("--cache", "cache_dir", ".cache", "Decoded packs.")
@folder_option("--data", "data_dir", "../shared", "Has data/faces/*.zip and teachers/*.onnx.")
def imagine(data_dir: Path, cache_dir: Path, to_dir: Path) -> None:
    """Sample the demo's people, who do not exist, from the distribution of the packs' faces."""
    from edge.inference.embedder import Embedder
    from training.data.imagined_people import imagine_people, write_people
    from training.data.places import Places

    people, likeness = imagine_people(Places(data_dir, cache_dir), Embedder())
    click.echo(
        f"{write_people(people, likeness, to_dir)}: {len(people)} people; d within one at most "
        f"{likeness.within_max:.2f}, between two at least {likeness.between_min:.2f}; cosine to the nearest real face "
        f"at most {likeness.nearest_real_cosine:.2f}"
    )


@main.command()
@click.argument("ladder", default="omniglot")
@folders
@on_machine
@click.option("--only", help="Train this row's EXPERIMENT only, and test nothing.")
@click.option("--as-is", is_flag=True, help="Train nothing: test and report what is finished.")
def omniglot(ladder: str, workspace: Workspace, machine: Machine, only: str | None, as_is: bool) -> None:
    """Train on handwritten characters in every way of a LADDER, and test each on characters it has never seen.

    LADDER is a name from training/ladders/ (omniglot, omniglot-full, smoke-omniglot) or the path of a TOML file.
    Omniglot is expected in --data, or in data/omniglot below it; smoke-omniglot draws its own. What is finished is not
    done again.
    """
    from training.omniglot.ladder import load_ladder
    from training.omniglot.ladder_run import LadderRun
    from training.omniglot.report import write_report

    ladder_run = LadderRun(load_ladder(ladder), workspace, machine)
    rows = [row for row in ladder_run.ladder.rows if only in (None, row.experiment)]
    if not rows:
        known = ", ".join(row.experiment for row in ladder_run.ladder.rows)
        raise ExperimentError(f"ladder '{ladder_run.ladder.name}' has no row '{only}'; its rows: {known}")
    if not as_is:
        for row in rows:
            ladder_run.fit(row)
    if only is None:
        click.echo(f"report: {write_report(ladder_run)}")


def task_of(experiment: Experiment, size: Size | None = None) -> "Task":
    """The experiment with what only its kind of model knows.

    size: (width, height) of a detector's input
    Raises ExperimentError where the model cannot have another input size.
    """
    if isinstance(experiment, DetectorExperiment):
        from training.detector.task import DetectorTask

        return DetectorTask(experiment, size)
    if size is not None:
        raise ExperimentError(f"experiment '{experiment.name}': only a detector can have another input size")
    if not isinstance(experiment, EncoderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' is of a kind without a task")
    from training.embedder.task import EmbedderTask
    from training.omniglot.task import character_task, is_of_characters

    if is_of_characters(experiment) or not isinstance(experiment, EmbedderExperiment):
        return character_task(experiment)
    return EmbedderTask(experiment)


def _save_weights(experiment: Experiment, workspace: Workspace, path: Path, model: Path | None) -> dict[str, Any]:
    """Write the file and return what it tells. Raises ExperimentError where there are no such weights."""
    if isinstance(experiment, DetectorExperiment):
        from training.detector import lineage as of_detector

        if model is None:
            return of_detector.save_run_weights(experiment, workspace.runs_dir, path)
        task = task_of(experiment)
        pictures = task.calibration_images(workspace.gather(task))
        return of_detector.save_dequantized(experiment, model, pictures, path)
    if not isinstance(experiment, EmbedderExperiment) or model is not None:
        what = "int8 weights cannot be read" if model else "its weights cannot be saved"
        kind = "a detector" if model else "an embedder or a detector"
        raise ExperimentError(f"experiment '{experiment.name}' is not {kind}: {what}")
    from training.embedder.lineage import save_run_weights

    return save_run_weights(experiment, workspace.runs_dir, path)


def _measure(task: "Task", workspace: Workspace, model: Path | None) -> tuple[Any, Any]:
    model = model or workspace.exported_model(task.experiment)
    measured = workspace.measure(task, workspace.gather(task, measure_only=True), model)
    click.echo(f"measured {model}", err=True)
    return measured


def _export(task: "Task", workspace: Workspace, data: Any, models_dir: Path | None) -> tuple[Any, Any]:
    from training.export.export import export as export_model

    card, evaluation, parity = export_model(task, data, workspace.runs_dir, models_dir)
    click.echo(json.dumps(card.measured, indent=2))
    model = (models_dir or workspace.run_dir(task.experiment)) / f"{card.name}.tflite"
    click.echo(f"model: {model}, {card.bytes:,} bytes; {parity.summary()}")
    return card, evaluation
