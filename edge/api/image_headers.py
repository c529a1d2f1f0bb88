"""What the bytes of a picture say before anything is decoded: format, size, orientation, and whether all are there."""

import re
import struct
from dataclasses import dataclass

# of HEIF and its like (ISO/IEC 23008-12, AV1 image file format): what phones take pictures in
PHONE_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
FORMATS = "JPEG, PNG, WebP, BMP, TIFF or GIF"

JPEG_SCANS_MAX = 100  # a progressive photo has about ten; each costs a pass over every block of the picture
# A part costs a step in Python, and 4 bytes are enough for one: 4 MB would keep a device busy for a second.
JPEG_SEGMENTS_MAX = 1_000
WEBP_CHUNKS_MAX = 1_000
PNG_CHUNKS_MAX = 100_000  # libpng writes one for every 8 KiB
TIFF_BITS_MAX, TIFF_SAMPLES_MAX = 16, 4  # of a pixel: measurements have more, photos do not
# None, LZW, Deflate (by both its numbers), PackBits. A JPEG inside of a TIFF would bring scans that nobody has counted.
TIFF_COMPRESSIONS = frozenset({1, 5, 8, 32946, 32773})

# ITU-T T.81, B.1: in coded data 0xFF is followed by 0x00 or by a restart marker, D0 to D7.
JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 but the tables
JPEG_SCAN, JPEG_END, JPEG_APP1 = 0xDA, 0xD9, 0xE1
JPEG_BARE = frozenset({0x01, 0xD8})  # markers without a length
PNG_START = b"\x89PNG\r\n\x1a\n"
BMP_PLAIN = frozenset({0, 3})  # compressions of which a row has a known number of bytes
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
TIFF_INTEGERS = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG
WIDTH, HEIGHT, BITS, COMPRESSION, ORIENTATION, SAMPLES = 256, 257, 258, 259, 274, 277  # TIFF 6.0, tags
TILE_WIDTH, TILE_HEIGHT = 322, 323
TIFF_BLOCKS = ((273, 279), (324, 325))  # tags of the offsets and of the byte counts: of strips, of tiles


@dataclass(frozen=True)
class ImageHeader:
    """The header of a picture.

    width_px, height_px: as it is stored, before it is turned
    orientation:    how it is turned to be upright, 1 (not at all) to 8 (EXIF and TIFF, tag 274)
    scans:          of a JPEG; counting stops at the first beyond JPEG_SCANS_MAX
    tile_px:        of a TIFF in tiles, the pixels of one
    problem:        why it cannot be decoded, as the end of a sentence; None where nothing speaks against it
    end:            offset of what follows the picture; None is the end of the bytes
    orientation_at: of a TIFF, the offset of the orientation's two bytes; 0 where it has none
    """

    format: str
    width_px: int = 0
    height_px: int = 0
    orientation: int = 1
    scans: int = 1
    tile_px: int = 0
    problem: str | None = None
    end: int | None = None
    orientation_at: int = 0

    @property
    def decoded_px(self) -> int:
        """How many pixels a decoder makes room for."""
        return max(self.width_px * self.height_px, self.tile_px)


def image_header(encoded: bytes) -> ImageHeader | None:
    """The header of a picture in one of FORMATS; None where the bytes are in none of them."""
    name = format_of(encoded)
    if name is None:
        return None
    try:
        return READERS[name](encoded)
    except struct.error:  # a field lies beyond the last byte
        return ImageHeader(name, problem=f"ends within its header ({len(encoded)} bytes): it was cut off")


def converted_how(encoded: bytes) -> str:
    """How a picture of a phone that is in none of FORMATS becomes one; nothing where it is something else."""
    brand = encoded[8:12]
    if encoded[4:8] != b"ftyp" or brand not in PHONE_BRANDS:
        return ""
    name = PHONE_BRANDS[brand]
    return f": it is {name}; convert it (magick IN.{name.lower()} OUT.jpg), or set the phone to take JPEG"


def format_of(encoded: bytes) -> str | None:
    """The format by its first bytes."""
    if encoded.startswith(b"RIFF"):
        return "WebP" if encoded[8:12] == b"WEBP" else None
    return next((name for start, name in STARTS.items() if encoded.startswith(start)), None)


