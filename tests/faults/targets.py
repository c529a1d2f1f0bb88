"""What fuzzing tries: for each, where inputs come from, and what may come of them. Anything else is a finding."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edge.api.answers import Answer, refusal_answer
from edge.api.discovery import discovery_json
from edge.api.image_headers import image_header
from edge.api.images import read_image
from edge.api.requests import VERBS
from edge.api.topics import Topics
from edge.api.verbs import Limits, convert_request, decode_json, request_type, transaction_of
from edge.commands.config_file import load_config
from edge.config import Config
from edge.core.graphemes import count_characters
from edge.core.names import NAME_BYTES_MAX, NAME_MAX, clean_name, levels_of, printable
from edge.errors import ConfigError, ModelError, RefusedError
from edge.inference.model_card import DetectorCard, EmbedderCard, read_card
from edge.mqtt.asked import read_answer
from tests.faults import inputs
from tests.faults.porch import Porch

PICTURE_KB_MAX = 100_000  # of memory, for one of 200,000 pixels
LIMITS = Limits(request_bytes_max=200_000, image_pixels_max=200_000)
TOPICS = Topics("porch")
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0+#")  # what a broker lets pass
LEVELS = st.text(LETTERS, max_size=12)
PREFIXES = st.sampled_from(["limen/porch/request", "limen/porch/person", "limen/porch", "limen/porch2/request", ""])
VERB_NAMES = st.sampled_from(sorted(VERBS)) | LEVELS


@dataclass(frozen=True)
class Target:
    """share: of all executions; outcome: from an input to what came of it, in a word."""

    name: str
    share: float
    inputs: st.SearchStrategy
    outcome: Callable[[object], str]


def asked() -> st.SearchStrategy[tuple[str, bytes]]:
    """A verb and a payload, mostly one that was meant for it."""
    meant = st.sampled_from(sorted(VERBS)).flatmap(
        lambda verb: st.tuples(st.just(verb), inputs.requests_of(VERBS[verb]))
    )
    return st.one_of(meant, meant, meant, meant, st.tuples(VERB_NAMES, st.binary(max_size=100)))


def read(asked: tuple[str, bytes]) -> str:
    """A request, to the typed value that it is, or to the answer that says why not."""
    verb, payload = asked
    transaction = None
    try:
        request_type(verb)
        value = decode_json(verb, payload)
        transaction = transaction_of(value)
        request = convert_request(verb, value)
        assert request.transaction == transaction
    except RefusedError as refusal:
        said = json.loads(refusal_answer(refusal, transaction).json())
        return refusal.code if said["error"] else "without a reason"
    return "ok"


def picture(encoded: bytes) -> str:
    """A picture is as large as its header says, or none; and no room is made for more."""
    before = memory_kb(fresh=True)
    try:
        image = read_image(encoded, "image", LIMITS.image_pixels_max)
    except RefusedError as refusal:
        return refusal.code
    finally:
        taken = memory_kb() - before
        assert taken < PICTURE_KB_MAX, f"{taken} kB for a picture of {len(encoded)} bytes"
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    header = image_header(encoded)
    assert header is not None
    assert image.size == 3 * header.width_px * header.height_px <= 3 * LIMITS.image_pixels_max
    return "ok"


def memory_kb(*, fresh: bool = False) -> int:
    """The most that this process has had since it was last asked for it afresh."""
    if fresh:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def topic(parts: tuple[str, list[str]]) -> str:
    """What is a request has an answer's topic, that fits."""
    name = "/".join([parts[0], *parts[1]])
    verb, person = TOPICS.verb_of(name), TOPICS.person_of(name)
    assert verb is None or person is None
    if verb is None:
        return "person" if person is not None else "neither"
    assert len(TOPICS.response(verb).encode()) < 65_536
    return "request"


