"""The time of each kind of block, on the device's runtime and in training, at equal work.

    python -m tests.bench.backbones [--threads 1] [--rounds 100] [--seconds 6]

The weights are random: only time is measured. training/embedder/backbone.py quotes the results.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import msgspec
import numpy as np

import training  # noqa: F401  sets how OpenMP waits, before torch is imported

import torch  # isort: skip

from edge.inference.runtime import Graph
from training.embedder.backbone import Backbone
from training.engine.encoder_experiment import BackboneConfig
from training.engine.experiment_files import load_experiment
from training.engine.learner import to_network
from training.engine.machine import best_precision
from training.export.convert import to_float_tflite, to_int8_tflite
from training.export.counts import count_macs, count_parameters
from training.export.output import output_into


def candidates() -> dict[str, BackboneConfig]:
    shipped, lite = (load_experiment(name).backbone for name in ("embedder", "embedder-lite"))
    return {
        "dense (embedder)": shipped,
        "depthwise, equal MACs": msgspec.structs.replace(
            shipped, block="depthwise", stem=64, widths=(64, 64, 128, 128), blocks=(1, 4, 4, 2), head=512
        ),
        "dense (embedder-lite)": lite,
    }


def training_images_per_second(backbone: Backbone, seconds: float, batch: int = 64) -> float:
    backbone = backbone.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(backbone.parameters())
    images = to_network(torch.randint(0, 256, (batch, 112, 112, 3), dtype=torch.uint8))
    done, started = -2, time.perf_counter()
    while done < 1 or time.perf_counter() - started < seconds:
        with torch.autocast("cpu", torch.bfloat16, enabled=best_precision() == "bf16-mixed"):
            loss = backbone(images).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        if done == 0:
            started = time.perf_counter()
    return done * batch / (time.perf_counter() - started)


@click.command()
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(10), default=100, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="Of training, for each.")
def main(threads: int, rounds: int, seconds: float) -> None:
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    graphs, lines = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in candidates().items():
            backbone = Backbone(config)
            macs = count_macs(backbone, (config.input_px, config.input_px, config.channels))
            lines[name] = (
                f"{macs / 1e6:5.0f} MMAC  {count_parameters(backbone) / 1e6:4.2f} M parameters"
                f"  training {training_images_per_second(backbone, seconds):4.0f} images/s"
            )
            float_model, model = Path(folder) / "float.tflite", Path(folder) / f"{len(graphs)}.tflite"
            with output_into(Path(folder) / "log"):
                to_float_tflite(backbone, (112, 112, 3), float_model)
                to_int8_tflite(float_model, [image], model)
            graphs[name] = Graph(model)
        times = {name: [] for name in graphs}
        for _ in range(rounds):
            for name, graph in graphs.items():
                started = time.perf_counter()
                graph.run(image)
                times[name].append(1000 * (time.perf_counter() - started))
    first = statistics.median(next(iter(times.values())))
    for name, row in times.items():
        median = statistics.median(row)
        print(f"{name:24} {lines[name]}  int8 median {median:6.3f} ms  {median / first:.2f} of the first")


if __name__ == "__main__":
    main()