def read_jpeg(encoded: bytes) -> ImageHeader:
    """Walk from marker to marker up to the end marker (ITU-T T.81, B.1 and B.2.2).

    What follows the end marker belongs to something else: a motion photo has its film there. The end markers of
    thumbnails are inside of segments, which are skipped.
    """
    width = height = scans = 0
    orientation: int | None = None
    place, segments = 2, 0
    problem: str | None = f"ends before its end marker ({len(encoded)} bytes): it was cut off"
    while found := JPEG_MARKER.search(encoded, place):
        marker, place = found[1][0], found.end()
        if marker == JPEG_END:
            problem = None
            break
        if marker in JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", encoded, place)
        if marker in JPEG_FRAMES and not width:
            height, width = struct.unpack_from(">HH", encoded, place + 3)
        elif marker == JPEG_APP1 and orientation is None and encoded.startswith(b"Exif\0\0", place + 2):
            orientation = exif_orientation(encoded[place + 8 : place + length])
        elif marker == JPEG_SCAN:
            scans += 1
        segments += 1
        if scans > JPEG_SCANS_MAX or segments > JPEG_SEGMENTS_MAX:
            problem = f"has more than {JPEG_SEGMENTS_MAX} segments" if scans <= JPEG_SCANS_MAX else None
            break
        place += max(length, 2)
    return ImageHeader("JPEG", width, height, orientation or 1, scans, problem=problem, end=place)


def read_png(encoded: bytes) -> ImageHeader:
    """Walk from chunk to chunk to IEND (PNG, 5.3): OpenCV makes room for all that a chunk claims, up to 4 GB."""
    width, height = struct.unpack_from(">II", encoded, 16)
    orientation, place = 1, len(PNG_START)
    for _ in range(PNG_CHUNKS_MAX):
        if place + 12 > len(encoded):
            break
        length, kind = struct.unpack_from(">I4s", encoded, place)
        if kind == b"eXIf":
            orientation = exif_orientation(encoded[place + 8 : place + 8 + length])
        place += 12 + length
        if kind == b"IEND" and place <= len(encoded):
            return ImageHeader("PNG", width, height, orientation, end=place)
    problem = f"ends before its last chunk does ({len(encoded)} bytes): it was cut off"
    if place + 12 <= len(encoded):
        problem = f"has more than {PNG_CHUNKS_MAX} chunks"
    return ImageHeader("PNG", width, height, orientation, problem=problem)


