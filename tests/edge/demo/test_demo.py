"""The demo: its people, its porch, its story."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.commands.main import main
from edge.config import Config
from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.quality import QualityRules
from edge.demo import story
from edge.demo.film import COME_SECONDS, FRAMES_PER_SECOND, GO_SECONDS, STAY_SECONDS, Film
from edge.demo.scene import PEOPLE, Pose, people, porch, with_noise, with_person
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from tests.household import free_port, until, visit

CARD = json.loads(PEOPLE.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def codes():
    """(people, looks, 128): every look, found on the porch and aligned as the door does it."""
    detector, embedder, rng = Detector(), Embedder(), np.random.default_rng(0)
    rows = []
    for person in range(CARD["people"]):
        for look in range(CARD["looks"]):
            frame = with_noise(with_person(porch(), person, Pose(0.45, 0.42, 120.0, 4.0, look)), rng)
            (face,) = detector.detect(frame)
            face = look_closer(frame, face, detector)
            crop = align(frame, face.landmarks)
            assert QualityRules().assess(crop, face).problem is None
            rows.append(embedder.embed(crop))
    return np.array(rows).reshape(CARD["people"], CARD["looks"], -1)


def test_the_shipped_embedder_takes_them_for_the_people_they_are(codes):
    distances = 2 - 2 * np.einsum("ald,bmd->albm", codes, codes)
    same = np.eye(CARD["people"], dtype=bool)
    within, between = distances.transpose(0, 2, 1, 3)[same], distances.transpose(0, 2, 1, 3)[~same]
    tau = Embedder().card.tau_within(1e-5)
    assert within.max() < 0.8 * tau < tau < between.min()
    assert within.max() == pytest.approx(CARD["distance"]["within_max"], abs=0.15)  # the card's are of the crops
    assert between.min() == pytest.approx(CARD["distance"]["between_min"], abs=0.3)


def test_they_are_nobody():
    assert CARD["cosine_to_nearest_real_face"]["kw_mobilefacenet"] < 0.5
    assert people().shape == (CARD["people"], CARD["looks"], 112, 112, 3)


def test_nobody_is_on_the_empty_porch():
    rng = np.random.default_rng(0)
    assert all(Detector().detect(with_noise(porch(), rng)) == [] for _ in range(5))


def test_somebody_comes_nearer_stays_and_goes():
    poses = visit(0.0)
    assert len(poses) == round((COME_SECONDS + STAY_SECONDS + GO_SECONDS) * FRAMES_PER_SECOND)
    sizes = [pose.face_px for pose in poses]
    assert sizes == sorted(sizes)
    assert poses[-1].x > 1.1  # out of the picture


@pytest.mark.parametrize("slowness", [1.0, 10.0])
def test_a_film_shows_who_is_sent_and_then_the_porch(monkeypatch, slowness):
    clock = [100.0]
    monkeypatch.setattr("edge.demo.film.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("edge.demo.film.time.sleep", lambda seconds: clock.append(clock.pop() + seconds))
    film = Film(slowness)
    film.send(2, 0.0)
    first = film.read(0.0)
    assert film.read(0.05 * slowness) is None  # not due yet
    assert film.read(0.1 * slowness).at == pytest.approx(first.at + 1 / FRAMES_PER_SECOND)
    clock[0] += slowness * (
        COME_SECONDS + STAY_SECONDS + GO_SECONDS
    )  # a machine that is slow sees fewer frames of the same visit
    empty = film.read(0.0)
    assert np.abs(empty.image.astype(int) - porch()).max() < 20  # the sensor's noise
    assert np.abs(first.image.astype(int) - porch()).max() > 50
    assert np.array_equal(film.seen_at(time.time()), empty.image)
    assert np.array_equal(film.seen_at(0.0), first.image)  # the oldest that is kept
    film.close()
    assert film.read(1.0) is None
    assert film.ended


def test_the_demo_tells_its_story_and_leaves_a_picture(tmp_path):
    picture = tmp_path / "seen.jpg"
    result = CliRunner().invoke(main, ["demo", "--picture", str(picture)])
    assert result.exit_code == 0, result.output
    said = [line.split(" s  ")[-1].split(":")[0] for line in result.output.splitlines() if " s  " in line]
    assert said == [
        "limen/demo is online; nobody is enrolled",
        "event unknown",
        "event unknown end",
        said[3],
        said[4],
        "event enrolled Anna",
        "event recognized Anna",
        "event recognized end",
        "event unknown",
        "event unknown end",
    ]
    assert "\\u000a" not in result.output  # no line holds the escape of another
    assert "\n\nA stranger comes to the door.\n" in result.output
    assert said[3].startswith("request/enroll/image Anna, ")
    assert said[4].startswith("response/enroll/image ok after ")
    (face,) = Detector().detect(cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB))
    assert face.score > 0.8


def test_a_demo_that_goes_wrong_says_so(monkeypatch, tmp_path):
    """Somebody else returns: she is not recognized, and the demo does not claim that she was."""
    monkeypatch.setattr(story, "portrait", lambda *_args, **_options: PORTRAIT_OF_ANOTHER)
    result = CliRunner().invoke(main, ["demo", "--picture", str(tmp_path / "seen.jpg")])
    assert result.exit_code == 1
    assert "Error: the event was unknown new; expected was recognized new" in result.output


PORTRAIT_OF_ANOTHER = story.portrait(2, look=0.0)


@pytest.mark.parametrize("picture", ["seen", "seen.txt", "nowhere/seen.jpg"])
def test_a_picture_that_cannot_be_written_is_said_before_anything_else(tmp_path, picture):
    result = CliRunner().invoke(main, ["demo", "--picture", str(tmp_path / picture)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: --picture ")
    assert "stranger" not in result.output


def test_a_folder_that_this_user_may_not_write_into_is_refused_before_anything_else():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        user, said = os.geteuid(), []
        if user == 0:  # who may write anywhere
            os.seteuid(65534)
        try:
            with pytest.raises(story.StoryError, match=r"seen\.jpg is not for this user to write"):
                story.play(Config(), Path(folder), Path(folder) / "seen.jpg", said.append)
        finally:
            os.seteuid(user)
        assert said == []


def test_ctrl_c_ends_it_at_once_and_quietly(tmp_path):
    program = [sys.executable, "-m", "edge", "demo", "--picture", str(tmp_path / "seen.jpg")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "event unknown" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert errors.strip().endswith("Aborted!")


def test_without_amqtt_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 1
    assert "pip install 'limen[demo]'" in result.output


def test_people_keep_coming_and_the_page_shows_them_until_it_is_stopped(tmp_path):
    port = free_port()
    words = [sys.executable, "-m", "edge", "demo", "--console", "--port", str(port)]
    # NiceGUI serves nothing where it sees that pytest runs; no browser is opened where none is known.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with (tmp_path / "log").open("wb") as log:
        demo = subprocess.Popen(words, stdout=log, stderr=log, env=environment | {"BROWSER": "true"}, cwd=tmp_path)
    try:
        until(lambda: "Somebody unknown" in page_at(port), 60)
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def page_at(port):
    """The first page, empty before there is one."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
        return page.read().decode()
    return ""
