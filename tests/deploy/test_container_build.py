"""The images of deploy/container, built on the base that LIMEN_CONTAINER_BASE names and run as compose.yaml runs them.

Skipped elsewhere: no test asks a registry. deploy/container/README.md says how a base is made.
"""

import os
import re
import shutil
import subprocess
import tarfile
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import cv2
import pytest
import yaml

from edge import __version__
from edge.demo.scene import HEIGHT, WIDTH, Pose, porch, with_person
from tests.household import free_port, until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
BASE, PODMAN = os.environ.get("LIMEN_CONTAINER_BASE"), shutil.which("podman")
TOOL = re.compile(r"(.*-)?(cc|cc1|gcc|g\+\+|clang|cpp|ld|as|make|pip3?|apt|apt-get)([-.\d]*)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BASE, reason="LIMEN_CONTAINER_BASE names no base image: deploy/container/README.md"),
    pytest.mark.skipif(not PODMAN, reason="podman is not here: apt install podman"),
]


def podman(*arguments, code=0):
    """What it prints."""
    done = subprocess.run([PODMAN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def images():
    """The images by their targets."""
    tags = {target: f"localhost/limen-test-{target}-{os.getpid()}" for target in ("camera", "console")}
    try:
        for target, tag in tags.items():
            options = [f"--build-arg=BASE={BASE}", f"--target={target}", f"--file={FOLDER / 'Containerfile'}"]
            podman("build", "--quiet", "--network=host", *options, f"--tag={tag}", ROOT)
        yield tags
    finally:
        podman("rmi", "--force", *tags.values())


@pytest.fixture
def volume():
    name = f"limen-test-{os.getpid()}"
    podman("volume", "create", name)
    yield f"--volume={name}:/var/lib/limen"
    podman("volume", "rm", name)


@pytest.fixture
def settings(tmp_path):
    """settings(location, port) -> the option that mounts the container's limen.toml, with another camera and broker."""

    def write(location, port):
        text = (FOLDER / "limen.toml").read_text()
        text = re.sub('location = ".*?"', f'location = "{location}"', text)
        (tmp_path / "limen.toml").write_text(text.replace('"mosquitto"', f'"127.0.0.1"\nport = {port}'))
        return f"--volume={tmp_path / 'limen.toml'}:/etc/limen/limen.toml:ro"

    return write


def confined(name):
    """The options by which compose.yaml runs that service, but for the network: the broker here is on the loopback."""
    service = SERVICES[name]
    drops, places, more = service["cap_drop"], service["tmpfs"], service["security_opt"]
    options = [f"--cap-drop={drop}" for drop in drops] + [f"--tmpfs={place}" for place in places]
    options += [f"--security-opt={one}" for one in more] + [f"--read-only={service['read_only']}"]
    return [*options, f"--memory={service['mem_limit']}", "--network=host", "--rm"]


@contextmanager
def files_of(image):
    """Every file of an image."""
    container = podman("create", image).strip()
    try:
        with (
            subprocess.Popen([PODMAN, "export", container], stdout=subprocess.PIPE) as export,
            tarfile.open(fileobj=export.stdout, mode="r|") as archive,
        ):
            yield (member for member in archive if member.isfile())
    finally:
        podman("rm", "--volumes", container)


@pytest.mark.parametrize(("target", "megabytes"), [("camera", 350), ("console", 450)])
def test_an_image_is_small_and_nothing_in_it_builds_installs_or_has_more_rights(images, target, megabytes):
    size, user = podman("image", "inspect", "--format={{.Size}} {{.Config.User}}", images[target]).split()
    assert int(size) < megabytes * 1e6
    assert user == "10001:10001"
    with files_of(images[target]) as files:
        found = {file.name: file.mode for file in files}
    programs = [name for name, mode in found.items() if mode & 0o111]
    assert "opt/limen/bin/limen" in programs
    assert not [name for name in programs if TOOL.fullmatch(Path(name).name)]
    assert not [name for name in found if "-packages/pip/" in name]
    assert not [name for name, mode in found.items() if mode & 0o6000]


def test_the_camera_recognizes_on_a_root_that_cannot_be_written(images, volume, settings, household, broker, tmp_path):
    frames = [with_person(porch(), 0, Pose(0.5, 0.42, 150.0, look=0.05 * number)) for number in range(20)]
    film = cv2.VideoWriter(str(tmp_path / "door.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (WIDTH, HEIGHT))
    for frame in frames:
        film.write(frame[..., ::-1])
    film.release()
    cv2.imwrite(str(tmp_path / "anna.png"), frames[0][..., ::-1])
    tmp_path.chmod(0o755)  # for user 10001
    options = [*confined("limen"), volume, settings("/film/door.avi", broker.port), "--hostname=porch"]
    options += [f"--volume={tmp_path}:/film:ro", images["camera"]]
    assert podman("run", *options, "--version").split()[-1] == __version__
    assert not re.findall(r"^(?:WARN|FAIL) .*", podman("run", *options, "doctor"), flags=re.MULTILINE)
    podman("run", *options, "enroll", "Anna", "/film/anna.png")
    podman("run", *options, "run", "--fast")
    assert household.next_event(0, event_type="recognized")["name"] == "Anna"
    podman("run", *options[:-1], "--entrypoint=touch", images["camera"], "/opt/limen/x", code=1)


def test_the_console_serves_its_page(images, volume, settings, broker):
    port = free_port()
    options = [*confined("console"), volume, settings("", broker.port), "--detach", images["console"]]

    def page():
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/") as answer:
            return answer.read().decode()

    container = podman("run", *options, "--no-show", f"--port={port}").strip()
    try:
        assert "limen</title>" in until(page, 60)
    finally:
        podman("stop", container)


@pytest.mark.skipif(os.geteuid() != 0, reason="a device keeps its group where podman is run by root")
def test_a_device_that_is_handed_in_is_open_to_who_has_its_group(images):
    device = Path("/dev/loop-control")  # any that only its group may open
    group = device.stat().st_gid
    look = ["-c", "from edge.capture.decoders import why_closed; print(why_closed('/dev/video0'))"]

    def said(*options):
        return podman("run", *confined("limen"), *options, "--entrypoint=python", images["camera"], *look)

    assert "there is no /dev/video0 here: is" in said()
    assert f"closed to user 10001 and open to group {group}" in said(f"--device={device}:/dev/video0")
    assert "is it a camera" in said(f"--device={device}:/dev/video0", f"--group-add={group}")
