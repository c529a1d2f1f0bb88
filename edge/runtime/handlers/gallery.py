"""The gallery as a whole: export, import, check, rebuild."""

import base64
from collections.abc import Iterator
from itertools import islice

from edge.api.replies import CheckedReply, ExportedReply, ImportedReply, RebuiltReply
from edge.api.requests.device import CheckGallery, ExportGallery, ImportGallery, RebuildGallery
from edge.api.verbs import decode_base64
from edge.core.checkup import check_gallery
from edge.core.codes import Code
from edge.errors import CipherError, GalleryError, RefusedError
from edge.runtime.context import ANSWER_BYTES, DeviceContext
from edge.runtime.handlers.registry import PictureWork, handles, reads_pictures
from edge.runtime.pictures import CropsTask, Found, encodings_in
from edge.storage.archive import check
from edge.system.crypto import ARCHIVE

CROPS_AT_ONCE = 25  # a fraction of the time that pictures may take, and of the time between two frames to hand over


@handles(ExportGallery)
def export_gallery(request: ExportGallery, device: DeviceContext) -> ExportedReply:
    """Everybody, encrypted."""
    cipher = device.cipher()
    data, people = device.store.export(crops=request.crops)
    encrypted = base64.b64encode(cipher.encrypt(data, ARCHIVE)).decode()
    limit = device.limits.request_bytes_max - ANSWER_BYTES
    if len(encrypted) > limit:
        raise RefusedError(
            Code.TOO_LARGE,
            f"the gallery has {len(encrypted)} bytes; at most {limit} cross MQTT: without crops it has less, and "
            "`limen people export` on the device takes any number",
        )
    return ExportedReply(people=people, gallery=encrypted)


@handles(ImportGallery)
def import_gallery(request: ImportGallery, device: DeviceContext) -> ImportedReply:
    """Add everybody of an encrypted export."""
    cipher = device.cipher()
    try:
        data = cipher.decrypt(decode_base64(request.gallery, "the gallery"), ARCHIVE)
        check(data, "the gallery")
    except CipherError as error:
        raise RefusedError(Code.NOT_AUTHENTIC, str(error)) from error
    except GalleryError as error:
        raise RefusedError(Code.INVALID, str(error)) from error
    people, templates, waiting = device.people.import_(data)
    device.recognizer.update_tracks()
    return ImportedReply(people=people, templates=templates, waiting=waiting)


@handles(CheckGallery)
def list_findings(_request: CheckGallery, device: DeviceContext) -> CheckedReply:
    """What may be mended."""
    gallery = device.recognizer.gallery
    findings, checked = check_gallery(gallery)
    learned = sum(gallery.template_count(one) - gallery.given_count(one) for one in gallery.people)
    return CheckedReply(findings=findings, checked=checked, learned=learned)


@reads_pictures(RebuildGallery)
def rebuild_gallery(_request: RebuildGallery, device: DeviceContext) -> PictureWork:
    """Embed every stored crop again, some at a time, then write the embeddings of those that are still there."""
    ids = list[str]()

    def tasks() -> Iterator[CropsTask]:
        crops = iter(device.store.crops())
        while some := list(islice(crops, CROPS_AT_ONCE)):
            ids.extend(template_id for template_id, _ in some)
            yield CropsTask([crop.tobytes() for _, crop in some])

    def finish(found: list[Found]) -> RebuiltReply:
        embeddings = dict(zip(ids, encodings_in(found), strict=True))
        templates, without_picture = device.recognizer.rebuild(embeddings)
        return RebuiltReply(templates=templates, without_picture=without_picture)

    return PictureWork(tasks(), finish)
