"""Who gets in at a broker with the configuration in deploy/mosquitto, and what they may do there: with real clients."""

import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import trustme
from click.testing import CliRunner

from edge.api.discovery import discovery_topic
from edge.api.topics import Topics
from edge.commands.main import main
from edge.config import Config, FleetConfig, GalleryConfig, MqttConfig
from edge.core.events import Event
from edge.errors import BrokerError, ConfigError
from edge.mqtt.controller import Controller
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.identity import client_id
from edge.storage.outbox import Outbox
from edge.system.crypto import new_key
from tests.household import MOSQUITTO, Nothing, free_port, portrait_jpeg, running, until

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"
OWN_TOPICS = [
    "status",
    "info",
    "health",
    "event",
    "event/late",
    "presence",
    "gallery",
    "person/alice",
    "config",
    "image/last",
]
PASSWORDS = {
    "porch": "of the porch",
    "back": "of the back door",
    "garden": "of the garden",
    "controller": "of the house",
    "homeassistant": "of the home automation",
    "visitor": "of a guest",
    "household/home": "of somebody",
    "porch/request": "of somebody else",
    "porch/person": "of a third",
}


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A mosquitto with the deployed configuration, its paths and port alone changed; the folder with its secrets."""
    passwd = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")
    if MOSQUITTO is None or passwd is None:
        pytest.skip("mosquitto is not here: apt install mosquitto")
    folder = tmp_path_factory.mktemp("limen")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "broker.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "broker.crt")
    trustme.CA().cert_pem.write_to_path(folder / "another.crt")
    (folder / "passwords").touch(mode=0o600)
    for name, password in PASSWORDS.items():
        subprocess.run([passwd, "-b", folder / "passwords", name, password], check=True, capture_output=True)
        (folder / f"{name.replace('/', '-')}.password").write_text(password)
    (folder / "limen.acl").write_text((DEPLOY / "limen.acl").read_text())
    (folder / "limen.acl").chmod(0o600)
    port = free_port()
    config = (DEPLOY / "limen.conf").read_text()
    assert config.count("/etc/mosquitto/limen/") == 6
    config = re.sub(r"^listener 8883$", f"listener {port} 127.0.0.1", config, flags=re.MULTILINE)
    config = config.replace("/etc/mosquitto/limen/", f"{folder}/") + f"user root\npersistence_location {folder}/\n"
    (folder / "limen.conf").write_text(config)
    process = subprocess.Popen(
        [MOSQUITTO, "-c", folder / "limen.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: listens(port))
    yield folder, port
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def account(secured):
    """account(name) -> how somebody of that name is let in."""
    folder, port = secured

    def of(name, **changes):
        config = MqttConfig(
            host="127.0.0.1",
            port=port,
            username=name,
            password_file=folder / f"{name.replace('/', '-')}.password",
            ca_file=folder / "ca.crt",
        )
        return replace(config, **changes)

    return of


class Person:
    """A real client that knows what the broker answered to what it did."""

    def __init__(self, config, client_id=""):
        self.heard, self.acknowledged = [], []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
        self.client.username_pw_set(config.username, config.password())
        self.client.tls_set(config.ca_file)
        self.client.on_message = lambda _client, _userdata, message: self.heard.append(message.topic)
        self.client.on_publish = lambda _c, _u, _mid, reason, _p: self.acknowledged.append(reason.getName())
        ready = threading.Event()
        self.client.on_connect = lambda *_: ready.set()
        self.client.connect(config.host, config.port)
        self.client.loop_start()
        assert ready.wait(10)

    def may_write(self, topic):
        before = len(self.acknowledged)
        self.client.publish(topic, b"x", qos=1)
        until(lambda: len(self.acknowledged) > before)
        return self.acknowledged[before] != "Not authorized"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()


def last_error(config):
    """Why the device does not get in."""
    link = DeviceLink(config, Topics("porch"))
    link.start()
    try:
        return until(lambda: link.pending() == [] and link.last_error != "not connected yet" and link.last_error)
    finally:
        link.stop()


def test_a_camera_and_a_controller_get_in_and_do_their_work(account, tmp_path, secured):
    folder, port = secured
    config = Config(device="porch", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=account("porch"))

    with running(config, Nothing), Controller(account("controller"), "porch") as controller:
        controller.wait_until_online(10)
        assert controller.ask("person/list", {})["people"] == []
        (tmp_path / "limen.toml").write_text(
            f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nusername = "controller"\n'
            f'password_file = "{folder}/controller.password"\nca_file = "{folder}/ca.crt"\n'
        )
        said = CliRunner().invoke(main, ["--config", str(tmp_path / "limen.toml"), "people", "--device", "porch"])
        assert said.output.startswith("0 people; tau ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": ""}, "Not authorized"),
        ({"password_file": None}, "Not authorized"),
        ({"username": "back"}, "Not authorized"),  # with the password of the porch
        ({"ca_file": None}, "disconnected|timed out|refused"),
        ({"ca_file": "another.crt"}, "cannot be reached: .*CERTIFICATE_VERIFY_FAILED"),
        ({"host": "localhost"}, "cannot be reached: .*CERTIFICATE_VERIFY_FAILED.*localhost"),
    ],
    ids=["anonymous", "no password", "another's password", "no TLS", "another authority", "another host's certificate"],
)
def test_who_should_not_get_in_does_not_and_is_told_why(account, secured, changes, reason):
    if changes.get("ca_file"):
        changes = {"ca_file": secured[0] / changes["ca_file"]}
    assert re.search(reason, last_error(account("porch", **changes)))


def test_who_asks_is_told_why_not_too(account):
    with pytest.raises(BrokerError, match=r"does not let us in: .*[Nn]ot authorized"):
        Controller(account("controller", username="visitor"), "porch")
    with pytest.raises(BrokerError, match=r"cannot be reached: .*CERTIFICATE_VERIFY_FAILED"):
        Controller(account("controller", host="localhost"), "porch")


def test_a_camera_writes_its_own_topics_alone(account):
    with Person(account("porch")) as porch:
        for name in OWN_TOPICS:
            assert porch.may_write(f"limen/porch/{name}")
            assert not porch.may_write(f"limen/back/{name}")
        assert porch.may_write("limen/porch/response/person/list")
        assert porch.may_write("limen/answers/to/a/controller")
        assert porch.may_write(discovery_topic("homeassistant", "porch"))
        assert not porch.may_write(discovery_topic("homeassistant", "back"))
        assert not porch.may_write("limen/porch/request/enroll/image")
        assert not porch.may_write("limen/back/request/enroll/image")
        assert not porch.may_write("homeassistant/status")


def test_only_the_controller_writes_requests(account):
    with Person(account("visitor")) as visitor, Person(account("controller")) as controller:
        assert controller.may_write("limen/porch/request/enroll/image")
        assert not controller.may_write("limen/porch/event")
        assert not visitor.may_write("limen/porch/request/enroll/image")
        assert not visitor.may_write("limen/porch/event")


def test_a_camera_hears_requests_to_itself_alone(account):
    with Person(account("porch")) as porch, Person(account("controller")) as controller:
        porch.client.subscribe("#", qos=1)
        time.sleep(0.3)
        for device in ("back", "porch"):
            assert controller.may_write(f"limen/{device}/request/person/list")
        with Person(account("back")) as back:
            assert back.may_write("limen/back/event")
        until(lambda: porch.heard)
        time.sleep(0.2)
        # Kept from earlier tests.
        own = {
            *(f"limen/porch/{name}" for name in ("status", "info", "health")),
            discovery_topic("homeassistant", "porch"),
        }
        assert [topic for topic in porch.heard if topic not in own] == ["limen/porch/request/person/list"]


def test_what_the_broker_refuses_is_not_taken_for_delivered(account, tmp_path, caplog):
    """A device that logs in under another name than its own."""
    config = Config(device="back", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=account("porch"))

    class Telling:
        ended, dropped, told = False, 0, False

        def read(self, timeout_seconds):
            if service.link.connected and not self.told:
                service.publisher.publish(Event("unknown", "new", "t1", 0.0, None, None, "a test"))
                self.told = True
            time.sleep(min(timeout_seconds, 0.01))

        def close(self):
            """Nothing is held open."""

    source = Telling()
    with running(config, lambda: source) as service:
        until(lambda: "limen/back/event: the broker refused it: Not authorized" in caplog.text)
    outbox = Outbox(tmp_path / "outbox.db", 10)
    assert outbox.depth == 1
    outbox.close()


def test_files_that_cannot_be_used_are_named(account, tmp_path):
    (tmp_path / "notes.txt").write_text("no certificate")
    for changes, said in (
        ({"ca_file": tmp_path / "gone.crt"}, r"mqtt\.ca_file .*gone\.crt cannot be used: "),
        ({"ca_file": tmp_path / "notes.txt"}, r"mqtt\.ca_file .*notes\.txt cannot be used: "),
        (
            {"certificate_file": tmp_path / "gone.crt"},
            r"mqtt\.certificate_file .*gone\.crt or mqtt\.key_file None cannot",
        ),
        ({"ca_file": None, "key_file": tmp_path / "x"}, "need mqtt.ca_file"),
    ):
        with pytest.raises(ConfigError, match=said):
            DeviceLink(account("porch", **changes), Topics("porch"))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_nobody_without_its_password_takes_a_cameras_connection_over(account, tmp_path, version):
    config = Config(device="porch", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=account("porch"))
    config = replace(config, mqtt=replace(config.mqtt, version=version))
    with running(config, Nothing) as service, ExitStack() as stack:
        until(lambda: service.link.connected)
        for number, name in enumerate(PASSWORDS):  # the camera's own account too, which does not try its password
            for known in ("limen-porch", "porch", f"limen-porch-{number:012x}"):
                stack.enter_context(Person(account(name), known))
        time.sleep(1.0)
        assert (service.link.connected, service.link.connections) == (True, 1)
        with Person(account("visitor"), client_id(config.mqtt, "porch")):  # who knows it does take the connection over
            until(lambda: not service.link.connected)


def test_programs_of_one_account_leave_one_another_alone(account, tmp_path):
    config = Config(device="porch", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=account("porch"))
    with running(config, Nothing) as service, ExitStack() as stack:
        several = [stack.enter_context(Controller(account("controller"), "porch")) for _ in range(3)]
        stack.enter_context(Controller(account("porch"), "porch"))  # as doctor does on the camera
        for controller in several:
            controller.wait_until_online(10)
        for controller in several:
            assert controller.ask("person/list", {})["people"] == []
        assert service.link.connections == 1


def test_an_answer_is_for_the_account_alone_that_asked(account, tmp_path):
    config = Config(device="porch", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=account("porch"))
    with running(config, Nothing), ExitStack() as stack:
        others = {name: stack.enter_context(Person(account(name))) for name in PASSWORDS}
        for one in others.values():
            for wanted in ("#", "limen/#", "limen/answers/#", "limen/answers/to/controller/#"):
                one.client.subscribe(wanted, qos=1)
        time.sleep(0.3)
        controller = stack.enter_context(Controller(account("controller"), "porch"))
        controller.wait_until_online(10)
        assert controller.ask("person/list", {})["people"] == []
        until(lambda: any(topic.startswith("limen/answers/") for topic in others["controller"].heard))
        time.sleep(0.3)
        heard = {name for name, one in others.items() for topic in one.heard if "/answers/" in topic}
        assert heard == {"controller"}
        assert not any("response" in topic for one in others.values() for topic in one.heard)


@pytest.mark.parametrize("name", ["household/home", "porch/request", "porch/person"])
def test_a_name_with_a_slash_reaches_nobody_elses_topics(account, name):
    topics = [
        f"limen/{name}/{topic}"
        for topic in [*OWN_TOPICS, "person/remove", "event/correct", "response/person/list", "request/person/list"]
    ]
    with Person(account(name)) as somebody:
        assert not [topic for topic in topics if somebody.may_write(topic)]


def test_home_assistant_asks_for_what_it_has_controls_for_alone(account):
    with Person(account("homeassistant")) as automation:
        assert automation.may_write("limen/porch/request/config/set")
        assert automation.may_write("limen/porch/request/enroll/start")
        for verb in ("person/remove", "event/list", "event/get", "event/remove"):
            assert not automation.may_write(f"limen/porch/request/{verb}")
        assert not automation.may_write("limen/porch/status")


def test_a_block_of_the_acl_is_made_into_one_for_another_camera():
    text = (DEPLOY / "limen.acl").read_text()
    command = re.search(r"^# (sed .*) limen\.acl$", text, re.MULTILINE)[1]
    made = subprocess.run(
        [*shlex.split(command), DEPLOY / "limen.acl"], check=True, capture_output=True
    ).stdout.decode()
    garden, back = ([line for line in one.splitlines() if line and line[0] != "#"] for one in (made, text))
    assert [line.replace("garden", "back") for line in garden] == back[back.index("user back") :][: len(garden)]


def test_the_cameras_of_a_household_share_its_topics_and_nobody_else_does(account):
    topic, another = (f"limen/household/{name}/person/1f" for name in ("home", "neighbours"))
    with ExitStack() as stack:
        people = {name: stack.enter_context(Person(account(name))) for name in PASSWORDS}
        for one in people.values():
            for wanted in ("limen/#", "limen/household/#", topic):
                one.client.subscribe(wanted, qos=1)
        time.sleep(0.3)
        assert people["porch"].may_write(topic)
        assert not people["porch"].may_write(another)
        assert not people["porch"].may_write("limen/household/home")
        for name in people.keys() - {"porch", "back"}:  # the garden's camera is of another household
            assert not people[name].may_write(topic)
        until(lambda: topic in people["back"].heard)
        assert people["porch"].may_write("limen/porch/config")
        until(lambda: "limen/porch/config" in people["controller"].heard)
        heard = {name for name, one in people.items() if any("household" in topic for topic in one.heard)}
        assert heard == {"porch", "back"}


def test_two_cameras_share_a_gallery_at_a_broker_that_lets_them(account, tmp_path):
    (tmp_path / "household.key").write_text(new_key())
    configs = [
        Config(
            device=device,
            gallery=GalleryConfig(tmp_path / device / "gallery.db"),
            mqtt=account(device),
            fleet=FleetConfig(key_file=tmp_path / "household.key"),
        )
        for device in ("porch", "back")
    ]
    with ExitStack() as stack:
        for config in configs:
            stack.enter_context(running(config, Nothing))
        porch, back = (stack.enter_context(Controller(account("controller"), name)) for name in ("porch", "back"))
        porch.wait_until_online(10)
        back.wait_until_online(10)
        assert porch.ask("enroll/image", {"name": "Eileen", "images": [portrait_jpeg()]})["templates"] == 1
        until(lambda: [person["name"] for person in back.ask("person/list", {})["people"]] == ["Eileen"])
        exported = porch.ask("gallery/export", {})
        assert exported["people"] == 1
        assert back.ask("gallery/import", {"gallery": exported["gallery"]})["templates"] == 0  # it has them
