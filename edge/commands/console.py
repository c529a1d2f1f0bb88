"""limen console: the household's page in a browser."""

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.commands.options import FILE, echo, with_overrides
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.config import Config

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def origins(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Origins (RFC 6454), each as it stands in a header."""
    for one in given:
        if re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", one, re.ASCII) is None:
            raise click.BadParameter(f"{one!r} is no http://HOST or http://HOST:PORT")
    return given


@click.command()
@click.option("--broker", help="HOST or HOST:PORT, another broker than the configured one.")
@click.option("--host", default=LOOPBACK[0], show_default=True, help="The address on which the page is served.")
@click.option("--port", type=click.IntRange(1, 65535), default=8340, show_default=True)
@click.option("--name", "names", multiple=True, help="A name under which the page is reached, where --host is another.")
@click.option(
    "--frame",
    "frames",
    multiple=True,
    callback=origins,
    help="http://HOST:PORT whose pages may show this one in a frame.",
)
@click.option("--password-file", type=FILE, help="Holds the password that the page asks for.")
@click.option("--set-password", type=FILE, help="Ask for a password, write it into that file, hashed, and end.")
@click.option("--show/--no-show", default=True, show_default=True, help="Open the page in a browser.")
@click.pass_obj
def console(
    config: "Config",
    broker: str | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    frames: tuple[str, ...],
    password_file: Path | None,
    set_password: Path | None,
    *,
    show: bool,
) -> None:
    """Serve a page that shows who came and names them by a click; not on the camera, but on any other machine.

    It asks the cameras over the broker, with the account of the configuration.
    """
    from edge.console.password import read_password, write_password

    if set_password is not None:
        write_password(set_password, click.prompt("Password", hide_input=True, confirmation_prompt=True))
        echo(f"{set_password}: written; --password-file {set_password} asks for it")
        return
    password = None if password_file is None else read_password(password_file)
    if host not in LOOPBACK and password is None:
        raise ConfigError(f"--host {host} can be reached by others: give --password-file too (see --set-password)")
    try:
        from edge.console.server import Served, serve
    except ModuleNotFoundError as error:
        raise ConfigError(f"the console needs {error.name}: pip install 'limen[console]'") from error
    for number in (signal.SIGTERM, signal.SIGINT):  # raised again by the server once it has stopped
        signal.signal(number, lambda *_: sys.exit(0))
    echo(f"http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C ends it)")
    serve(with_overrides(config, None, broker).mqtt, Served(host, port, names, password, show, frames))
