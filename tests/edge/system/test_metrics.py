"""What holds a Raspberry Pi back, read from files as its kernel shows them."""

import pytest

from edge.system.metrics import THROTTLED_BITS, throttled

FIRMWARE = {  # as it is called on a Pi 4 and on a Pi 5
    "soc:firmware": "devices/platform/soc/soc:firmware",
    "soc@107c000000:firmware": "devices/platform/soc@107c000000/soc@107c000000:firmware",
}


@pytest.fixture(params=FIRMWARE)
def pi(request, tmp_path):
    """A sysfs whose firmware says what it is told to."""
    device = tmp_path / FIRMWARE[request.param]
    driver = tmp_path / "bus" / "platform" / "drivers" / "raspberrypi-firmware"
    device.mkdir(parents=True)
    driver.mkdir(parents=True)
    (driver / request.param).symlink_to(device)

    def say(word):
        (device / "get_throttled").write_text(f"{word:x}\n")
        return tmp_path

    return say


def voltage_monitor(root, alarm):
    folder = root / "class" / "hwmon" / "hwmon1"
    folder.mkdir(parents=True)
    (folder / "name").write_text("rpi_volt\n")
    (folder / "in0_lcrit_alarm").write_text(f"{alarm}\n")
    other = root / "class" / "hwmon" / "hwmon0"
    other.mkdir()
    (other / "name").write_text("cpu_thermal\n")


@pytest.mark.parametrize(
    ("word", "so"),
    [
        (0x0, set()),
        (0x50000, set()),  # it was so once
        (0x50005, {"under_voltage", "throttled"}),
        (0xE000A, {"frequency_capped", "soft_temperature_limit"}),
    ],
)
def test_the_flags_of_the_firmware_are_what_is_so_now(pi, word, so):
    assert throttled(pi(word)) == {name: name in so for name in THROTTLED_BITS}


@pytest.mark.parametrize("alarm", [0, 1])
def test_where_the_kernel_knows_the_voltage_alone_the_rest_is_not_said(tmp_path, alarm):
    voltage_monitor(tmp_path, alarm)
    said = throttled(tmp_path)
    assert said.pop("under_voltage") is bool(alarm)
    assert set(said.values()) == {None}


def test_what_cannot_be_read_is_not_known(pi, tmp_path):
    pi(0)
    (flags,) = tmp_path.glob("devices/platform/*/*/get_throttled")
    flags.write_text("not a number\n")
    assert throttled(tmp_path) is None
    voltage_monitor(tmp_path, 1)
    assert throttled(tmp_path)["under_voltage"] is True


def test_what_is_no_pi_does_not_say(tmp_path):
    assert throttled(tmp_path) is None
