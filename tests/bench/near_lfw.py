"""Ask the teacher again which crops of the training packs are near a person of LFW, and compare with what is kept.

    python -m tests.bench.near_lfw [--data ../shared] [--write]

Status 1 where they differ. --write keeps what was found.
"""

import json
import sys
from pathlib import Path

import click
import numpy as np

from training.data.lfw import read_lfw
from training.data.near_lfw import KNOWN, conditions, near_lfw
from training.data.places import Places
from training.data.splits import leaks
from training.engine.encoder_experiment import EmbedderExperiment
from training.engine.experiment_files import load_experiment


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
@click.option("--write", is_flag=True, help="Keep what was found.")
def main(data: Path, cache: Path, write: bool) -> None:
    """Ask and compare."""
    experiment = load_experiment("embedder")
    assert isinstance(experiment, EmbedderExperiment)
    places, cosine_max = Places(data, cache), experiment.data.leak_cosine_max
    teacher, lfw = places.teacher(str(experiment.data.teacher)), read_lfw(data, cache).pack
    packs, same = {}, True
    for name in sorted(experiment.data.packs):
        pack = places.pack(name)
        embeddings, of_lfw = teacher.embed_pack(pack), teacher.embed_pack(lfw)
        found = leaks(embeddings, of_lfw, cosine_max)
        agrees = np.array_equal(found, near_lfw(teacher, pack, lfw, cosine_max))
        same = same and agrees
        click.echo(f"{name:14} {found.sum():5} of {len(found):6} crops {'as kept' if agrees else 'not as kept'}")
        nearest = (embeddings[found] @ of_lfw.T).argmax(axis=1)  # (F, D) @ (D, M) -> (F,)
        packs[name] = {"pack": pack.digest(), "rows": np.nonzero(found)[0].tolist(), "nearest": nearest.tolist()}
    if write:
        known = {"conditions": conditions(teacher, lfw, cosine_max), "packs": packs}
        KNOWN.write_text(json.dumps(known) + "\n")
    elif not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
