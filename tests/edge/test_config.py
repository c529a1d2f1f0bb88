import os
from pathlib import Path

import pytest

from edge.commands.config_file import broker_at, load_config
from edge.config import (
    HOUSEHOLD_KEY_VARIABLE,
    PASSWORD_VARIABLE,
    SIGNING_KEY_VARIABLE,
    Config,
    DecisionConfig,
    FleetConfig,
    GalleryConfig,
    MqttConfig,
)
from edge.errors import ConfigError
from edge.runtime.assembly import Device


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "limen.toml"
        path.write_text(text)
        return path

    return write


def test_nothing_set_is_the_default(written):
    assert load_config(written("")) == Config()


def test_values_are_typed_and_reach_the_rules(written):
    config = load_config(
        written(
            """
            device = "back-door"
            [camera]
            kind = "video"
            location = "rtsp://camera/stream"
            fps_max = 5
            [gallery]
            path = "/tmp/people.db"
            [decision]
            fpir = 0.0001
            [decision.quality]
            face_px_min = 50
            [decision.tracks]
            quorum_votes = 5
            [mqtt]
            host = "broker.local"
            password_file = "/run/secrets/mqtt"
            """
        )
    )
    assert config.device == "back-door"
    assert config.camera.fps_max == 5.0
    assert config.gallery.path == Path("/tmp/people.db")  # noqa: S108 -- a path in a test's text
    assert config.decision.quality.face_px_min == 50
    assert config.decision.tracks.quorum_votes == 5
    assert config.decision.tracks.agreement == Config().decision.tracks.agreement
    assert config.mqtt.password_file == Path("/run/secrets/mqtt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("devise = 'door'", r"unknown key `devise`; did you mean `device`\?"),
        ("[mqtt]\nhots = 'x'", r"unknown key `mqtt.hots`; did you mean `mqtt.host`\?"),
        ("[decision.tracks]\nquorum = 3", r"unknown key `decision.tracks.quorum`; did you mean .*quorum_votes`\?"),
        ("[mqtt]\nzzz = 1", "unknown key `mqtt.zzz`; known are host, port"),
        ("[mqtt]\nport = 70000", r"Expected `int` <= 65535 - at `\$\.mqtt\.port`"),
        ("[mqtt]\nport = 'many'", r"Expected `int`, got `str` - at `\$\.mqtt\.port`"),
        ("device = 'Front Door'", r"`str` of lower-case letters a to z, digits and dashes, .* - at `\$\.device`$"),
        ("device = 'household'", r"other than `household` and `answers` - at `\$\.device`$"),
        ("device = 'answers'", r"other than `household` and `answers` - at `\$\.device`$"),
        ("[fleet]\nhousehold = 'A'", r"`str` of lower-case letters a to z, .* - at `\$\.fleet\.household`$"),
        ("[mqtt]\nhost = 'a b'", r"`str` that is the name or the address of a host - at `\$\.mqtt\.host`$"),
        ("[home_assistant]\nprefix = 'a/+'", r"`str` that is the beginning of a topic: .* - at `\$.*prefix`$"),
        (
            "[camera]\nkind = 'webcam'",
            r"Invalid enum value 'webcam' - at `\$\.camera\.kind`; expected 'picamera' or 'video' or 'images'$",
        ),
        ("clock = 'sun'", r"at `\$\.clock`; expected 'system' or 'trusted'$"),
        ("[decision]\nfpir = 0", r"Expected `float` > 0"),
        ("not toml", "limen.toml: "),
    ],
)
def test_what_does_not_hold_is_named(written, text, says):
    with pytest.raises(ConfigError, match=says):
        load_config(written(text))


@pytest.mark.usefixtures("no_collection")
def test_brackets_without_end_are_no_configuration(written):
    with pytest.raises(ConfigError, match=r"limen\.toml"):
        load_config(written("a = " + "[" * 100_000))


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    """Editors of Windows begin a file with one."""
    (tmp_path / "limen.toml").write_text("device = 'porch'", encoding="utf-8-sig")
    assert load_config(tmp_path / "limen.toml").device == "porch"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        load_config(tmp_path / "nowhere.toml")


def test_the_password_comes_from_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    path = tmp_path / "secret"
    path.write_text("open sesame\n")
    config = Config(mqtt=MqttConfig(password_file=path))
    assert config.mqtt.password() == "open sesame"
    monkeypatch.setenv(PASSWORD_VARIABLE, "from outside")
    assert config.mqtt.password() == "from outside"
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert Config().mqtt.password() is None
    with pytest.raises(ConfigError, match=r"mqtt\.password_file .*gone cannot be read"):
        MqttConfig(password_file=tmp_path / "gone").password()


def test_the_households_key_comes_from_the_environment_or_a_file(tmp_path, monkeypatch):
    monkeypatch.delenv(HOUSEHOLD_KEY_VARIABLE, raising=False)
    (tmp_path / "household.key").write_text("b3BlbiBzZXNhbWU=\n")
    config = Config(fleet=FleetConfig(key_file=tmp_path / "household.key"))
    assert config.fleet.key() == "b3BlbiBzZXNhbWU="
    monkeypatch.setenv(HOUSEHOLD_KEY_VARIABLE, "from outside")
    assert config.fleet.key() == "from outside"
    monkeypatch.delenv(HOUSEHOLD_KEY_VARIABLE)
    assert Config().fleet.key() is None
    with pytest.raises(ConfigError, match=r"fleet\.key_file .*gone cannot be read"):
        FleetConfig(key_file=tmp_path / "gone").key()
    (tmp_path / "household.key").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read: it is not text in UTF-8"):
        config.fleet.key()


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        (PASSWORD_VARIABLE, Config().mqtt.password),
        (SIGNING_KEY_VARIABLE, Config().mqtt.signing_key),
        (HOUSEHOLD_KEY_VARIABLE, Config().fleet.key),
    ],
)
def test_a_secret_in_the_environment_that_is_no_text_is_named_and_not_shown(variable, read, monkeypatch):
    monkeypatch.setenv(variable, os.fsdecode(b"hidden \xff" * 8))
    with pytest.raises(ConfigError, match=f"{variable} cannot be used: it is not text in UTF-8") as refused:
        read()
    assert "hidden" not in str(refused.value)


def test_no_device_has_the_name_below_which_all_of_them_share(written):
    with pytest.raises(ConfigError, match="household"):
        load_config(written('device = "household"'))
    assert load_config(written('device = "household-2"')).device == "household-2"


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("porch.local", "porch.local", 1883),
        ("10.0.0.7:8883", "10.0.0.7", 8883),
        ("my_host.lan.:1", "my_host.lan.", 1),
        ("::1", "::1", 1883),
    ],
)
def test_a_broker_by_its_address(address, host, port):
    mqtt = broker_at(Config(), address).mqtt
    assert (mqtt.host, mqtt.port) == (host, port)


def test_a_rate_that_was_not_measured_is_refused(tmp_path):
    config = Config(gallery=GalleryConfig(tmp_path / "g.db"), decision=DecisionConfig(fpir=1e-9))
    with pytest.raises(ConfigError, match="fpir 1e-09: embedder has thresholds down to 1e-06"):
        Device.open(config)
