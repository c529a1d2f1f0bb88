"""The link's lines in the log: each once, until a connection has lasted, or a connection that flaps would fill it."""

import logging
import re

log = logging.getLogger("limen")

LINES_MAX = 100
TOPIC_SHOWN_MAX = 100  # characters
PERSON = re.compile(r"(limen/(?:household/)?[^/]*/person/)(?!\+$)")


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

    def complain(self, topic: str, text: str) -> None:
        """Log a line about the messages of a topic, which others may have chosen."""
        line = f"{shown(loggable(topic))}: {text}"
        if self._is_news(line):
            log.error("%s", line)

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


def loggable(topic: str) -> str:
    """A topic without whom it is about: nobody could be erased from the system's journal."""
    return f"{found[1]}..." if (found := PERSON.match(topic)) else topic


def shown(topic: str) -> str:
    """A topic as one line of a log shows it: its beginning, without control characters."""
    text = topic if len(topic) <= TOPIC_SHOWN_MAX else f"{topic[:TOPIC_SHOWN_MAX]}..."
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
