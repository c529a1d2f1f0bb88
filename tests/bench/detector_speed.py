"""How fast the shipped detector is beside YuNet, its teacher: one thread, one run, in turn, the same 320x320 picture.

    python -m tests.bench.detector_speed [--data ../shared] [--rounds 200]

Decoding and non-maximum suppression are in all of the times. YuNet runs as its users run it (OpenCV's FaceDetectorYN)
and in onnxruntime with this project's decoding; both are left out, by name, where there are no teachers. Look at the
ratios: machines are noisy.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from edge.inference.detector import STANDARD, Detector
from training.data.generated_scenes import drawn_scenery
from training.data.lfw import read_lfw_photos
from training.data.yunet import YuNet
from training.export.partitions import xnnpack_partitions

SQUARE = Path(__file__).parent / "detector-320x320.tflite"  # limen-train export detector --size 320x320


def pictures(data: Path) -> list[np.ndarray]:
    """Ten 320x320 pictures: photographs with a face each, or drawn ones."""
    if (data / "data" / "faces" / "lfw_photos.zip").is_file():
        return [cv2.resize(photo, (320, 320)) for photo in read_lfw_photos(data).images[:10]]
    return [cv2.resize(scene.image, (320, 320)) for scene in drawn_scenery(15, seed=0)[0] if len(scene.faces)]


def yunets(data: Path) -> dict[str, Callable[[np.ndarray], object]]:
    """YuNet in OpenCV and in onnxruntime, or nothing where it is not there."""
    if not (data / "teachers" / "yunet_n_320_320.onnx").is_file():
        print(f"{data / 'teachers'} has no YuNet: no ratio to it")
        return {}
    teacher = YuNet("yunet_n", 320, data / "teachers", score_min=0.6)
    opencv = cv2.FaceDetectorYN.create(str(teacher.path), "", (320, 320), 0.6, 0.3)
    return {
        "YuNet, FaceDetectorYN": opencv.detect,
        "YuNet, onnxruntime": teacher.detect_square,
    }


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--rounds", type=click.IntRange(10), default=200, show_default=True)
def main(data: Path, rounds: int) -> None:
    cv2.setNumThreads(1)
    for model in (STANDARD, SQUARE):
        found = xnnpack_partitions(model)
        print(
            f"{model.stem}: {found.operations} operations, {found.delegated_pieces} piece for XNNPACK, "
            f"{'the whole graph' if found.whole else 'NOT the whole graph'}, {model.stat().st_size:,} bytes"
        )
    square, standard = Detector(SQUARE), Detector(STANDARD)
    frame = np.zeros((480, 640, 3), dtype=np.uint8)
    runs = {
        "limen, 320x320": square.detect,
        **yunets(data),
        "limen, 640x480 frame to 320x240": lambda _: standard.detect(frame),
    }
    seen = pictures(data)
    frame[:] = cv2.resize(seen[0], (640, 480))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 10):
        for name, detect in runs.items():
            picture = seen[turn % len(seen)]
            started = time.perf_counter()
            detect(picture)
            if turn >= 10:  # the first ones warm caches and clocks
                times[name].append(1000 * (time.perf_counter() - started))
    ours = statistics.median(times["limen, 320x320"])
    for name, row in times.items():
        median = statistics.median(row)
        ratio = f"  limen takes {ours / median:.3f} of it" if name.startswith("YuNet") else ""
        print(f"{name:32} min {min(row):7.3f} ms  median {median:7.3f} ms{ratio}")


if __name__ == "__main__":
    main()
