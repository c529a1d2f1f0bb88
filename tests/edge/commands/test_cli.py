"""The commands, on real pictures; a bad input gets one line that names it."""

import base64
import json
import os
import shutil
import socket
import sqlite3
import stat
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage.data import astronaut

from edge.api.replies import ProgressReply
from edge.api.signing import key_id
from edge.capture import open_source
from edge.commands.enroll import print_progress
from edge.commands.main import main
from edge.config import CameraConfig, Config, FleetConfig, GalleryConfig, MqttConfig
from edge.demo.story import ANNA, portrait
from edge.errors import BrokerError, ConfigError
from edge.inference.embedder import STANDARD as EMBEDDER
from edge.inference.model_card import read_card
from edge.inference.runtime import interpreter_class
from edge.mqtt.controller import Controller
from edge.storage.gallery import SqliteGallery
from edge.system import clock
from edge.system.crypto import new_key
from tests.faults.malformed import png_that_claims
from tests.household import Household, Nothing, running, until


@pytest.fixture
def limen(tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["--gallery", str(tmp_path / "gallery.db"), *map(str, arguments)])

    return call


@pytest.fixture
def pictures(tmp_path):
    """A portrait, the same one darker and mirrored, and a wall."""
    portrait = astronaut()[..., ::-1]
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait)
    cv2.imwrite(str(tmp_path / "again.jpg"), (portrait[:, ::-1] * 0.7).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 90, dtype=np.uint8))
    return tmp_path


def one_line(result, *words):
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert len(result.output.strip().splitlines()) == 1
    for word in words:
        assert word in result.output


def test_templates_are_listed_with_their_pictures_and_forgotten_one_by_one(limen, pictures):
    assert limen("enroll", "Eileen", pictures / "portrait.png", pictures / "again.jpg").exit_code == 0
    first, second, count = limen("people", "templates", "eileen").output.splitlines()
    assert all(" given " in line and "from the others" in line and "sharpness" in line for line in (first, second))
    assert count == "2 templates, 0 learned"
    told = limen("people", "templates", "Eileen", "--json", "--pictures", pictures / "out").output.splitlines()
    found = [json.loads(line) for line in told]
    assert [one["id"] for one in found] == [first.split()[0], second.split()[0]]
    written = [cv2.imread(str(pictures / "out" / f"{one['id']}.jpg")) for one in found]
    assert [picture.shape for picture in written] == [(112, 112, 3)] * 2
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (pictures / "out").iterdir())
    forgotten = limen("people", "forget-template", "Eileen", found[0]["id"])
    assert forgotten.output.startswith("Eileen: 1 template overwritten, 1 left")
    assert (
        limen("people", "templates", "Eileen").output.splitlines()[0]
        == second.partition("  d ")[0] + (second[second.index("  sharpness") :])
    )
    one_line(limen("people", "forget-template", "Eileen", found[0]["id"]), "no_such_template")
    with closing(SqliteGallery(pictures / "gallery.db", read_card(EMBEDDER).sha256)) as gallery:
        (person,), (template,) = gallery.load()
        gallery.each.learn(person.person_id, template.embedding, np.zeros((112, 112, 3), np.uint8), "e" * 32, [])
    assert limen("people").output.startswith("Eileen  2 templates (1 learned)  p_")
    assert f"  learned from event {'e' * 32}  " in limen("people", "templates", "Eileen").output
    assert "1 template learned at the door" in limen("people", "check").output
    one_line(limen("people", "forget-template", "Eileen", found[1]["id"]), "last_template", "enroll another")
    one_line(limen("people", "templates", "Nemo"), "no_such_person")


def test_somebody_is_enrolled_identified_listed_and_forgotten(limen, pictures):
    assert limen("enroll", "Eileen", pictures / "portrait.png").output == "Eileen: 1 template added\n"
    assert limen("identify", pictures / "again.jpg").output.startswith("Eileen  d 0.")
    assert limen("people").output.startswith("Eileen  1 template  p_")
    assert limen("identify", pictures / "wall.png").output == "no face\n"
    assert limen("forget", "eileen").output.startswith("eileen: forgotten; 1 template and 1 picture overwritten, p_")
    assert limen("people").output.startswith("0 people")
    assert limen("identify", pictures / "portrait.png").output == "unknown  the gallery is empty\n"


