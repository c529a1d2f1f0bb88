"""limen: the group of all commands, and the configuration they share."""

from pathlib import Path

import click

from edge.commands import call, console, device, enroll, init, people, recognition, templates, watch
from edge.commands.init import CONFIG_HERE
from edge.commands.options import CONFIG_FILE, FILE, QUIET, Commands
from edge.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/limen/limen.toml")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="limen", prog_name="limen")
@click.option(
    "--config",
    "path",
    type=FILE,
    help=f"The configuration  [default: {SYSTEM_CONFIG}, else ./{CONFIG_HERE}, else every default]",
)
@click.option("--gallery", type=FILE, help="Another gallery than the configured one.")
@click.option("-q", "--quiet", is_flag=True, help="Print data, warnings and errors alone.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log, with what libraries say, on the standard error.")
@click.pass_context
def main(context: click.Context, path: Path | None, gallery: Path | None, *, quiet: bool, verbose: bool) -> None:
    """Recognize who is at the door, on the camera itself."""
    from dataclasses import replace

    from edge.commands.config_file import load_config
    from edge.config import Config

    context.meta[QUIET] = quiet
    if verbose:
        from edge.commands.journal import log_everything

        log_everything()
    if context.invoked_subcommand != init.init.name:  # which writes one
        path = path or configuration_here()
    context.meta[CONFIG_FILE] = path
    config = Config() if path is None or context.invoked_subcommand == init.init.name else load_config(path)
    context.obj = config if gallery is None else replace(config, gallery=replace(config.gallery, path=gallery))


def configuration_here() -> Path | None:
    """The configuration of this machine, or of this folder. Raises ConfigError where this user may not know."""
    from edge.system.files import is_file

    try:
        return next((file for file in (SYSTEM_CONFIG, CONFIG_HERE) if is_file(file)), None)
    except PermissionError as error:
        raise ConfigError(f"{SYSTEM_CONFIG} is not for you to read: sudo -u limen, or --config FILE") from error


for command in (
    init.init,
    watch.run,
    enroll.enroll,
    people.people,
    people.forget,
    people.rebuild,
    recognition.identify,
    recognition.verify,
    call.call,
    device.audit,
    device.doctor,
    device.bench,
    device.fleet,
    console.console,
    watch.demo,
):
    main.add_command(command)
for command in (templates.list_templates, templates.forget_template):
    people.people.add_command(command)
