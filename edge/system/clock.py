"""The time of day, and whether it can be believed: a Pi has no clock of its own when it boots."""

import ctypes
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

EARLIEST = 1_790_000_000.0  # September 2026: no limen that asks ran before
TIMESYNCD = Path("/run/systemd/timesync/synchronized")
HARDWARE_CLOCK = Path("/sys/class/rtc/rtc0/since_epoch")
HARDWARE_CLOCK_SECONDS = 60.0  # that it may differ: it drifts
MAXERROR_US = 16_000_000  # the kernel's estimate where nothing has set the clock, or nothing has for a long time
ASK_EVERY_SECONDS = 10.0
TIMEDATECTL_SECONDS = 2.0
BACKWARDS_SECONDS = 60.0
KEEP_EVERY_SECONDS = 3600.0
LAST_KNOWN = "last_known_time"  # the setting that keeps it over restarts


class Settings(Protocol):
    """Where the last time that was known is kept."""

    def setting(self, name: str) -> str | None:
        """What was set; None where nothing was."""

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""


class Clock:
    """The time of day where it is set.

    It is set when the system has it from the network. Else something has to vouch for it, a hardware clock or
    (trusted) the configuration, and it must not be before the last time that was known.
    """

    def __init__(self, settings: Settings, *, trusted: bool = False) -> None:
        self._settings, self._trusted = settings, trusted
        self._from_network = False
        self._ask_at = self._keep_at = float("-inf")

    def now(self) -> float | None:
        """Seconds since 1970; None while the time of day is not set. Raises GalleryError."""
        now = time.time()
        if now < EARLIEST:
            return None
        if self._synchronized():
            return now
        if not self._trusted and not hardware_clock_agrees(now):
            return None
        return now if now > self._last_known() - BACKWARDS_SECONDS else None

    def gone_back_from(self) -> float | None:
        """The last time that was known, where it is all that speaks against the time of day. Raises GalleryError."""
        now = time.time()
        if now < EARLIEST or self.now() is not None or not (self._trusted or hardware_clock_agrees(now)):
            return None
        return self._last_known()

    def forget(self) -> None:
        """The last time that was known was wrong: without it the time of day is believed again. Raises GalleryError."""
        self._settings.set(LAST_KNOWN, "0")

    def keep(self) -> None:
        """Note the time for the next boot, where it is set, once an hour. Raises GalleryError."""
        if time.monotonic() < self._keep_at or (now := self.now()) is None:
            return
        self._settings.set(LAST_KNOWN, f"{now:.0f}")
        self._keep_at = time.monotonic() + KEEP_EVERY_SECONDS

    def _last_known(self) -> float:
        return float(self._settings.setting(LAST_KNOWN) or 0.0)

    def _synchronized(self) -> bool:
        """Once it was, it is for as long as the machine runs: a clock goes on without a network."""
        if not self._from_network and time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + ASK_EVERY_SECONDS
            self._from_network = synchronized()
        return self._from_network


def synchronized() -> bool:
    """The system has the time of day from the network.

    systemd's own client says so by a file. Any other is known by the kernel's estimate of its error, as systemd judges
    it too (STA_UNSYNC stays set under chrony without rtcsync). A unit with ProtectClock= may not ask the kernel, even
    to read (systemd.exec(5)); timedatectl asks for it, over D-Bus.
    """
    return TIMESYNCD.exists() or kernel_says_so() or timedatectl_says_so()


class Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)), and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_says_so() -> bool:
    """It thinks that it knows the time to within 16 seconds."""
    timex = Timex()  # modes 0: only read
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return bool(state >= 0 and timex.maxerror < MAXERROR_US)


def timedatectl_says_so() -> bool:
    """It says yes, in time."""
    program = shutil.which("timedatectl")
    if program is None:
        return False
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    alone = {"LC_ALL": "C"}  # with our NOTIFY_SOCKET it would tell systemd of its own exit, as if it were us
    try:
        said = subprocess.run(command, env=alone, capture_output=True, timeout=TIMEDATECTL_SECONDS, check=False).stdout  # noqa: S603 -- ours
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.strip() == b"yes"


def hardware_clock_agrees(now: float) -> bool:
    """There is one, and it tells the same time: one whose battery is empty begins at 1970."""
    try:
        return abs(int(HARDWARE_CLOCK.read_text(encoding="ascii")) - now) < HARDWARE_CLOCK_SECONDS
    except (OSError, ValueError):
        return False


def rfc3339(seconds: float | None = None, *, milliseconds: bool = True) -> str:
    """Seconds since 1970, or now, as RFC 3339 in UTC."""
    at = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")
