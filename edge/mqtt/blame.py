"""Why a request has no answer: the broker, the account, the size, or the device. From what was seen; no network."""

from dataclasses import dataclass

from edge.mqtt.reports import Cause, Lost, Outcome, Receipt

ABSENT_SECONDS = 0.8  # in which a broker sends what it keeps of a device, or there is none
LARGE_BYTES = 10_000
NOBODY_HEARS = 0x10  # in PUBACK; MQTT 5, 3.4.2.1
# What to do, by what the system, the TLS library or the broker says.
REMEDIES = {
    "Connection refused": "does a broker run there (sudo apt install mosquitto), and on this port (mqtt.port)?",
    "Name or service not known": "is the name right (mqtt.host)? The address does as well",
    "No address associated": "is the name right (mqtt.host)? The address does as well",
    "Temporary failure in name resolution": "is there a network? The address does as well as the name (mqtt.host)",
    "timed out": "is it switched on, and does no firewall stand between?",
    "No route to host": "is it switched on, and in the same network?",
    "Network is unreachable": "is this machine in a network?",
    "CERTIFICATE_VERIFY_FAILED": "mqtt.ca_file is of the authority that signed the broker's certificate, and mqtt.host "
    "is a name in that",
    "Bad user name or password": "mqtt.username and mqtt.password_file are as mosquitto_passwd set them at the broker",
    "Not authorized": "the broker wants a user it knows: mqtt.username and mqtt.password_file, as mosquitto_passwd set "
    "them",
    "Client identifier not valid": "the broker takes other client ids than limen's: see OPERATIONS.md on passwords",
}


@dataclass(frozen=True)
class Seen:
    """What was seen after a request was sent.

    size: bytes of the request; heard: whether anything was heard of the device; receipt: of the request
    """

    device: str
    broker: str
    username: str
    topic: str
    size: int
    waited_seconds: float
    heard: bool
    status: str | None
    receipt: Receipt | None
    lost: Lost | None

    @property
    def accepted(self) -> bool:
        """Whether the broker took the request."""
        return self.receipt is not None and self.receipt.outcome is Outcome.DONE

    @property
    def unheard(self) -> bool:
        """Whether the broker said that nobody hears the request, which it cannot with MQTT 3.1.1."""
        return self.receipt is not None and self.receipt.code == NOBODY_HEARS

    @property
    def absent(self) -> bool:
        """Whether there is no such device, as far as the broker shows it."""
        return not self.heard and (self.unheard or self.waited_seconds >= ABSENT_SECONDS)

    def obstacle(self) -> str | None:
        """Why no answer will come; None where one may."""
        if self.receipt is not None and self.receipt.outcome is not Outcome.DONE:
            user = f"user '{self.username}'" if self.username else "a user without a name"
            return f"the broker {self.broker} does not take {self.topic} from {user}: {self.receipt.text}"
        if self.lost is not None:
            large = not self.accepted and self.lost.cause is Cause.BROKER and self.size > LARGE_BYTES
            hint = f"; it may not take the {self.size} bytes of the request" if large else ""
            return f"the broker {self.broker}: {self.lost.text}{hint}"
        if self.status == "offline":
            return f"device '{self.device}' is offline: it is not running, or does not reach {self.broker}"
        if self.absent:
            return f"device '{self.device}' was never seen at this broker: another name, or this user may not hear it"
        if self.unheard:
            return (
                f"nobody at {self.broker} hears requests to device '{self.device}': it is {self.status or 'away'}, and "
                f"its user may not read {self.topic}"
            )
        return None


def not_connected(lost: Lost | None, refusals: dict[str, str | None], needed: str, *, tls: bool) -> str | None:
    """Why there is no connection that hears answers; None where there is.

    refusals: by filter, why the broker refused it, or None; needed: the filter of answers; tls: as configured
    """
    want_tls = "" if tls else "; does it want TLS (mqtt.ca_file)?"
    if lost is None and needed not in refusals:
        return f"does not let us in: it did not answer in time{want_tls}"
    if lost is None:
        reason = refusals[needed]
        return None if reason is None else f"does not let us in: {needed}: {reason}"
    if lost.cause in {Cause.UNREACHABLE, Cause.REFUSED}:
        text = lost.text.removeprefix("the broker refused: ")
        said = text if lost.cause is Cause.UNREACHABLE else f"does not let us in: {text}"
        return said + next((f"; {remedy}" for words, remedy in REMEDIES.items() if words in text), "")
    text = "it did not answer in time" if lost.text.startswith("timed out") else lost.text
    return f"does not let us in: {text}{want_tls if lost.cause is Cause.NO_CONNACK else ''}"
