"""No pattern reaches whoever wrote a text that does not match it."""

import ast
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

import edge
from edge.core.patterns import IN_WORDS, in_words


@pytest.mark.parametrize("pattern", IN_WORDS)
def test_a_pattern_is_said_in_words(pattern):
    text = Annotated[str, msgspec.Meta(pattern=pattern)]
    for value, kind, place in (("a b/+", text, ""), ({"key": "a b/+"}, dict[str, text], " - at `$[...]`")):
        with pytest.raises(msgspec.ValidationError) as refused:
            msgspec.convert(value, kind)
        assert in_words(refused.value) == f"Expected `str` {IN_WORDS[pattern]}{place}"


def test_every_pattern_has_words():
    calls = [
        (path, keyword)
        for path in Path(edge.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "pattern"
    ]
    assert len(calls) >= 6
    assert [path for path, keyword in calls if "patterns." not in ast.unparse(keyword.value)] == []
