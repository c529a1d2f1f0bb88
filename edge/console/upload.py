"""Enrollment from a picture that somebody chooses or drops."""

import asyncio
import base64

import cv2
from nicegui import events, ui

from edge.api.images import read_image
from edge.console.dialogs import NAME_MAX, answer, box
from edge.console.view import View

UPLOAD_MEGABYTES = 25
PIXELS_MAX = 50_000_000
CHOSEN = (
    '<div class="q-pa-sm" role="status">{{ props.files.length ? props.files[props.files.length - 1].name : "" }}</div>'
)
SENT_PX_MAX, JPEG_QUALITY = 1280, 92


async def enroll(view: View, name: str | None) -> None:
    """Ask for a picture, and where name is None for a name, until they make a template or somebody leaves."""
    text = view.text
    chosen: list[bytes] = []

    async def take(event: events.UploadEventArguments) -> None:
        chosen[:] = [await event.file.read()]

    async def send() -> None:
        who = name or field.value.strip()
        if not who or not chosen:
            ui.notify(text("picture") if who else text("name"), type="warning", textColor="white")
            return

        async def ask() -> None:
            picture = await asyncio.to_thread(picture_text, chosen[0])
            await view.ask("enroll/image", name=who, images=[picture])
            ui.notify(text("named", name=who), type="positive")

        if await view.attempt(ask()):
            dialog.close()

    def rejected() -> None:
        ui.notify(text("picture_rejected", megabytes=UPLOAD_MEGABYTES), type="negative")

    with box(text("add_picture") if name else text("add_person")) as dialog:
        field = ui.input(text("name"), value=name or "").classes("full-width").props(f"maxlength={NAME_MAX}")
        field.set_enabled(name is None)
        bytes_max = UPLOAD_MEGABYTES * 1_000_000
        upload = ui.upload(
            auto_upload=True,
            max_file_size=bytes_max,
            on_upload=take,
            on_rejected=rejected,
        )
        upload.classes("full-width").props('accept="image/*" flat bordered')
        with upload.add_slot("header"):
            choose_button(text("picture"))
        upload.add_slot("list", CHOSEN)
        with ui.row().classes("full-width justify-end"):
            ui.button(text("cancel"), on_click=dialog.close).props("flat")
            ui.button(text("save"), on_click=send)
    await answer(dialog)


def choose_button(label: str) -> None:
    """The way to a file, for an upload's header: Quasar's own buttons have no names for a screen reader.

    It is made of elements, which keep the focus when something else on the page changes; a template does not.
    """
    button = ui.button(label, icon="add_a_photo", color=None).props("flat no-caps").classes("full-width q-pa-sm")
    button.on("click", js_handler="() => props.pickFiles()")
    with ui.element("div").classes("hidden"):
        ui.element("q-uploader-add-trigger")  # has the field for files


def picture_text(encoded: bytes) -> str:
    """A picture as it crosses MQTT: an upright JPEG of at most SENT_PX_MAX, in base64. Raises RefusedError."""
    image = read_image(encoded, "the picture", PIXELS_MAX)
    scale = min(1.0, SENT_PX_MAX / max(image.shape[:2]))
    size = (max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0])))
    pixels = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    jpeg = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return base64.b64encode(jpeg.tobytes()).decode()
