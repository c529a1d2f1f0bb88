"""limen-train: fit, export, evaluate, report."""

import os
from pathlib import Path

import click

from edge.errors import LimenError


class Commands(click.Group):
    """A group whose commands print a LimenError as one line and end with status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LimenError as error:
            raise click.ClickException(" ".join(str(error).split())) from error


DATA = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    default=Path("../shared"),
    show_default=True,
    help="Folder with data/faces/*.zip and teachers/*.onnx, or, for source = 'folder', your own <person>/*.jpg.",
)
CACHE = click.option(
    "--cache",
    "cache_dir",
    type=click.Path(path_type=Path),
    default=Path(".cache"),
    show_default=True,
    help="Where decoded packs and teacher embeddings are kept.",
)
RUNS = click.option(
    "--runs",
    "runs_dir",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where checkpoints, logs and reports of runs are kept, one folder per experiment.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Learn a similarity function, quantize it, and measure what ships.

    EXPERIMENT is a name from training/experiments/ or the path of a TOML file like those.
    """


@main.command()
@click.argument("experiment")
@DATA
@CACHE
@RUNS
@click.option("--threads", type=click.IntRange(1), default=None, help="Compute threads per process  [all cores]")
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Processes that load and augment.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Processes or GPUs on this machine.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "32-true", "bf16-mixed"]),
    default="auto",
    show_default=True,
    help="auto: bfloat16 where the processor multiplies it faster, else float32.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def fit(
    experiment: str,
    data_dir: Path,
    cache_dir: Path,
    runs_dir: Path,
    threads: int | None,
    workers: int,
    devices: int,
    nodes: int,
    precision: str,
    quiet: bool,
) -> None:
    """Train EXPERIMENT, from its last checkpoint if it was interrupted."""
    from training.config import load_experiment

    wanted = load_experiment(experiment)

    import json

    import torch
    from lightning_fabric import Fabric

    from training.data.training_set import Places, gather
    from training.embedding import fit_embedder
    from training.trainer import RunPlan

    threads = threads or max(1, (os.cpu_count() or 1) // devices)
    torch.set_num_threads(threads)
    fabric = Fabric(
        accelerator="auto",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=best_precision() if precision == "auto" else precision,
    )
    fabric.launch()
    run_dir = runs_dir / wanted.name
    run_dir.mkdir(parents=True, exist_ok=True)
    if fabric.is_global_zero:  # the first to look decodes and asks the teacher; the others find it cached
        gather(wanted, Places(data_dir, cache_dir))
    fabric.barrier()
    training_set = gather(wanted, Places(data_dir, cache_dir))
    (run_dir / "data.json").write_text(json.dumps(training_set.account, indent=2))
    if not quiet and fabric.is_global_zero:
        click.echo(json.dumps(training_set.account, indent=2), err=True)
    fit_embedder(wanted, training_set, RunPlan(run_dir, workers, quiet), fabric, runs_dir)


def best_precision() -> str:
    """bf16-mixed where the hardware has bfloat16 products (twice the images/s on a CPU with AVX-512 BF16)."""
    import torch

    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