def read_webp(encoded: bytes) -> ImageHeader:
    """Walk from chunk to chunk of the RIFF file (RFC 9649): the first says the size, EXIF the orientation."""
    (riff,) = struct.unpack_from("<I", encoded, 4)
    if riff + 8 > len(encoded):
        return ImageHeader("WebP", problem=f"has {len(encoded)} bytes of {riff + 8}: it was cut off")
    width, height = webp_size(encoded)
    orientation, place = 1, 12
    for _ in range(WEBP_CHUNKS_MAX):
        if place + 8 > riff + 8:
            return ImageHeader("WebP", width, height, orientation, end=riff + 8)
        kind, length = struct.unpack_from("<4sI", encoded, place)
        if kind == b"EXIF":
            orientation = exif_orientation(encoded[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0"))
        place += 8 + length + length % 2
    return ImageHeader("WebP", width, height, problem=f"has more than {WEBP_CHUNKS_MAX} chunks")


def webp_size(encoded: bytes) -> tuple[int, int]:
    """Width and height from the first chunk: extended, lossless, or lossy (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1)."""
    kind = encoded[12:16]
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", encoded, 24)
        return 1 + (low_w | high_w << 16), 1 + (low_h | high_h << 16)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", encoded, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def read_bmp(encoded: bytes) -> ImageHeader:
    """The size of a bitmap, and whether it has all its rows where they are not compressed."""
    pixels_at, header_bytes = struct.unpack_from("<II", encoded, 10)
    if header_bytes == 12:  # of OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", encoded, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", encoded, 18)
    width, height = abs(width), abs(height)  # a negative height: the upper row comes first
    needed = pixels_at + (width * bits + 31) // 32 * 4 * height
    cut = compression in BMP_PLAIN and needed > len(encoded)
    problem = f"has {len(encoded)} bytes of {needed}: it was cut off" if cut else None
    return ImageHeader("BMP", width, height, problem=problem)


def read_gif(encoded: bytes) -> ImageHeader:
    """The size of the screen that the first frame is drawn on."""
    width, height = struct.unpack_from("<HH", encoded, 6)
    return ImageHeader("GIF", width, height)


def read_tiff(encoded: bytes) -> ImageHeader:
    """The tags of the first picture (TIFF 6.0, 2 and 8), and whether its strips or tiles are all there."""
    order = TIFF_ORDERS[encoded[:4]]
    tags = tiff_tags(encoded, order)
    one = {tag: values[0] for tag, (_, values) in tags.items()}
    bits, samples = max(tags.get(BITS, (0, (1,)))[1]), one.get(SAMPLES, 1)
    end = max(
        (
            offset + count
            for offsets, counts in TIFF_BLOCKS
            for offset, count in zip(tags.get(offsets, (0, ()))[1], tags.get(counts, (0, ()))[1], strict=False)
        ),
        default=0,
    )
    problem = None
    if end > len(encoded):
        problem = f"has {len(encoded)} bytes of {end}: it was cut off"
    elif bits > TIFF_BITS_MAX or samples > TIFF_SAMPLES_MAX:
        problem = f"has {samples} x {bits} bits a pixel; at most {TIFF_SAMPLES_MAX} x {TIFF_BITS_MAX} are decoded"
    elif one.get(COMPRESSION, 1) not in TIFF_COMPRESSIONS:
        problem = f"is compressed in a way that is not decoded ({one[COMPRESSION]}): save it with LZW, or as a PNG"
    orientation = one.get(ORIENTATION, 1)
    return ImageHeader(
        "TIFF",
        one.get(WIDTH, 0),
        one.get(HEIGHT, 0),
        orientation if 1 <= orientation <= 8 else 1,
        tile_px=one.get(TILE_WIDTH, 0) * one.get(TILE_HEIGHT, 0),
        problem=problem,
        orientation_at=tags[ORIENTATION][0] if ORIENTATION in tags else 0,
    )


def exif_orientation(exif: bytes) -> int:
    """The orientation that EXIF data (a TIFF without a picture) give, 1 to 8; 1 where they give none that holds."""
    order = TIFF_ORDERS.get(exif[:4])
    try:
        _, values = tiff_tags(exif, order)[ORIENTATION] if order else (0, (1,))
    except (struct.error, KeyError):
        return 1
    return values[0] if 1 <= values[0] <= 8 else 1


def tiff_tags(encoded: bytes, order: str) -> dict[int, tuple[int, tuple[int, ...]]]:
    """Each tag of the first directory that holds integers: the offset of its values, and the values, at least one.

    order: "<" or ">". Raises struct.error where a value lies beyond the last byte.
    """
    (at,) = struct.unpack_from(f"{order}I", encoded, 4)
    (entries,) = struct.unpack_from(f"{order}H", encoded, at)
    tags: dict[int, tuple[int, tuple[int, ...]]] = {}
    for place in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", encoded, place)
        letter = TIFF_INTEGERS.get(kind)
        if letter is None or not count or tag in tags or tag not in TIFF_TAGS:
            continue
        values_at = place + 8
        if count * struct.calcsize(letter) > 4:
            (values_at,) = struct.unpack_from(f"{order}I", encoded, values_at)
        if count > len(encoded):  # before room is made for what is not there
            raise struct.error("more values than bytes")
        tags[tag] = values_at, struct.unpack_from(f"{order}{count}{letter}", encoded, values_at)
    return tags


TIFF_TAGS = frozenset({WIDTH, HEIGHT, BITS, COMPRESSION, ORIENTATION, SAMPLES, TILE_WIDTH, TILE_HEIGHT}) | {
    tag for pair in TIFF_BLOCKS for tag in pair
}
STARTS = {b"\xff\xd8": "JPEG", PNG_START: "PNG", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF"} | dict.fromkeys(
    TIFF_ORDERS, "TIFF"
)
READERS = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WebP": read_webp,
    "BMP": read_bmp,
    "TIFF": read_tiff,
    "GIF": read_gif,
}
