"""Every error limen raises on purpose, in one tree.

LimenError                 anything a user can cause; its text is one line that names the input and the limit
+-- ImageError             an image that cannot be read, or has the wrong shape
+-- ModelError             a model or model card that is missing, broken, or of another kind
+-- DataError              a data set: missing pack, empty folder, unreadable crop, malformed pairs
+-- ExperimentError        an experiment file, or a checkpoint that belongs to another experiment
+-- ConfigError            a configuration that cannot be read or is invalid
+-- CameraError            a source of frames that cannot be opened, or fails
+-- GalleryError           a gallery file that cannot be opened, read or written
+-- OutboxError            an outbox that cannot be opened or written
|   +-- OutboxInUseError   an outbox that another process has open
+-- HistoryError           a history of visits that cannot be opened, read or written
+-- BrokerError            a broker that cannot be reached, or a device that does not answer through it
+-- CipherError            data that was not encrypted under the household's key for this place, or was changed
+-- RefusedError           a request that is refused, with a code of edge.core.codes
"""


class LimenError(Exception):
    """Something a user can mend; printed as one line, never as a traceback."""


class ImageError(LimenError):
    """An image that cannot be read, or has the wrong shape."""


class ModelError(LimenError):
    """A model or model card that is missing, broken, or of another kind."""


class DataError(LimenError):
    """A data set that is missing, empty or malformed."""


class ExperimentError(LimenError):
    """An experiment file that is invalid, or a checkpoint that belongs to another experiment."""


class ConfigError(LimenError):
    """A configuration that cannot be read or is invalid."""


class CameraError(LimenError):
    """A source of frames that cannot be opened, or fails."""


class GalleryError(LimenError):
    """A gallery file that cannot be opened, read or written."""


class OutboxError(LimenError):
    """An outbox that cannot be opened or written."""


class OutboxInUseError(OutboxError):
    """An outbox that another process has open."""


class HistoryError(LimenError):
    """A history of visits that cannot be opened, read or written."""


class BrokerError(LimenError):
    """A broker that cannot be reached, or a device that does not answer through it."""


class CipherError(LimenError):
    """Data that was not encrypted under the household's key for this place, or was changed."""


class RefusedError(LimenError):
    """A request that is refused: a code for programs (edge.core.codes), a sentence for people.

    retry_after_seconds: when to ask again; None where asking again does not help, or nobody knows
    """

    def __init__(self, code: str, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.code, self.retry_after_seconds = code, retry_after_seconds
