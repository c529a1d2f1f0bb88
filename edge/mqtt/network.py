"""The network thread: it makes a connection to the broker, keeps it, and makes it again.

Which thread may call what: start, publish, subscribe, unsubscribe, reports and stop of Network are for the thread that
owns it; they append to queues and never wait, but for stop, which waits for the network thread, with a timeout.
Everything of edge.mqtt.client, and so of paho, is called by the network thread: the look-up of the host, connecting,
TLS, reading, writing, disconnecting, and the wait before the next attempt. It also calls Session.receive and `notify`,
which must not wait.
"""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from edge.config import MqttConfig
from edge.errors import ConfigError
from edge.mqtt.backoff import Backoff
from edge.mqtt.client import Client, tls_context
from edge.mqtt.reports import Attempt, Cause, Connected, Lost, Publication, Report, Session, Subscription

log = logging.getLogger("limen")

CONNACK_SECONDS = 5.0
TURN_SECONDS = 0.5  # without anything to read or write
NO_SUCH_VERSION, NO_RETAIN, NO_QOS = 0x84, 0x9A, 0x9B  # in CONNACK; MQTT 5, 3.2.2.2


class MakeClient(Protocol):
    """How a connection is made."""

    def __call__(
        self, config: MqttConfig, session: Session, attempt: Attempt, report: Callable[[Report], None]
    ) -> Client:
        """A connection that is not made yet. Raises ConfigError."""


