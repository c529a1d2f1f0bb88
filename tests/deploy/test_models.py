"""Moving to another model and back, with the script that does it on a device, in folders of the test's own."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from edge.commands.config_file import load_config
from edge.inference.embedder import LITE, STANDARD
from edge.inference.model_card import card_path, cohort_path
from edge.runtime.assembly import model_path
from tests.household import until

ROOT = Path(__file__).parents[2]
CONFIG = """device = "porch" # ours

[models]
embedder = "standard" # "lite" on a Zero 2 W

[gallery]
path = "{}"
"""


class Installed:
    """What deploy/install leaves behind, as far as deploy/models looks at it."""

    def __init__(self, folder):
        self.home, self.config = folder / "opt", folder / "limen.toml"
        self.gallery = folder / "gallery.db"
        program = self.home / "current" / "bin" / "limen"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge "$@"\n')
        program.chmod(0o755)
        self.config.write_text(CONFIG.format(self.gallery))
        self.environment = os.environ | {
            "LIMEN_HOME": str(self.home), "LIMEN_CONFIG": str(self.config), "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    def models(self, *arguments):
        return self._run(sys.executable, ROOT / "deploy" / "models", *arguments)

    def limen(self, *arguments):
        return self._run(sys.executable, "-m", "edge", "--config", self.config, *arguments)

    def _run(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)

    def in_use(self):
        return load_config(self.config).models.embedder

    def templates(self):
        with sqlite3.connect(self.gallery) as db:
            return db.execute("SELECT model, embedding FROM template").fetchall()


@pytest.fixture
def installed(tmp_path):
    """Somebody is known."""
    installed = Installed(tmp_path)
    portrait = astronaut()[..., ::-1]
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait)
    cv2.imwrite(str(tmp_path / "again.png"), portrait[:, ::-1])
    done = installed.limen("enroll", "Eileen", tmp_path / "portrait.png")
    assert done.returncode == 0, done.stderr
    return installed


@pytest.fixture
def own_model(tmp_path):
    """A file of the household's own, which may go once it was taken."""
    folder = tmp_path / "usb"
    folder.mkdir()
    for path_of in (Path, card_path, cohort_path):
        shutil.copy(path_of(LITE), path_of(folder / "ours.tflite"))
    return folder / "ours.tflite"


def recognized(installed, tmp_path):
    return installed.limen("identify", tmp_path / "again.png").stdout.startswith("Eileen  d 0.")


def test_there_and_back_loses_nobody(installed, own_model, tmp_path):
    before = installed.templates()
    text = installed.config.read_text()
    done = installed.models("embedder", own_model)
    assert done.returncode == 0, done.stderr
    assert "1 template rebuilt" in done.stdout
    shutil.rmtree(own_model.parent)
    assert Path(installed.in_use()).is_relative_to(installed.home)
    assert installed.config.read_text().replace(installed.in_use(), "standard") == text
    assert recognized(installed, tmp_path)
    assert installed.templates() != before

    assert installed.models("--rollback").returncode == 0
    assert installed.config.read_text() == text
    assert installed.templates() == before
    assert recognized(installed, tmp_path)

    assert installed.models("--rollback").returncode == 0  # and there again
    assert installed.in_use() == "lite"  # the same file, by the name that it ships under
    assert recognized(installed, tmp_path)


def test_after_an_upgrade_that_brought_another_embedder_there_is_a_way_back_to_the_last(installed, tmp_path):
    release = tmp_path / "release"
    shipped = release / "lib" / "python3.13" / "site-packages" / "edge" / "models"
    shipped.mkdir(parents=True)
    for ending in (".tflite", ".json"):  # the last release's standard was what is lite today
        shutil.copy(LITE.with_suffix(ending), shipped / STANDARD.with_suffix(ending).name)
    done = installed.models("--after", release)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(release)
    assert installed.in_use() == "standard"
    assert installed.models("--rollback").returncode == 0
    assert model_path("embedder", installed.in_use()).read_bytes() == LITE.read_bytes()
    assert recognized(installed, tmp_path)


def test_an_upgrade_with_the_same_models_changes_nothing(installed, tmp_path):
    release = tmp_path / "release"
    shutil.copytree(STANDARD.parent, release / "lib" / "python3.11" / "site-packages" / "edge" / "models")
    before = installed.templates()
    assert installed.models("--after", release).returncode == 0
    assert installed.templates() == before
    assert "no model before" in installed.models("--rollback").stderr


