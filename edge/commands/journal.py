"""The log of limen: where it goes, and how much of it."""

import logging

from edge.core.names import printable


class Line(logging.Formatter):
    """One record is one line, and what came from outside moves no cursor."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- as logging names it
        """See logging.Formatter."""
        return printable(super().formatMessage(record))


def journal() -> logging.Handler:
    """Where the log goes: the standard error, which is the system's journal under systemd."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line("%(asctime)s %(message)s"))
    return handler


def log_everything() -> None:
    """Show the log of any command, with what libraries write to the standard error."""
    logging.basicConfig(level=logging.INFO, handlers=[journal()])
    logging.getLogger("limen").setLevel(logging.DEBUG)
