"""Frame to verdict beside the pipeline that a user would otherwise write: one thread, one run, the same footage.

    python -m tests.bench.pipeline_speed [--data ../shared] [--clip sister.mkv] [--frames 150]

YuNet and the MobileFaceNet teacher in OpenCV (FaceDetectorYN and DNN) and in onnxruntime; in all three every face is
embedded on every frame and compared with a gallery of ten people. Then what the tracks save on top: the door as it
ships embeds undecided faces only. Look at the ratios: machines are noisy.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig
from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.types import Frame
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.runtime.assembly import Device
from training.data.faces import LANDMARKS
from training.data.yunet import YuNet

DIMENSION = 128


def ours(gallery: np.ndarray) -> Callable[[np.ndarray], int]:
    """limen without tracks: detect every face, look at it closer, align, embed and compare."""
    detector, embedder = Detector(), Embedder()

    def look(image: np.ndarray) -> int:
        faces = detector.detect(image)
        for face in faces:
            crop = align(image, look_closer(image, face, detector).landmarks)
            gallery @ embedder.embed(crop)  # (10, D) @ (D,) -> (10,)
        return len(faces)

    return look


def in_opencv(teachers: Path, gallery: np.ndarray) -> Callable[[np.ndarray], int]:
    """FaceDetectorYN at 320x320 and the MobileFaceNet in OpenCV DNN."""
    detector = cv2.FaceDetectorYN.create(str(teachers / "yunet_n_320_320.onnx"), "", (320, 320), 0.6, 0.3)
    network = cv2.dnn.readNetFromONNX(str(teachers / "kw_mobilefacenet.onnx"))

    def look(image: np.ndarray) -> int:
        square = np.zeros((320, 320, 3), dtype=np.uint8)
        square[:240] = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
        faces = detector.detect(np.ascontiguousarray(square[..., ::-1]))[1]
        for row in () if faces is None else faces:
            crop = align(image, row[4:14].reshape(5, 2) * 2)
            network.setInput(cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True))
            encoding = network.forward().ravel()
            gallery @ (encoding / np.linalg.norm(encoding))
        return 0 if faces is None else len(faces)

    return look


def in_onnxruntime(teachers: Path, gallery: np.ndarray) -> Callable[[np.ndarray], int]:
    """The same two networks in onnxruntime."""
    import onnxruntime

    detector = YuNet("yunet_n", 320, teachers, score_min=0.6)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(teachers / "kw_mobilefacenet.onnx", options, ["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name

    def look(image: np.ndarray) -> int:
        square = np.zeros((320, 320, 3), dtype=np.uint8)
        square[:240] = cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)
        faces = detector.detect_square(square)
        for row in faces:
            crop = align(image, row[LANDMARKS].reshape(5, 2) * 2)
            blob = cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
            encoding = session.run(None, {entry: blob})[0].ravel()
            gallery @ (encoding / np.linalg.norm(encoding))
        return len(faces)

    return look


def with_tracks(folder: Path, frames_per_second: float) -> Callable[[np.ndarray], int]:
    """The door as it ships."""
    door = Device.open(Config(gallery=GalleryConfig(folder / "gallery.db"))).recognizer
    at = 0.0

    def look(image: np.ndarray) -> int:
        nonlocal at
        at += 1 / frames_per_second
        door.process(Frame(image, at))
        return len(door.tracker.tracks)

    return look


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--clip", default="sister.mkv", show_default=True)
@click.option("--frames", type=click.IntRange(30), default=150, show_default=True)
def main(data: Path, clip: str, frames: int) -> None:
    cv2.setNumThreads(1)
    path, teachers = data / "data" / "clips" / clip, data / "teachers"
    if not path.is_file() or not (teachers / "kw_mobilefacenet.onnx").is_file():
        raise click.ClickException(f"{data} has no clip {clip} or no teachers: nothing to compare with")
    source = open_source(CameraConfig("video", str(path), fps_max=30.0), fast=True, loop=True)
    footage = [source.read(1.0).image for _ in range(frames)]
    gallery = np.random.default_rng(0).normal(size=(10, DIMENSION)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    with TemporaryDirectory() as folder:
        runs = {
            "limen, every face on every frame": ours(gallery),
            "YuNet + MobileFaceNet, OpenCV": in_opencv(teachers, gallery),
            "YuNet + MobileFaceNet, onnxruntime": in_onnxruntime(teachers, gallery),
            "limen as it ships, with tracks": with_tracks(Path(folder), 15.0),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        faces = dict.fromkeys(runs, 0)
        for turn, image in enumerate(footage):
            for name, look in runs.items():
                started = time.perf_counter()
                faces[name] += look(image)
                if turn >= 10:  # the first ones warm caches and clocks
                    times[name].append(1000 * (time.perf_counter() - started))
    first = statistics.median(next(iter(times.values())))
    print(f"{clip}, {frames} frames of {footage[0].shape[1]}x{footage[0].shape[0]}")
    for name, row in times.items():
        median = statistics.median(row)
        ratio = f"  limen takes {first / median:.3f} of it" if name.startswith("YuNet") else ""
        p95 = float(np.percentile(row, 95))
        print(f"{name:36} median {median:7.3f} ms  p95 {p95:7.3f} ms  {faces[name]} faces{ratio}")


if __name__ == "__main__":
    main()
