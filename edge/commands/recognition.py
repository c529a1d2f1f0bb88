"""Recognition in still pictures: identify and verify."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, JSON, client_of, echo, picture_text, print_json, read_picture
from edge.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

    from edge.config import Config
    from edge.runtime.assembly import Device


@click.command()
@click.argument("picture", type=FILE)
@JSON
@click.pass_obj
def identify(config: "Config", picture: Path, *, as_json: bool) -> None:
    """Recognize every face in PICTURE: its name, distance d and match threshold tau."""
    from edge.api.replies import FacesReply
    from edge.api.requests.device import RecognizeImage
    from edge.runtime.clients import call

    text = picture_text(picture, local=True)
    with client_of(config, None, None) as client:
        faces = call(client, RecognizeImage.new(image=text), FacesReply).faces
    if as_json:
        print_json({"faces": faces})
        return
    for face in faces:
        near = "the gallery is empty" if face.distance is None else f"d {face.distance:.3f}, tau {face.tau:.3f}"
        problem = f", {face.problem.replace('_', ' ')}" if face.problem else ""
        echo(f"{face.name or 'unknown'}  {near}{problem}")
    if not faces:
        echo("no face")


@click.command()
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@JSON
@click.pass_obj
def verify(config: "Config", first: Path, second: Path, *, as_json: bool) -> None:
    """Compare the faces in FIRST and SECOND: d, tau, same or different person; status 1 if different."""
    import numpy as np

    from edge.runtime.assembly import open_or_empty

    with open_or_empty(config) as device:
        encodings = [device.embedder.encode(crop_of(device, path)) for path in (first, second)]
        for path, encoding in zip((first, second), encodings, strict=True):
            if encoding.clarity is not None and encoding.clarity < config.decision.quality.clarity_min:
                echo(f"{path}: no clear face (clarity {encoding.clarity:.2f}): the answer may be wrong", err=True)
        both = np.stack([encoding.embedding for encoding in encodings])
        distance, tau = float(np.square(both[0] - both[1]).sum()), float(device.recognizer.gallery.taus(both)[0, 1])
    if as_json:
        print_json({"same": distance <= tau, "distance": distance, "tau": tau})
    else:
        echo(f"{'same person' if distance <= tau else 'different people'}  d {distance:.3f}, tau {tau:.3f}")
    if distance > tau:
        raise click.exceptions.Exit(1)


def crop_of(device: "Device", path: Path) -> "np.ndarray":
    """The largest face of a picture, aligned. Raises ImageError where there is none."""
    from edge.core.align import align
    from edge.core.closer import look_closer
    from edge.core.stills import find_faces, least_px

    image = read_picture(path)
    face = max(find_faces(image, device.detector), key=lambda face: face.size_px, default=None)
    if face is None:
        height, width = image.shape[:2]
        raise ImageError(
            f"{path} shows no face: in {width}x{height} px one is found from about {least_px(width, height)} px on"
        )
    return align(image, look_closer(image, face, device.detector).landmarks)