READING = [
    "people",
    "people export {}/people.limen",
    "audit",
    "identify {}/portrait.png",
    "call person/list",
    "forget Nemo",
    "rebuild",
]


@pytest.mark.parametrize("words", READING)
def test_a_command_that_reads_creates_nothing_and_says_what_is_missing(pictures, words):
    before = set(pictures.rglob("*"))
    path = pictures / "typo" / "x.db"
    result = CliRunner().invoke(main, ["--gallery", str(path), *words.format(pictures).split()])
    one_line(result, f"there is no gallery {path}: `limen enroll` and `limen run` make one; --gallery names another")
    assert set(pictures.rglob("*")) == before


def test_two_pictures_are_compared_and_a_device_is_examined_without_creating_a_gallery(pictures):
    before, there = set(pictures.rglob("*")), ["--gallery", str(pictures / "typo" / "x.db")]
    portraits = [str(pictures / name) for name in ("portrait.png", "again.jpg")]
    assert CliRunner().invoke(main, [*there, "verify", *portraits]).output.startswith("same person")
    said = CliRunner().invoke(main, [*there, "doctor", "--source", str(pictures), "--broker", "127.0.0.1:1"]).output
    assert "typo/x.db is not there yet, `limen run` and `limen enroll` make it" in said
    assert set(pictures.rglob("*")) == before


