"""What the commands that test the surroundings share: one test, its report, and how it ends at invalid settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api_pipeline.commands.common import Common, Session, print_json, say, session

if TYPE_CHECKING:
    from api_pipeline.diagnostics.steps import Report
    from api_pipeline.settings.model import Purpose


def run_test(
    common: Common,
    name: str,
    purpose: Purpose,
    test: Callable[[Session], Report],
    options: Mapping[str, str | None] | None = None,
    *,
    as_json: bool,
) -> None:
    """Do one test with the settings that it needs, print its report, and end the command with its exit code."""
    with settings_failing(name, as_json=as_json), session(common, purpose, options) as started:
        report = test(started)
    finish(report, started.redactor, as_json=as_json, quiet=common.quiet)


@contextmanager
def settings_failing(test: str, *, as_json: bool, is_one_of_many: bool = False) -> Iterator[None]:
    """Print a report whose only step is the settings where they are not valid, and let the error through.

    `is_one_of_many` is for a command whose JSON holds several tests. Errors: SettingsError.
    """
    from api_pipeline import documents
    from api_pipeline.diagnostics.steps import settings_report
    from api_pipeline.errors import SettingsError

    try:
        yield
    except SettingsError as error:
        if as_json:
            report = settings_report(test, error)
            print_json(documents.smoke([report]) if is_one_of_many else documents.diagnosed(report))
        raise


def show(report: Report, redact: Callable[[str], str], *, as_json: bool, quiet: bool) -> None:
    """Print a report as lines, unless JSON is printed instead, or nothing is wrong and `quiet` is set."""
    from api_pipeline.diagnostics.steps import report_lines

    if as_json or (quiet and report.is_ok):
        return
    say(redact("\n".join(report_lines(report))))


def finish(report: Report, redact: Callable[[str], str], *, as_json: bool, quiet: bool) -> None:
    """Print a report and end the command with its exit code."""
    if as_json:
        from api_pipeline import documents

        print_json(documents.diagnosed(report), redact)
    else:
        show(report, redact, as_json=False, quiet=quiet)
    raise SystemExit(report.exit_code)
