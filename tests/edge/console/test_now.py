"""What the page Now says of a camera."""

import json

import pytest

from edge.console.camera import Camera
from edge.console.pages.now import door
from edge.console.texts import Texts


def camera(status, people=("Anna",)):
    heard = Camera("porch")
    heard.take("presence", json.dumps({"state": "", "people": people}).encode())
    heard.take("status", status)
    return heard


def test_who_is_at_the_door_is_named_while_the_camera_is_online():
    assert door(Texts("en"), camera(b"online", ["Anna", "unknown"])).present == "Anna, Somebody unknown"
    assert door(Texts("en"), camera(b"online", [])).present == "Nobody"


@pytest.mark.parametrize("status", [b"offline", b"", b"asleep"])
@pytest.mark.parametrize("people", [["Anna"], []])
def test_of_a_camera_that_is_not_online_nobody_is_named_and_nobody_is_ruled_out(status, people):
    assert door(Texts("en"), camera(status, people)).present == "Not known"
    assert door(Texts("de"), camera(status, people)).present == "Nicht bekannt"
