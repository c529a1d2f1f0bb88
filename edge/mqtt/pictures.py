"""Pictures that came over the wire: how large they are is read from their header, before anything is decoded."""

import struct

import cv2
import numpy as np

from edge.errors import RefusedError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 but the tables (ITU-T T.81, table B.1)
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


def decode_picture(encoded: bytes, what: str, pixels_max: int) -> np.ndarray:
    """JPEG or PNG bytes -> (H, W, 3) uint8 RGB. pixels_max: what is left of those that one request may hold.

    Raises RefusedError with not_an_image, image_too_large or image_broken; the text names what and the limit.
    """
    size = header_size(encoded)
    if size is None:
        raise RefusedError("not_an_image", f"{what} is neither JPEG nor PNG ({len(encoded)} bytes)")
    width, height = size
    if width * height > pixels_max:
        raise RefusedError(
            "image_too_large",
            f"{what} is {width}x{height} px; of one request at most {pixels_max} pixels more are decoded",
        )
    if not width * height:
        raise RefusedError("image_broken", f"{what} is {width}x{height} px")
    image = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    # A JPEG that was cut off decodes to a picture that is grey from there on: a face may be in the part that is there,
    # but what was sent is not what was meant.
    if image is None or (encoded.startswith(JPEG) and b"\xff\xd9" not in encoded[-64:]):
        raise RefusedError("image_broken", f"{what} cannot be decoded: {width}x{height} px, {len(encoded)} bytes")
    return image


def header_size(encoded: bytes) -> tuple[int, int] | None:
    """Width and height as the header says, or None where it is neither JPEG nor PNG."""
    if encoded.startswith(PNG):
        return struct.unpack(">II", encoded[16:24]) if len(encoded) >= 24 and encoded[12:16] == b"IHDR" else None
    return _jpeg_size(encoded) if encoded.startswith(JPEG) else None


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Walk from marker to marker to the frame header (ITU-T T.81, B.1 and B.2.2)."""
    place = 2
    while place + 9 <= len(encoded):
        if encoded[place] != 0xFF:
            return None
        marker = encoded[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in JPEG_BARE:
            place += 2
        elif marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", encoded[place + 5 : place + 9])
            return width, height
        else:
            place += 2 + struct.unpack(">H", encoded[place + 2 : place + 4])[0]
    return None
