"""Every command on the operations page: limen's run, deploy's scripts know theirs, bash can read the system's."""

import configparser
import json
import os
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

from edge.api.signing import Signatures
from edge.api.verbs import convert_request, decode_json
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.system.metrics import THROTTLED_BITS
from tests.household import Broker
from tests.markdown import ROOT, Page

PAGE, TESTS = Page("deploy/OPERATIONS.md"), Page("tests/README.md")
# Commands that do not run here, and why.
OF_THE_SYSTEM = "it belongs to the operating system of whoever runs the tests"
OF_A_PI = "it is there on Raspberry Pi OS alone"
NOT_RUN = {
    "alias limen=": "the test calls limen itself",
    "sudo deploy/": "it changes the operating system; the script's own usage is compared",
    "git pull ": "it needs a network",
    "sudo apt install ": OF_THE_SYSTEM,
    "sudo /opt/limen/current/bin/limen --config /etc/limen/limen.toml init": OF_THE_SYSTEM,
    "python3 -m venv ": "this test runs in that environment",
    ". .venv/bin/activate": "this test runs in that environment",
    "pip install ": "it needs a network; this test runs in what it made",
    "journalctl ": OF_THE_SYSTEM,
    "vcgencmd ": OF_A_PI,
    "mosquitto_sub ": "it waits for a device; a test below runs that with a password",
    "mkdir -p ~": "a test below runs it",
    "touch ~": "a test below runs it",
    "chmod 0600 ~": "a test below runs it",
    "nano ~": "an editor",
    "gpg ": "a test below runs it with a passphrase that nobody types",
    "openssl ": "a test below runs it",
    "sudo cat ": "a test below runs it without sudo",
    "sudo rm ": OF_THE_SYSTEM,
    "sudo systemctl ": OF_THE_SYSTEM,
    "sudo mount ": OF_THE_SYSTEM,
    "sudo umount ": OF_THE_SYSTEM,
    "sudo cp ": OF_THE_SYSTEM,
    "sudo raspi-config ": OF_A_PI,
    "sudo sed ": "a test below runs it on a line like a Pi's",
    "sudo reboot": OF_THE_SYSTEM,
    "sudo install ": OF_THE_SYSTEM,
    "sudo mosquitto_passwd ": OF_THE_SYSTEM,
    "sudo chown ": OF_THE_SYSTEM,
}


@pytest.fixture
def device(tmp_path):
    """A gallery with somebody in it, a camera and a broker, as a configuration names them."""
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


@pytest.mark.parametrize("line", sorted(set(PAGE.commands)))
def test_no_command_is_left_out(line):
    assert line.startswith(("limen ", *NOT_RUN))
    assert subprocess.run(["bash", "-nc", line], check=False).returncode == 0


@pytest.mark.slow
def test_every_command_of_limen_does_what_it_says(device):
    """In the page's order: what was exported is there to be imported."""
    said = {}
    for line in PAGE.commands:
        if line.startswith("limen "):
            words = shlex.split(line.replace("/dev/shm", str(device)))[1:]  # noqa: S108 -- replaced
            if words[0] == "bench":
                words[-1] = "2"
            if words[:2] == ["people", "import"]:
                limen(device, "forget", "Alice")
            said[line] = limen(device, *words)
    assert "1 person" in said["limen people export /dev/shm/people.limen"]
    assert said["limen people"].startswith("Alice  1 template ")
    assert said["limen rebuild"] == "1 template rebuilt\n"
    assert "  import  p_" in said["limen audit --last 20"]


