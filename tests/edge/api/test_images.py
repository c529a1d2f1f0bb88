"""The one reader of pictures: what it takes, what it refuses, and what it costs."""

import io
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from edge.api.image_headers import JPEG_SCANS_MAX, JPEG_SEGMENTS_MAX, image_header
from edge.api.images import FILE_PIXELS_MAX, decode, face_jpeg, read_image, read_image_file, small_jpeg
from edge.errors import ImageError, RefusedError

PIXELS_MAX = 10_000
PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
SMOOTH = cv2.resize(np.random.default_rng(1).integers(0, 256, (3, 4, 3), dtype=np.uint8), (40, 30))  # for lossy codecs
TILED = (Image.fromarray(SMOOTH).rotate(90), Image.fromarray(SMOOTH).rotate(180))


def encoded(ending, *options):
    return cv2.imencode(ending, PICTURE[..., ::-1], list(options))[1].tobytes()


def saved(kind, picture=SMOOTH, mode="RGB", **options):
    """The picture as another library writes it."""
    file = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(file, kind, **options)
    return file.getvalue()


def refused(data, pixels_max=PIXELS_MAX):
    with pytest.raises(RefusedError) as found:
        read_image(data, "image 3", pixels_max)
    return found.value.code, str(found.value)


def code_of(data):
    """None for a picture within the limit, else the code of its refusal; nothing else may be raised."""
    try:
        assert read_image(data, "image 3", PIXELS_MAX).size <= 3 * PIXELS_MAX
    except RefusedError as refusal:
        return refusal.code


CODES = {None, "not_an_image", "image_too_large", "image_broken"}
JPEG, PNG = encoded(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95), encoded(".png")
FORMATS = {
    "jpeg": saved("JPEG", quality=95),
    "progressive jpeg": saved("JPEG", quality=95, progressive=True),
    "jpeg with restarts": encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "grey jpeg": saved("JPEG", mode="L"),
    "png": saved("PNG"),
    "png with transparency": saved("PNG", mode="RGBA"),
    "webp": saved("WEBP", quality=95),
    "lossless webp": saved("WEBP", lossless=True),
    "webp with transparency": saved("WEBP", mode="RGBA", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "moving webp": saved("WEBP", save_all=True, append_images=TILED, quality=95),
    "bmp": saved("BMP"),
    "bmp with a palette": saved("BMP", mode="P"),
    "tiff": saved("TIFF"),
    "tiff with lzw": saved("TIFF", compression="tiff_lzw"),
    "tiff with deflate": saved("TIFF", compression="tiff_adobe_deflate"),
    "tiff of two pages": saved("TIFF", save_all=True, append_images=TILED),
    "gif": saved("GIF"),
    "moving gif": saved("GIF", save_all=True, append_images=TILED),
}
READ = sorted(name for name in FORMATS if "gif" not in name or cv2.haveImageWriter(".gif"))  # OpenCV 4.11 has none
MOTION_PHOTO = FORMATS["jpeg"] + b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(500) + b"\xff\xd8\xff\xda" * 500


@pytest.mark.parametrize("name", READ)
def test_every_format_is_read_as_another_library_reads_it(name):
    data = FORMATS[name]
    image = read_image(data, "image 3", PIXELS_MAX)
    expected = np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert image.dtype == np.uint8
    assert image.shape == expected.shape == (30, 40, 3)
    assert np.abs(image - expected).mean() < 2
    header = image_header(data)
    assert (header.width_px, header.height_px, header.problem) == (40, 30, None)


@pytest.mark.parametrize("name", READ)
def test_what_lies_behind_a_picture_is_not_looked_at(name):
    data = FORMATS[name]
    assert (read_image(data + b"more" * 400, "image 3", PIXELS_MAX) == read_image(data, "image 3", PIXELS_MAX)).all()


def test_a_format_that_this_opencv_does_not_read_is_named(monkeypatch):
    monkeypatch.setattr(cv2, "haveImageWriter", lambda _name: False)
    assert refused(saved("GIF")) == (
        "not_an_image",
        f"image 3 is a GIF, which OpenCV {cv2.__version__} of this device does not read: save it as PNG or JPEG",
    )


def test_a_motion_photo_is_its_photo():
    assert (read_image(MOTION_PHOTO, "image 3", PIXELS_MAX) == read_image(FORMATS["jpeg"], "image 3", PIXELS_MAX)).all()
    assert image_header(MOTION_PHOTO).end == len(FORMATS["jpeg"])
    assert image_header(MOTION_PHOTO).scans == 1  # the scans of what follows are not the photo's


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_in_every_format_that_can_say_how_it_is_turned(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    data = saved(kind, exif=exif, **options)
    expected = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)
    image = read_image(data, "image 3", PIXELS_MAX)
    assert image.shape == expected.shape == ((30, 40, 3) if orientation < 5 else (40, 30, 3))
    assert np.abs(image - expected).mean() < 2


def test_a_big_endian_tiff_is_turned_too():
    tags = {256: (3, 40), 257: (3, 30), 258: (3, 8), 259: (3, 1), 262: (3, 1), 273: (4, 8), 274: (3, 6), 277: (3, 1)}
    tags |= {278: (3, 30), 279: (4, 1200)}
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, (kind, value) in tags.items()
    )
    grey = PICTURE[..., 0]
    data = b"MM\0*" + struct.pack(">I", 8 + 1200) + grey.tobytes()
    data += struct.pack(">H", len(tags)) + entries + bytes(4)
    image = read_image(data, "image 3", PIXELS_MAX)
    assert (image == np.rot90(grey, -1)[..., None]).all()


