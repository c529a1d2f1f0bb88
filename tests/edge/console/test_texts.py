"""Every language has every text, and a browser gets its own."""

import ast
import string
from pathlib import Path
from typing import get_args

import pytest

import edge.console
from edge.console.texts import EN, LANGUAGES, LOGIN, Texts, language_of
from edge.core.events import EventType


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_values(language):
    texts = LANGUAGES[language]
    assert texts.keys() == EN.keys()
    assert {key for key in EN if fields(texts[key]) != fields(EN[key])} == set()
    assert language in LOGIN


def test_every_text_that_a_page_asks_for_is_there_and_none_is_left_over():
    calls = [
        node
        for path in Path(edge.console.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"text", "_text"}
    ]
    asked = {node.args[0].value for node in calls if isinstance(node.args[0], ast.Constant)}
    assert len(asked) > 40
    assert asked - EN.keys() == set()
    named = {"now", "visits", "people", "strangers", "cameras", "settings"}  # pages
    kinds = {f"kind_{kind}" for kind in get_args(EventType)}
    conditional = {"online", "offline", "somebody"}
    assert (named | kinds | conditional) - EN.keys() == set()
    assert EN.keys() - asked - named - kinds - conditional == set()


def test_a_text_has_its_values():
    assert Texts("de")("it_is", name="{Anna}") == "Das ist {Anna}"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr;q=0.9, en;q=0.8, de;q=0.85", "de"),
        ("en;q=0.2,de;q=0.1", "en"),
        ("fr", "en"),
        ("", "en"),
        (";q=x,,de;q=", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_what_the_browser_wants_most(accept, language):
    assert language_of(accept) == language
