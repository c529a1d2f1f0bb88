"""limen-train: fit, export, evaluate, report; or run, which is all four."""

import functools
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edge.errors import LimenError

if TYPE_CHECKING:  # imported where they are used: --help and a misspelt name need not wait for torch
    from training.config import Experiment
    from training.data.training_set import TrainingSet

SHIPPED_MODELS = Path(__file__).parent.parent / "edge" / "models"


@dataclass(frozen=True)
class Workspace:
    """The folders a command works in."""

    data_dir: Path
    cache_dir: Path
    runs_dir: Path

    def run_dir(self, experiment: "Experiment") -> Path:
        """The experiment's own folder, made if it is not there."""
        folder = self.runs_dir / experiment.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def gather(self, experiment: "Experiment") -> "TrainingSet":
        """What the experiment learns from and is measured on."""
        from training.data.training_set import Places, gather

        return gather(experiment, Places(self.data_dir, self.cache_dir))


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


def in_workspace(command: Callable[..., None]) -> Callable[..., None]:
    """Add EXPERIMENT, --data, --cache and --runs; the command gets them as an Experiment and a Workspace."""

    @functools.wraps(command)
    def with_workspace(experiment: str, data_dir: Path, cache_dir: Path, runs_dir: Path, **options: object) -> None:
        from training.config import load_experiment

        command(load_experiment(experiment), Workspace(data_dir, cache_dir, runs_dir), **options)

    def folder(name: str, key: str, default: str, text: str) -> Callable:
        kind = click.Path(file_okay=False, path_type=Path)
        return click.option(name, key, type=kind, default=Path(default), show_default=True, help=text)

    decorated = folder("--runs", "runs_dir", "runs", "Checkpoints, logs and reports, a folder per experiment.")(
        with_workspace
    )
    decorated = folder("--cache", "cache_dir", ".cache", "Decoded packs and teacher embeddings.")(decorated)
    decorated = folder(
        "--data",
        "data_dir",
        "../shared",
        "Holds data/faces/*.zip and teachers/*.onnx; for source = 'folder', your own <person>/*.jpg.",
    )(decorated)
    return click.argument("experiment")(decorated)


