"""What all commands share: the common options, the settings, the logs, and how a fault becomes an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from api_pipeline.settings import Purpose, Settings

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """The common options; one given behind the command beats one given before it."""

    env_file: Path | None = None
    verbose: bool = False
    quiet: bool = False
    log_file: str | None = None

    def over(self, earlier: Common | None) -> Common:
        """Gives these options, filled up with those given before the command."""
        if earlier is None:
            return self
        return Common(
            env_file=self.env_file or earlier.env_file,
            verbose=self.verbose or earlier.verbose,
            quiet=self.quiet or earlier.quiet,
            log_file=self.log_file or earlier.log_file,
        )


def common_options(function: _Function) -> _Function:
    """Adds the common options to a command."""
    options = (
        click.option("--env-file", type=click.Path(path_type=Path), help="Read settings from this file."),
        click.option("--verbose", is_flag=True, help="Say more, also in the log."),
        click.option("--quiet", is_flag=True, help="Say nothing but faults."),
        click.option("--log-file", metavar="PATH", help="Also log to this file (it rotates)."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def take_common(context: click.Context, keywords: dict[str, Any]) -> Common:
    """Takes the common options out of a command's keywords."""
    own = Common(
        env_file=keywords.pop("env_file"),
        verbose=keywords.pop("verbose"),
        quiet=keywords.pop("quiet"),
        log_file=keywords.pop("log_file"),
    )
    return own.over(context.find_object(Common))


def load(common: Common, purpose: Purpose, options: Mapping[str, str | None] | None = None) -> Settings:
    """Gives the settings for a command and sets up its logs. Errors: SettingsError.

    `options` are settings by name as the command line gave them (None: not given).
    """
    from api_pipeline.config import load_settings
    from api_pipeline.logs import set_up_logging
    from api_pipeline.secret_store import KeyringStore

    given: dict[str, str | None] = {**(options or {}), "LOG_FILE": common.log_file}
    if common.verbose:
        given["DEBUG"] = "true"
    settings = load_settings(
        given,
        os.environ,
        Path.cwd(),
        executable_folder(),
        KeyringStore(),
        common.env_file,
        purpose,
    )
    set_up_logging(settings, sys.stderr, quiet=common.quiet)
    return settings


def executable_folder() -> Path | None:
    """Gives the folder of the packaged executable, None where Python runs the program."""
    return Path(sys.executable).parent if getattr(sys, "frozen", False) else None


def pass_common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command its `Common` as first argument instead of the four options."""

    @common_options
    @click.pass_context
    def command(context: click.Context, /, **keywords: Any) -> Any:
        return function(take_common(context, keywords), **keywords)

    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    if hasattr(function, "__click_params__"):
        command.__click_params__ = [*function.__click_params__, *command.__click_params__]  # type: ignore[attr-defined] # click keeps parameters there
    return command
