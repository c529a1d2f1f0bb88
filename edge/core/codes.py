"""Every code by which a request is refused or a sample is not taken."""

from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """A code for programs, with one sentence for people; the sentences are the page of codes."""

    def __new__(cls, value: str, meaning: str) -> Self:
        """The code is its own value."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    meaning: str

    # about the message
    RETAINED = "retained", "The request is retained: the broker would deliver it again at every reconnect."
    BUSY = "busy", "Too many requests are waiting; ask again after `retry_after_seconds`."
    UNKNOWN_VERB = "unknown_verb", "There is no such request."
    TOO_LARGE = "too_large", "The request or its answer has more bytes than are allowed."
    ANSWER_TOO_LARGE = "answer_too_large", "The answer has more bytes than the broker takes."
    NOT_JSON = "not_json", "The payload is not JSON in UTF-8."
    INVALID = "invalid", "A field is missing, unknown, or outside its limits; the text names it."
    TRANSACTION_REUSED = "transaction_reused", "Another request was made under this transaction."
    ANSWERED_BEFORE = "answered_before", "The request was carried out before; its answer is no longer kept."
    STORAGE = "storage", "The gallery cannot be read or written; nothing was changed."
    # about the signature
    NO_KEY = "no_key", "The request is signed, and the device has no key to check it."
    UNSIGNED = "unsigned", "The device accepts signed requests only."
    BAD_SIGNATURE = "bad_signature", "The signature is not by the device's key over this request."
    REPLAYED = "replayed", "A request with this nonce was carried out before."
    STALE = "stale", "The signature is too old, or from the future."
    OUT_OF_ORDER = "out_of_order", "The request was signed before another one that was carried out."
    CLOCK_NOT_SET = "clock_not_set", "The device does not know the time of day."
    # about pictures
    NO_IMAGE = "no_image", "The request has no picture, or too many."
    NOT_BASE64 = "not_base64", "A picture or a gallery is not base64."
    NOT_AN_IMAGE = "not_an_image", "The bytes are no picture of a known format."
    IMAGE_TOO_LARGE = "image_too_large", "The pictures have more pixels or scans than are decoded for one request."
    IMAGE_TOO_COSTLY = "image_too_costly", "The pictures take more time or memory than is spent on one request."
    IMAGE_BROKEN = "image_broken", "The picture cannot be decoded, or was cut off."
    WORKER_FAILED = "worker_failed", "The process that reads pictures could not be started; the device's log says why."
    # about faces; these are also the reasons of a live enrollment's progress
    NO_FACE = "no_face", "No face is visible."
    MULTIPLE_FACES = "multiple_faces", "More than one face is visible."
    TOO_SMALL = "too_small", "The face has too few pixels."
    TURNED_AWAY = "turned_away", "The face is turned too far to the side."
    NOT_UPRIGHT = "not_upright", "The face is upside down."
    DARK = "dark", "The face is too dark."
    BLURRED = "blurred", "The face is blurred."
    UNCLEAR = "unclear", "The model sees no clear face: it is covered, cut off, or none."
    TOO_SIMILAR = "too_similar", "The sample differs too little from those taken already."
    DIFFERENT_PEOPLE = "different_people", "The samples are of different people."
    DIFFERENT_PERSON = "different_person", "The face is not of the person on the other pictures, or of that name."
    ALREADY_THERE = "already_there", "The picture is a template of this person already."
    CONFLICTS_WITH = "conflicts_with", "The face is of somebody enrolled under another name."
    # about people, strangers and events
    NAME_TAKEN = "name_taken", "Another person has this name."
    NO_SUCH_PERSON = "no_such_person", "Nobody is enrolled under this name."
    NO_SUCH_TEMPLATE = "no_such_template", "The person has no template with this id."
    LAST_TEMPLATE = "last_template", "The person has no other template that people gave."
    NOT_OVERWRITTEN = "not_overwritten", "Removed, but the file's log still holds what was removed."
    STRANGERS_NOT_KEPT = "strangers_not_kept", "Strangers are not kept: strangers.keep_days is 0."
    NO_SUCH_STRANGER = "no_such_stranger", "No stranger with this id is kept."
    NO_SUCH_EVENT = "no_such_event", "No event with this id is kept."
    HISTORY_OFF = "history_off", "No visits are kept: history.keep_hours is 0."
    NO_LOOK = "no_look", "The event has no sample that could become a template."
    NOT_NAMED = "not_named", "The event named nobody who is enrolled now."
    # about live enrollment
    ENROLLING = "enrolling", "Another live enrollment is in progress."
    NOT_ENROLLING = "not_enrolling", "No live enrollment is in progress."
    TIMEOUT = "timeout", "No sample was good enough in time."
    CANCELLED = "cancelled", "The enrollment was cancelled, or the person was removed meanwhile."
    STOPPED = "stopped", "The device was stopped."
    # about the device
    RECOGNITION_OFF = "recognition_off", "Recognition is switched off."
    NOT_RUNNING = "not_running", "Only a running device can do this; ask it over MQTT."
    SNAPSHOT_OFF = "snapshot_off", "The device gives no pictures away: mqtt.snapshot is not set."
    NO_FRAME = "no_frame", "The camera gives no frames."
    NO_HOUSEHOLD_KEY = "no_household_key", "The device has no household key to encrypt a gallery with."
    NOT_AUTHENTIC = "not_authentic", "The gallery was not encrypted under this household's key, or was changed."