def on_machine(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to use the machine; none of them changes what is learned."""
    for option in (
        click.option("--quiet", is_flag=True, help="No progress bar."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "32-true", "bf16-mixed"]),
            default="auto",
            show_default=True,
            help="auto: bfloat16 where the processor multiplies it faster, else float32.",
        ),
        click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines."),
        click.option(
            "--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs, or processes, per machine."
        ),
        click.option(
            "--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load and augment."
        ),
        click.option("--threads", type=click.IntRange(1), help="Compute threads of each process  [default: all cores]"),
    ):
        command = option(command)
    return command


def to_folder(command: Callable[..., None]) -> Callable[..., None]:
    """Add --to, where models are put."""
    return click.option(
        "--to",
        "models_dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the .tflite file and its card  [default: the run's own folder]",
    )(command)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen-train")
def main() -> None:
    """Learn a similarity function, quantize it, and measure what ships.

    EXPERIMENT is a name from training/experiments/ (smoke, embedder, embedder-lite) or the path of a TOML file like
    those. `limen-train run smoke` does everything once, on faces it draws itself, in two minutes.
    """


@main.command()
@in_workspace
@on_machine
def fit(experiment: "Experiment", workspace: Workspace, **machine: object) -> None:
    """Train EXPERIMENT, going on from its last checkpoint if it was interrupted."""
    train(experiment, workspace, **machine)


@main.command()
@in_workspace
@to_folder
def export(experiment: "Experiment", workspace: Workspace, models_dir: Path | None) -> None:
    """Convert a finished EXPERIMENT to int8 TFLite, measure it, write its card."""
    ship(experiment, workspace, models_dir)


@main.command()
@in_workspace
@click.option(
    "--model", type=click.Path(dir_okay=False, path_type=Path), help="Another .tflite  [default: the shipped one]"
)
def evaluate(experiment: "Experiment", workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model on LFW and on the people EXPERIMENT holds out."""
    from edge.inference.embedder import Embedder
    from training.evaluate.evaluation import evaluate as measure

    embedder = Embedder(model or exported(experiment, workspace))
    click.echo(json.dumps(measure(embedder, workspace.gather(experiment)).numbers(), indent=2))


@main.command()
@in_workspace
@click.option(
    "--model", type=click.Path(dir_okay=False, path_type=Path), help="Another .tflite  [default: the shipped one]"
)
def report(experiment: "Experiment", workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model and write report.html with ROC, DET and histograms into the run's folder."""
    from edge.inference.embedder import Embedder
    from training.evaluate.evaluation import evaluate as measure
    from training.evaluate.report import write_report

    embedder = Embedder(model or exported(experiment, workspace))
    evaluation = measure(embedder, workspace.gather(experiment))
    click.echo(write_report(embedder.card, evaluation, workspace.run_dir(experiment)))


@main.command()
@in_workspace
@on_machine
@to_folder
def run(experiment: "Experiment", workspace: Workspace, models_dir: Path | None, **machine: object) -> None:
    """Fit, export, evaluate and report EXPERIMENT, in one go."""
    if not train(experiment, workspace, **machine):
        return
    card, evaluation = ship(experiment, workspace, models_dir)
    from training.evaluate.report import write_report

    click.echo(f"report: {write_report(card, evaluation, workspace.run_dir(experiment))}")


def train(
    experiment: "Experiment",
    workspace: Workspace,
    threads: int | None,
    workers: int,
    devices: int,
    nodes: int,
    precision: str,
    quiet: bool,
) -> bool:
    """Fit to the end; answers whether this process is the one that goes on from here (of several, the first)."""
    import torch
    from lightning_fabric import Fabric

    from training.embedding import fit_embedder
    from training.trainer import RunPlan

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision that was asked for
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // devices))
    fabric = Fabric(
        accelerator="auto",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=best_precision() if precision == "auto" else precision,
    )
    fabric.launch()
    with fabric.rank_zero_first(local=True):  # the first decodes and asks the teacher, the others find it cached
        training_set = workspace.gather(experiment)
    run_dir = workspace.run_dir(experiment)
    if fabric.is_global_zero:
        (run_dir / "data.json").write_text(json.dumps(training_set.account, indent=2))
        click.echo(
            f"{experiment.name}: {training_set.account['crops_to_learn_from']:,} crops to learn from; left out "
            f"{training_set.account['left_out_near_lfw']} near somebody in LFW, "
            f"{training_set.account['left_out_near_held_out']} near one of the "
            f"{training_set.account['held_out_people']} held-out people",
            err=True,
        )
    try:
        fit_embedder(experiment, training_set, RunPlan(run_dir, workers, quiet), fabric, workspace.runs_dir)
    except KeyboardInterrupt as stop:
        raise click.ClickException(f"{experiment.name} was stopped; the same command goes on from {run_dir}") from stop
    return fabric.is_global_zero


def ship(experiment: "Experiment", workspace: Workspace, models_dir: Path | None) -> tuple:
    """Export, print what was measured, and answer the card and the evaluation."""
    from training.export.export import export_embedder

    training_set = workspace.gather(experiment)
    card, evaluation, parity = export_embedder(experiment, training_set, workspace.runs_dir, models_dir)
    click.echo(json.dumps(card.measured | {"impostors": msgspec.to_builtins(card.impostors)}, indent=2))
    click.echo(
        f"model: {(models_dir or workspace.run_dir(experiment)) / experiment.name}.tflite, {card.bytes:,} bytes; int8 "
        f"keeps a cosine of {parity.cosine_mean:.4f} to float on {parity.measured_on}"
    )
    return card, evaluation


def exported(experiment: "Experiment", workspace: Workspace) -> Path:
    """The shipped model of that name, else the one in the run's folder."""
    shipped = SHIPPED_MODELS / f"{experiment.name}.tflite"
    return shipped if shipped.is_file() else workspace.run_dir(experiment) / f"{experiment.name}.tflite"


def best_precision() -> str:
    """bf16-mixed where the hardware has bfloat16 products (twice the images/s on a CPU with AVX-512 BF16)."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