def introduced(names: list[str]) -> str:
    """Home Assistant is told of each person once, by a slug that is a level of a topic."""
    people = {}
    for name in names:
        with suppress(RefusedError):
            people[clean_name(name).casefold()] = clean_name(name)
    by_id = {f"p_{number:08x}": name for number, name in enumerate(people.values())}
    levels = levels_of(by_id)
    told = json.loads(discovery_json(TOPICS, "1", {levels[one]: name for one, name in by_id.items()}, ["gone!"]))
    seen = [part for key, part in told["cmps"].items() if key.startswith("seen_") and key != "seen_gone!"]
    assert [part["name"] for part in seen] == [f"{name} last seen" for name in people.values()]
    assert all(re.fullmatch("[a-z0-9_-]{1,64}", TOPICS.person_of(part["stat_t"])) for part in seen)
    return "somebody" if people else "nobody"


def named(name: str) -> str:
    """A name is refused with its reason, or is kept: composed, within its limits, and safe to print."""
    try:
        clean = clean_name(name)
    except RefusedError as refusal:
        said = str(refusal)
        return "refused" if printable(said) == said and len(said) < 400 else f"refused with {said!r}"
    assert clean_name(clean) == clean == unicodedata.normalize("NFC", clean).strip()
    assert printable(clean) == clean
    assert len(clean.encode()) <= NAME_BYTES_MAX
    assert 1 <= count_characters(clean) <= NAME_MAX
    (level,) = levels_of({"p_0": clean}).values()
    assert re.fullmatch("[a-z0-9-]{1,64}|p_0", level)
    return "a name"


def answer(payload: bytes) -> str:
    """What a device answers, or something else on its topic."""
    return "unreadable" if read_answer(payload) is None else "ok"


def file_targets(folder: Path) -> Iterator[Target]:
    """What is read from files."""
    toml, model = folder / "limen.toml", folder / "model.tflite"
    model.write_bytes(b"a model")

    def configuration(text: bytes) -> str:
        toml.write_bytes(text)
        try:
            load_config(toml)
        except ConfigError:
            return "ConfigError"
        return "ok"

    def card(kind: type) -> Callable[[bytes], str]:
        def outcome(text: bytes) -> str:
            model.with_suffix(".json").write_bytes(text)
            try:
                known = read_card(model, kind)
                if isinstance(known, EmbedderCard):
                    known.tau_within(1e-4)
            except ModelError:
                return "ModelError"
            return "ok"

        return outcome

    yield Target("configuration", 0.06, inputs.toml_of(Config), configuration)
    for kind, share in ((EmbedderCard, 0.05), (DetectorCard, 0.02)):
        yield Target(f"model card ({kind.__name__})", share, inputs.cards_of(kind, model), card(kind))


def desk_target(porch: Porch) -> Target:
    """Any bytes on any topic that the device hears."""
    request = asked().map(lambda asked: (f"limen/porch/request/{asked[0]}", asked[1]))
    others = st.sampled_from(["homeassistant/status", "limen/porch/person/anna", "limen/porch/request"])
    message = st.tuples(
        st.one_of(request, request, request, st.tuples(others, st.binary(max_size=20) | st.just(b"online"))),
        st.sampled_from([False, False, False, True]),
        st.none() | LEVELS | st.just("limen/answers/of/one"),
    )

    def outcome(message: tuple) -> str:
        (topic, payload), retain, answer_to = message
        answers = porch.hear(topic, payload, retain=retain, answer_to=answer_to)
        return (answers[0]["code"] or answers[0]["status"]) if answers else "no request"

    return Target("desk, door and gallery", 0.06, message, outcome)


TARGETS = (
    Target("requests", 0.24, asked(), read),
    Target("pictures", 0.18, inputs.pictures(), picture),
    Target("topics", 0.05, st.tuples(PREFIXES, st.lists(LEVELS, max_size=4)), topic),
    Target("discovery", 0.04, st.lists(st.text(max_size=70) | inputs.NAMES, max_size=4), introduced),
    Target("names", 0.10, inputs.names(), named),
    Target("answers", 0.06, inputs.payloads(inputs.whatever_holds(Answer)), answer),
)
