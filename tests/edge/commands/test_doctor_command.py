"""`limen doctor`, on real pictures, videos and a real broker."""

import sys

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.api.signing import key_id
from edge.inference.runtime import interpreter_class
from edge.storage.gallery import SqliteGallery
from edge.system import clock
from edge.system.crypto import new_key
from tests.edge.commands.results import one_line


def test_the_doctor_finds_what_is_good_and_what_is_amiss(limen, pictures):
    result = limen("doctor", "--source", pictures, "--broker", "127.0.0.1:1")
    assert result.exit_code == 1
    lines = result.output.strip().splitlines()
    findings = dict(line.split(": ", 1) for line in lines if not line.startswith(" "))
    assert [line for line in lines if line.startswith("      remedy: look at host, port")]
    clock_line = next(line for line in findings if line.endswith("clock"))
    assert clock_line[:4].strip() == ("OK" if clock.synchronized() else "WARN")
    assert set(findings) - {clock_line} == {
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
    assert "numpy" in findings["OK    packages"]
    assert " ms" in findings["OK    models"]
    assert "x" in findings["OK    camera"]
    assert "set camera.fov_deg to know at how many metres" in findings["OK    camera"]
    assert "127.0.0.1:1 cannot be reached" in findings["FAIL  broker"]


@pytest.mark.parametrize(
    ("turned_by", "settings", "expected"),
    [
        (2, "", "turned by 180: set camera.rotate_deg = 180"),
        (1, "", "turned by 90: set camera.rotate_deg = 90"),
        (1, "rotate_deg = 90", None),
        (2, "rotate_deg = 90", "turned by 90: set camera.rotate_deg = 180"),
        (1, "mirror = true", "turned by 270: set camera.rotate_deg = 90"),
    ],
)
def test_the_doctor_says_how_a_camera_hangs(limen, tmp_path, turned_by, settings, expected):
    folder = tmp_path / "frames"
    folder.mkdir()
    picture = np.rot90(astronaut(), turned_by)  # counter-clockwise, in quarters
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    config = tmp_path / "limen.toml"
    config.write_text(f'[camera]\nkind = "images"\nlocation = "{folder}"\n{settings}\n')
    lines = limen("--config", config, "doctor", "--broker", "127.0.0.1:1").output.splitlines()
    (line,) = (line for line in lines if "  camera: " in line)
    if expected is None:
        assert line.startswith("OK ")
    else:
        assert line.startswith("WARN")
        assert f"faces are found only in the picture {expected}" in line


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda _: np.zeros((120, 160, 3), np.uint8), "its frames are black (5 of 5): the lens is covered"),
        (lambda _: np.full((120, 160, 3), 90, np.uint8), "its frames are single colour (5 of 5)"),
        (lambda number: cv2.GaussianBlur(noise(number), (0, 0), 5), None),
    ],
)
def test_the_doctor_looks_at_the_frames_of_a_video(limen, tmp_path, make, expected):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (160, 120))
    for number in range(20):
        writer.write(make(number))
    writer.release()
    lines = limen("doctor", "--source", tmp_path / "film.avi", "--broker", "127.0.0.1:1").output.splitlines()
    (line,) = [line for line in lines if " camera: " in line]
    assert "; read by " in line
    assert line.startswith("OK" if expected is None else "WARN")
    assert expected is None or expected in line


def noise(number):
    return np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def test_the_doctor_is_content_when_all_is_there(limen, pictures, broker):
    result = limen("doctor", "--source", pictures, "--broker", f"127.0.0.1:{broker.port}")
    assert result.exit_code == 0, result.output


def test_the_doctor_says_from_how_far_a_face_is_told(limen, pictures):
    config = pictures / "limen.toml"
    config.write_text("[camera]\nfov_deg = 66\n[decision.quality]\nface_px_min = 30\n")
    doctor = ["doctor", "--source", pictures / "portrait.png", "--broker", "127.0.0.1:1"]
    output = limen("--config", config, *doctor).output
    assert "at 66 degrees" in output
    assert "recognized up to 1.8 m (30 px)" in output


def test_the_doctor_says_that_a_clock_was_once_ahead_and_resets_it(limen, pictures, monkeypatch):
    monkeypatch.setattr(clock, "synchronized", lambda: False)
    store = SqliteGallery(pictures / "gallery.db", "a" * 64)
    store.set(clock.LAST_KNOWN, "4102444800")
    config = pictures / "limen.toml"
    config.write_text('clock = "trusted"\n')
    doctor = ["--config", config, "doctor", "--source", pictures, "--broker", "127.0.0.1:1"]
    output = limen(*doctor).output
    assert "FAIL  clock: the time of day is before the last one known, 2100-01-01T00:00:00Z" in output
    assert "`limen doctor --reset-clock`" in output
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
    output = limen(*doctor).output
    assert "FAIL  clock: a request was carried out that was signed at 2100-01-01T00:00:00Z" in output
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
    output = limen("doctor", "--source", pictures / "portrait.png").output
    assert "FAIL  runtime: tflite-runtime cannot run with NumPy 2.4.6" in output
    assert "broker: " in output  # the checks after it were made
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(SystemError, match="built for NumPy 1"):
        interpreter_class()
