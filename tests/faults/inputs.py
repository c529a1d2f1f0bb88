"""Inputs that fuzzing tries: what holds, derived from the types themselves; the same, broken; and anything."""

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import cv2
import msgspec
import numpy as np
import tomli_w
from hypothesis import strategies as st
from msgspec import inspect as types

from edge.demo.story import portrait
from edge.inference.detector import STANDARD as DETECTOR
from edge.inference.embedder import STANDARD as EMBEDDER
from edge.inference.model_card import EmbedderCard

HUGE = 2**63, -(2**64), 10**400, 1e308, -1e-320, float("nan"), float("inf"), float("-inf")
TEXTS = "", "\0", "\ud800", "null", "Zoë", "unknown", "x" * 200, "a/b", "+", "#", "\u202e", "{{ 1/0 }}", "'; --"
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(HUGE) | st.text(max_size=20) | st.sampled_from(TEXTS)
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
DEEP = 50, 2_000, 100_000


def whatever_holds(kind: object) -> st.SearchStrategy:
    """Builtin values that msgspec reads as that type."""
    return _holding(types.type_info(kind))


def _holding(info: types.Type) -> st.SearchStrategy:
    """A type that nothing is known of here is a KeyError: teach this table."""
    return HOLDING[type(info)](info)


def _fields(info: types.StructType | types.DataclassType) -> st.SearchStrategy:
    must = {field.encode_name: _holding(field.type) for field in info.fields if field.required}
    may = {field.encode_name: _holding(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(must, optional=may)


def _text(info: types.StrType) -> st.SearchStrategy:
    if info.pattern is not None:
        return st.from_regex(info.pattern, fullmatch=True).filter(lambda text: len(text) <= (info.max_length or 99))
    if info.max_length is None and info.min_length is None:  # as pictures have it
        return st.text(max_size=20) | pictures().map(lambda picture: base64.b64encode(picture).decode())
    return st.text(min_size=info.min_length or 0, max_size=min(info.max_length or 20, 20)) | NAMES


def _several(info: types.ListType | types.VarTupleType | types.FrozenSetType) -> st.SearchStrategy:
    return st.lists(_holding(info.item_type), min_size=info.min_length or 0, max_size=min(info.max_length or 3, 3))


def _number(info: types.FloatType) -> st.SearchStrategy:
    low, high = (info.ge if info.gt is None else info.gt), (info.le if info.lt is None else info.lt)
    return st.floats(low, high, exclude_min=info.gt is not None, exclude_max=info.lt is not None, allow_nan=False)


HOLDING: dict[type, Callable[[types.Type], st.SearchStrategy]] = {
    types.StructType: _fields,
    types.DataclassType: _fields,
    types.UnionType: lambda info: st.one_of([_holding(one) for one in info.types]),
    types.ListType: _several,
    types.VarTupleType: _several,
    types.TupleType: lambda info: st.tuples(*map(_holding, info.item_types)).map(list),
    types.FrozenSetType: _several,
    types.BytesType: lambda _info: st.binary(max_size=40),
    types.DictType: lambda info: st.dictionaries(_holding(info.key_type), _holding(info.value_type), max_size=4),
    types.StrType: _text,
    types.IntType: lambda info: st.integers(
        info.ge if info.gt is None else info.gt + 1, info.le if info.lt is None else info.lt - 1
    ),
    types.FloatType: _number,
    types.LiteralType: lambda info: st.sampled_from(info.values),
    types.BoolType: lambda _info: st.booleans(),
    types.NoneType: lambda _info: st.none(),
    types.AnyType: lambda _info: ANYTHING,
    types.DateTimeType: lambda _info: st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    types.CustomType: lambda _info: st.text(max_size=20),  # paths
}


NAMES = st.sampled_from(["Anna", "anna", "Otto", "Zoë", "Zoe", " Bob ", "unknown", "e\u0301", "\u00e9", "李", "a" * 64])


# Joiners, viramas and what they stand between; emoji, flags, tags; letters and marks of many kinds; what is refused.
PIECES = st.sampled_from(
    [
        *"\u200c\u200d\u094d\u0dca\u09cdकরیر\u07ca\u0651\ufe0f👩\U0001fae8🏽🇩🏴\U000e0067\U000e007f",
        *"각\u1100\u0301\u0345aBß\u0131 -.李葛\U000e0100\U0001d56c",
        *"\u202e\u2066\x1b\x9b\n\u2028\ud800\ue000\u0378\ufeff\u3164",
        "unknown",
    ]
)


def names() -> st.SearchStrategy[str]:
    """Names, and what is like one."""
    anything = st.characters(codec=None)
    whole = st.lists(PIECES | anything, max_size=12).map("".join)
    return st.one_of(whole, whole, st.text(anything, max_size=80), st.tuples(whole, st.integers(1, 400)).map(repeated))


def repeated(piece: tuple[str, int]) -> str:
    """A piece so many times."""
    return piece[0] * piece[1]


@cache
def requests_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[bytes]:
    """Payloads of a request of that type: three in ten hold."""
    return payloads(whatever_holds(kind))


def payloads(value: st.SearchStrategy) -> st.SearchStrategy[bytes]:
    """JSON of what holds, JSON of what does not, and bytes."""
    good = value.map(lambda value: json.dumps(value).encode())
    broken = st.tuples(value, st.randoms(use_true_random=False), ANYTHING, st.sampled_from(sorted(BREAKS))).map(
        lambda parts: BREAKS[parts[3]](parts[0], parts[1], parts[2])
    )
    flipped = st.tuples(st.one_of(good, broken), flips()).map(lambda parts: apply(parts[1], parts[0]))
    return st.one_of(good, good, broken, broken, flipped, st.binary(max_size=200))


def written(value: object) -> bytes:
    """JSON, with whatever Python can write that JSON does not know: NaN, lone surrogates."""
    return json.dumps(value).encode()


def _wrong_type(value: dict, random: object, other: object) -> bytes:
    key = random.choice(sorted(value) or ["transaction"])
    return written({**value, key: other})


def _without(value: dict, random: object, _other: object) -> bytes:
    gone = random.choice(sorted(value) or [""])
    return written({key: part for key, part in value.items() if key != gone})


def _more(value: dict, random: object, other: object) -> bytes:
    return written({**value, random.choice(TEXTS): other})


def _twice(value: dict, random: object, other: object) -> bytes:
    key = random.choice(sorted(value) or ["transaction"])
    return b"{" + json.dumps(key).encode() + b": " + written(other) + b", " + written(value)[1:]


def _deep(value: dict, random: object, _other: object) -> bytes:
    key, opening, count = random.choice(sorted(value) or [""]), random.choice(["[", '{"a":']), random.choice(DEEP)
    closing = {"[": "]", '{"a":': "}"}[opening] if random.random() < 0.5 else ""
    body = f"{opening * count}1{closing * count}".encode()
    return (written(value)[:-1] + b", " + json.dumps(key).encode() + b": " + body + b"}").replace(b"{, ", b"{")


def _inside(value: dict, random: object, other: object) -> bytes:
    return written(random.choice([[value], other, {"a": value}, str(value)]))


def _raw_text(value: dict, random: object, _other: object) -> bytes:
    return written(value).replace(b'"', random.choice([b'"\0', b'"\xff', b'"\xed\xa0\x80', b'"\\ud800', b"'"]), 2)


BREAKS: dict[str, Callable[[dict, object, object], bytes]] = {
    "a wrong type": _wrong_type,
    "a field too few": _without,
    "a field too many": _more,
    "a field twice": _twice,
    "without end": _deep,
    "elsewhere": _inside,
    "text that is none": _raw_text,
}


@dataclass(frozen=True)
class Flips:
    """What is done to bytes; places are shares of their length."""

    at: list[tuple[float, int]]
    cut: float | None
    more: bytes


def flips() -> st.SearchStrategy[Flips]:
    """A few bytes are others, the end is missing, or there is more of it."""
    places = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))
    return st.builds(Flips, st.lists(places, max_size=6), st.none() | st.floats(0, 1), st.binary(max_size=4))


