"""Films that are written on the spot."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from edge.capture.decoders import pyav

FPS, FRAMES = 20.0, 60

needs_pyav = pytest.mark.skipif(pyav() is None, reason="PyAV is not installed, which writes or reads what this needs")


def written(path, codec="mp4v", size=(160, 120), frames=FRAMES):
    """A film of noise with a bright upper left corner."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, size)
    for _ in range(frames):
        image = cv2.GaussianBlur(rng.integers(0, 200, (size[1], size[0], 3), dtype=np.uint8), (0, 0), 3)
        image[: size[1] // 4, : size[0] // 4] = 255
        writer.write(image)
    writer.release()
    return path


def interlaced(path, codec):
    """A film of fields, as television and old cameras have."""
    av, rng = pyav(), np.random.default_rng(0)
    options = {"x264-params": "interlaced=1"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.flags |= 1 << 29 | 1 << 18  # AV_CODEC_FLAG_INTERLACED_ME, _DCT
        for _ in range(FRAMES):
            image = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def h264(shape, frames):
    """Packets of a film of a circle that moves, as a camera streams them."""
    av = pyav()
    codec = av.CodecContext.create("libx264", "w")
    (codec.height, codec.width), codec.pix_fmt, codec.time_base = shape, "yuv420p", Fraction(1, 25)
    codec.gop_size, codec.options = 10, {"tune": "zerolatency"}
    packets = []
    for number in range(frames):
        image = np.random.default_rng(number).integers(0, 60, (*shape, 3), dtype=np.uint8)
        cv2.circle(image, (shape[1] // 2, shape[0] // 2), 25, (255, 255, 255), -1)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        packets += map(bytes, codec.encode(frame))
    return packets + list(map(bytes, codec.encode()))


def all_of(source):
    frames = []
    while (frame := source.read(2.0)) is not None:
        frames.append(frame)
    return frames


def damaged(path, film):
    data = bytearray(film.read_bytes())
    third, half = len(data) // 3, len(data) // 2
    data[third:half] = np.random.default_rng(0).bytes(half - third)
    path.write_bytes(data)
    return path


PICTURE = np.full((120, 160, 3), 90, np.uint8)
