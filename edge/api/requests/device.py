"""What the device sees, how it is, its gallery as a whole and its settings."""

from edge.api.fields import PICTURE_CODES
from edge.api.messages import Health
from edge.api.replies import (
    CheckedReply,
    ConfigReply,
    ExportedReply,
    FacesReply,
    ImportedReply,
    RebuiltReply,
    SnapshotReply,
)
from edge.api.verbs import Access, Request, verb
from edge.core.codes import Code


@verb("recognize/image", Access.READ, FacesReply, *PICTURE_CODES, reads_pictures=True)
class RecognizeImage(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Recognize every face in one picture. image: JPEG, PNG, ... in base64."""

    image: str


@verb("snapshot/get", Access.READ, SnapshotReply, Code.SNAPSHOT_OFF, Code.RECOGNITION_OFF, Code.NO_FRAME)
class GetSnapshot(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get what the camera sees now."""


@verb("health/check", Access.READ, Health)
class CheckHealth(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get the device's health now."""


@verb("gallery/export", Access.WRITE, ExportedReply, Code.NO_HOUSEHOLD_KEY, Code.TOO_LARGE, answer_kept=False)
class ExportGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get everybody with templates and crops, encrypted under the household's key; it goes into the audit record."""

    crops: bool = True


@verb("gallery/import", Access.WRITE, ImportedReply, Code.NO_HOUSEHOLD_KEY, Code.NOT_BASE64, Code.NOT_AUTHENTIC)
class ImportGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Add everybody of an export. gallery: as gallery/export gives it."""

    gallery: str


@verb("gallery/check", Access.READ, CheckedReply)
class CheckGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """List what may be mended: people with one template or none, templates that are poor or unlike, people alike."""


@verb(
    "gallery/rebuild",
    Access.WRITE,
    RebuiltReply,
    Code.IMAGE_TOO_COSTLY,
    Code.IMAGE_BROKEN,
    Code.WORKER_FAILED,
    reads_pictures=True,
)
class RebuildGallery(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Embed every stored crop again with the present model."""


@verb("config/get", Access.READ, ConfigReply)
class GetConfig(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Get what can be set while the device runs."""


@verb("config/set", Access.WRITE, ConfigReply)
class SetConfig(Request, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Turn recognition on or off; it outlasts restarts."""

    recognition: bool