def test_every_command_reads_the_configuration_that_lies_here(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    monkeypatch.setattr("edge.commands.main.SYSTEM_CONFIG", pictures / "none.toml")
    Path("limen.toml").write_text('[gallery]\npath = "ours.db"\n[models]\nembedder = "lite"\n')
    said = CliRunner().invoke(main, ["doctor", "--source", ".", "--broker", "127.0.0.1:1"]).output
    assert "OK    configuration: limen.toml" in said
    assert "embedder embedder-lite@" in said
    assert "ours.db is not there yet" in said
    one_line(CliRunner().invoke(main, ["people"]), "there is no gallery ours.db")


def expiry_days(path):
    with sqlite3.connect(path) as db:
        ((expires,),) = db.execute("SELECT expires FROM person").fetchall()
    return (expires - time.time()) / 86_400


def test_a_guest_is_known_for_so_many_days(limen, pictures, broker, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: True)
    result = limen("enroll", "Eileen", pictures / "portrait.png", "--days", "3")
    assert result.output == "Eileen: 1 template added; a guest, forgotten after 3 days\n"
    assert expiry_days(pictures / "gallery.db") == pytest.approx(3, abs=0.1)
    assert limen("enroll", "Eileen", pictures / "portrait.png", "--days", "0").exit_code == 2
    cv2.imwrite(str(pictures / "footage.png"), astronaut()[..., ::-1])
    config = Config(
        device="porch",
        camera=CameraConfig("images", str(pictures / "footage.png")),
        gallery=GalleryConfig(pictures / "porch.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
    )
    at = ["--broker", f"127.0.0.1:{broker.port}", "--device", "porch"]
    with running(config, lambda: open_source(config.camera, loop=True)), Household(broker.port) as household:
        until(lambda: household.newest("status") == b"online")
        assert "a guest" in limen("enroll", "Eileen", pictures / "portrait.png", *at, "--days", "2").output
        assert expiry_days(pictures / "porch.db") == pytest.approx(2, abs=0.1)
        result = limen("enroll", "Eileen", "--live", "--shots", "1", *at, "--days", "0.5")
        assert "forgotten after 0.5 days" in result.output
        assert expiry_days(pictures / "porch.db") == pytest.approx(0.5, abs=0.1)


def test_nobody_is_made_a_guest_before_the_time_is_known(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: False)
    monkeypatch.setattr(clock, "hardware_clock_agrees", lambda _now: False)
    refused = limen("enroll", "Eileen", pictures / "portrait.png", "--days", "3")
    one_line(refused, "clock_not_set", 'set clock = "trusted" where the time is right')
    assert limen("people").output.startswith("0 people")


def test_a_picture_with_more_pixels_than_can_be_read_is_one_line(limen, tmp_path):
    (tmp_path / "huge.png").write_bytes(base64.b64decode(png_that_claims(40_000, 40_000)))
    one_line(limen("identify", tmp_path / "huge.png"), "huge.png is 40000x40000 px")
    one_line(limen("run", "--fast", "--broker", "127.0.0.1:1", "--source", tmp_path / "*.png"), "no picture in")


@pytest.mark.parametrize("broker", ["a..b", "", ":1883", "host:0", "host:x", "host:70000", "a b", "x" * 64 + ".local"])
def test_a_broker_that_cannot_be_is_one_line(limen, broker):
    one_line(limen("people", "--broker", broker), f"broker {broker!r} is not HOST or HOST:PORT")


def test_of_a_silent_broker_and_of_a_device_not_heard_it_is_said_what_to_look_at(limen, broker, monkeypatch):
    monkeypatch.setattr("edge.mqtt.controller.CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        one_line(limen("people", "--broker", at), "did not answer in time; does it want TLS (mqtt.ca_file)?")
    monkeypatch.undo()
    mqtt = MqttConfig(host="127.0.0.1", port=broker.port)
    with (
        Controller(mqtt, "nobody") as controller,
        pytest.raises(BrokerError, match="never seen at this broker: another name, or this user may not hear it"),
    ):
        controller.ask("person/list", {}, timeout_seconds=0.2)


def test_people_are_carried_to_another_device_in_a_file(limen, pictures, tmp_path):
    limen("enroll", "Eileen", pictures / "portrait.png")
    file = tmp_path / "people.limen"
    assert limen("people", "export", file).output == f"{file}: 1 person\n"
    limen("forget", "Eileen")
    assert limen("people", "import", file).output == "1 person and 1 template are new\n"
    assert limen("identify", pictures / "again.jpg").output.startswith("Eileen  d 0.")
    one_line(limen("people", "export", file), "people.limen is there already")
    one_line(limen("people", "import", pictures / "wall.png"), "wall.png cannot be used as a gallery")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_people_are_carried_to_another_device_over_mqtt(limen, pictures, broker, monkeypatch):
    assert "a new key" in limen("fleet", "key", pictures / "household.key").output
    one_line(limen("fleet", "key", pictures / "household.key"), "household.key is there already")
    assert stat.S_IMODE((pictures / "household.key").stat().st_mode) == 0o600
    assert len(base64.b64decode((pictures / "household.key").read_text(), validate=False)) == 32
    at = ["--broker", f"127.0.0.1:{broker.port}", "--device", "porch"]
    file = pictures / "people.limen"
    config = Config(
        device="porch",
        gallery=GalleryConfig(pictures / "porch.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        fleet=FleetConfig(key_file=pictures / "household.key"),
    )
    with running(config, Nothing), Household(broker.port) as household:
        until(lambda: household.newest("status") == b"online")
        limen("enroll", "Eileen", pictures / "portrait.png", *at)
        one_line(limen("people", *at, "export", file), "set fleet.key_file or LIMEN_HOUSEHOLD_KEY here too")
        monkeypatch.setenv("LIMEN_HOUSEHOLD_KEY", new_key())
        assert limen("people", *at, "export", file).exit_code == 1  # another household's
        monkeypatch.setenv("LIMEN_HOUSEHOLD_KEY", (pictures / "household.key").read_text())
        assert limen("people", *at, "export", file).output == f"{file}: 1 person\n"
        assert limen("people", "import", file).output == "1 person and 1 template are new\n"
        limen("forget", "Eileen", *at)
        assert limen("people", *at, "import", file).output == "1 person and 1 template are new\n"
        assert limen("people", *at).output.startswith("Eileen  1 template  p_")
    assert limen("identify", pictures / "again.jpg").output.startswith("Eileen  d 0.")


def test_after_another_embedder_people_are_known_again_from_their_pictures(limen, pictures, tmp_path):
    def with_model(model, *arguments, keep_crops="true"):
        config = tmp_path / f"{model}.toml"
        config.write_text(f'[models]\nembedder = "{model}"\n[gallery]\nkeep_crops = {keep_crops}\n')
        return limen("--config", config, *arguments)

    def embeddings():
        with sqlite3.connect(tmp_path / "gallery.db") as db:
            return db.execute("SELECT id, model, embedding FROM template ORDER BY id").fetchall()

    with_model("standard", "enroll", "Eileen", pictures / "portrait.png")
    before = embeddings()
    assert with_model("lite", "identify", pictures / "again.jpg").output == "unknown  the gallery is empty\n"
    assert with_model("lite", "rebuild").output == "1 template rebuilt\n"
    assert with_model("lite", "identify", pictures / "again.jpg").output.startswith("Eileen  d 0.")
    assert with_model("standard", "rebuild").output == "1 template rebuilt\n"
    assert embeddings() == before

    with_model("standard", "forget", "Eileen")
    with_model("standard", "enroll", "Eileen", pictures / "portrait.png", keep_crops="false")
    before = embeddings()
    assert "0 templates rebuilt\n1 of another model have no picture" in with_model("lite", "rebuild").output
    assert embeddings() == before
    assert with_model("standard", "identify", pictures / "again.jpg").output.startswith("Eileen  d 0.")


def test_two_pictures_are_of_one_person(limen, pictures):
    result = limen("verify", pictures / "portrait.png", pictures / "again.jpg")
    assert result.exit_code == 0
    assert result.output.startswith("same person  d 0.")


def test_a_face_of_which_only_the_eyes_are_seen_is_not_clear(limen, pictures):
    covered = cv2.imread(str(pictures / "portrait.png"))
    covered[124:190, 165:285] = covered[10:98, 165:285] = 60
    cv2.imwrite(str(pictures / "covered.png"), covered)
    one_line(limen("enroll", "Eileen", pictures / "covered.png"), "unclear: image 1: the face is unclear", "uncovered")
    assert limen("enroll", "Eileen", pictures / "portrait.png").exit_code == 0
    assert limen("identify", pictures / "covered.png").output.startswith("unknown")
    assert limen("identify", pictures / "covered.png").output.endswith("unclear\n")
    said = limen("verify", pictures / "portrait.png", pictures / "covered.png")
    assert "covered.png: no clear face (clarity 0." in said.stderr
    assert "covered.png" not in said.stdout


def test_a_photograph_of_a_phone_is_enrolled_and_of_several_people_the_nearest(limen, pictures):
    """A face of about 160 px in 12 megapixels, and another one of 110 px beside it."""
    photo = np.full((3000, 4000, 3), 90, dtype=np.uint8)
    near = cv2.resize(cv2.imread(str(pictures / "portrait.png")), None, fx=1.4, fy=1.4)
    photo[1800 : 1800 + near.shape[0], 2600 : 2600 + near.shape[1]] = near
    cv2.imwrite(str(pictures / "one.jpg"), photo)
    assert limen("enroll", "Eileen", pictures / "one.jpg").output == "Eileen: 1 template added\n"
    photo[200:712, 300:812] = cv2.imread(str(pictures / "portrait.png"))[:, ::-1]
    cv2.imwrite(str(pictures / "two.jpg"), photo)
    one_line(limen("enroll", "Eileen", pictures / "two.jpg"), "multiple_faces: image 1 shows 2 faces", "--face largest")
    assert limen("enroll", "Eileen", "--face", "largest", pictures / "two.jpg").exit_code == 0
    assert len(limen("identify", pictures / "two.jpg").output.splitlines()) == 2


def somebody_else(pictures):
    """A picture of a person of the demo."""
    (pictures / "else.jpg").write_bytes(portrait(ANNA, 0.0))
    return pictures / "else.jpg"


def test_a_picture_of_somebody_else_is_left_out_and_a_name_that_is_taken_is_refused(limen, pictures):
    one_line(limen("enroll", "Eileen", pictures / "portrait.png", somebody_else(pictures)), "are not of one person")
    result = limen("enroll", "Eileen", pictures / "portrait.png", pictures / "else.jpg", pictures / "again.jpg")
    assert "left out" in result.output
    assert "else.jpg: different_person: image 2 is not of the person on the others" in result.output
    assert result.output.endswith("Eileen: 2 templates added\n")
    assert "already_there" in limen("enroll", "Eileen", pictures / "portrait.png").output
    one_line(
        limen("enroll", "eileen", pictures / "else.jpg"), "different_person: this is not the Eileen who is enrolled"
    )
    assert limen("enroll", "eileen", pictures / "else.jpg", "--force").output == "Eileen: 1 template added\n"


def test_what_may_be_mended_in_the_gallery_is_listed(limen, pictures):
    limen("enroll", "Eileen", pictures / "portrait.png")
    assert limen("people", "check").output.startswith("Eileen: one template: two or three more pictures")
    limen("enroll", "Eileen", somebody_else(pictures), "--force")
    assert limen("people", "check").output.startswith("Eileen: outlier: no majority")
    (finding,) = json.loads(limen("people", "check", "--json").output)["findings"]
    assert (finding["kind"], finding["name"]) == ("outlier", "Eileen")
    limen("forget", "Eileen")
    assert limen("people", "check").output == "nothing to mend\n"


def test_a_folder_of_people_is_enrolled_with_a_table(limen, pictures):
    library = pictures / "library"
    for name in ("Eileen", "Ann a", "Wall", "Empty", ".hidden"):
        (library / name).mkdir(parents=True)
    shutil.copy(pictures / "portrait.png", library / "Eileen")
    shutil.copy(pictures / "again.jpg", library / "Eileen")
    (library / "Eileen" / "notes.txt").write_text("no picture")
    (library / "Eileen" / "._portrait.png").write_bytes(b"of another system")
    shutil.copy(somebody_else(pictures), library / "Ann a")
    shutil.copy(pictures / "wall.png", library / "Wall")
    result = limen("enroll", "--folder", library)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split() for line in lines if not line.startswith("  ")] == [
        ["name", "pictures", "templates"],
        ["Ann", "a", "1", "1"],
        ["Eileen", "3", "2"],
        ["Wall", "1", "0"],
    ]
    assert any("notes.txt is not JPEG, PNG" in line for line in lines)
    assert any(line.startswith("    refused: no_face: image 1 shows no face") for line in lines)
    shutil.rmtree(library / "Wall")
    again = limen("enroll", "--folder", library)
    assert again.exit_code == 0
    assert again.output.count("already_there") == 3
    one_line(limen("enroll", "--folder", library / "Eileen"), "has no sub-folder with pictures")
    one_line(limen("enroll", "Eileen", "--folder", library), "or --folder")
    assert limen("people").output.startswith("Ann a  1 template")


def test_what_cannot_be_done_is_one_line(limen, pictures, tmp_path):
    one_line(limen("enroll", "x", pictures / "wall.png"), "no_face: image 1 shows no face")
    one_line(limen("enroll", "x", tmp_path / "gone.jpg"), "there is no picture", "gone.jpg")
    (tmp_path / "notes.jpg").write_text("no picture")
    one_line(limen("identify", tmp_path / "notes.jpg"), "notes.jpg is not JPEG, PNG")
    one_line(limen("verify", pictures / "portrait.png", pictures / "wall.png"), "wall.png shows no face")
    one_line(limen("forget", "Nemo"), "no_such_person: nobody has this name")
    one_line(
        limen("enroll", "Unknown", pictures / "portrait.png"),
        "Unknown is no name: events and presence say it where nobody is known",
    )
    many = [pictures / "portrait.png"] * 200
    one_line(
        limen("enroll", "x", *many), "at most 20 PICTURES, not 200: one is enough, and a few in different light help"
    )
    one_line(limen("people", "--device", "A B"), "device 'A B' cannot be a part of", "of lower-case letters a to z")
    one_line(limen("run", "--source", tmp_path / "gone.mp4"), "there is no video")
    one_line(limen("run", "--broker", "host:port"), "'host:port' is not HOST or HOST:PORT")
    one_line(limen("--config", tmp_path / "gone.toml", "people"), "gone.toml cannot be read")


@pytest.fixture
def closed():
    """A folder that the user may not enter, in one of everybody's; root, who may enter any, is nobody meanwhile."""
    interpreter_class()  # nobody may not be let in where it lies
    with tempfile.TemporaryDirectory() as open_to_all:
        folder = Path(open_to_all) / "closed"
        folder.mkdir(mode=0)
        folder.parent.chmod(0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o700)


@pytest.mark.parametrize(
    "words",
    [
        "enroll A {}/a.png",
        "identify {}/a.png",
        "verify {}/a.png {}/a.png",
        "people export {}/people.limen",
        "people import {}/people.limen",
        "fleet key {}/household.key",
        "run --source {}/a.mp4",
        "run --source {}",
        "run --source {}/*.png",
        "--config {0.parent}/limen.toml people",
    ],
)
def test_what_this_user_may_not_enter_is_one_line(closed, words):
    beside = closed.parent
    (beside / "limen.toml").write_text(f'[models]\nembedder = "{closed}/own.tflite"\n')
    SqliteGallery(beside / "gallery.db", "a" * 64).close()
    here = ["--gallery", str(beside / "gallery.db")]
    result = CliRunner().invoke(main, [*here, *words.format(closed, closed).split()])
    one_line(result, str(closed), "is not for this user to read or write")


def test_a_configuration_is_read(limen, tmp_path):
    path = tmp_path / "limen.toml"
    path.write_text('[models]\nembedder = "tiny"\n')
    one_line(
        limen("--config", path, "people"), "models.embedder 'tiny' is neither standard nor lite nor a .tflite file"
    )
    path.write_text('[camera]\nkind = "video"\n')
    one_line(
        limen("--config", path, "run"), "camera.location is empty: camera.kind 'video' needs a file, folder or address"
    )
    with pytest.raises(ConfigError, match=r"camera\.kind 'images' needs a file"):
        open_source(CameraConfig("images"))
    path.write_text('[models]\nembedder = "lite"\n')
    assert limen("--config", path, "people").exit_code == 0


def test_the_doctor_finds_what_is_good_and_what_is_amiss(limen, pictures):
    result = limen("doctor", "--source", pictures, "--broker", "127.0.0.1:1")
    assert result.exit_code == 1
    lines = result.output.strip().splitlines()
    told = dict(line.split(": ", 1) for line in lines if not line.startswith(" "))
    assert [line for line in lines if line.startswith("      remedy: look at host, port")]
    clock_line = next(line for line in told if line.endswith("clock"))
    assert clock_line[:4].strip() == ("OK" if clock.synchronized() else "WARN")
    assert set(told) - {clock_line} == {
        "OK    configuration",
        "OK    packages",
        "OK    runtime",
        "OK    models",
        "OK    gallery",
        "OK    secrets",
        "OK    disk",
        "OK    camera",
        "FAIL  broker",
        "OK    addresses",
    }
    assert "numpy" in told["OK    packages"]
    assert " ms" in told["OK    models"]
    assert "x" in told["OK    camera"]
    assert "set camera.fov_deg to know at how many metres" in told["OK    camera"]
    assert "127.0.0.1:1 cannot be reached" in told["FAIL  broker"]


@pytest.mark.parametrize(
    ("turned_by", "settings", "said"),
    [
        (2, "", "turned by 180: set camera.rotate_deg = 180"),
        (1, "", "turned by 90: set camera.rotate_deg = 90"),
        (1, "rotate_deg = 90", None),
        (2, "rotate_deg = 90", "turned by 90: set camera.rotate_deg = 180"),
        (1, "mirror = true", "turned by 270: set camera.rotate_deg = 90"),
    ],
)
def test_the_doctor_says_how_a_camera_hangs(limen, tmp_path, turned_by, settings, said):
    folder = tmp_path / "frames"
    folder.mkdir()
    picture = np.rot90(astronaut(), turned_by)  # counter-clockwise, in quarters
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    config = tmp_path / "limen.toml"
    config.write_text(f'[camera]\nkind = "images"\nlocation = "{folder}"\n{settings}\n')
    lines = limen("--config", config, "doctor", "--broker", "127.0.0.1:1").output.splitlines()
    (line,) = (line for line in lines if "  camera: " in line)
    if said is None:
        assert line.startswith("OK ")
    else:
        assert line.startswith("WARN")
        assert f"faces are found only in the picture {said}" in line


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: np.zeros((120, 160, 3), np.uint8), "its frames are black (5 of 5): the lens is covered"),
        (lambda _: np.full((120, 160, 3), 90, np.uint8), "its frames are single colour (5 of 5)"),
        (lambda number: cv2.GaussianBlur(noise(number), (0, 0), 5), None),
    ],
)
def test_the_doctor_looks_at_the_frames_of_a_video(limen, tmp_path, make, said):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (160, 120))
    for number in range(20):
        writer.write(make(number))
    writer.release()
    lines = limen("doctor", "--source", tmp_path / "film.avi", "--broker", "127.0.0.1:1").output.splitlines()
    (line,) = [line for line in lines if " camera: " in line]
    assert "; read by " in line
    assert line.startswith("OK" if said is None else "WARN")
    assert said is None or said in line


