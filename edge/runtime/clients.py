"""The same verbs for a command, whether the device is this machine's disk or answers over MQTT."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

import msgspec

from edge.api.replies import ImportedReply, PeopleReply, ProgressReply, TemplatesReply
from edge.api.requests.device import RebuildGallery
from edge.api.requests.people import CancelEnrollment, ListPeople, ListTemplates, StartEnrollment
from edge.api.verbs import Access, Request
from edge.config import Config
from edge.core.templates import TemplateSummary
from edge.errors import BrokerError, LimenError, RefusedError
from edge.mqtt.controller import Controller
from edge.runtime import executor
from edge.runtime.assembly import Device
from edge.runtime.context import DeviceContext

ANSWER_SECONDS = 20.0
REBUILT_SECONDS = 600.0  # thousands of templates on a Pi Zero 2 W, whose encoder takes a tenth of a second
R = TypeVar("R")
ReportProgress = Callable[[ProgressReply], None]


class Client(Protocol):
    """Asks one device."""

    @property
    def local(self) -> bool:
        """Whether the device is this machine's disk."""

    def call(self, request: Request, progress: ReportProgress | None = None) -> object:
        """The typed reply; progress is called with what a LIVE request reports until then.

        Raises RefusedError with its code, and what else keeps the device from answering.
        """


class LocalClient:
    """The gallery of a device on this machine's disk."""

    local = True

    def __init__(self, device: DeviceContext) -> None:
        self.device = device

    def call(self, request: Request, progress: ReportProgress | None = None) -> object:  # noqa: ARG002 -- see Client
        """See Client."""
        return executor.carry_out(request, self.device, f"command line, user {os.getuid()}")


class RemoteClient:
    """A device that answers through the broker."""

    local = False

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def call(self, request: Request, progress: ReportProgress | None = None) -> object:
        """See Client. A LIVE request that is interrupted is cancelled, or the next person would be enrolled by it."""
        fields = msgspec.to_builtins(request)
        fields.pop("transaction")
        seconds = ANSWER_SECONDS
        if isinstance(request, StartEnrollment):
            seconds += request.timeout_seconds
        if isinstance(request, RebuildGallery):
            seconds = REBUILT_SECONDS

        def report(data: dict[str, object]) -> None:
            if progress is not None:
                progress(msgspec.convert(data, ProgressReply))

        try:
            data = self.controller.ask(request.verb, fields, seconds, report)
        except (KeyboardInterrupt, BrokerError):
            if request.access is Access.LIVE:
                with suppress(LimenError):
                    self.controller.ask(CancelEnrollment.verb, {}, 2.0)
            raise
        try:
            return msgspec.convert(data, request.reply)
        except msgspec.ValidationError as error:
            raise BrokerError(
                f"device '{self.controller.topics.device}' runs another version of limen: its answer to "
                f"{request.verb} cannot be read: {error}"
            ) from error


@contextmanager
def open_client(config: Config, *, over_mqtt: bool, make: bool = False) -> Iterator[Client]:
    """A client of the configured device; make: also its gallery on this machine's disk, where that is missing.

    Raises LimenError that names what is missing.
    """
    if over_mqtt:
        with Controller(config.mqtt, config.device) as controller:
            yield RemoteClient(controller)
    else:
        with Device.open(config, make=make) as device:
            yield LocalClient(DeviceContext(config, device))


def call(client: Client, request: Request, kind: type[R], progress: ReportProgress | None = None) -> R:
    """The reply, which is of that type. Raises RefusedError with its code before the reason, as a command prints it."""
    with print_refusal():
        reply = client.call(request, progress)
    if not isinstance(reply, kind):
        raise TypeError(f"{request.verb} answered {type(reply).__name__}, not {kind.__name__}")
    return reply


@contextmanager
def print_refusal() -> Iterator[None]:
    """Put the code of a refusal before its reason, once."""
    try:
        yield
    except RefusedError as refusal:
        text = str(refusal)
        if text.startswith(f"{refusal.code}: "):
            raise
        raise RefusedError(refusal.code, f"{refusal.code}: {text}") from refusal


def everybody(client: Client) -> PeopleReply:
    """Who is enrolled, of all pages. Raises RefusedError with its code before the reason."""
    found = page = call(client, ListPeople.new(), PeopleReply)
    people = list(page.people)
    while page.next is not msgspec.UNSET:
        page = call(client, ListPeople.new(after=page.next), PeopleReply)
        people += page.people
    return PeopleReply(people=people, tau=found.tau)


def templates_of(client: Client, name: str, *, crops: bool) -> tuple[list[TemplateSummary], dict[str, str]]:
    """The templates of somebody, of all pages, and their pictures, in base64 by id, where they are wanted.

    Raises RefusedError with its code before the reason.
    """
    page = call(client, ListTemplates.new(name=name, crops=crops), TemplatesReply)
    found, pictures = list(page.templates), dict(page.crops or {})
    while page.next is not msgspec.UNSET:
        page = call(client, ListTemplates.new(name=name, crops=crops, after=page.next), TemplatesReply)
        found += page.templates
        pictures |= page.crops or {}
    return found, pictures


def import_archive(client: LocalClient, data: bytes) -> ImportedReply:
    """Add everybody of an export that lies on this machine's disk, as gallery/import does with an encrypted one."""
    device = client.device
    with print_refusal(), device.store.transaction():
        people, templates, waiting = device.people.import_(data)
    return ImportedReply(people=people, templates=templates, waiting=waiting)
