"""What release 1 wrote is still read: its databases, configuration, exports and messages; see fixtures/release-1.

The commands, the configuration and MQTT stay as they are. What is called by name within edge is in the four functions
below, which are to be adapted where edge changes.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import is_dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from tests.household import until

ROOT = Path(__file__).parent.parent
RELEASE = Path(__file__).parent / "fixtures" / "release-1"
WRITTEN_BY_HAND = ("limen.toml", "porch.toml", "mqtt-password", "signing-key", "household.key")
MODEL = ("embedder.tflite", "embedder.json")  # of release 1: templates are of one model
NEAR = 0.06  # d of crops by another detector than release 1 had; who is named does not hang on it


def config_of(path):
    from edge.commands.config_file import load_config

    return load_config(path)


def templates_of(path):
    """Of each template its owner and embedding, and the pixels of all crops."""
    from edge.storage.gallery import SqliteGallery
    from edge.storage.strangers import SqliteStrangers

    store = SqliteGallery(path, EXPECTED["models"]["embedder"])
    (_, people), (_, strangers) = store.load(), SqliteStrangers(store).load()
    kinds = [("negative" if one.negative else "template", one) for one in people]
    kinds += [("stranger_template", one) for one in strangers]
    templates = {one.template_id: (kind, one.person_id, one.embedding) for kind, one in kinds}
    crops = dict(store.crops())
    store.close()
    return templates, crops


def revisions_of(path):
    """Everything that the household's cameras agree on, by person id."""
    from edge.storage.gallery import SqliteGallery
    from edge.storage.replication import SqliteReplication

    store = SqliteGallery(path, EXPECTED["models"]["embedder"])
    revisions = {
        who: msgspec.to_builtins(revision) for who, revision in SqliteReplication(store, "porch").revisions.items()
    }
    store.close()
    return revisions


def outbox_of(path):
    """Seq, id, payload and expiry of what waits; how many events wait, how many were pushed out, and the next seq."""
    from edge.storage.outbox import Outbox

    outbox = Outbox(path, events_max=100)
    events = [(entry.seq, entry.event_id, json.loads(entry.payload), entry.expires_at) for entry in outbox.take(100)]
    depth, dropped = outbox.depth, outbox.dropped
    following = outbox.put(lambda _seq, _event_id: b"{}", 0.0).seq
    outbox.close()
    return events, depth, dropped, following


EXPECTED = json.loads((RELEASE / "expected.json").read_text(encoding="utf-8"))
ANSWERS = {entry["verb"]: entry["answer"]["data"] for entry in EXPECTED["answers"]}  # of one verb, the last
STRANGERS = ANSWERS["unknown/list"]["strangers"]
# Release 1 said of nobody whom they are alike, and learned nothing.
PEOPLE = ANSWERS["person/list"] | {
    "people": [person | {"relative": None, "learned": 0} for person in ANSWERS["person/list"]["people"]]
}


def as_now(lines):
    """What release 1 printed, in the words of now."""
    return [
        re.sub(
            r"^(\d+ (?:person|people); tau [\d.]+)$",
            r"\1 (match threshold: d <= tau is the same person)",
            re.sub(r"(\d+) (template|people)(?:\(s\)|s)?", plural, line).replace("made anew", "rebuilt"),
        )
        for line in lines
    ]


def plural(found):
    count, noun = int(found[1]), found[2]
    one, several = ("person", "people") if noun == "people" else (noun, f"{noun}s")
    return f"{count} {one if count == 1 else several}"


@pytest.fixture
def folder(tmp_path):
    """Copies of all files, as if they had been written just now."""
    copies = tmp_path / "release"
    shutil.copytree(RELEASE, copies)
    use_model_of_release_1(copies)
    since = time.time() - EXPECTED["made_at"]
    with closing(sqlite3.connect(copies / "gallery.db")) as db, db:
        db.execute("UPDATE answer SET at = at + ?", (since,))
        db.execute("UPDATE nonce SET timestamp_ms = timestamp_ms + ?", (int(1000 * since),))
        db.execute("UPDATE stranger SET last_seen = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')")
        db.execute("UPDATE setting SET value = value + ? WHERE name = 'last_known_time'", (int(since),))
    return copies


@pytest.fixture
def another(tmp_path):
    """A folder with the configuration and the keys, and with no database."""
    other = tmp_path / "another"
    other.mkdir()
    for name in (*WRITTEN_BY_HAND, *MODEL):
        shutil.copy(RELEASE / name, other)
    use_model_of_release_1(other)
    return other