def noise(number):
    return np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def test_the_doctor_is_content_when_all_is_there(limen, pictures, broker):
    result = limen("doctor", "--source", pictures, "--broker", f"127.0.0.1:{broker.port}")
    assert result.exit_code == 0, result.output


def test_the_doctor_says_from_how_far_a_face_is_told(limen, pictures):
    config = pictures / "limen.toml"
    config.write_text("[camera]\nfov_deg = 66\n[decision.quality]\nface_px_min = 30\n")
    said = limen("--config", config, "doctor", "--source", pictures / "portrait.png", "--broker", "127.0.0.1:1").output
    assert "at 66 degrees" in said
    assert "recognized up to 1.8 m (30 px)" in said


def test_the_doctor_says_that_a_clock_was_once_ahead_and_resets_it(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: False)
    store = SqliteGallery(pictures / "gallery.db", "a" * 64)
    store.set(clock.LAST_KNOWN, "4102444800")
    config = pictures / "limen.toml"
    config.write_text('clock = "trusted"\n')
    doctor = ["--config", config, "doctor", "--source", pictures, "--broker", "127.0.0.1:1"]
    said = limen(*doctor).output
    assert "FAIL  clock: the time of day is before the last one known, 2100-01-01T00:00:00Z" in said
    assert "`limen doctor --reset-clock`" in said
    for again in ([*doctor, "--reset-clock"], doctor):
        assert "OK    clock: the time of day is set" in limen(*again).output
    assert [record.verb for record in store.audit.records()] == ["clock"]
    store.close()


