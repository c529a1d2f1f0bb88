"""Every command on the operations page: limen's run, deploy's scripts know theirs, bash can read the system's."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut

from edge.api.requests import convert_request, decode_json
from edge.api.signing import Signatures
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.system.metrics import THROTTLED_BITS
from tests.household import Broker

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "deploy" / "OPERATIONS.md").read_text()
BLOCKS = [
    (language, re.sub(r"^ {3}", "", block, flags=re.MULTILINE))
    for language, block in re.findall(r"^ *```(\w+)\n(.*?)^ *```", PAGE, flags=re.DOTALL | re.MULTILINE)
]
LINES = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
SYSTEM = (  # of the operating system: no test may touch that of whoever runs it
    "alias limen=", "journalctl ", "vcgencmd ", "mosquitto_sub ", "gpg ", "openssl ", "sudo cat ", "sudo rm ",
    "sudo systemctl ", "sudo mount ", "sudo umount ", "sudo cp ", "sudo raspi-config ", "sudo sed ", "sudo reboot",
    "sudo install ", "sudo mosquitto_passwd ", "sudo chown ",
)  # fmt: skip


@pytest.fixture
def device(tmp_path):
    """A gallery with somebody in it, a camera and a broker, as a configuration says."""
    portrait = astronaut()[..., ::-1]
    (tmp_path / "footage").mkdir()
    for name in ("alice.png", "footage/1.png"):
        cv2.imwrite(str(tmp_path / name), portrait)
    with Broker(tmp_path) as broker:
        (tmp_path / "limen.toml").write_text(
            f'[camera]\nkind = "images"\nlocation = "{tmp_path / "footage"}"\n'
            f'[gallery]\npath = "{tmp_path / "gallery.db"}"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        limen(tmp_path, "enroll", "Alice", tmp_path / "alice.png")
        yield tmp_path


def limen(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "edge", "--config", folder / "limen.toml", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("line", LINES)
def test_no_command_is_left_out(line):
    assert line.startswith(("limen ", "sudo deploy/", *SYSTEM))
    assert subprocess.run(["bash", "-nc", line], check=False).returncode == 0


def test_every_command_of_limen_does_what_it_says(device):
    """In the page's order: what was exported is there to be imported."""
    said = {}
    for line in LINES:
        if line.startswith("limen "):
            words = shlex.split(line.replace("/dev/shm", str(device)))[1:]  # noqa: S108 -- replaced
            if words[0] == "bench":
                words[-1] = "2"
            if words[:2] == ["people", "import"]:
                limen(device, "forget", "Alice")
            said[line] = limen(device, *words)
    assert "1 person" in said["limen people export /dev/shm/people.limen"]
    assert said["limen people"].startswith("Alice  2 templates")
    assert said["limen rebuild"] == "2 templates rebuilt\n"