def use_model_of_release_1(folder):
    models = '[models]\nembedder = "embedder.tflite"\n'
    (folder / "here.toml").write_text(f'clock = "trusted"\n{models}')
    porch = folder / "porch.toml"
    porch.write_text(f"{porch.read_text()}\n{models}")


def limen(folder, *arguments, status=0):
    """The lines that the command says."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.splitlines()


HERE = ("--config", "here.toml", "--gallery", "gallery.db")


def faces_in(lines):
    """(name, d, tau) of every line."""
    found = [re.fullmatch(r"(.+)  d ([\d.]+), tau ([\d.]+)", line).groups() for line in lines]
    return sorted((name, float(distance), float(tau)) for name, distance, tau in found)


def check_identified(folder, gallery, expected):
    for picture, lines in expected.items():
        said, wanted = faces_in(limen(folder, *gallery, "identify", f"pictures/{picture}")), faces_in(lines)
        assert [name for name, _, _ in said] == [name for name, _, _ in wanted], picture
        assert np.allclose([values for _, *values in said], [values for _, *values in wanted], rtol=0, atol=NEAR)


def test_the_people_are_who_they_were(folder):
    assert limen(folder, *HERE, "people") == as_now(EXPECTED["people"])
    check_identified(folder, HERE, EXPECTED["identify"])
    for picture, line in EXPECTED["verify"].items():
        same = line.startswith("same person")
        (said,) = limen(folder, *HERE, "verify", "pictures/li.jpg", f"pictures/{picture}", status=0 if same else 1)
        assert np.allclose(numbers(said), numbers(line), rtol=0, atol=NEAR)


def numbers(line):
    return [float(number) for number in re.findall(r"\d+\.\d+", line)]


def test_the_record_is_what_it_was_and_grows(folder):
    kept = EXPECTED["audit"]
    assert limen(folder, *HERE, "audit")[: len(kept)] == kept
    as_json = [json.loads(line) for line in limen(folder, *HERE, "audit", "--json")][: len(kept)][-2:]
    assert [{**said, **wanted} for said, wanted in zip(as_json, EXPECTED["audit_of_last_two"], strict=True)] == as_json
    limen(folder, *HERE, "forget", "Anna")
    assert limen(folder, *HERE, "audit")[: len(kept)] == kept
    assert "remove" in limen(folder, *HERE, "audit", "--last", "1")[0]


def test_every_template_and_picture_is_there(folder):
    with closing(sqlite3.connect(folder / "gallery.db")) as db:
        stored = [row for table in TABLES for row in db.execute(f"SELECT id, crop FROM {table}")]  # noqa: S608 -- ours
    pngs = {template_id: png for template_id, png in stored if png is not None}
    templates, crops = templates_of(folder / "gallery.db")
    assert templates.keys() == EXPECTED["templates"].keys() == dict(stored).keys()
    for template_id, wanted in EXPECTED["templates"].items():
        kind, owner, embedding = templates[template_id]
        assert (kind, owner) == (wanted["kind"], wanted["of"])
        embedding_bytes = np.ascontiguousarray(embedding, dtype="<f4").tobytes()
        assert hashlib.sha256(embedding_bytes).hexdigest() == wanted["embedding_sha256"]
        assert (template_id in crops) == (wanted["crop_sha256"] is not None)
    assert crops.keys() == pngs.keys()
    for template_id, png in pngs.items():
        assert hashlib.sha256(png).hexdigest() == EXPECTED["templates"][template_id]["crop_sha256"]
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.array_equal(crops[template_id], pixels)


TABLES = ("template", "negative", "stranger_template")


def test_templates_can_be_made_anew_from_the_pictures(folder):
    assert limen(folder, *HERE, "rebuild") == as_now(EXPECTED["rebuild"])
    assert limen(folder, *HERE, "people") == as_now(EXPECTED["people"])
    check_identified(folder, HERE, EXPECTED["identify"])


def test_by_the_model_that_ships_now_everybody_with_a_picture_is_rebuilt(folder):
    (folder / "now.toml").write_text('clock = "trusted"\n')
    by = ("--config", "now.toml", "--gallery", "gallery.db")
    assert limen(folder, *by, "rebuild") == [
        "6 templates rebuilt",
        "2 of another model have no picture: enroll those people again, or go back",
    ]
    assert [name for name, _, _ in faces_in(limen(folder, *by, "identify", "pictures/two.jpg"))] == ["Zoë", "unknown"]


def test_the_household_agrees_on_what_it_agreed_on(folder):
    revisions = revisions_of(folder / "gallery.db")
    assert revisions.keys() == EXPECTED["revisions"].keys()
    for who, wanted in EXPECTED["revisions"].items():
        assert {key: sorted(said) if key in SETS else said for key, said in revisions[who].items()} == wanted


SETS = ("templates", "negatives", "removed")


def test_an_export_is_taken_in(folder):
    other = ("--config", "here.toml", "--gallery", "other.db")
    assert limen(folder, *other, "people", "import", "people.limen") == as_now([EXPECTED["import_of_all"]])
    assert limen(folder, *other, "people") == as_now(EXPECTED["people_after_import"])
    check_identified(folder, other, EXPECTED["identify_after_import"])
    assert limen(folder, *HERE, "people", "import", "people.limen") == as_now([EXPECTED["import_of_known"]])


def test_the_events_wait_and_are_counted_on(folder):
    events, depth, dropped, following = outbox_of(folder / "outbox.db")
    wanted = EXPECTED["outbox"]
    assert events == [tuple(event.values()) for event in EXPECTED["events"]]
    assert (depth, dropped, following) == (wanted["depth"], wanted["dropped"], wanted["last_seq"] + 1)
    kinds = {(payload["event_type"], payload["phase"]) for _, _, payload, _ in events}
    assert {kind for kind, _ in kinds} == {"recognized", "unknown", "ignored", "low_quality", "enrolled", "forgotten"}
    assert {phase for _, phase in kinds} == {"new", "update", "end"}


def test_every_key_of_the_configuration_means_what_it_meant(folder):
    config = config_of(folder / "limen.toml")
    check_set(config, EXPECTED["config"])


def check_set(config, wanted, place=""):
    for key, value in wanted.items():
        if isinstance(value, dict):
            check_set(getattr(config, key), value, f"{place}{key}.")
        else:
            assert plain(getattr(config, key)) == value, f"{place}{key}"


def plain(value):
    """As JSON has it."""
    assert not is_dataclass(value)
    if isinstance(value, Path):
        return str(value)
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def test_the_commands_go_by_the_configuration(folder):
    for suffix in ("tflite", "json"):
        shutil.copy(ROOT / "edge" / "models" / f"detector.{suffix}", folder)
    by = ("--config", "limen.toml")
    *people, total = limen(folder, *by, "people")
    *wanted, _ = as_now(EXPECTED["people_by_limen_toml"])
    assert people == wanted
    assert total.startswith("3 people; tau 0.965 ")  # fpir was of one comparison, and is of a track
    findings = dict(line.split(": ", 1) for line in limen(folder, *by, "doctor", status=1))
    assert findings["OK    disk"].startswith("gallery.db, ")
    assert findings["OK    camera"].startswith("images pictures: 400x300")
    assert f"@{EXPECTED['models']['embedder'][:8]}" in findings["OK    models"]
    assert "rebuild" not in findings["OK    models"]
    assert all(name in findings["FAIL  broker"] for name in ("ca.crt", "porch.crt", "porch.key"))  # they are not there
    assert "OK    clock" in findings


@contextmanager
def running(folder, port):
    """The device, before which there is a wall."""
    (folder / "wall").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "wall" / "wall.png"), np.full((240, 320, 3), 128, np.uint8))
    where = ("--broker", f"127.0.0.1:{port}", "--source", "wall", "--loop")
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "--config", "porch.toml", "run", *where],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said


def signed(topic, text, nonce=None):
    """The envelope of release 1, signed now."""
    at, nonce = time.time_ns() // 1_000_000, nonce or uuid.uuid4().hex
    key = (RELEASE / "signing-key").read_text().strip().encode()
    signature = hmac.new(key, "\0".join((topic, str(at), nonce, text)).encode(), hashlib.sha256).hexdigest()
    return json.dumps({"signed": text, "timestamp_ms": at, "nonce": nonce, "signature": signature}).encode()


def ask_text(household, verb, text, nonce=None):
    return household.ask(verb, signed(f"{household.base}/request/{verb}", text, nonce))


def ask(household, verb, **wanted):
    """What is answered to a request of its own."""
    answer = ask_text(household, verb, json.dumps({"transaction": uuid.uuid4().hex, **wanted}))
    assert answer["status"] == "ok", answer
    return answer["data"]


def by_name(people):
    return sorted(people, key=lambda person: person["name"])


def newest(household, name):
    return json.loads(household.newest(name) or b"{}")


def test_the_device_goes_on_where_it_stopped(folder, broker, household):
    with closing(sqlite3.connect(folder / "outbox.db")) as db, db:
        db.execute("UPDATE event SET expires_at = 0")  # they are stale, whatever the clock says
    with running(folder, broker.port):
        wanted = EXPECTED["outbox"]
        until(lambda: len(household.on("event/late")) == wanted["depth"])
        late = [json.loads(message.payload) for message in household.on("event/late")]
        assert late == [event["payload"] for event in EXPECTED["events"]]
        until(lambda: newest(household, "health").get("outbox") == 0)
        health = newest(household, "health")
        assert health["dropped_events"] == wanted["dropped"]
        assert health["fleet"]["people"] == len(PEOPLE["people"])
        assert newest(household, "config")["recognition"] is ANSWERS["config/set"]["recognition"] is False
        assert newest(household, "gallery")["people"] == PEOPLE["people"]
        assert ask(household, "person/list") == PEOPLE
        said = ask(household, "unknown/list")["strangers"]
        assert [one | {"last_seen": None} for one in said] == [one | {"last_seen": None} for one in STRANGERS]
        household.send("enroll/image", request_to_enroll(household, "Li", "li.jpg"))
        assert household.next_event(0, event_type="enrolled")["seq"] == wanted["last_seq"] + 1


def request_to_enroll(household, name, picture):
    image = base64.b64encode((RELEASE / "pictures" / picture).read_bytes()).decode()
    text = json.dumps({"transaction": "enroll", "name": name, "images": [image]})
    return signed(f"{household.base}/request/enroll/image", text)


def test_what_was_answered_is_not_done_again(folder, broker, household):
    with running(folder, broker.port):
        until(lambda: household.newest("status") == b"online")
        for entry in EXPECTED["answers"]:
            assert ask_text(household, entry["verb"], entry["request"]) == entry["answer"]
        for entry in EXPECTED["answers_dropped"]:  # somebody was forgotten since
            assert ask_text(household, entry["verb"], entry["request"])["code"] == "answered_before"
        text = json.dumps({"transaction": "new", "name": "Zoë", "tau": 1.0})
        for number, spent in enumerate(EXPECTED["nonces"]):
            again = ask_text(household, "person/set", text.replace("new", f"new {number}"), spent["nonce"])
            assert again["code"] == "replayed", spent
        assert ask(household, "person/list") == PEOPLE


def test_nothing_is_left_of_a_person_when_the_command_returns(folder):
    """Neither in the gallery, revisions for other cameras included, nor in the outbox, though no device runs."""
    files = [folder / "gallery.db", folder / "outbox.db"]
    assert all("Zoë".encode() in file.read_bytes() for file in files)
    assert not any(name in file.read_bytes() for file in files for name in (b"Otto", b"Zora"))
    limen(folder, *HERE, "forget", "Zoë")
    assert not any("Zoë".encode() in path.read_bytes() for path in folder.glob("*.db*"))
    events, *_ = outbox_of(folder / "outbox.db")
    kept = [event["seq"] for event in EXPECTED["events"] if event["payload"]["name"] != "Zoë"]
    assert [seq for seq, *_ in events][: len(kept)] == kept


def test_a_sealed_export_is_opened_with_the_key_of_the_household(another, broker, household):
    with running(another, broker.port):
        until(lambda: household.newest("status") == b"online")
        gallery = base64.b64encode((RELEASE / "people.sealed").read_bytes()).decode()
        assert ask(household, "gallery/import", gallery=gallery) == {"people": 3, "templates": 5, "waiting": 0}
        assert ask(household, "person/list") == PEOPLE
    assert limen(another, *HERE, "people") == as_now(EXPECTED["people"])


def test_another_camera_hears_what_the_household_said(another, broker, household):
    kept = json.loads((RELEASE / "household.json").read_text())
    assert len(kept) == len(EXPECTED["revisions"])
    for message in kept:
        household.client.publish(message["topic"], base64.b64decode(message["payload"]), qos=1, retain=True)
    with running(another, broker.port):
        until(lambda: len(newest(household, "gallery").get("people", ())) == len(PEOPLE["people"]))
        assert by_name(ask(household, "person/list")["people"]) == by_name(PEOPLE["people"])
        until(lambda: newest(household, "health").get("fleet", {}).get("people") == len(PEOPLE["people"]))
        fleet = newest(household, "health")["fleet"]
        assert (fleet["refused"], fleet["unusable_templates"], fleet["problems"]) == (0, 0, [])
    assert {who: revision["forgotten"] for who, revision in revisions_of(another / "gallery.db").items()} == {
        who: revision["forgotten"] for who, revision in EXPECTED["revisions"].items()
    }
