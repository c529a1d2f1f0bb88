"""The reference pages are those that deploy/pages makes of the code, and nothing is missing in them."""

import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.api.asyncapi import PUBLICATIONS
from edge.api.requests import VERBS
from edge.core.codes import Code
from tests.markdown import agrees

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "deploy" / "pages"
CONFIGURATION = (ROOT / "deploy" / "CONFIGURATION.md").read_text()
MQTT = (ROOT / "deploy" / "MQTT.md").read_text()


@pytest.fixture(scope="module")
def pages():
    """The script as a module."""
    loader = SourceFileLoader("pages", str(PAGES))
    module = module_from_spec(spec_from_loader("pages", loader))
    loader.exec_module(module)
    return module


def test_every_committed_page_is_current(pages):
    for path, text in pages.pages().items():
        assert path.read_text() == text, f"deploy/pages makes {path.name} current"


def test_a_page_that_is_not_current_is_named(pages, tmp_path, monkeypatch, capsys):
    for name in ("CONFIGURATION.md", "MQTT.md"):
        (tmp_path / name).write_text((ROOT / "deploy" / name).read_text())
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    with pytest.raises(SystemExit):
        pages.main(["--check"])
    assert capsys.readouterr().out == f"{tmp_path.name}/asyncapi.json is not current\n"
    pages.main([])
    pages.main(["--check"])
    old = (tmp_path / "MQTT.md").read_text()
    (tmp_path / "MQTT.md").write_text(old.replace("`no_face`", "`no_faces`"))
    with pytest.raises(SystemExit):
        pages.main(["--check"])
    pages.main([])
    assert (tmp_path / "MQTT.md").read_text() == old


def test_the_script_runs_as_the_page_says():
    assert subprocess.run([sys.executable, PAGES, "--check"], cwd=ROOT, check=False).returncode == 0
    assert subprocess.run([sys.executable, PAGES, "--unknown"], capture_output=True, check=False).returncode == 1


def test_every_key_of_the_configuration_has_a_meaning():
    rows = [line.split(" | ") for line in CONFIGURATION.splitlines() if line.startswith("| `")]
    keys = [row for row in rows if len(row) == 5]
    assert len(keys) > 50
    assert [row[0] for row in keys if not row[4].strip(" |")] == []


def test_every_verb_and_its_fields_are_on_the_page():
    for verb, kind in VERBS.items():
        section = re.search(rf"^### {verb}\n(.*?)^##", MQTT, flags=re.DOTALL | re.MULTILINE)[1]
        for field in set(kind.__struct_fields__) - {"transaction"}:
            assert f"| `{field}` |" in section
        for code in kind.codes:
            assert f"`{code}`" in MQTT
        assert "- Reply: " in section


def test_every_topic_and_every_code_is_on_the_page():
    for publication in PUBLICATIONS:
        assert f"| `{publication.topic.replace('{', '<').replace('}', '>')}` |" in MQTT
    for code in Code:
        assert f"| `{code}` | " in MQTT


def test_every_link_inside_a_page_leads_to_a_heading():
    for page in (CONFIGURATION, MQTT):
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in page.splitlines()
            if line.startswith("#")
        }
        assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= headings


def test_a_docstring_gives_the_meaning_of_each_field(pages):
    class Documented:
        """What it is. first: of it; second, third: of both.

        fourth: goes on in
            another line
        """

        first: int
        second: int
        third: int
        fourth: int

    text, meanings = pages.documented(Documented)
    assert text == "What it is."
    assert meanings == {"first": "of it", "second": "of both", "third": "of both", "fourth": "goes on in another line"}


def test_the_picture_is_small_and_shows_what_limen_finds(pages):
    path = ROOT / "deploy" / "recognized.jpg"
    assert path.stat().st_size < 60_000
    jpeg, distance, tau = pages.picture()
    said = re.search(r"d [\d.]+ <= tau [\d.]+(?=])", (ROOT / "README.md").read_text())[0]
    assert agrees(said, f"d {distance:.3f} <= tau {tau:.3f}", within=0.01)
    committed, now = cv2.imread(str(path)), cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert committed.shape == now.shape
    assert np.abs(committed.astype(int) - now).mean() < 2.0