def test_the_doctor_says_that_a_request_was_signed_in_the_future_and_resets_it(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: True)
    monkeypatch.setenv("LIMEN_MQTT_SIGNING_KEY", "k" * 32)
    store = SqliteGallery(pictures / "gallery.db", "a" * 64)
    store.nonces.consume_nonce(key_id(b"k" * 32), "n", 4_102_444_800_000)
    doctor = ["doctor", "--source", pictures, "--broker", "127.0.0.1:1"]
    said = limen(*doctor).output
    assert "FAIL  clock: a request was carried out that was signed at 2100-01-01T00:00:00Z" in said
    for again in ([*doctor, "--reset-clock"], doctor):
        assert "OK    clock: the time of day is set" in limen(*again).output
    store.close()


def test_the_doctor_names_a_camera_of_the_household_with_another_time(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: True)
    store = SqliteGallery(pictures / "gallery.db", "a" * 64)
    store.set(clock.PEERS_APART, '["camera back: its clock is 3650.0 days ahead of the one of this camera"]')
    store.close()
    doctor = ["doctor", "--source", pictures, "--broker", "127.0.0.1:1"]
    assert "OK    clock" in limen(*doctor).output
    monkeypatch.setenv("LIMEN_HOUSEHOLD_KEY", new_key())
    assert "WARN  clock: the time of day is set; camera back: its clock is 3650.0 days ahead" in limen(*doctor).output


