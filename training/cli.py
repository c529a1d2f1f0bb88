"""limen-train: fit, export, evaluate, report; or run, which is all four. A thin skin over training.workspace."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import click

from edge.errors import ExperimentError, LimenError
from training.engine.experiment import Experiment, load_experiment, starting_with
from training.engine.workspace import Machine, Workspace


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except ModuleNotFoundError as error:
            package = (error.name or "training").split(".")[0]
            if package in {"edge", "training"}:
                raise  # nothing that could be installed
            raise click.ClickException(
                f"{package} is not installed: pip install torch==2.13.0, then pip install -e '.[training]'; "
                "tests/run makes an environment that has it"
            ) from error
        except KeyboardInterrupt as stop:
            raise click.ClickException("stopped; a fit goes on from its last checkpoint when asked again") from stop


class Size(click.ParamType):
    """WIDTHxHEIGHT in pixels."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """'320x240' -> (320, 240)."""
        words = str(value).split("x")
        if len(words) != 2 or not all(word.isdigit() and int(word) >= 32 and int(word) % 8 == 0 for word in words):
            self.fail(f"{value!r} is not WIDTHxHEIGHT, each a multiple of 8 and at least 32", param, ctx)
        return int(words[0]), int(words[1])


def folder_option(name: str, key: str, default: str | None, text: str) -> Callable:
    """An option that takes a folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option(name, key, type=kind, default=default, show_default=default is not None, help=text)


def folders(command: Callable[..., None]) -> Callable[..., None]:
    """Add --data, --cache and --runs; the command gets them as a Workspace."""

    @functools.wraps(command)
    def with_workspace(data_dir: Path, cache_dir: Path, runs_dir: Path, **options: object) -> None:
        command(workspace=Workspace(data_dir, cache_dir, runs_dir), **options)

    for add in (
        folder_option("--runs", "runs_dir", "runs", "Checkpoints, logs, models and reports, a folder per experiment."),
        folder_option("--cache", "cache_dir", ".cache", "Decoded packs and the teachers' answers."),
        folder_option(
            "--data",
            "data_dir",
            "../shared",
            "Holds data/faces/*.zip, data/scenes/*.zip, data/omniglot and teachers/*.onnx; for source = 'folder', your "
            "own <person>/*.jpg.",
        ),
    ):
        with_workspace = add(with_workspace)
    return with_workspace


def in_workspace(command: Callable[..., None]) -> Callable[..., None]:
    """Add EXPERIMENT and the folders; the command gets them as an Experiment and a Workspace."""

    @folders
    @functools.wraps(command)
    def with_experiment(experiment: str, **options: object) -> None:
        command(experiment=load_experiment(experiment), **options)

    return click.argument("experiment")(with_experiment)


