"""Pictures that take long to read, for their bytes: what an attacker would send."""

import struct
import zlib

import cv2
import numpy as np

SCANS = 80_000
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def slow_images(size: int) -> dict[str, bytes]:
    """One of each kind, of size x size pixels; that of SCANS scans is refused for its header."""
    return {
        "a PNG in seven passes": interlaced_png(size),
        "a progressive JPEG of 20 scans": jpeg_of_scans(size, 20),
        "a PNG with filters": filtered_png(size),
        f"a progressive JPEG of {SCANS} scans": jpeg_of_scans(size, SCANS),
        "a lossless WebP": webp(size),
    }


def interlaced_png(size: int) -> bytes:
    """A flat PNG of size x size pixels in seven passes (PNG, 8.2)."""
    rows = bytearray()
    for left, top, across, down in ADAM7:
        width, height = -(-(size - left) // across), -(-(size - top) // down)
        rows += bytes(height * (1 + 3 * width))
    return png(size, bytes(rows), interlaced=True)


def filtered_png(size: int) -> bytes:
    """A flat PNG of size x size pixels, each of which is predicted from three others (PNG, 9.4: Paeth)."""
    return png(size, (b"\4" + bytes(3 * size)) * size, interlaced=False)


def png(size: int, rows: bytes, *, interlaced: bool) -> bytes:
    """A PNG of size x size pixels with these rows, each with its filter before it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg_of_scans(size: int, scans: int) -> bytes:
    """A flat progressive JPEG whose last scan is there again and again."""
    flat = np.full((size, size, 3), 128, np.uint8)
    encoded = cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = encoded[encoded.rindex(b"\xff\xda") : -2]
    return encoded[:-2] + last * (scans - encoded.count(b"\xff\xda")) + encoded[-2:]


def webp(size: int) -> bytes:
    """A flat lossless WebP of size x size pixels."""
    return cv2.imencode(".webp", np.full((size, size, 3), 128, np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
