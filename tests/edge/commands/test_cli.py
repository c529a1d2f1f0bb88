"""The commands, on real pictures; a bad input gets one line that names it."""

import base64
import json
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage.data import astronaut

from edge.capture import open_source
from edge.commands.main import main
from edge.config import CameraConfig, Config, FleetConfig, GalleryConfig, MqttConfig
from edge.demo.story import ANNA, portrait
from edge.errors import ConfigError
from edge.inference.embedder import STANDARD as EMBEDDER
from edge.inference.model_card import read_card
from edge.storage.gallery import SqliteGallery
from edge.system import clock
from edge.system.crypto import new_key
from tests.edge.commands.results import one_line
from tests.household import Household, Nothing, running, until


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


@pytest.mark.parametrize(
    "command", ["bench", "demo", "doctor", "run", "enroll", "people", "fleet", "forget", "identify", "verify", "audit"]
)
def test_every_command_explains_itself(limen, command):
    result = limen(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 4
