"""What answers at once imports nothing that a device needs."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "numpy",
    "cv2",
    "msgspec",
    "paho",
    "sqlite3",
    "ssl",
    "asyncio",
    "ai_edge_litert",
    "tflite_runtime",
    "cryptography",
    "av",
    "amqtt",
}
SAID = """
import json, os, sys
os.environ.update(json.loads(sys.argv.pop(1)))
from edge.commands.main import main
try:
    main(sys.argv[1:], prog_name="limen")
finally:
    sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (["--version"], {}, "limen, version "),
        (["--help"], {}, "Recognize who is at the door"),
        ([], {"_LIMEN_COMPLETE": "bash_complete", "COMP_WORDS": "limen pe", "COMP_CWORD": "1"}, "people"),
        ([], {"_LIMEN_COMPLETE": "bash_complete", "COMP_WORDS": "limen enroll --li", "COMP_CWORD": "2"}, "--live"),
    ],
)
def test_version_help_and_completion_wait_for_nothing(words, environment, says):
    done = subprocess.run(
        [sys.executable, "-c", SAID, json.dumps(environment), *words], capture_output=True, text=True, check=False
    )
    assert says in done.stdout
    assert HEAVY & set(json.loads(done.stderr)) == set()
