"""limen in a real Home Assistant: what it makes of the discovery message, of events, and of the example automations.

    python -m tests.home_assistant --python ha/bin/python

where that interpreter has `pip install homeassistant paho-mqtt==2.1.0` (2026.2 wants Python 3.13). Printed are its
device, entities, states and warnings; status 1 where something is not as it should be. A real mosquitto and a real
`limen run` before the drawn porch are on the other side.
"""

import base64
import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import yaml

from edge.demo.story import portrait
from tests.faults.device import VISITOR, at_work, write_config
from tests.household import Broker, Household, until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "home-assistant" / "automations.yaml"
SECONDS = 60.0
OWN = "aiohttp_fast_zlib"  # what it says of itself, whatever there is


class HomeAssistant:
    """A Home Assistant in a process of its own."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def ask(self, verb: str, **fields: object) -> object:
        """What it answers; see inside.py."""
        self.process.stdin.write(json.dumps([verb, fields]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "Home Assistant ended: see what it said above"
        return json.loads(line)

    def entity(self, name: str) -> dict:
        """One that is there, or nothing."""
        return self.ask("entities").get(name, {"state": "", "attributes": {}})


@contextmanager
def home_assistant(command: str, port: int) -> Iterator[HomeAssistant]:
    """At that broker, with the example automations."""
    inside = (Path(__file__).parent / "inside.py").read_text()
    words = [*shlex.split(command), "-c", inside]
    settings = {"port": port, "automations": yaml.safe_load(EXAMPLES.read_text())}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        try:
            yield HomeAssistant(process)
        finally:
            process.stdin.close()
            process.wait(timeout=60)


class Check:
    """What was seen, printed; what was not is a failure."""

    def __init__(self) -> None:
        self.failed = 0

    def that(self, what: str, holds: object) -> None:
        """Say whether it does."""
        self.failed += not holds
        click.echo(f"{'yes' if holds else 'NO '}  {what}")

    def comes(self, what: str, condition: object) -> None:
        """Wait for it."""
        try:
            until(condition, SECONDS)
        except AssertionError:
            self.that(what, holds=False)
        else:
            self.that(what, holds=True)


def look(house: HomeAssistant, household: Household, check: Check) -> None:
    """A day of that household."""
    face, seen = "event.limen_porch_face", "sensor.limen_porch_anna_last_seen"
    check.comes("the device's entities are there", lambda: len(house.ask("entities")) >= 11)
    check.comes("somebody unknown is an event", lambda: house.entity(face)["attributes"].get("event_type") == "unknown")
    unknown = "binary_sensor.limen_porch_unknown_at_the_door"
    check.comes("and is at the door", lambda: house.entity(unknown)["state"] == "on")
    picture = base64.b64encode(portrait(VISITOR, look=2.0)).decode()
    answer = household.ask("enroll/image", {"transaction": "one", "name": "Anna", "images": [picture]})
    check.that("one picture is enough", answer["status"] == "ok")
    check.comes("she has a sensor", lambda: seen in house.ask("entities"))
    check.comes("she is recognized", lambda: house.entity(face)["attributes"].get("name") == "Anna")
    check.comes("and seen at a time", lambda: house.entity(seen)["state"].startswith("20"))
    check.comes("she is greeted", lambda: ["tts.speak", "Welcome home, Anna."] in house.ask("calls"))
    check.comes("who comes is told", lambda: any("Anna is at the door" in said for _, said in house.ask("calls")))
    house.ask("call", domain="automation", service="trigger", entity_id="automation.somebody_unknown_at_night")
    check.comes("at night there would be light", lambda: ["light.turn_on", None] in house.ask("calls"))
    show(house)
    switch, button = "switch.limen_porch_recognition", "button.limen_porch_enroll_now"
    for service, state in (("turn_off", "off"), ("turn_on", "on")):
        house.ask("call", domain="switch", service=service, entity_id=switch)
        check.comes(f"the switch is {state}", lambda state=state: house.entity(switch)["state"] == state)
        recognition = json.loads(household.newest("response/config/set"))
        check.that("as the device answered", recognition["data"]["recognition"] is (state == "on"))
    house.ask("call", domain="button", service="press", entity_id=button)
    check.comes("the button enrolls", lambda: household.on("response/enroll/start"))
    check.that(
        "and is answered with progress", json.loads(household.newest("response/enroll/start"))["status"] == "progress"
    )
    household.ask("enroll/cancel", {"transaction": "no"})
    household.ask("person/remove", {"transaction": "gone", "name": "Anna"})
    check.comes("of who is removed, the sensor goes", lambda: seen not in house.ask("entities"))


def show(house: HomeAssistant) -> None:
    """What there is."""
    click.echo(f"\ndevices: {house.ask('devices')}\nautomations: {house.ask('automations')}\n")
    for name, entity in sorted(house.ask("entities").items()):
        click.echo(f"{name:50} {entity['state']}{' (diagnostic)' if entity['category'] else ''}")
    click.echo("")


@click.command()
@click.option(
    "--python", "command", required=True, help="An interpreter with Home Assistant, or a command that ends in one."
)
def main(command: str) -> None:
    """Print what was seen; status 1 where something was not."""
    check = Check()
    with TemporaryDirectory() as name, Broker(Path(name)) as broker, Household(broker.port) as household:
        config = write_config(Path(name), broker.port, image_last=True)
        with at_work(config, household), home_assistant(command, broker.port) as house:
            try:
                look(house, household, check)
            finally:
                warnings = house.ask("log")
                show(house)
                click.echo("\n".join(warnings))
        with home_assistant(command, broker.port) as again:  # the device is away: what the broker kept is there
            check.comes("after it all, the entities are unavailable", lambda: unavailable(again))
            warnings += again.ask("log")
    check.that("no warning in its log", all(OWN in line for line in warnings))
    if check.failed:
        raise click.exceptions.Exit(1)


def unavailable(house: HomeAssistant) -> bool:
    """All of them."""
    return {entity["state"] for entity in house.ask("entities").values()} == {"unavailable"}


if __name__ == "__main__":
    main()
