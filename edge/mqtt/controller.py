"""The household's side of the broker: asks a device and waits for its answer. What `limen ... --broker` uses.

An answer is known by its transaction, with every version of MQTT. With MQTT 5 it is asked for on a topic of its own,
below one that the broker can keep for the user who asks; with 3.1.1, and from a device that is configured to answer
elsewhere, it comes on the twin of the request's topic.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec

from edge.api.answers import Answer
from edge.api.signing import sign
from edge.api.topics import Topics, answers_topic
from edge.config import MqttConfig
from edge.errors import BrokerError, RefusedError
from edge.mqtt.asked import Asked, read_answer
from edge.mqtt.blame import Seen, not_connected
from edge.mqtt.identity import instance_of
from edge.mqtt.limits import packet_bytes, topic_problem
from edge.mqtt.network import Network
from edge.mqtt.reports import Connected, Lost, Message, Publication, Receipt, Session, Subscribed, Subscription

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
STEP_SECONDS = 0.1  # between two checks of what keeps an answer from coming
LIST_SECONDS = 0.3  # in which the broker sends the status that it keeps of every device
SETTLE_SECONDS = 0.5
SIGNED_AGAIN_MAX = 3
PROPERTIES_BYTES = 35  # transaction and the head of ResponseTopic
ANSWERS_MAX, RETAINED_MAX, DEVICES_MAX, LISTED_MAX = 100, 10_000, 1000, 20
ANSWERS = "response/#"
HEARD = (ANSWERS, "+", "event/+", "person/+", "image/+")  # all but requests: nobody needs to hear their own
STATUSES = "limen/+/status"


class Controller:
    """A connection that asks one device; use it in `with`.

    hear: called with the topic below `limen/<device>` and the payload of everything that the device publishes, by a
    thread of its own

    Where the configuration has a signing key, requests are signed with it.

    Raises BrokerError where the broker cannot be reached or refuses, ConfigError where a file cannot be used.
    """

    def __init__(self, config: MqttConfig, device: str, hear: Callable[[str, bytes], None] | None = None) -> None:
        self.config, self.topics, self._hear = config, Topics(device), hear
        self._broker = f"{config.host}:{config.port}"
        self._changed = threading.Condition()  # everything below changes under it
        self._asked: Asked | None = None
        self._answers: deque[Answer] = deque(maxlen=ANSWERS_MAX)  # to what is asked; those to others are not kept
        self._statuses: dict[str, str] = {}  # by device
        self._retained: dict[str, None] = {}  # topics that the broker keeps
        self._receipts: dict[int, Receipt] = {}
        self._refusals: dict[str, str | None] = {}  # by filter that the broker answered: why it refused it
        self._heard = False  # anything of the device
        self._instance = ""  # the id of its run
        self._connected: Connected | None = None
        self._lost: Lost | None = None
        self._key = config.signing_key()
        own = answers_topic(config.username, uuid.uuid4().hex)
        self._own_answers = own if topic_problem(own) is None else None
        heard = (*map(self.topics.of, HEARD), *([] if self._own_answers is None else [self._own_answers]))
        session = Session("", self._receive, tuple(map(Subscription, heard)))
        silence_seconds = CONNECT_SECONDS / 2  # of the broker, for each version of MQTT
        self._network = Network(config, session, retry=False, connack_seconds=silence_seconds, notify=self._notify)
        self._network.start()
        needed = self.topics.of(ANSWERS)
        self._wait(lambda: self._lost is not None or needed in self._refusals, CONNECT_SECONDS + STEP_SECONDS)
        problem = not_connected(self._lost, self._refusals, needed, tls=config.ca_file is not None)
        if problem is not None:
            self.close()
            raise BrokerError(f"the broker {self._broker} {problem}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._network.stop(CLOSE_SECONDS)

    @property
    def connected(self) -> bool:
        """Whether the connection still stands, as far as is known: it is not made again."""
        self._wait(lambda: True, 0)
        return self._lost is None

    def ask(
        self,
        verb: str,
        fields: dict[str, object],
        timeout_seconds: float = 20.0,
        hear_progress: Callable[[dict[str, object]], None] = lambda _progress: None,
    ) -> dict[str, object]:
        """The data of the device's answer. hear_progress: called with the data of what it reports until then.

        A request is signed again where another one, signed later, came first. Raises RefusedError with its code and
        reason where the device refuses; BrokerError, within a second, where the request or an answer cannot get
        through, and after timeout_seconds where there is no answer.
        """
        for _ in range(SIGNED_AGAIN_MAX):
            try:
                return self._ask_once(verb, fields, timeout_seconds, hear_progress)
            except RefusedError as refusal:
                if refusal.code != "out_of_order":
                    raise
        return self._ask_once(verb, fields, timeout_seconds, hear_progress)

    def clear(self) -> None:
        """Remove from the broker all that it keeps of the device.

        What it keeps comes after the subscription was answered, and nothing says when that is all: a pause does.
        """
        everything = f"{self.topics.base}/#"
        self._network.subscribe(everything)
        self._wait(lambda: everything in self._refusals or self._lost is not None, CONNECT_SECONDS)
        count = -1
        while count < len(self._retained):
            count = len(self._retained)
            self._wait(lambda: False, SETTLE_SECONDS)
        for topic in list(self._retained):
            self._receipts.clear()
            self._network.publish(Publication(topic, b"", 1, retain=True))
            self._wait(lambda: bool(self._receipts) or self._lost is not None, CONNECT_SECONDS)

    def wait_until_online(self, timeout_seconds: float) -> None:
        """Raise BrokerError where the device is not online by then."""
        device = self.topics.device
        self._wait(lambda: self._statuses.get(device) == "online" or self._lost is not None, timeout_seconds)
        if self._lost is not None:
            raise BrokerError(f"the broker {self._broker}: {self._lost.text}")
        if self._statuses.get(device) != "online":
            raise BrokerError(f"device '{device}' did not come online in {timeout_seconds:g} s")

    def _ask_once(
        self,
        verb: str,
        fields: dict[str, object],
        timeout_seconds: float,
        hear_progress: Callable[[dict[str, object]], None],
    ) -> dict[str, object]:
        transaction, topic = uuid.uuid4().hex, f"{self.topics.base}/request/{verb}"
        payload = msgspec.json.encode({"transaction": transaction, **fields})
        if self._key is not None:
            payload = sign(self._key, topic, payload)
        self._check_size(topic, payload)
        with self._changed:
            self._asked = asked = Asked(verb, transaction, topic, payload)
        try:
            return self._answer(asked, timeout_seconds, hear_progress)
        finally:
            with self._changed:
                self._asked = None
                self._answers.clear()
                self._receipts.clear()

    def _answer(
        self, asked: Asked, timeout_seconds: float, hear_progress: Callable[[dict[str, object]], None]
    ) -> dict[str, object]:
        """Send a request and wait for its answer."""
        sent = Publication(asked.topic, asked.payload, 1, False, None, asked.transaction.encode(), self._own_answers)
        began, ticket = time.monotonic(), self._network.publish(sent)
        while True:
            self._wait(lambda: bool(self._answers), STEP_SECONDS)
            while self._answers:
                answer = self._answers.popleft()
                if answer.status == "progress":
                    hear_progress(answer.data or {})
                elif answer.status != "ok":
                    raise RefusedError(answer.code or "error", f"{answer.code}: {answer.error}")
                else:
                    return answer.data or {}
            self._check_way(asked, ticket, time.monotonic() - began)
            if time.monotonic() - began > timeout_seconds:
                self._check_way(asked, ticket, float("inf"))
                raise BrokerError(
                    f"device '{self.topics.device}' gave no answer to {asked.verb} in {timeout_seconds:g} s at "
                    f"{self._broker}; it is {self._statuses.get(self.topics.device, 'of unknown status')}; may its "
                    f"user write {self._own_answers or 'the answer'}, and may we read that?"
                )

    def _check_size(self, topic: str, payload: bytes) -> None:
        """Raise BrokerError for a request that the broker does not take."""
        limit = None if self._connected is None else self._connected.limits.packet_bytes
        size = packet_bytes(topic, payload, bytes(PROPERTIES_BYTES + len((self._own_answers or "").encode())))
        if limit is not None and size > limit:
            raise BrokerError(f"the request has {size} bytes; the broker {self._broker} takes {limit}")

    def _check_way(self, asked: Asked, ticket: int, waited_seconds: float) -> None:
        """Raise BrokerError where no answer will come."""
        seen = Seen(
            device=self.topics.device,
            broker=self._broker,
            username=self.config.username,
            topic=asked.topic,
            size=len(asked.payload),
            waited_seconds=waited_seconds,
            heard=self._heard,
            status=self._statuses.get(self.topics.device),
            receipt=self._receipts.get(ticket),
            lost=self._lost,
        )
        obstacle = seen.obstacle()
        if obstacle is not None:
            raise BrokerError(f"{obstacle}; {self._others()}" if seen.absent and seen.lost is None else obstacle)

    def devices(self) -> list[str]:
        """The devices that the broker knows and lets us hear of, online or not."""
        self._network.subscribe(STATUSES)
        self._wait(lambda: STATUSES in self._refusals or self._lost is not None, CONNECT_SECONDS)
        self._wait(lambda: False, LIST_SECONDS)
        return sorted(self._statuses)

    def online_instance(self) -> str | None:
        """The instance id of the device, "" where it gives none; None where it is not known to be online."""
        self._wait(lambda: self._statuses.get(self.topics.device) is not None and bool(self._instance), LIST_SECONDS)
        return self._instance if self._statuses.get(self.topics.device) == "online" else None

    def _others(self) -> str:
        """Which devices are online."""
        online = [device for device in self.devices() if self._statuses[device] == "online"]
        return f"online are {', '.join(online[:LISTED_MAX])}" if online else "no device is online"

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait until that, at most so long; note what the network thread reports meanwhile."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                self._note_reports()
                remaining = until - time.monotonic()
                if done() or remaining <= 0:
                    return
                self._changed.wait(remaining)

    def _note_reports(self) -> None:
        for report in self._network.reports():
            match report:
                case Connected():
                    self._connected = report
                case Lost():
                    self._lost = None if report.next_try else report
                case Receipt():
                    self._receipts[report.ticket] = report
                case Subscribed():
                    self._refusals |= {one: report.refused.get(one) for one in report.filters}

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _receive(self, message: Message) -> None:
        """Take a message in, for the network thread."""
        if message.topic == self._own_answers:
            self._take_answer((message.correlation or b"").decode("ascii", "replace"), message.payload)
            return
        device, _, name = message.topic.removeprefix("limen/").partition("/")
        with self._changed:
            if name == "status" and (device in self._statuses or len(self._statuses) < DEVICES_MAX):
                self._statuses[device] = message.payload[:100].decode("ascii", "replace")
            if device != self.topics.device:
                return
            if message.retain and message.payload and len(self._retained) < RETAINED_MAX:
                self._retained[message.topic] = None
            self._heard |= not name.startswith("request/")
            if name == "info":
                self._instance = instance_of(message.payload) or ""
            self._changed.notify_all()
        if name.startswith("response/"):
            self._take_answer(name.removeprefix("response/"), message.payload)
        if self._hear is not None and not name.startswith("request/"):
            self._hear(name, message.payload)

    def _take_answer(self, about: str, payload: bytes) -> None:
        answer = read_answer(payload)
        if answer is not None:  # else it is somebody else's
            with self._changed:
                self._heard = True
                if self._asked is not None and self._asked.is_answered(about, answer):
                    self._answers.append(answer)
                self._changed.notify_all()