def apply(flips: Flips, data: bytes) -> bytes:
    """Those flips."""
    changed = bytearray(data)
    for share, value in flips.at:
        if changed:
            changed[int(share * len(changed))] = value
    end = len(changed) if flips.cut is None else int(flips.cut * len(changed))
    return bytes(changed[:end]) + flips.more


@cache
def good_pictures() -> tuple[bytes, ...]:
    """A few hundred bytes each, of every kind that is taken and of some that are not; and somebody's portrait."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (24, 17, 3), np.uint8)
    options = [
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]),
        (".png", []),
        (".webp", []),
        (".bmp", []),
        (".tiff", []),
        (".ppm", []),
        (".gif", []),
    ]
    shapes = image, image[..., 0], np.dstack([image, image[..., 0]])
    encoded = [cv2.imencode(suffix, image, how)[1].tobytes() for suffix, how in options]
    encoded += [cv2.imencode(".png", shape)[1].tobytes() for shape in shapes]
    moving = cv2.Animation()
    moving.frames, moving.durations = [shapes[2]] * 2, [10] * 2
    encoded += [cv2.imencodeanimation(".png", moving)[1].tobytes()]
    encoded += [
        cv2.imencode(".jpg", shapes[1])[1].tobytes(),
        cv2.imencode(".png", image.astype(np.uint16))[1].tobytes(),
    ]
    return (*encoded, portrait(0, look=2.0))


def pictures() -> st.SearchStrategy[bytes]:
    """Pictures, damaged or not, whose header may lie about their size; and what is none."""
    good = st.sampled_from(good_pictures())
    damaged = st.tuples(flips(), good).map(lambda parts: apply(*parts))
    lying = st.tuples(good, SIDES, SIDES).map(lambda parts: lie(*parts))
    claiming = st.tuples(good, SIDES, st.integers(0, 2)).map(lambda parts: claim(*parts))
    return st.one_of(
        good, damaged, damaged, lying, claiming, st.binary(max_size=64).map(lambda data: b"\xff\xd8" + data)
    )


def claim(picture: bytes, length: int, number: int) -> bytes:
    """The same picture, with another length of one of its chunks or segments."""
    kinds, packed = (b"\xff\xdb", b"\xff\xc4", b"\xff\xda"), struct.pack(">H", length & 0xFFFF)
    if picture.startswith(b"\x89PNG"):
        kinds, packed = (b"IDAT", b"IEND", b"fcTL"), struct.pack(">I", length)
    place = picture.find(kinds[number])
    place += 2 if len(packed) == 2 else -4
    return picture[:place] + packed + picture[place + len(packed) :] if place > 2 else picture


SIDES = st.sampled_from([0, 1, 2, 255, 4000, 65_535, 65_536, 2**20, 2**20 + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1])


def lie(picture: bytes, width: int, height: int) -> bytes:
    """The same picture, with another size in its header; a PNG's is given the checksum that belongs to it."""
    if picture.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", width, height) + picture[24:29]
        return picture[:12] + header + struct.pack(">I", zlib.crc32(header)) + picture[33:]
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        place = picture.find(marker)
        if picture.startswith(b"\xff\xd8") and place > 0:
            return picture[: place + 5] + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF) + picture[place + 9 :]
    if picture.startswith(b"BM"):
        return picture[:18] + struct.pack("<II", width, height) + picture[26:]
    if picture.startswith((b"GIF", b"RIFF")):
        place = 6 if picture.startswith(b"GIF") else 26  # of a lossy WebP; of a lossless one its bits are others
        return picture[:place] + struct.pack("<HH", width & 0xFFFF, height & 0xFFFF) + picture[place + 4 :]
    if picture.startswith(b"II*\0"):
        for tag, value in ((256, width), (257, height)):
            place = picture.find(struct.pack("<H", tag), 8)
            picture = picture[: place + 2] + struct.pack("<HII", 4, 1, value) + picture[place + 12 :]
    return picture


