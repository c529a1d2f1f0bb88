"""Names, ids and what a device says, printed and logged: a terminal shows them and obeys nothing in them."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edge.commands.journal import journal
from edge.storage.gallery import SqliteGallery

WILD = "Eve\x1b[2J\x9b\u202e"
PLAIN = r"Eve\u001b[2J\u009b\u202e"


@pytest.fixture
def gallery(tmp_path):
    """Of an earlier release, into which such a name was imported."""
    store = SqliteGallery(tmp_path / "gallery.db", "another model")
    eve = store.add("Eve", [np.eye(128, dtype=np.float32)[0]], [np.zeros((112, 112, 3), np.uint8)])
    store.update(replace(eve, name=WILD))
    store.add("李雷", [np.eye(128, dtype=np.float32)[1]], [np.zeros((112, 112, 3), np.uint8)])
    store.close()
    return store.path


def limen(gallery, *arguments, encoding="utf-8"):
    return subprocess.run(
        [sys.executable, "-c", "from edge.commands.main import main; main()", "--gallery", gallery, *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )


def test_a_name_from_before_is_listed_without_harm_and_forgotten(gallery):
    listed = limen(gallery, "people").stdout
    assert f"{PLAIN}  0 templates" in listed
    assert "李雷  0 templates" in listed
    as_json = limen(gallery, "people", "--json").stdout
    assert PLAIN in as_json
    assert [person["name"] for person in json.loads(as_json)["people"]] == [WILD, "李雷"]
    forgotten = limen(gallery, "forget", WILD).stdout
    assert forgotten.startswith(f"{PLAIN}: forgotten")
    for wild in (listed, as_json, forgotten):
        assert not set(wild) & {"\x1b", "\x9b", "\u202e"}


def test_a_terminal_that_cannot_show_a_name_gets_it_escaped(gallery):
    listed = limen(gallery, "people", encoding="ascii")
    assert listed.returncode == 0, listed.stderr
    assert r"\u674e\u96f7  0 templates" in listed.stdout


def test_an_error_moves_no_cursor(gallery):
    refused = limen(gallery, "verify", "\x1b[2J.jpg", "other.jpg")
    assert refused.returncode == 1
    assert r"\u001b[2J.jpg" in refused.stderr
    assert "\x1b" not in refused.stderr


def test_a_record_of_the_log_is_one_line():
    record = logging.LogRecord("limen", logging.INFO, "", 0, "%s was seen\nand %s", ("p_\x1b[2J", "李"), None)
    line = journal().format(record)
    assert line.endswith(r"p_\u001b[2J was seen\u000aand 李")
