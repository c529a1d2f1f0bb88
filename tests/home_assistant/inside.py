"""Home Assistant itself, without its pages, for another process: a line of JSON in, a line of JSON out.

It is run by an interpreter that has `homeassistant` and paho-mqtt, and knows nothing of limen but the example
automations and blueprints, which come in the first line: {"port": of the broker, "automations": [...],
"blueprints": {name of a file: its text}}.
"""

import asyncio
import json
import logging
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from homeassistant import bootstrap, core, loader
from homeassistant.helpers import device_registry, entity_registry

# What the example automations act through, which this house has not: who calls it is noted.
HOUSE = ("tts", "speak"), ("notify", "household"), ("light", "turn_on")


class House:
    """What is asked of a running Home Assistant."""

    def __init__(self, hass: core.HomeAssistant, warnings: list[str]) -> None:
        self.hass, self.warnings, self.called = hass, warnings, []
        for domain, service in HOUSE:
            hass.services.async_register(domain, service, self._note)

    async def _note(self, call: core.ServiceCall) -> None:
        more = [call.data["data"]] if "data" in call.data else []
        self.called.append([f"{call.domain}.{call.service}", call.data.get("message"), *more])

    async def entities(self) -> dict[str, dict]:
        """Every entity of MQTT: its state, its attributes, and what the registry knows of it."""
        entries = entity_registry.async_get(self.hass).entities.values()
        mine = {entry.entity_id: entry for entry in entries if entry.platform == "mqtt"}
        return {
            name: {
                "unique_id": entry.unique_id,
                "category": entry.entity_category,
                "state": None if (state := self.hass.states.get(name)) is None else state.state,
                "attributes": {} if state is None else dict(state.attributes),
            }
            for name, entry in mine.items()
        }

    async def devices(self) -> list[list]:
        """Of MQTT."""
        known = device_registry.async_get(self.hass).devices.values()
        return [[device.name, device.manufacturer, device.sw_version] for device in known]

    async def automations(self) -> list[str]:
        """Those that were taken."""
        return sorted(state.name for state in self.hass.states.async_all("automation"))

    async def call(self, domain: str, service: str, **data: object) -> None:
        """As somebody presses a button."""
        await self.hass.services.async_call(domain, service, data, blocking=True)

    async def fire(self, event_type: str, **data: object) -> None:
        """As the app on a phone does when somebody presses a button of a notification."""
        self.hass.bus.async_fire(event_type, data)

    async def calls(self) -> list[list]:
        """What the automations did, and what they said."""
        return self.called

    async def log(self) -> list[str]:
        """Warnings and errors."""
        return self.warnings


class Warnings(logging.Handler):
    """Keeps them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        self.kept.append(f"{record.levelname} {record.name}: {record.getMessage()}")


def configured(folder: str, automations: list, blueprints: dict[str, str]) -> dict:
    """What is in its configuration.yaml, which integrations read again by themselves.

    blueprints: texts by the names of their files
    """
    place = Path(folder, "blueprints", "automation", "limen")
    place.mkdir(parents=True)
    for name, text in blueprints.items():
        (place / name).write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        http = {"server_host": "127.0.0.1", "server_port": free.getsockname()[1]}
    config = {"homeassistant": {}, "http": http, "automation": automations}
    Path(folder, "configuration.yaml").write_text(json.dumps(config))  # JSON is YAML
    return config


async def started(folder: str, port: int, config: dict) -> core.HomeAssistant:
    """With MQTT and the automations, and nothing of what people see of it."""
    bootstrap.DEFAULT_INTEGRATIONS = set()
    hass = core.HomeAssistant(folder)
    loader.async_setup(hass)
    hass.config.skip_pip = True
    if await bootstrap.async_from_config_dict(config, hass) is None:
        raise SystemExit("Home Assistant does not start")
    await hass.async_start()
    broker = {"broker": "127.0.0.1", "port": port}
    flow = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
    done = await hass.config_entries.flow.async_configure(flow["flow_id"], broker)
    if done["type"] != "create_entry":
        raise SystemExit(f"MQTT cannot be set up: {done}")
    return hass


async def main(folder: str) -> None:
    """Answer until nothing more is asked."""
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    settings = json.loads(sys.stdin.readline())
    hass = await started(folder, settings["port"], configured(folder, settings["automations"], settings["blueprints"]))
    house = House(hass, warnings.kept)
    while line := await hass.loop.run_in_executor(None, sys.stdin.readline):
        verb, fields = json.loads(line)
        await hass.async_block_till_done()
        answer = await getattr(house, verb)(**fields)
        print(json.dumps(answer, default=str), flush=True)
    await hass.async_stop()


with TemporaryDirectory() as name:
    asyncio.run(main(name))
