"""The link's lines in the log: each once, until a connection has lasted, or a connection that flaps would fill it."""

import logging

log = logging.getLogger("limen")

LINES_MAX = 100


class Journal:
    """Logs a line that was logged already only after settle(). broker: its address, which begins lines about it."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._logged: set[str] = set()
        self._hushed = False  # a line about the connection was not logged

    def say(self, text: str) -> None:
        """Log a line about the connection."""
        if self._is_news(text):
            log.info("%s %s", self._broker, text)
        else:
            self._hushed = True

    def complain(self, text: str) -> None:
        """Log a line about a message."""
        if self._is_news(text):
            log.error("%s", text)

    def settle(self) -> None:
        """The connection has lasted: say so where that is not what the log ends with."""
        if self._hushed:
            log.info("%s is connected and stays so", self._broker)
        self._hushed = False
        self._logged.clear()

    def _is_news(self, text: str) -> bool:
        if text in self._logged or len(self._logged) >= LINES_MAX:
            return False
        self._logged.add(text)
        return True
