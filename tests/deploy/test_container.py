"""What can be said of the container without a registry: the form of its files, and what they refer to."""

from pathlib import Path

import yaml

from edge.commands.config_file import load_config

FOLDER = Path(__file__).parents[2] / "deploy" / "container"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
STAGES = [stage.splitlines() for stage in (FOLDER / "Containerfile").read_text().split("\nFROM ")[1:]]


def test_the_image_that_is_run_gets_what_was_built_and_no_user_who_may_do_everything():
    *_, final = STAGES
    assert final[0] == "python"
    assert "USER 10001:10001" in final
    assert not [line for line in final if "pip" in line or "apt-get" in line]


def test_what_is_copied_is_there():
    copies = [line for stage in STAGES for line in stage if line.startswith("COPY ") and "--from" not in line]
    names = [name for line in copies for name in line.split()[1:-1]]
    assert "edge" in names
    for name in names:
        assert (FOLDER.parents[1] / name).exists(), name


def test_limen_runs_confined_with_a_configuration_that_holds():
    limen = COMPOSE["services"]["limen"]
    assert (limen["read_only"], limen["cap_drop"]) == (True, ["ALL"])
    assert limen["security_opt"] == ["no-new-privileges:true"]
    assert (FOLDER / limen["build"]["context"] / limen["build"]["dockerfile"]).resolve() == FOLDER / "Containerfile"
    for service in COMPOSE["services"].values():
        for source, *_ in (volume.split(":") for volume in service["volumes"]):
            assert (FOLDER / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
    assert load_config(FOLDER / "limen.toml").mqtt.host in COMPOSE["services"]
