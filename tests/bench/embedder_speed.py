"""How fast the shipped embedders are beside the teacher they learned from: one thread, one run, in turn.

    python -m tests.bench.embedder_speed [--teacher ../shared/teachers/kw_mobilefacenet.onnx] [--rounds 200]

The teacher is left out, by name, where its file is not there. Look at the ratios: machines are noisy.
"""

import statistics
import time
from pathlib import Path

import click
import numpy as np

from edge.inference.embedder import LITE, STANDARD, Embedder
from training.data.generated import draw_face
from training.export.partitions import xnnpack_partitions


def teacher_session(path: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    pixels = np.zeros((1, 3, 112, 112), dtype=np.float32)
    return lambda: session.run(None, {name: pixels})


@click.command()
@click.option("--teacher", type=click.Path(path_type=Path), default=Path("../shared/teachers/kw_mobilefacenet.onnx"))
@click.option("--rounds", type=click.IntRange(10), default=200, show_default=True)
def main(teacher: Path, rounds: int) -> None:
    crop = draw_face(np.random.default_rng(0))
    runs = {}
    for model in (STANDARD, LITE):
        embedder = Embedder(model)
        runs[model.stem] = lambda embedder=embedder: embedder.embed(crop)
        found = xnnpack_partitions(model)
        print(
            f"{model.stem}: {found.operations} operations, {found.delegated_pieces} piece for XNNPACK, "
            f"{'the whole graph' if found.whole else 'NOT the whole graph'}, {model.stat().st_size:,} bytes"
        )
    if teacher.is_file():
        runs[teacher.stem] = teacher_session(teacher)
    else:
        print(f"{teacher} is not there: no ratio to it")
    times = {name: [] for name in runs}
    for turn in range(rounds + 10):
        for name, embed in runs.items():
            started = time.perf_counter()
            embed()
            if turn >= 10:  # the first ones warm caches and clocks
                times[name].append(1000 * (time.perf_counter() - started))
    reference = statistics.median(times[teacher.stem]) if teacher.stem in times else None
    for name, row in times.items():
        median = statistics.median(row)
        ratio = f"  {median / reference:.3f} of the teacher's" if reference else ""
        print(f"{name:24} min {min(row):7.3f} ms  median {median:7.3f} ms{ratio}")


if __name__ == "__main__":
    main()