class Network:
    """A connection that is made again when it is lost; what happens to it waits in a queue for reports().

    retry: whether it is made again; connack_seconds: how long the broker may take to answer CONNECT
    notify: called by the network thread after each report
    contended: set by the owner where another client has the same client id and the broker does not say so

    With version "auto", MQTT 5 is spoken, and 3.1.1 from the first time on that the broker does not know or does not
    answer MQTT 5, but answers 3.1.1; never 5 again after that.

    Raises ConfigError that names a file that cannot be used.
    """

    def __init__(
        self,
        config: MqttConfig,
        session: Session,
        *,
        retry: bool = True,
        backoff: Backoff | None = None,
        connack_seconds: float = CONNACK_SECONDS,
        notify: Callable[[], None] = lambda: None,
        make_client: MakeClient = Client,
    ) -> None:
        self.config, self.session, self.contended = config, session, False
        self._retry, self._backoff, self._connack_seconds = retry, backoff or Backoff(), connack_seconds
        self._notify, self._make_client = notify, make_client
        tls_context(config)  # a file that cannot be used raises here, not in the network thread
        config.password()
        # Written by the owner's thread.
        self._commands: deque[tuple[int, Callable[[Client], None]]] = deque()  # the number of the connection, and what
        self._ticket = self._number = 0
        self._stopping = threading.Event()
        # Written by the network thread.
        self._reports: deque[Report] = deque()
        self._attempt = Attempt(version_5=config.version != "3.1.1")
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def version_5(self) -> bool:
        """Whether MQTT 5 is spoken, or tried."""
        return self._attempt.version_5

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Send what is queued, disconnect and end the network thread; wait for that at most so long."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is None:
            self._close()
        else:
            self._thread.join(timeout_seconds)

    def reports(self) -> Iterator[Report]:
        """What happened since the last call, oldest first."""
        while self._reports:
            report = self._reports.popleft()
            if isinstance(report, Connected):
                self._number = report.number
            yield report

    def publish(self, message: Publication) -> int:
        """Queue a message for the connection that was reported last. Returns the ticket of its Receipt.

        There is no Receipt where the connection is lost first: Lost follows.
        """
        self._ticket = ticket = self._ticket + 1
        self._command(lambda client: client.publish(ticket, message))
        return ticket

    def subscribe(self, topic_filter: str) -> None:
        """Queue a subscription."""
        self._command(lambda client: client.subscribe((Subscription(topic_filter),)))

    def unsubscribe(self, topic_filter: str) -> None:
        """Queue the end of a subscription."""
        self._command(lambda client: client.unsubscribe(topic_filter))

    def _command(self, command: Callable[[Client], None]) -> None:
        self._commands.append((self._number, command))
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # the pair of sockets is full: the network thread is about to wake
            self._wake_write.send(b"\0")

    def _close(self) -> None:
        self._wake_read.close()
        self._wake_write.close()

    def _run(self) -> None:
        """Connect, and close what wakes this thread at the end."""
        try:
            self._connect_until_stopped()
        finally:
            self._close()

    def _connect_until_stopped(self) -> None:
        while not self._stopping.is_set():
            lost, lasted_seconds = self._connection()
            other = self._other_attempt(lost)
            if other is not None:
                self._attempt, next_try = other
                lost = lost._replace(next_try=next_try)
            self._report(lost)
            if other is None and not self._retry:
                return
            if other is None:
                self._attempt = self._attempt._replace(version_5=self._begins_with_5(lost))
                contended = lost.cause is Cause.TAKEN_OVER or (self.contended and lost.cause is Cause.BROKER)
                self._stopping.wait(self._backoff.next(lasted_seconds, contended=contended))

    def _connection(self) -> tuple[Lost, float]:
        """One connection, from the look-up of the host to its end: why it ended, and how many seconds it lasted."""
        client: Client | None = None
        try:
            client = self._make_client(self.config, self.session, self._attempt, self._report)
            client.connect()
            silent_at = time.monotonic() + self._connack_seconds
            while client.ended is None and not self._stopping.is_set():
                client.turn(self._wake_read, TURN_SECONDS if client.connected_at else self._connack_seconds / 4)
                self._carry_out(client)
                if client.connected_at is None and time.monotonic() > silent_at:
                    client.end(Cause.NO_CONNACK, f"timed out: no answer to CONNECT in {self._connack_seconds:g} s")
            self._carry_out(client)
            client.leave(self._wake_read)
        except ConfigError as error:
            return Lost(Cause.UNREACHABLE, str(error)), 0.0
        except Exception as error:  # whatever it is, the thread lives on, and reports it
            log.debug("the network thread", exc_info=True)
            lost = Lost(Cause.FAILED, f"disconnected: {type(error).__name__}: {error}")
            if client is None:
                return lost, 0.0
            client.end(lost.cause, lost.text)
        if client.connected_at is not None:
            self._attempt = self._attempt._replace(number=self._attempt.number + 1)
            return client.ended or Lost(Cause.STOPPED, "disconnected: stopped"), time.monotonic() - client.connected_at
        return client.ended or Lost(Cause.STOPPED, "disconnected: stopped"), 0.0

    def _carry_out(self, client: Client) -> None:
        """Call what was queued for this connection; what was queued for an earlier one is dropped."""
        while client.connected_at is not None and client.ended is None and self._commands:
            number, command = self._commands.popleft()
            if number == client.attempt.number + 1:
                command(client)

    def _other_attempt(self, lost: Lost) -> tuple[Attempt, str] | None:
        """What is tried at once where the broker cannot do what CONNECT asked for; None where nothing is left."""
        attempt = self._attempt
        if attempt.number or self._stopping.is_set():
            return None
        if lost.code == NO_RETAIN and attempt.will_retain:
            return attempt._replace(will_retain=False), "a Last Will that is not retained is tried"
        if lost.code == NO_QOS and attempt.will_qos:
            return attempt._replace(will_qos=0), "a Last Will of QoS 0 is tried"
        unanswered = lost.cause is Cause.NO_CONNACK or lost.code == NO_SUCH_VERSION
        if unanswered and attempt.version_5 and self.config.version == "auto":
            return attempt._replace(version_5=False), "MQTT 3.1.1 is tried"
        return None

    def _begins_with_5(self, lost: Lost) -> bool:
        """Whether the next attempt is made with MQTT 5.

        It is where neither version was answered: a broker that starts, and a proxy before it, close any connection.
        """
        nothing_learned = self._attempt.number == 0 and lost.cause is not Cause.REFUSED
        return self._attempt.version_5 or (self.config.version == "auto" and nothing_learned)

    def _report(self, report: Report) -> None:
        self._reports.append(report)
        self._notify()
