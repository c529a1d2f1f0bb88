"""What stands in for a broker, and for paho, where a test needs one that misbehaves."""

import socket
import threading
from collections import deque
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.mqtt.client import Client
from edge.mqtt.network import Network
from tests.household import Broker

SUCCESS = MQTTErrorCode.MQTT_ERR_SUCCESS


@contextmanager
def server(behave, port=0):
    """A port at which behave(connection) is called, in a thread, for everyone who connects. Yields it and who came."""
    came = []
    with socket.create_server(("127.0.0.1", port)) as listening:

        def accept():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                came.append(connection)
                threading.Thread(target=partial(behave, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield SimpleNamespace(port=listening.getsockname()[1], came=came)
        listening.shutdown(socket.SHUT_RDWR)
    for connection in came:
        connection.close()


@contextmanager
def mosquitto(folder, *lines):
    """A broker with more configuration."""
    broker = Broker(folder)
    broker.config.write_text(broker.config.read_text() + "\n".join(lines) + "\n")
    with broker:
        yield broker


def level_of(connect):
    """The version in the bytes of a CONNECT: 4 is 3.1.1, and 5 is 5."""
    return connect[connect.index(b"MQTT") + 4]


class FakePaho:
    """Does as paho does with an external loop, and notes which thread calls what."""

    def __init__(self, world, *_args, **options):
        self.world, self.options = world, options
        self.told, self._mid = deque(), 0
        self.ours, self._theirs = socket.socketpair()
        world.pahos.append(self)

    def __getattribute__(self, name):
        world = object.__getattribute__(self, "__dict__").get("world")
        if world is not None and name in CALLS:
            world.calls.append((name, threading.current_thread()))
        return object.__getattribute__(self, name)

    def connect(self, *_args, **_options):
        self._say(lambda: self.on_connect(self, None, ConnectFlags(False), self._code("CONNACK"), self._properties()))
        return self.world.rc["connect"]

    def socket(self):
        return self.ours

    def want_write(self):
        return False

    def loop_read(self):
        self.ours.recv(1)
        self.told.popleft()()
        return SUCCESS

    def loop_write(self):
        return SUCCESS

    def loop_misc(self):
        return SUCCESS

    def publish(self, topic, payload, *, qos, retain, properties):
        self._mid += 1
        rc = self.world.rc["publish"] if topic in self.world.failing else SUCCESS
        self.world.published.append(SimpleNamespace(topic=topic, payload=payload, qos=qos, retain=retain, rc=rc))
        if rc == SUCCESS and topic not in self.world.unacknowledged:
            mid = self._mid
            self._say(lambda: self.on_publish(self, None, mid, self._code("PUBACK"), None))
        return SimpleNamespace(rc=rc, mid=self._mid, properties=properties)

    def subscribe(self, filters):
        self._mid += 1
        mid, codes = self._mid, [ReasonCode(PacketTypes.SUBACK, self.world.suback) for _ in filters]
        self._say(lambda: self.on_subscribe(self, None, mid, codes, None))
        return self.world.rc["subscribe"], mid

    def unsubscribe(self, _filter):
        return self.world.rc["unsubscribe"], 1

    def disconnect(self):
        self.on_disconnect(self, None, DisconnectFlags(False), self._code("DISCONNECT"), None)
        self.ours = None
        return SUCCESS

    def tls_set_context(self, _context):
        """See paho."""

    def username_pw_set(self, _user, _password):
        """See paho."""

    def will_set(self, *_args, **_options):
        """See paho."""

    def max_inflight_messages_set(self, _count):
        """See paho."""

    def lose(self):
        """The broker closes the connection."""
        self._say(lambda: self.on_disconnect(self, None, DisconnectFlags(False), "Unspecified error", None))

    def _say(self, what):
        self.told.append(what)
        self._theirs.send(b"x")

    def _code(self, kind):
        return ReasonCode(getattr(PacketTypes, kind), "Success")

    def _properties(self):
        properties = Properties(PacketTypes.CONNACK)
        for name, value in self.world.connack.items():
            setattr(properties, name, value)
        return properties


CALLS = {name for name in vars(FakePaho) if not name.startswith("_") and name != "lose"}


class World:
    """What every FakePaho of a test does. failing: topics for which publish gives rc["publish"]."""

    def __init__(self):
        self.calls, self.pahos, self.published = [], [], []
        self.rc = dict.fromkeys(("connect", "publish", "subscribe", "unsubscribe"), SUCCESS)
        self.failing, self.unacknowledged, self.connack, self.suback = set(), set(), {}, "Granted QoS 1"

    @property
    def network(self):
        """In place of Network."""
        return partial(Network, make_client=partial(Client, make_paho=partial(FakePaho, self)))