def toml_of(kind: type) -> st.SearchStrategy[bytes]:
    """TOML of such a configuration, of one with other values in it, and of nothing."""
    values = whatever_holds(kind)
    flat = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=10), st.just([[]]))
    extra = st.dictionaries(st.sampled_from(["mqtt", "devise", "camera", "device", ""]), flat, max_size=2)
    mixed = st.tuples(values, extra).map(lambda parts: {**parts[0], **parts[1]})
    good = st.one_of(values, mixed).map(lambda value: tomli_w.dumps(without_none(value)).encode())
    return st.one_of(good, st.tuples(flips(), good).map(lambda parts: apply(*parts)), st.binary(max_size=60), NESTED)


def without_none(value: dict) -> dict:
    """TOML has none."""
    return {
        key: without_none(part) if isinstance(part, dict) else part for key, part in value.items() if part is not None
    }


NESTED = st.sampled_from(DEEP).map(lambda count: b"a = " + b"[" * count)


def cards_of(kind: type, model: Path) -> st.SearchStrategy[bytes]:
    """JSON of a card of that model, damaged or not."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    shipped = json.loads((EMBEDDER if kind is EmbedderCard else DETECTOR).with_suffix(".json").read_bytes())
    own = st.just({**shipped, "sha256": digest})
    drawn = whatever_holds(kind).map(lambda value: {**value, "sha256": digest})
    numbered = st.tuples(drawn, POINTS).map(lambda parts: with_points(*parts))
    return payloads(st.one_of(own, own, drawn, numbered))


SHARES = st.sampled_from(["1e-5", "0.001", "0.01", "1", "1.0", "0", "-1", "nan", "inf", "x"])
POINTS = st.dictionaries(SHARES, st.floats(0, 4), max_size=3)


def with_points(card: dict, points: dict) -> dict:
    """Other distances at other FMRs."""
    return {**card, "impostors": {**card["impostors"], "distance_at_fmr": points}} if "impostors" in card else card
