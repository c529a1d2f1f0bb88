"""Secrets: from the environment or from a file, and never printed."""

import os
import re
from pathlib import Path

from edge.errors import ConfigError

MASK = "********"  # what is printed in place of one


def secret(variable: str, key: str, file: Path | None) -> str | None:
    """From the environment, else from the file, else None. Raises ConfigError where either cannot be read."""
    if variable in os.environ:
        value = os.environ[variable].strip()
        try:
            value.encode()
        except UnicodeEncodeError as error:  # its text holds what could not be read
            raise ConfigError(f"{variable} cannot be used: it is not text in UTF-8") from error
        return value
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:  # its text holds what could not be read
        raise ConfigError(f"{key} {file} cannot be read: it is not text in UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{key} {file} cannot be read: {error}") from error


def masked(location: str) -> str:
    """An address without the password that may be in it, before the host or in what is asked of it; else as it is."""
    if "//" not in location:  # a file; a mistyped address may lack its colon
        return location
    return re.sub(r"\?.*", f"?{MASK}", re.sub(r"(//[^:/]*):.*@", rf"\1:{MASK}@", location))