@pytest.mark.parametrize("cut", [0.02, 0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("name", sorted({*READ} - {"tiff of two pages"}))
def test_a_picture_that_was_cut_off_is_broken_wherever(name, cut):
    data = FORMATS[name]
    code, reason = refused(data[: int(len(data) * cut)])
    assert code in {"image_broken", "not_an_image"}  # without its first bytes it is nothing
    assert "image 3" in reason
    if cut >= 0.1 and "gif" not in name:
        assert "cut off" in reason


def test_a_jpeg_without_its_end_is_named():
    assert refused(JPEG[:-2]) == (
        "image_broken",
        f"image 3 is a JPEG of 40x30 px that ends before its end marker ({len(JPEG) - 2} bytes): it was cut off",
    )


def test_the_end_of_a_thumbnail_is_not_the_end_of_its_picture():
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 4 + len(JPEG)) + b"none" + JPEG
    whole = JPEG[:2] + thumbnail + JPEG[2:]
    assert (read_image(whole, "image 3", PIXELS_MAX) == read_image(JPEG, "image 3", PIXELS_MAX)).all()
    assert "cut off" in refused(whole[:-2])[1]


@pytest.mark.parametrize("cut", [9, 60, -1])
def test_a_png_that_ends_before_its_last_chunk_does_is_broken(cut):
    assert "it was cut off" in refused(PNG[:cut])[1]


@pytest.mark.parametrize("kind", [b"IDAT", b"IEND", b"tEXt"])
def test_no_room_is_made_for_a_chunk_that_is_not_there(kind):
    """OpenCV takes 4 GB for a PNG of a thousand bytes that says so, and the kernel ends whoever takes that on a Pi."""
    place = PNG.index(kind) - 4 if kind in PNG else PNG.index(b"IDAT") - 4
    claim = struct.pack(">I", 0xFF000000) + kind
    for data in (PNG[:place] + claim + PNG[place + 8 :], PNG[:place] + claim + PNG[place:]):
        assert "ends before its last chunk does" in refused(data)[1]


def scans(count, width=40, height=30):
    """A progressive JPEG of one colour whose last scan comes again and again."""
    grey = np.full((height, width, 3), 128, np.uint8)
    whole = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    own = image_header(whole).scans
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * (count - own) + whole[-2:]


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded():
    assert read_image(scans(JPEG_SCANS_MAX), "image 3", PIXELS_MAX).shape == (30, 40, 3)
    began = time.perf_counter()
    code, reason = refused(scans(80_000, 4000, 3000), 16_000_000)  # would take a minute
    assert time.perf_counter() - began < 1
    assert code == "image_too_large"
    assert reason == "image 3 is a progressive JPEG of more than 100 scans, which is the limit: save it again"


def test_a_large_jpeg_may_have_fewer_scans_than_a_small_one():
    """Time goes with pixels times scans."""
    assert read_image(scans(20, 400, 300), "image 3", 400 * 300).shape == (300, 400, 3)
    code, reason = refused(scans(21, 400, 300), 400 * 300)
    assert code == "image_too_large"
    assert reason == (
        "image 3 is a progressive JPEG of 400x300 px in 21 scans; in a picture of that size at most 20 are decoded: "
        "save it again"
    )
    assert read_image(scans(40, 400, 300), "image 3", 2 * 400 * 300).shape == (300, 400, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (JPEG[:2] + b"\xff\xe0\0\x02" * (JPEG_SEGMENTS_MAX + 1) + JPEG[2:], "has more than 1000 segments"),
        (
            PNG[:33] + (b"\0\0\0\0tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))) * 100_001 + PNG[33:],
            "more than 100000",
        ),
        (b"RIFF\0\x10\0\0WEBP" + FORMATS["webp"][12:] + b"JUNK\0\0\0\0" * 1_001, "more than 1000 chunks"),
        (saved("TIFF", compression="jpeg"), "is compressed in a way that is not decoded (7)"),  # scans nobody counted
        (saved("TIFF", np.zeros((30, 40), np.float32), "F"), "has 1 x 32 bits a pixel; at most 4 x 16 are decoded"),
    ],
)
def test_what_would_take_long_is_refused_at_its_header(data, says):
    if data.startswith(b"RIFF"):
        data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    began = time.perf_counter()
    code, reason = refused(data)
    assert time.perf_counter() - began < 0.5
    assert (code, says in reason) == ("image_broken", True), reason


def grown(name, at, layout, *size):
    """A picture whose header promises more than it has."""
    data = bytearray(FORMATS[name])
    struct.pack_into(layout, data, data.index(at) + len(at) if isinstance(at, bytes) else at, *size)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        grown("jpeg", b"\xff\xc0\0\x11\x08", ">HH", 30_000, 30_000),
        grown("png", b"IHDR", ">II", 30_000, 30_000),
        grown("webp", 26, "<HH", 16_000, 16_000),
        grown("lossless webp", 21, "<I", 0x0FFFFFFF),
        grown("webp with transparency", 24, "<I", 0xFFFFFF),
        grown("bmp", 18, "<ii", 30_000, -30_000),
        grown("gif", 6, "<HH", 30_000, 30_000),
        grown("tiff", b"\0\x01\x04\0\x01\0\0\0", "<I", 900_000),
    ],
)
def test_the_size_in_the_header_is_the_limit_whatever_the_bytes(data):
    code, reason = refused(data)
    assert code == "image_too_large"
    assert "at most 10000 pixels are decoded" in reason