def test_an_export_comes_through_encryption_as_it_was(device):
    """As the page has it, with a passphrase that nobody types."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not here")
    there, back = (next(line for line in LINES if word in line) for word in ("--symmetric", "--decrypt"))
    limen(device, "people", "export", device / "people.limen")
    before = (device / "people.limen").read_bytes()
    quiet = "gpg --homedir . --batch --pinentry-mode loopback --passphrase x "
    for line in (there, "rm people.limen", back, "gpgconf --homedir . --kill all"):
        here = re.sub(r"sudo |-o limen |/dev/shm/", "", re.sub(r"^gpg |(?<=\| )gpg ", quiet, line))
        done = subprocess.run(["bash", "-o", "pipefail", "-ec", here], cwd=device, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (device / "people.limen").read_bytes() == before
    assert before[:15] not in (device / "people.limen.gpg").read_bytes()


@pytest.mark.parametrize("line", sorted({line for line in LINES if line.startswith("sudo deploy/")}))
def test_a_script_has_what_it_is_called_with(line):
    script, *arguments = shlex.split(line)[1:]
    usage = "\n".join((ROOT / script).read_text().splitlines()[:12])
    for argument in arguments:
        if not argument.startswith("/"):
            assert re.search(rf"sudo {script}.* {argument}\b", usage)


def test_the_sections_that_go_into_the_systems_files_can_be_read():
    parser = configparser.ConfigParser()
    parser.optionxform = str
    (ini,) = (block for language, block in BLOCKS if language == "ini")
    parser.read_string(ini)
    assert dict(parser["Journal"]) == {"Storage": "volatile", "RuntimeMaxUse": "16M"}
    (fstab,) = (block for language, block in BLOCKS if language == "fstab")
    _, place, _, options, _, _ = fstab.split()
    unit = (ROOT / "deploy" / "limen.service").read_text()
    assert place == f"/var/lib/{re.search(r'^StateDirectory=(.+)$', unit, flags=re.MULTILINE)[1]}"
    assert "ro" not in options.split(",")
    assert Path(place) == Config().gallery.path.parent


def test_what_the_page_says_of_settings_and_messages_is_so():
    for setting in set(re.findall(r"`((?:camera|gallery|mqtt|models|decision|strangers)\.\w+)", PAGE)):
        section, name = setting.split(".")
        if (section, name) != ("gallery", "db"):
            assert name in vars(getattr(Config(), section)), setting
    assert (CameraConfig().fps_max, MqttConfig().outbox_events_max) == (10.0, 10_000)
    assert GalleryConfig().keep_crops is True
    assert not MqttConfig().image_last
    for flag in THROTTLED_BITS:
        assert f"`{flag}`" in PAGE
    assert "MemoryMax=400M" in (ROOT / "deploy" / "limen.service").read_text()


def test_what_it_costs_is_what_the_readme_measured():
    readme = (ROOT / "README.md").read_text()
    lite = json.loads((ROOT / "edge" / "models" / "embedder-lite.json").read_text())
    standard = json.loads((ROOT / "edge" / "models" / "embedder.json").read_text())
    assert f"`lite` {lite['macs'] / 1e6:.0f} instead of {standard['macs'] / 1e6:.0f} MMAC" in PAGE
    assert "| nobody there | 0.15 ms |" in readme
    assert "| somebody there | 2.18 ms | 6.94 ms |" in readme
    assert "107.0 MB" in readme


def test_the_certificates_are_ones_that_a_client_takes(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    made = [line for line in LINES if line.startswith("openssl ")]
    for line in [*made, "openssl verify -x509_strict -verify_hostname broker.lan -CAfile ca.crt broker.crt"]:
        done = subprocess.run(shlex.split(line), cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    mosquitto = (ROOT / "deploy" / "mosquitto" / "limen.conf").read_text()
    for name in ("ca.crt", "broker.crt", "broker.key", "limen.acl", "passwords"):
        assert f"/etc/mosquitto/limen/{name}" in mosquitto
        assert any(name in line for line in LINES if "/etc/mosquitto/limen" in line)


def test_what_the_page_signs_is_signed():
    (block,) = [block for language, block in BLOCKS if language == "python"]
    values = {}
    exec(compile(block, "OPERATIONS.md", "exec"), values)  # noqa: S102 -- the page is ours
    clock = types.SimpleNamespace(now=time.time)
    nonces = types.SimpleNamespace(seen=lambda *_: False, newest_ms=lambda _key: None)
    signatures = Signatures(values["key"], clock, nonces)
    text, stamp = signatures.open(values["topic"], json.loads(values["payload"]))
    signatures.check_freshness(stamp)
    assert convert_request("person/list", decode_json("person/list", text)).transaction


def test_the_codes_of_a_signature_are_all_there_are():
    source = (ROOT / "edge" / "api" / "signing.py").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.split("| refused with |")[1].split("\n\n")[0], flags=re.MULTILINE)
    assert set(rows) == {code.lower() for code in re.findall(r"Code\.(\w+)", source)}


def test_links_within_the_repository_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "deploy" / target).resolve().is_file(), target
    readme = (ROOT / "README.md").read_text()
    assert "(deploy/OPERATIONS.md)" in readme
    headings = {line[3:].lower().replace(" ", "-") for line in PAGE.splitlines() if line.startswith("## ")}
    assert (anchors := set(re.findall(r"deploy/OPERATIONS\.md#([\w-]+)", readme)))
    assert anchors <= headings
