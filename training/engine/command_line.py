"""What the commands of limen-train share: errors as one line, and the options for folders and machine."""

import functools
from collections.abc import Callable
from errno import EACCES, ENOSPC, EPIPE, EROFS
from pathlib import Path

import click

from edge.errors import ExperimentError, LimenError
from training.engine.experiment_files import load_experiment, with_weights
from training.engine.machine import Machine
from training.engine.workspace import Workspace

Command = Callable[..., None]
Size = tuple[int, int]


class Commands(click.Group):
    """A group whose commands print a LimenError, and what the system refuses, as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except OSError as error:
            if error.errno is None or error.errno == EPIPE:  # whoever read the output has left: click ends then
                raise
            raise click.ClickException(refused_by_system(error)) from error
        except ModuleNotFoundError as error:
            package = (error.name or "training").split(".")[0]
            if package in {"edge", "training"}:
                raise  # an error of ours; no installation helps
            raise click.ClickException(
                f"{package} is not installed: pip install torch==2.13.0, then pip install -e '.[training]'; "
                "tests/run makes an environment with it"
            ) from error
        except KeyboardInterrupt as stop:
            raise click.ClickException("stopped; the same fit command continues from the last checkpoint") from stop


def refused_by_system(error: OSError) -> str:
    """'FILE: reason', and what helps where that is known."""
    what = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    helps = {
        ENOSPC: "; free some space there",
        EROFS: "; give another --runs, --cache or --to",
        EACCES: "; give another --runs, --cache or --to, or change its permissions",
    }
    return f"{what or 'a file'}: {error.strerror}{helps.get(error.errno or 0, '')}"


class SizeType(click.ParamType):  # type: ignore[type-arg]
    """WIDTHxHEIGHT in pixels."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """'320x240' -> (320, 240)."""
        words = str(value).split("x")
        if len(words) != 2 or not all(word.isdigit() and int(word) >= 32 and int(word) % 8 == 0 for word in words):
            self.fail(f"{value!r} is not WIDTHxHEIGHT, each a multiple of 8 and at least 32", param, ctx)
        return int(words[0]), int(words[1])


def folder_option(name: str, key: str, default: str | None, text: str) -> Callable[[Command], Command]:
    """An option that takes a folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option(name, key, type=kind, default=default, show_default=default is not None, help=text)


def folders(command: Command) -> Command:
    """Add --data, --cache and --runs; the command gets them as a Workspace."""

    @functools.wraps(command)
    def with_workspace(data_dir: Path, cache_dir: Path, runs_dir: Path, **options: object) -> None:
        command(workspace=Workspace(data_dir, cache_dir, runs_dir), **options)

    decorated: Command = with_workspace
    for add in (
        folder_option("--runs", "runs_dir", "runs", "Checkpoints, logs, models and reports, a folder per experiment."),
        folder_option("--cache", "cache_dir", ".cache", "Decoded packs and the teachers' embeddings and labels."),
        folder_option(
            "--data",
            "data_dir",
            "../shared",
            "Has data/faces/*.zip, data/scenes/*.zip, data/omniglot and teachers/*.onnx; for source = 'folder', your "
            "own <person>/*.jpg.",
        ),
    ):
        decorated = add(decorated)
    return decorated


FROM = click.option(
    "--from",
    "weights",
    help="Start with these weights, as from_weights in EXPERIMENT does: a name in training/weights/, or a .safetensors "
    "file.",
)


def in_workspace(command: Command) -> Command:
    """Add EXPERIMENT, --from and the folders; the command gets them as an Experiment and a Workspace."""

    @folders
    @functools.wraps(command)
    def with_experiment(experiment: str, weights: str | None, **options: object) -> None:
        if weights == "":
            raise ExperimentError("--from is empty: expected a name in training/weights/, or a .safetensors file")
        loaded = load_experiment(experiment)
        command(experiment=loaded if weights is None else with_weights(loaded, weights), **options)

    return click.argument("experiment")(FROM(with_experiment))


def on_machine(command: Command) -> Command:
    """Add the options for the use of the machine; the command gets them as a Machine."""

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

    decorated: Command = with_machine
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
            "--workers", type=click.IntRange(0, 1024), help="Loading processes  [default: 1; with a GPU, all cores]"
        ),
        click.option(
            "--threads", type=click.IntRange(1, 1024), help="Compute threads of each process  [default: all cores]"
        ),
    ):
        decorated = add(decorated)
    return decorated
