"""What the fields of several requests hold, within which limits, and the codes that several are refused with."""

from datetime import datetime
from typing import Annotated

import msgspec

from edge.core.codes import Code
from edge.core.enrollment import SAMPLES_MAX
from edge.core.names import NAME_BYTES_MAX

DAY_SECONDS, DAYS_MAX = 86_400.0, 3650
VISITS_PAGE, VISITS_PAGE_MAX = 50, 200
TEMPLATES_PAGE, TEMPLATES_PAGE_MAX = 20, 50  # the picture of each is measured, between two frames
PAGE_MAX = 1000  # people in one answer: with short names, some 140 kB
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES_MAX)]
Images = Annotated[list[str], msgspec.Meta(min_length=1, max_length=SAMPLES_MAX)]
Days = Annotated[float, msgspec.Meta(gt=0, le=DAYS_MAX)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

PICTURE_CODES = (
    Code.NOT_BASE64,
    Code.NOT_AN_IMAGE,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_TOO_COSTLY,
    Code.IMAGE_BROKEN,
    Code.WORKER_FAILED,
)
FACE_CODES = (
    Code.NO_FACE,
    Code.MULTIPLE_FACES,
    Code.TOO_SMALL,
    Code.TURNED_AWAY,
    Code.NOT_UPRIGHT,
    Code.DARK,
    Code.BLURRED,
    Code.UNCLEAR,
)
STRANGER_CODES = (Code.STRANGERS_NOT_KEPT, Code.NO_SUCH_STRANGER)
