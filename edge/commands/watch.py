"""limen run and limen demo: the frame loop before a camera, and before a drawn one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, is_quiet, say, with_overrides

if TYPE_CHECKING:
    import threading

    from edge.config import Config


@click.command()
@click.option("--source", help="picamera, a video file, rtsp://..., /dev/video0, a folder or a glob of pictures.")
@click.option("--broker", help="HOST or HOST:PORT of the MQTT broker.")
@click.option("--fast", is_flag=True, help="Process every frame of a file as soon as the last one is done.")
@click.option("--loop", is_flag=True, help="Start a file or folder again when it ends.")
@click.pass_obj
def run(config: "Config", source: str | None, broker: str | None, *, fast: bool, loop: bool) -> None:
    """Watch the door and publish over MQTT who is there, until stopped (Ctrl-C, SIGTERM) or the source ends."""
    import logging

    from edge.capture import open_source
    from edge.commands.journal import journal
    from edge.runtime.assembly import Device
    from edge.runtime.device_name import keep_name, named
    from edge.runtime.loop import DeviceLoop
    from edge.runtime.publisher import INSTANCE_ID

    config = named(with_overrides(config, source, broker))
    logging.basicConfig(level=logging.WARNING if is_quiet() else logging.INFO, handlers=[journal()])
    stop = stopped_by_signals()
    with Device.open(config) as device:
        keep_name(device.store, config, INSTANCE_ID)
        DeviceLoop(config, device).run(open_source(config.camera, fast=fast, loop=loop), stop)


def stopped_by_signals() -> "threading.Event":
    """An event that every signal sets which would end the process, so that it says `offline` before; nohup holds."""
    import signal
    import threading

    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())
    return stop


@click.command()
@click.option("--broker", help="HOST or HOST:PORT of a broker to use in place of the embedded one.")
@click.option(
    "--picture",
    type=FILE,
    default="limen-demo.jpg",
    show_default=True,
    help="Where the frame is written in which somebody was recognized.",
)
@click.option(
    "--slowly",
    type=click.FloatRange(1, 100),
    default=1,
    show_default=True,
    help="How many times slower people come and go, for a machine that cannot process ten frames a second.",
)
@click.option(
    "--console", is_flag=True, help="In place of the story: people keep coming, and the household's page opens."
)
@click.option("--port", type=click.IntRange(1, 65535), default=8340, show_default=True, help="Of the page.")
@click.pass_obj
def demo(config: "Config", broker: str | None, picture: Path, slowly: float, port: int, *, console: bool) -> None:
    """Play half a minute at a drawn door: no camera, no broker, no network."""
    import tempfile
    from contextlib import ExitStack
    from dataclasses import replace

    from edge.config import MqttConfig
    from edge.demo.broker import EmbeddedBroker
    from edge.demo.story import play
    from edge.runtime.device_name import named

    with tempfile.TemporaryDirectory() as folder, ExitStack() as resources:
        if broker is None:
            embedded = resources.enter_context(EmbeddedBroker())
            mqtt = MqttConfig(host="127.0.0.1", port=embedded.port, version="3.1.1")  # amqtt has no 5
            say(f"A broker on 127.0.0.1:{embedded.port}, a drawn porch, and people who do not exist.")
        else:
            mqtt = with_overrides(config, None, broker).mqtt
        if console:
            from edge.demo.household import play_on

            play_on(replace(config, mqtt=mqtt), Path(folder), port, say, stopped_by_signals())
        else:
            play(replace(named(config), mqtt=mqtt), Path(folder), picture, say, slowly)