def test_a_runtime_that_fails_with_numpy_2_is_named_before_it_fails(limen, pictures, monkeypatch):
    """What `pip install tflite-runtime numpy` brings today: it imports with pages of warnings, and fails."""
    package = pictures / "site" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text("raise SystemError('built for NumPy 1')")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setattr(np, "__version__", "2.4.6")
    one_line(limen("identify", pictures / "portrait.png"), "tflite-runtime cannot run with NumPy 2.4.6", "numpy<2")
    said = limen("doctor", "--source", pictures / "portrait.png").output
    assert "FAIL  runtime: tflite-runtime cannot run with NumPy 2.4.6" in said
    assert "broker: " in said  # the checks after it were made
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(SystemError, match="built for NumPy 1"):
        interpreter_class()


@pytest.mark.parametrize(
    "command", ["bench", "demo", "doctor", "run", "enroll", "people", "fleet", "forget", "identify", "verify", "audit"]
)
def test_every_command_explains_itself(limen, command):
    result = limen(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 4


def test_a_reason_without_guidance_of_its_own_is_printed_in_words(capsys):
    print_progress(ProgressReply(shots=1, of=3, reason="eyes_closed"))
    print_progress(ProgressReply(shots=2, of=3, reason="too_small"))
    assert capsys.readouterr().out == "1 of 3: eyes closed\n2 of 3: come nearer\n"
    print_progress(ProgressReply(shots=3, of=3, reason=None), err=True)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "3 of 3\n")
