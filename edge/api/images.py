"""Pictures on the wire: how large one is that comes is read from its header, before anything is decoded."""

import struct

import cv2
import numpy as np

from edge.errors import RefusedError

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 but the tables (ITU-T T.81, table B.1)
SENT_BYTES_MAX = 64 * 1024
FACE_PX_MAX = 400
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
    if encoded.startswith(PNG) and not _png_ends(encoded):
        raise RefusedError("image_broken", f"{what} ends before its last chunk does ({len(encoded)} bytes)")
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


def _png_ends(encoded: bytes) -> bool:
    """Walk from chunk to chunk to IEND (PNG, 5.3): OpenCV makes room for all that a chunk claims, up to 4 GB."""
    place = len(PNG)
    while place + 12 <= len(encoded):
        length, kind = struct.unpack(">I4s", encoded[place : place + 8])
        place += 12 + length
        if kind == b"IEND":
            return place <= len(encoded)
    return False


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


def face_jpeg(image: np.ndarray, box: tuple[float, float, float, float]) -> bytes:
    """The face in (H, W, 3) uint8 RGB with something around it, as a JPEG of at most 64 KiB.

    box: left, top, width, height as shares of the picture
    """
    height, width = image.shape[:2]
    left, top, wide, high = box
    rows = slice(max(0, int((top - high / 2) * height)), int((top + 1.5 * high) * height))
    columns = slice(max(0, int((left - wide / 2) * width)), int((left + 1.5 * wide) * width))
    return small_jpeg(image[rows, columns], FACE_PX_MAX)


def small_jpeg(image: np.ndarray, px_max: int) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG of at most 64 KiB whose longer side is at most that long."""
    scale = min(1.0, px_max / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    for quality in (90, 70, 40, 10):
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= SENT_BYTES_MAX:
            break
    return encoded
