"""A broker inside this process (amqtt), on loopback, for as long as the demo lasts."""

import asyncio
import logging
import socket
import threading
from contextlib import suppress
from typing import Any, Self

from edge.errors import BrokerError

START_SECONDS, STOP_SECONDS = 10.0, 3.0


class EmbeddedBroker:
    """Use it in `with`; port: where it listens. Raises BrokerError where amqtt is missing or does not start."""

    def __init__(self) -> None:
        try:
            from amqtt.broker import Broker
        except ImportError as error:
            raise BrokerError(
                "the demo's broker is not installed: pip install 'limen[demo]', or name a broker of yours with --broker"
            ) from error
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs every refused protocol version as an error
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._config = {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        self._make = Broker
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()

        async def start() -> Any:
            broker = self._make(self._config, loop=self._loop)
            await broker.start()
            return broker

        try:
            self._broker = asyncio.run_coroutine_threadsafe(start(), self._loop).result(START_SECONDS)
        except Exception as error:  # amqtt's own classes have no common base that is not Exception
            self._stop_loop()
            raise BrokerError(f"the demo's broker does not start on port {self.port}: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        stopping = asyncio.run_coroutine_threadsafe(self._broker.shutdown(), self._loop)
        with suppress(TimeoutError):  # it waits for clients that are slow to leave; it ends with the process
            stopping.result(STOP_SECONDS)
        self._stop_loop()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
