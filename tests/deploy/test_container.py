"""What can be said of the container without a registry: the form of its files, and what they refer to."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from edge.commands.config_file import load_config
from edge.commands.console import console
from edge.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "deploy" / "container"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
STAGES = [stage.splitlines() for stage in (FOLDER / "Containerfile").read_text().split("\nFROM ")[1:]]
NAMED = {stage[0].partition(" AS ")[2]: stage for stage in STAGES}


def test_the_images_that_are_run_get_what_was_built_and_no_user_who_may_do_everything():
    system, camera, page = NAMED["system"], NAMED["camera"], NAMED["console"]
    assert camera is STAGES[-1]  # without --target
    assert system[0].startswith("scratch ")
    assert "USER 10001:10001" in system
    assert not [line for line in system + camera + page if "pip" in line or "apt-get" in line or "USER 0" in line]
    assert [camera[0], page[0]] == ["system AS camera", "system AS console"]
    assert "COPY --from=build /opt/limen /opt/limen" in camera
    assert "COPY --from=build-console /opt/limen /opt/limen" in page


def test_what_is_copied_is_there():
    copies = [line for stage in STAGES for line in stage if line.startswith("COPY ") and "--from" not in line]
    names = [name for line in copies for name in line.split()[1:-1]]
    assert "edge" in names
    for name in names:
        assert (FOLDER.parents[1] / name).exists(), name


@pytest.mark.parametrize(("name", "target"), [("limen", "camera"), ("console", "console")])
def test_limen_runs_confined(name, target):
    service = COMPOSE["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    build = service["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Containerfile"
    assert build["target"] == target
    assert target in NAMED


def test_what_is_published_is_published_to_this_machine_alone():
    published = {name: service.get("ports", []) for name, service in COMPOSE["services"].items()}
    assert published == {"mosquitto": ["127.0.0.1:1883:1883"], "limen": [], "console": ["127.0.0.1:8340:8340"]}
    assert not [name for name, service in COMPOSE["services"].items() if "network_mode" in service]


def test_the_console_needs_a_password_which_is_in_its_volume(tmp_path):
    service = COMPOSE["services"]["console"]
    assert not {"environment", "env_file"} & set(service)
    (password,) = [word for word in service["command"] if word.startswith("--password-file=")]
    (volume,) = service["volumes"]
    assert password.removeprefix("--password-file=").startswith(volume.removeprefix("console:"))
    moved = [word.replace(volume.removeprefix("console:"), str(tmp_path)) for word in service["command"]]
    without = [word for word in moved if not word.startswith("--password-file=")]
    for command, problem in ((moved, "console.password cannot be read"), (without, "give --password-file too")):
        done = CliRunner().invoke(console, command, obj=load_config(FOLDER / "limen.toml"))
        assert isinstance(done.exception, ConfigError)
        assert problem in str(done.exception)


def test_files_and_volumes_are_there_and_the_configuration_holds():
    for service in COMPOSE["services"].values():
        for source, *_ in (volume.split(":") for volume in service["volumes"]):
            assert (FOLDER / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
    assert load_config(FOLDER / "limen.toml").mqtt.host in COMPOSE["services"]
