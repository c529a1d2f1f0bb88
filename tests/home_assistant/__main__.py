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
BLUEPRINTS = EXAMPLES.parent / "blueprints"
FACE, PICTURE = "event.limen_porch_face", "image.limen_porch_last_face"
USES = [  # of each blueprint, as somebody fills it in
    {
        "alias": "Tell with the picture",
        "use_blueprint": {
            "path": "limen/tell_with_picture.yaml",
            "input": {"face": FACE, "picture": PICTURE, "notify": "notify.household", "names": ["Anna", "Ben / B."]},
        },
    },
    {
        "alias": "Unknown by the blueprint",
        "use_blueprint": {
            "path": "limen/unknown_at_night.yaml",
            "input": {
                "unknown": "binary_sensor.limen_porch_unknown_at_the_door",
                "stays": {"seconds": 0},
                "after": "00:00:00",
                "before": "23:59:59",
                "then": [{"action": "notify.household", "data": {"message": "light by the blueprint"}}],
            },
        },
    },
    {
        "alias": "Welcome by the blueprint",
        "use_blueprint": {
            "path": "limen/welcome.yaml",
            "input": {
                "face": FACE,
                "then": [{"action": "tts.speak", "data": {"message": "Hello {{ name }} by the blueprint"}}],
            },
        },
    },
]
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
    settings = {
        "port": port,
        "automations": [*yaml.safe_load(EXAMPLES.read_text()), *USES],
        "blueprints": {path.name: path.read_text() for path in sorted(BLUEPRINTS.glob("*.yaml"))},
    }
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
    press_buttons(house, household, check)
    picture = base64.b64encode(portrait(VISITOR, look=2.0)).decode()
    answer = household.ask("enroll/image", {"transaction": "one", "name": "Anna", "images": [picture]})
    check.that("one picture is enough", answer["status"] == "ok")
    check.comes("she has a sensor", lambda: seen in house.ask("entities"))
    check.comes("she is recognized", lambda: house.entity(face)["attributes"].get("name") == "Anna")
    check.comes("and seen at a time", lambda: house.entity(seen)["state"].startswith("20"))
    check.comes("she is greeted", lambda: ["tts.speak", "Welcome home, Anna."] in house.ask("calls"))
    check.comes("who comes is told", lambda: any("Anna is at the door" in said for _, said, *_ in house.ask("calls")))
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


def press_buttons(house: HomeAssistant, household: Household, check: Check) -> None:
    """What the blueprints do, and what the device does then."""

    def told(message: str) -> list:
        return [more for _, said, *more in house.ask("calls") if said == message and more]

    unknown = "Somebody unknown is at the door"
    check.comes("the blueprint tells of somebody unknown", lambda: told(unknown))
    said = told(unknown)[-1][0]
    check.that("with the picture", said["image"] == f"/api/image_proxy/{PICTURE}")
    check.comes("which is there", lambda: house.entity(PICTURE)["state"].startswith("20"))
    titles = [button["title"] for button in said["actions"]]
    check.that("and with buttons", titles == ["It is Anna", "It is Ben / B.", "Ignore"])
    check.that(
        "about that event", said["actions"][0]["action"].split("/")[3] in {event["id"] for event in household.events()}
    )
    _, ben, ignore = (button["action"] for button in said["actions"])
    house.ask("fire", event_type="mobile_app_notification_action", action=ignore)
    check.comes("ignore: the device answers", lambda: household.on("response/unknown/ignore"))
    answer = json.loads(household.newest("response/unknown/ignore"))
    check.that("the stranger is ignored", answer["status"] == "ok" and answer["data"]["ignored"])
    household.ask("unknown/ignore", {"transaction": "heed", "id": answer["data"]["stranger_id"], "ignored": False})
    house.ask("fire", event_type="mobile_app_notification_action", action=ben)
    check.comes("it is Ben: the device answers", lambda: household.on("response/event/correct"))
    answer = json.loads(household.newest("response/event/correct"))
    check.that("and has enrolled him", answer["status"] == "ok" and answer["data"]["name"] == "Ben / B.")
    check.comes("he is told by name", lambda: told("Ben / B. is at the door"))
    check.that("without buttons", told("Ben / B. is at the door")[0][0]["actions"] == [])
    calls = house.ask("calls")
    check.that("he is welcomed by the blueprint", ["tts.speak", "Hello Ben / B. by the blueprint"] in calls)
    check.comes(
        "and by night there is light", lambda: ["notify.household", "light by the blueprint"] in house.ask("calls")
    )
    household.ask("person/remove", {"transaction": "no Ben", "name": "Ben / B."})


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
        config.write_text(f"{config.read_text()}\n[strangers]\nkeep_days = 7\n[history]\nkeep_hours = 1\n")
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