def on_machine(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how to use the machine; the command gets them as a Machine."""

    @functools.wraps(command)
    def with_machine(
        *arguments: object,
        threads: int | None,
        workers: int | None,
        devices: int,
        nodes: int,
        precision: str,
        quiet: bool,
        **options: object,
    ) -> None:
        command(*arguments, machine=Machine(threads, workers, devices, nodes, precision, quiet), **options)

    for add in (
        click.option("--quiet", is_flag=True, help="No progress bar."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "32-true", "bf16-mixed"]),
            default="auto",
            show_default=True,
            help="auto: bfloat16 where the processor multiplies it faster, else float32.",
        ),
        click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines."),
        click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs or processes each."),
        click.option(
            "--workers", type=click.IntRange(0), help="Loading processes  [default: 1; with a GPU, all cores]"
        ),
        click.option("--threads", type=click.IntRange(1), help="Compute threads of each process  [default: all cores]"),
    ):
        with_machine = add(with_machine)
    return with_machine


TO_FOLDER = folder_option("--to", "models_dir", None, "Also put the .tflite file and its card here.")
MODEL = click.option(
    "--model",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another .tflite file  [default: the one the run made, else the one that ships]",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen-train")
def main() -> None:
    """Learn a similarity function or a face detector, quantize it, and measure what ships.

    EXPERIMENT is a name from training/experiments/ (smoke, embedder, embedder-lite, detector) or the path of a TOML
    file like those. `limen-train run smoke` does everything once, on faces it draws itself, in two minutes.
    """


@main.command()
@in_workspace
@on_machine
@click.option(
    "--from", "weights", help="Start with these weights: a name in training/weights/, or a .safetensors file."
)
def fit(experiment: Experiment, workspace: Workspace, machine: Machine, weights: str | None) -> None:
    """Train EXPERIMENT, going on from its last checkpoint if it was interrupted."""
    workspace.train(experiment if weights is None else starting_with(experiment, weights), machine)


@main.command()
@in_workspace
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), help="[default: in the run's folder]")
def weights(experiment: Experiment, workspace: Workspace, path: Path | None) -> None:
    """Save the float weights of EXPERIMENT as they stand, finished or not, as a .safetensors file."""
    path, about = workspace.save_weights(experiment, path)
    click.echo(
        f"weights: {path}, {path.stat().st_size:,} bytes, after {about['lineage']['images_seen']:,} images, "
        f"the last of {about['px']} px; {about['terms']}"
    )


@main.command()
@in_workspace
@TO_FOLDER
@click.option(
    "--size", type=Size(), help="WIDTHxHEIGHT of a detector's input, multiples of 8  [default: as it learned]"
)
def export(experiment: Experiment, workspace: Workspace, models_dir: Path | None, size: tuple[int, int] | None) -> None:
    """Convert a finished EXPERIMENT to int8 TFLite, measure it, write its card."""
    _export(experiment, workspace, workspace.gather(experiment), models_dir, size)


@main.command()
@in_workspace
@MODEL
def evaluate(experiment: Experiment, workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model on LFW and on what EXPERIMENT holds out."""
    _, evaluation = _measure(experiment, workspace, model)
    click.echo(json.dumps(evaluation.numbers(), indent=2))


@main.command()
@in_workspace
@MODEL
def report(experiment: Experiment, workspace: Workspace, model: Path | None) -> None:
    """Measure an int8 model and write report.html with its figures into the run's folder."""
    card, evaluation = _measure(experiment, workspace, model)
    click.echo(workspace.report(experiment, card, evaluation))


@main.command()
@in_workspace
@on_machine
@TO_FOLDER
def run(experiment: Experiment, workspace: Workspace, machine: Machine, models_dir: Path | None) -> None:
    """Fit, export, evaluate and report EXPERIMENT, in one go."""
    data = workspace.train(experiment, machine)
    if data is None:  # of several processes, the first alone goes on
        return
    card, evaluation = _export(experiment, workspace, data, models_dir)
    click.echo(f"report: {workspace.report(experiment, card, evaluation)}")


@main.command()
@folder_option("--to", "to_dir", "edge/demo", "Where people.jpg and people.json are written.")
@folder_option("--cache", "cache_dir", ".cache", "Decoded packs.")
@folder_option("--data", "data_dir", "../shared", "Holds data/faces/*.zip and teachers/*.onnx.")
def imagine(data_dir: Path, cache_dir: Path, to_dir: Path) -> None:
    """Sample the demo's people, who do not exist, from how the packs' faces differ."""
    from edge.inference.embedder import Embedder
    from training.data import imagined_people as imagining
    from training.embedder.training_set import Places

    people, likeness = imagining.imagine(Places(data_dir, cache_dir), Embedder())
    click.echo(
        f"{imagining.write(people, likeness, to_dir)}: {len(people)} people; d within one at most "
        f"{likeness.within_max:.2f}, between two at least {likeness.between_min:.2f}; cosine to the nearest real face "
        f"at most {likeness.nearest_real_cosine:.2f}"
    )


@main.command()
@click.argument("ladder", default="omniglot")
@folders
@on_machine
@click.option("--only", help="Train this row's EXPERIMENT alone, and measure nothing.")
@click.option("--as-is", is_flag=True, help="Train nothing: measure and tell what is finished.")
def omniglot(ladder: str, workspace: Workspace, machine: Machine, only: str | None, as_is: bool) -> None:
    """Learn handwritten characters in every way of a LADDER, and tell how well each knows those it never saw.

    LADDER is a name from training/ladders/ (omniglot, omniglot-full, smoke-omniglot) or the path of a TOML file.
    Omniglot is expected in --data, or in data/omniglot under it; smoke-omniglot draws its own. Nothing finished is
    done again.
    """
    from training.omniglot.ladder_run import Climb, load_ladder
    from training.omniglot.report import tell

    climb = Climb(load_ladder(ladder), workspace, machine)
    rows = climb.ladder.rows if only is None else [row for row in climb.ladder.rows if row.experiment == only]
    if not rows:
        raise ExperimentError(
            f"ladder '{climb.ladder.name}' has no row '{only}': it has "
            + ", ".join(row.experiment for row in climb.ladder.rows)
        )
    if not as_is:
        for row in rows:
            climb.fit(row)
    if only is None:
        click.echo(f"report: {tell(climb)}")


def _measure(experiment: Experiment, workspace: Workspace, model: Path | None) -> tuple:
    model = model or workspace.exported(experiment)
    measured = workspace.measure(experiment, workspace.gather(experiment, measure_only=True), model)
    click.echo(f"measured {model}", err=True)
    return measured


def _export(
    experiment: Experiment,
    workspace: Workspace,
    data: object,
    models_dir: Path | None,
    size: tuple[int, int] | None = None,
) -> tuple:
    card, evaluation, parity = workspace.export(experiment, data, models_dir, size)
    click.echo(json.dumps(card.measured, indent=2))
    model = (models_dir or workspace.run_dir(experiment)) / f"{card.name}.tflite"
    click.echo(f"model: {model}, {card.bytes:,} bytes; {parity.summary()}")
    return card, evaluation
