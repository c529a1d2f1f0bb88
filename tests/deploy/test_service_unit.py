"""The systemd unit, as systemd itself judges it."""

import ctypes.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.runtime.worker_main import NICE
from tests.household import portrait_jpeg
from tests.markdown import Page

UNIT = Path(__file__).parents[2] / "deploy" / "limen.service"
EXPOSURE_MAX = 1.5


@pytest.fixture
def unit(tmp_path):
    """A copy whose program is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / UNIT.name
    text, changed = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    assert changed == 1
    copy.write_text(text)
    return copy


def test_systemd_has_nothing_to_say_against_it(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_drop_in_of_the_operations_page_is_one_that_systemd_takes(unit):
    (drop_in,) = Page("deploy/OPERATIONS.md").blocks_of("systemd")
    folder = unit.with_name(f"{unit.name}.d")
    folder.mkdir()
    (folder / "network.conf").write_text(drop_in)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_exposes_little(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for limen\.service: (\d+\.\d+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX


# Reads a picture as the running device does, in the sandbox of the unit: its system calls, and no memory that is
# written and executed (PR_SET_MDWE, where the kernel has it).
IN_THE_SANDBOX = """
import ctypes, json, os, sys, time
from dataclasses import replace
from pathlib import Path

asked = json.load(sys.stdin)
libc, seccomp = ctypes.CDLL(None), ctypes.CDLL(asked["seccomp"])
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
libc.prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE
seccomp.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(seccomp.seccomp_init(0x00050001))  # everything else: EPERM
for name in asked["allowed"]:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number != -1:
        seccomp.seccomp_rule_add_array(context, 0x7FFF0000, number, 0, None)
assert seccomp.seccomp_load(context) == 0
try:
    os.sched_setaffinity(0, {0})
except PermissionError:
    pass
else:
    sys.exit("there is no sandbox")

from edge.config import Config
from edge.runtime.assembly import Device
from edge.runtime.pictures import FacesTask
from edge.runtime.worker import PictureWorker, settings_of

config = Config(device="porch")
config = replace(config, gallery=replace(config.gallery, path=Path(asked["folder"]) / "gallery.db"))
with Device.open(config) as device:
    worker = PictureWorker(settings_of(config, device))
    worker.start(FacesTask([asked["image"]], 16_000_000))
    while (found := worker.poll()) is None:
        time.sleep(0.01)
    nice = os.getpriority(os.PRIO_PROCESS, worker._process.pid) - os.getpriority(os.PRIO_PROCESS, 0)
    worker.close()
print(json.dumps({"faces": len(found[0]), "nice": nice, "lost": worker.lost}))
"""


def system_calls():
    """Those that the unit allows, as systemd reads its lines: the first begins the list, the others add and take."""
    done = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True)
    sets, members = {}, []
    for line in done.stdout.splitlines():
        if line.startswith("@"):
            members = sets[line.strip()] = []
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())

    def expanded(name):
        return set().union(*map(expanded, sets[name])) if name.startswith("@") else {name}

    allowed = expanded("@default")
    for names in re.findall("^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE):
        chosen = set().union(*map(expanded, names.removeprefix("~").split()))
        allowed = allowed - chosen if names.startswith("~") else allowed | chosen
    return allowed


def test_pictures_are_read_in_its_sandbox(tmp_path):
    library = ctypes.util.find_library("seccomp")
    if shutil.which("systemd-analyze") is None or library is None:
        pytest.skip("systemd-analyze and libseccomp are not here")
    asked = {"seccomp": library, "allowed": sorted(system_calls()), "folder": str(tmp_path), "image": portrait_jpeg()}
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_SANDBOX], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"faces": 1, "nice": NICE, "lost": 0}


def test_a_process_that_runs_out_of_memory_does_not_end_the_device():
    """systemd's default ends the whole unit then."""
    assert re.findall("^OOMPolicy=(.*)$", UNIT.read_text(), re.MULTILINE) == ["continue"]
