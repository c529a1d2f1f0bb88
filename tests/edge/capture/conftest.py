"""The decoders, a film, and a capture that gives what a test says."""

import cv2
import pytest

from edge.capture import decoders
from edge.capture.decoders import pyav
from tests.edge.capture.films import written

DECODERS = ["opencv", pytest.param("pyav", marks=pytest.mark.skipif(pyav() is None, reason="PyAV is not installed"))]


@pytest.fixture(params=DECODERS)
def decoder(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setattr(decoders, "pyav", lambda: None)
    return request.param


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return written(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def captures(monkeypatch):
    """What cv2.VideoCapture gives, one after the other; the last one again and again."""

    def install(*fakes):
        left = list(fakes)
        monkeypatch.setattr(decoders, "pyav", lambda: None)
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: left.pop(0) if len(left) > 1 else left[0])
        return fakes

    return install