def test_an_install_with_no_release_before_rebuilds_what_an_earlier_embedder_made(installed, tmp_path):
    before = installed.templates()
    installed.config.write_text(installed.config.read_text().replace('"standard"', '"lite"', 1))
    assert not recognized(installed, tmp_path)
    done = installed.models("--after")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 template rebuilt" in done.stdout
    assert recognized(installed, tmp_path)
    assert installed.templates() != before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_limen_is_not_left_stopped_by_who_ends_it_while_templates_are_rebuilt(installed, tmp_path, number):
    (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    texts = {
        tmp_path / "bin" / "systemctl": f'echo "$*" >> {tmp_path}/log\n',
        tmp_path / "bin" / "runuser": 'shift 3\nexec "$@"\n',
        installed.home
        / "current"
        / "bin"
        / "limen": f"echo $$ > {tmp_path}/pid\nmv {tmp_path}/pid {tmp_path}/rebuilds\nexec sleep 60\n",
    }
    for path, text in texts.items():
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    installed.environment |= {"LIMEN_ROOT": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    script = subprocess.Popen(
        [sys.executable, ROOT / "deploy" / "models", "embedder", "lite"],
        env=installed.environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    until((tmp_path / "rebuilds").exists)
    script.send_signal(number)
    said = script.communicate(timeout=20)[1]
    assert script.returncode == -signal.SIGINT
    assert said.endswith("\nlimen: ended before all was done: limen doctor says which templates wait\n")
    assert "Traceback" not in said
    assert (tmp_path / "log").read_text() == "stop limen\nstart limen\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "rebuilds").read_text()), 0)


def test_what_cannot_look_is_not_switched_to(installed, own_model, tmp_path):
    text, before = installed.config.read_text(), installed.templates()
    own_model.write_bytes(b"not a model")
    (tmp_path / "text.txt").write_text("x")
    for words, said in (
        (("embedder", own_model), "is for"),  # its card is another file's
        (("embedder", tmp_path / "none.tflite"), "is missing"),
        (("embedder", tmp_path / "text.txt"), "neither standard nor lite nor a .tflite file"),
        (("detector", STANDARD), "is not the card of a detector"),
        (("--rollback",), "no model before"),
        (("embedder",), "sudo deploy/models"),
    ):
        done = installed.models(*words)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert (installed.config.read_text(), installed.templates()) == (text, before)


def test_where_limen_is_not_installed_or_the_disk_does_not_let_it_nothing_is_changed(installed):
    text, before = installed.config.read_text(), installed.templates()
    (installed.home / "models").write_text("in the way")
    done = installed.models("embedder", "lite")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "File exists" in done.stderr or "Not a directory" in done.stderr
    assert (installed.config.read_text(), installed.templates()) == (text, before)
    (installed.home / "current" / "bin" / "limen").unlink()
    done = installed.models("embedder", "lite")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nothing is installed" in done.stderr
    assert (installed.config.read_text(), installed.templates()) == (text, before)


def test_it_explains_itself(installed):
    done = installed.models("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sudo deploy/models --rollback" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        'device = "porch"\n',
        '[models]\n[mqtt]\nhost = "here"\n',
        "[models]\nthreads = 2\nembedder = 'standard'",
        '[models]\ndetector = "standard" # x\n\n[mqtt]\nhost = "here"\n',
    ],
)
def test_the_rest_of_the_configuration_stays(installed, text):
    installed.config.write_text(f'{text}\n\n[gallery]\npath = "{installed.gallery}"\n')
    before = load_config(installed.config)
    assert installed.models("embedder", "lite").returncode == 0
    after = load_config(installed.config)
    assert after.models.embedder == "lite"
    assert (after.mqtt, after.models.threads, after.gallery) == (before.mqtt, before.models.threads, before.gallery)


def test_what_cannot_be_put_in_is_left_to_a_hand(installed):
    text = f'models = {{ embedder = "standard" }}\ngallery = {{ path = "{installed.gallery}" }}\n'
    installed.config.write_text(text)
    done = installed.models("embedder", "lite")
    assert done.returncode != 0
    assert "limen.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert installed.config.read_text() == text