def test_the_tiles_of_a_tiff_count_as_well():
    entries = {256: 40, 257: 30, 258: 8, 259: 1, 262: 1, 277: 1, 322: 30_000, 323: 30_000, 324: 8, 325: 10}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    data = b"II*\0" + struct.pack("<I", 18) + bytes(10) + struct.pack("<H", len(entries)) + directory + bytes(4)
    assert refused(data)[0] == "image_too_large"


@pytest.mark.parametrize("data", [b"", b"no picture", b"RIFF\x10\0\0\0WAVEfmt ", b"\0\x05\x16\x07\0\x02\0\0Mac OS X"])
def test_what_is_no_picture_is_told_what_is(data):
    code, reason = refused(data)
    assert code == "not_an_image"
    assert reason == f"image 3 is not JPEG, PNG, WebP, BMP, TIFF or GIF ({len(data)} bytes)"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_refused(data):
    for start in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a", b"II*\0", b"MM\0*", JPEG[:100], PNG[:40]):
        assert code_of(start + data) in CODES


@given(st.sampled_from(READ), st.data())
def test_any_change_to_a_picture_is_a_picture_or_refused(name, data):
    changed = bytearray(FORMATS[name])
    for place in data.draw(st.lists(st.integers(0, min(len(changed), 300) - 1), max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    assert code_of(bytes(changed)) in CODES


def test_a_file_is_read_by_the_same_rules(tmp_path):
    for name, data in ((name, FORMATS[name]) for name in READ):
        (tmp_path / name).write_bytes(data)
        assert (read_image_file(tmp_path / name) == read_image(data, "image 3", FILE_PIXELS_MAX)).all()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.jpg", "there is no picture {path}"),
        ("folder.jpg", "{path} is no file"),
        ("notes.jpg", "{path} is not JPEG, PNG, WebP, BMP, TIFF or GIF (5 bytes)"),
        ("cut.jpg", "{path} is a JPEG of 40x30 px that ends before its end marker"),
        ("huge.png", "{path} is 30000x30000 px; at most 200000000 pixels are decoded"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, says):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "notes.jpg").write_bytes(b"notes")
    (tmp_path / "cut.jpg").write_bytes(JPEG[:-2])
    (tmp_path / "huge.png").write_bytes(grown("png", b"IHDR", ">II", 30_000, 30_000))
    with pytest.raises(ImageError) as found:
        read_image_file(tmp_path / name)
    assert says.format(path=tmp_path / name) in str(found.value)


def test_a_jpeg_that_leaves_is_small():
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    assert len(small_jpeg(noise, 640)) <= 64 * 1024
    assert read_image(small_jpeg(noise, 640), "image 3", 400_000).shape == (480, 640, 3)


def test_a_face_is_cut_out_with_something_around_it():
    scene = np.zeros((400, 400, 3), np.uint8)
    scene[100:200, 200:300] = 200
    face = read_image(face_jpeg(scene, (0.5, 0.25, 0.25, 0.25)), "image 3", 400_000)
    assert face.shape == (200, 200, 3)
    assert (face[60:140, 60:140] > 180).all()
    assert (face[:40] < 20).all()


@pytest.mark.parametrize(("brand", "name"), [(b"heic", "HEIC"), (b"mif1", "HEIC"), (b"avif", "AVIF")])
def test_a_picture_of_a_phone_that_is_not_read_is_named_with_what_to_do(brand, name):
    with pytest.raises(RefusedError, match=f"it is {name}; convert it") as refused:
        read_image(b"\0\0\0\x18ftyp" + brand + bytes(20), "image 1", 1000)
    assert refused.value.code == "not_an_image"


@pytest.mark.parametrize(
    ("text", "raised"),
    [("(-4:Insufficient memory) Failed to allocate 9 bytes", MemoryError), ("(-215:Assertion failed) w > 0", None)],
)
def test_an_error_of_memory_is_told_by_its_own_text(monkeypatch, text, raised):
    """Another thread may raise an error of another kind in between, and OpenCV keeps the code in the class."""
    monkeypatch.setattr(cv2.error, "code", -215 if raised else -4, raising=False)
    error = cv2.error(f"OpenCV(5.0.0) /src/alloc.cpp:73: error: {text} in function 'f'")

    def imdecode(*_):
        raise error

    monkeypatch.setattr(cv2, "imdecode", imdecode)
    header = image_header(encoded(".png"))
    if raised:
        with pytest.raises(raised):
            decode(encoded(".png"), header)
    else:
        assert decode(encoded(".png"), header) is None
