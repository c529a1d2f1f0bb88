"""Notifications to systemd: ready, alive, stopping (sd_notify(3))."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send READY=1, WATCHDOG=1 or STOPPING=1 to systemd; do nothing where systemd did not start this process."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)  # that nobody listens is no reason to stop
        channel.sendall(state.encode())


class Watchdog:
    """Notifies systemd's watchdog as long as work is done.

    A notification needs a frame from the camera, and an inference that returned within inference_seconds: a loop
    without frames is as dead as one that hangs.

    every_seconds: between two notifications, at least
    """

    def __init__(self, inference_seconds: float = 30.0, every_seconds: float = 5.0) -> None:
        self.inference_seconds, self.every_seconds = inference_seconds, every_seconds
        self._inferences, self._inferred_at, self._beat_at = -1, float("-inf"), float("-inf")
        self._ready = False

    def wants_inference(self, now: float) -> bool:
        """Whether half of inference_seconds has passed without an inference. now: on the monotonic clock."""
        return now - self._inferred_at > self.inference_seconds / 2

    def frame(self, inferences: int, now: float) -> None:
        """Note that a frame was processed. inferences: how many there were so far; now: on the monotonic clock."""
        if inferences != self._inferences:
            self._inferences, self._inferred_at = inferences, now
        if now - self._inferred_at > self.inference_seconds or now - self._beat_at < self.every_seconds:
            return
        self._beat_at = now
        notify("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1")
        self._ready = True
