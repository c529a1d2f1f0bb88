"""Pictures as bytes: one reader for those that come, over MQTT or from a file, and the JPEGs that leave."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.api.image_headers import FORMATS, JPEG_SCANS_MAX, ImageHeader, converted_how, image_header
from edge.core.codes import Code
from edge.errors import ImageError, RefusedError
from edge.system.files import exists, is_file

RgbImage = NDArray[np.uint8]  # (H, W, 3)

SENT_BYTES_MAX = 64 * 1024
FACE_PX_MAX = 400
CROP_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)
SCANS_OF_LARGEST = 20  # in the largest picture that is decoded; a smaller one may have more, for the same time
FILE_PIXELS_MAX = 200_000_000  # of a picture on the device's own disk
FILE_BYTES_MAX = 200_000_000
# cv2.Error.StsNoMem in the text of an error. cv2.error.code cannot be asked: it is an attribute of the class, which the
# last error of any thread has written.
OUT_OF_MEMORY = "(-4:"

# A picture that cannot be decoded is named in one line of ours; OpenCV would write several of its own beside it.
for module in (cv2, getattr(cv2.utils, "logging", None)):  # of OpenCV 4, of OpenCV 5
    getattr(module, "setLogLevel", int)(0)


def read_image(encoded: bytes, what: str, pixels_max: int) -> RgbImage:
    """Decode a picture in one of FORMATS, upright, the first frame of one that moves.

    what:       the picture's name in messages
    pixels_max: what is left of the pixels that one request may hold; read from the header, before anything is decoded

    Returns (H, W, 3) uint8 RGB. Raises RefusedError with not_an_image, image_too_large, image_too_costly or
    image_broken; the text names the picture and the limit.
    """
    header = image_header(encoded)
    if header is None:
        raise RefusedError(Code.NOT_AN_IMAGE, f"{what} is not {FORMATS} ({len(encoded)} bytes){converted_how(encoded)}")
    size = f"{header.width_px}x{header.height_px} px"
    if header.decoded_px > pixels_max:
        raise RefusedError(
            Code.IMAGE_TOO_LARGE, f"{what} is {size}; at most {pixels_max} pixels are decoded: make it smaller"
        )
    if header.scans > JPEG_SCANS_MAX:
        raise RefusedError(
            Code.IMAGE_TOO_LARGE,
            f"{what} is a progressive JPEG of more than {JPEG_SCANS_MAX} scans, which is the limit: save it again",
        )
    if header.scans * header.decoded_px > SCANS_OF_LARGEST * pixels_max:
        raise RefusedError(
            Code.IMAGE_TOO_LARGE,
            f"{what} is a progressive JPEG of {size} in {header.scans} scans; in a picture of that size at most "
            f"{SCANS_OF_LARGEST * pixels_max // header.decoded_px} are decoded: save it again",
        )
    if header.problem is not None:
        of_size = f" of {size}" if header.width_px or header.height_px else ""
        raise RefusedError(Code.IMAGE_BROKEN, f"{what} is a {header.format}{of_size} that {header.problem}")
    if header.format == "GIF" and not cv2.haveImageWriter(".gif"):  # OpenCV asks of a reader only for a file
        raise RefusedError(
            Code.NOT_AN_IMAGE,
            f"{what} is a GIF, which OpenCV {cv2.__version__} of this device does not read: save it as PNG or JPEG",
        )
    if not header.decoded_px:
        raise RefusedError(Code.IMAGE_BROKEN, f"{what} is {size}")
    try:
        image = decode(encoded, header)
    except MemoryError as error:
        raise RefusedError(
            Code.IMAGE_TOO_COSTLY, f"{what} is {size}, for which there is not enough memory: make it smaller"
        ) from error
    if image is None:
        raise RefusedError(Code.IMAGE_BROKEN, f"{what} cannot be decoded: {size}, {len(encoded)} bytes")
    return upright(image, header.orientation)


def read_image_file(path: Path, pixels_max: int = FILE_PIXELS_MAX) -> RgbImage:
    """Decode a picture on the device's own disk, by the rules of read_image. Raises ImageError that names the file."""
    try:
        if not is_file(path):  # neither a folder nor a device that gives bytes for ever
            raise ImageError(f"{path} is no file" if exists(path) else f"there is no picture {path}")
        length = path.stat().st_size
        if length > FILE_BYTES_MAX:
            raise ImageError(f"{path} has {length} bytes; at most {FILE_BYTES_MAX} are read")
        return read_image(path.read_bytes(), str(path), pixels_max)
    except PermissionError as error:  # in the words of every other file that this user may not open
        raise ImageError(f"{path} is not for this user to read or write") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error
    except RefusedError as refusal:
        raise ImageError(str(refusal)) from refusal


def decode(encoded: bytes, header: ImageHeader) -> RgbImage | None:
    """(H, W, 3) uint8 RGB as it is stored, not turned; None where OpenCV cannot. Raises MemoryError."""
    if header.orientation_at:
        # OpenCV turns a TIFF whatever it is asked, and not all eight ways in every version: it is told that there is
        # nothing to turn.
        at, one = header.orientation_at, b"\1\0" if encoded.startswith(b"II") else b"\0\1"
        encoded = encoded[:at] + one + encoded[at + 2 :]
    data = np.frombuffer(encoded, dtype=np.uint8)[: header.end]
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if OUT_OF_MEMORY in str(error):
            raise MemoryError from error
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def upright(image: RgbImage, orientation: int) -> RgbImage:
    """(H, W, 3) -> the same turned and mirrored as the orientation, 1 to 8, asks (EXIF 3.0, tag 274)."""
    if orientation in {5, 6, 7, 8}:
        image = image.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        image = image[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        image = image[::-1]
    return np.ascontiguousarray(image)


def face_jpeg(image: np.ndarray, box: tuple[float, float, float, float]) -> bytes:
    """The face in (H, W, 3) uint8 RGB with something around it, as a JPEG of at most 64 KiB.

    box: left, top, width, height as shares of the picture
    """
    height, width = image.shape[:2]
    left, top, wide, high = box
    rows = slice(max(0, int((top - high / 2) * height)), int((top + 1.5 * high) * height))
    columns = slice(max(0, int((left - wide / 2) * width)), int((left + 1.5 * wide) * width))
    return small_jpeg(image[rows, columns], FACE_PX_MAX)


def crop_jpeg(crop: np.ndarray) -> bytes:
    """(112, 112, 3) uint8 RGB as a JPEG that encodes nearly as the crop itself does."""
    return cv2.imencode(".jpg", crop[..., ::-1], CROP_JPEG)[1].tobytes()


def jpeg_pixels(encoded: bytes) -> RgbImage | None:
    """(H, W, 3) uint8 RGB of a JPEG of our own; None where it is damaged."""
    image = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else image.astype(np.uint8, copy=False)


def small_jpeg(image: np.ndarray, px_max: int) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG of at most 64 KiB whose longer side is at most that long."""
    scale = min(1.0, px_max / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    for quality in (90, 70, 40, 10):
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= SENT_BYTES_MAX:
            break
    return encoded