@pytest.mark.slow
def test_an_export_comes_through_encryption_as_it_was(device):
    """As the page has it, with a passphrase that nobody types."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not here")
    there, back = (next(line for line in PAGE.commands if word in line) for word in ("--symmetric", "--decrypt"))
    limen(device, "people", "export", device / "people.limen")
    before = (device / "people.limen").read_bytes()
    quiet = "gpg --homedir . --batch --pinentry-mode loopback --passphrase x "
    for line in (there, "rm people.limen", back, "gpgconf --homedir . --kill all"):
        here = re.sub(r"sudo |-o limen |/dev/shm/", "", re.sub(r"^gpg |(?<=\| )gpg ", quiet, line))
        done = subprocess.run(["bash", "-o", "pipefail", "-ec", here], cwd=device, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (device / "people.limen").read_bytes() == before
    assert before[:15] not in (device / "people.limen.gpg").read_bytes()


@pytest.mark.parametrize("line", sorted({line for line in PAGE.commands if line.startswith("sudo deploy/")}))
def test_a_script_has_what_it_is_called_with(line):
    script, *arguments = shlex.split(line)[1:]
    usage = "\n".join((ROOT / script).read_text().splitlines()[:12])
    assert f"sudo {script}" in usage
    for argument in arguments:
        if not argument.startswith("/"):
            assert re.search(rf"sudo {script}.* {argument}\b", usage)


def test_the_sections_that_go_into_the_systems_files_can_be_read():
    parser = configparser.ConfigParser()
    parser.optionxform = str
    (ini,) = PAGE.blocks_of("ini")
    parser.read_string(ini)
    assert dict(parser["Journal"]) == {"Storage": "volatile", "RuntimeMaxUse": "16M"}
    (fstab,) = PAGE.blocks_of("fstab")
    _, place, _, options, _, _ = fstab.split()
    unit = (ROOT / "deploy" / "limen.service").read_text()
    assert place == f"/var/lib/{re.search(r'^StateDirectory=(.+)$', unit, flags=re.MULTILINE)[1]}"
    assert "ro" not in options.split(",")
    assert Path(place) == Config().gallery.path.parent


def test_an_upgrade_begins_with_the_new_version():
    assert PAGE.commands.index("git pull --ff-only") + 1 in [
        at for at, line in enumerate(PAGE.commands) if line == "sudo deploy/install"
    ]


def test_health_is_read_by_an_account_that_may():
    (line,) = [line for line in PAGE.commands if line.startswith("mosquitto_sub -h")]
    words = shlex.split(line)
    (options,) = PAGE.blocks_of("mosquitto_sub")
    (username,) = re.findall("^-u (.+)$", options, flags=re.MULTILINE)
    acl = (ROOT / "deploy" / "mosquitto" / "limen.acl").read_text()
    rules = acl.split(f"user {username}\n")[1].split("\n\n")[0]
    assert words[words.index("-t") + 1] == "limen/+/health"
    assert "topic read limen/+/health" in rules.splitlines()


def test_health_is_read_without_a_password_on_the_command_line(tmp_path):
    """By mosquitto_sub, with the file that the page makes and fills."""
    if None in map(shutil.which, ("mosquitto_passwd", "mosquitto_sub", "mosquitto_pub")):
        pytest.skip("mosquitto-clients is not here")
    (options,) = PAGE.blocks_of("mosquitto_sub")
    username, password = re.findall("^-[uP] (.+)$", options, flags=re.MULTILINE)
    (tmp_path / "broker").mkdir()
    passwords = tmp_path / "broker" / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, username, password], check=True)
    broker = Broker(tmp_path / "broker")
    closed = broker.config.read_text().replace(
        "allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}"
    )
    broker.config.write_text(closed)
    at = ["-h", "127.0.0.1", "-p", str(broker.port)]
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CONFIG_HOME"}
    environment["HOME"] = str(tmp_path)
    (block,) = (block for block in PAGE.blocks_of("sh") if "~/.config/mosquitto_sub" in block)
    (line,) = [line for line in PAGE.commands if line.startswith("mosquitto_sub -h")]
    assert password not in line
    subprocess.run(["bash", "-ec", re.sub("^nano .*", "", block, flags=re.MULTILINE)], env=environment, check=True)
    file = tmp_path / ".config" / "mosquitto_sub"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(options)
    with broker:
        said = ["mosquitto_pub", *at, "-u", username, "-P", password, "-t", "limen/porch/health", "-m", "good", "-r"]
        subprocess.run(said, check=True)
        words = ["mosquitto_sub", *at, *shlex.split(line)[shlex.split(line).index("-t") :], "-W", "10"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "good\n")


def test_an_overlay_is_set_again_and_lifted():
    """On lines like that of /boot/firmware/cmdline.txt: raspi-config puts the word first where it is not there."""
    overlay, lift = (shlex.split(line)[3] for line in PAGE.commands if line.startswith("sudo sed "))

    def sed(expression, text):
        done = subprocess.run(["sed", expression], input=text, capture_output=True, text=True, check=True)
        return done.stdout

    for rest in ("console=serial0,115200 root=PARTUUID=1-02 rootwait\n", "rootwait\n"):
        once = sed(overlay, f"overlayroot=tmpfs {rest}")
        assert once == f"overlayroot=tmpfs:recurse=0 {rest}"
        assert sed(overlay, once) == once
        assert sed(lift, once) == rest
        assert sed(lift, f"overlayroot=tmpfs {rest}") == rest
        assert sed(lift, rest) == rest
    assert sed(lift, "rootwait overlayroot=tmpfs:recurse=0\n").split() == ["rootwait"]


def test_the_boot_partition_is_made_writable_before_it_is_changed():
    """do_overlayfs may have made it read-only."""
    (overlay, lift) = (block.splitlines() for block in PAGE.blocks_of("sh") if "overlayroot=" in block)
    assert overlay[0] == lift[0] == "sudo mount -o remount,rw /boot/firmware"
    assert overlay[-1] == lift[-1] == "sudo reboot"
    assert not any("do_overlayfs 1" in line for line in PAGE.commands)


def test_the_settings_that_the_page_names_are_there():
    for setting in set(re.findall(r"`((?:camera|gallery|mqtt|models|decision|strangers|fleet)\.\w+)", PAGE.text)):
        section, name = setting.split(".")
        if (section, name) != ("gallery", "db"):
            assert name in vars(getattr(Config(), section)), setting
    assert (CameraConfig().fps_max, MqttConfig().outbox_events_max) == (10.0, 10_000)
    assert GalleryConfig().keep_crops is True
    assert not MqttConfig().image_last
    for flag in THROTTLED_BITS:
        assert f"`{flag}`" in PAGE.text
    assert "MemoryMax=400M" in (ROOT / "deploy" / "limen.service").read_text()


def test_what_a_pi_needs_is_as_measured():
    lite = json.loads((ROOT / "edge" / "models" / "embedder-lite.json").read_text())
    standard = json.loads((ROOT / "edge" / "models" / "embedder.json").read_text())
    macs = f"the encoding of `lite` has 2 x {lite['macs'] / 1e6:.0f} instead of 2 x {standard['macs'] / 1e6:.0f} MMAC"
    assert macs in PAGE.text
    assert lite["mirror"]
    assert standard["mirror"]
    assert PAGE.row("a frame, nobody there")[0] == TESTS.row("nobody there")[0]
    frame, _, stages = TESTS.row("somebody there")
    assert PAGE.row("a frame, somebody there")[0].startswith(f"{frame}; ")
    (sample_ms,) = re.findall(r"encoding, ([\d.]+) ms", stages)
    assert PAGE.row("a sample: a closer look and an encoding")[0].startswith(f"{float(sample_ms):.1f} ms; ")
    memory = float(re.search(r"([\d.]+) MB from the fifth minute", TESTS.text)[1])
    assert PAGE.row("memory of `limen run`")[0] == f"{memory:.0f} MB"


def test_the_certificates_are_ones_that_a_client_takes(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    made = [line for line in PAGE.commands if line.startswith("openssl ")]
    for line in [*made, "openssl verify -x509_strict -verify_hostname broker.lan -CAfile ca.crt broker.crt"]:
        done = subprocess.run(shlex.split(line), cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    mosquitto = (ROOT / "deploy" / "mosquitto" / "limen.conf").read_text()
    for name in ("ca.crt", "broker.crt", "broker.key", "limen.acl", "passwords"):
        assert f"/etc/mosquitto/limen/{name}" in mosquitto
        assert any(name in line for line in PAGE.commands if "/etc/mosquitto/limen" in line)


def test_what_the_page_signs_is_signed():
    (block,) = PAGE.blocks_of("python")
    values = {}
    exec(compile(block, "OPERATIONS.md", "exec"), values)  # noqa: S102 -- the page is ours
    clock = types.SimpleNamespace(now=time.time)
    nonces = types.SimpleNamespace(seen=lambda *_: False, newest_ms=lambda _key: None, dropped_ms=lambda _key: -1)
    signatures = Signatures(values["key"], clock, nonces)
    text, stamp = signatures.open(values["topic"], json.loads(values["payload"]))
    signatures.check_freshness(stamp)
    assert convert_request("person/list", decode_json("person/list", text)).transaction


def test_the_codes_of_a_signature_are_all_there_are():
    source = (ROOT / "edge" / "api" / "signing.py").read_text()
    table = PAGE.text.split("| refused with |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert set(rows) == {code.lower() for code in re.findall(r"Code\.(\w+)", source)}
