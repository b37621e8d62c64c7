"""Where the log goes besides the console: a file that rotates, syslog, or the Windows Event Log."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from importlib import util
from io import TextIOWrapper
from logging.handlers import NTEventLogHandler, RotatingFileHandler, SysLogHandler
from pathlib import Path
from typing import cast

from api_pipeline._version import __version__
from api_pipeline.common.paths import is_there
from api_pipeline.common.private_files import private_opener
from api_pipeline.errors import SettingsError, reason_of

FILE_BYTES = 5_000_000
OLD_FILES = 5


class _QuietHandler(logging.Handler):
    """Say once that lines are lost: a full disk must neither stop a run nor fill the console with tracebacks."""

    has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's signature
        if sys.stderr is not None and not self.has_complained:
            self.has_complained = True
            self.complain(reason_of(sys.exc_info()[1]))

    def complain(self, reason: str) -> None:
        """Say that lines are lost, and why."""
        sys.stderr.write(f"The system's log can no longer be written ({reason}); the run continues without it.\n")


class _SyslogHandler(_QuietHandler, SysLogHandler):
    pass


class _EventLogHandler(_QuietHandler, NTEventLogHandler):
    pass


class _FileHandler(_QuietHandler, RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        file = open(  # noqa: SIM115 - the handler closes it
            self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=private_opener
        )
        return cast(TextIOWrapper, file)

    def doRollover(self) -> None:  # noqa: N802 - the library's name
        """Begin a new file. Where the full one cannot be renamed it grows on, and no line is lost.

        On Windows another process that has one of the files open prevents that, and each further line tries again. So
        the old files move on only up to the first number that is free: a second attempt drops none.
        """
        if self.stream is not None:
            self.stream.close()
            self.stream = None  # the library opens it again for the next line
        files = [Path(self.baseFilename), *(Path(f"{self.baseFilename}.{n}") for n in range(1, self.backupCount + 1))]
        free = next((place for place, file in enumerate(files) if not is_there(file)), self.backupCount)
        with suppress(OSError):
            for place in range(free, 0, -1):
                files[place - 1].replace(files[place])

    def complain(self, reason: str) -> None:
        sys.stderr.write(f"The log file can no longer be written ({reason}); the run continues without it.\n")


def file_handler(path: Path) -> logging.Handler:
    """Return the handler of LOG_FILE, which rotates. Errors: SettingsError where it cannot be written."""
    try:
        with open(path, "a", encoding="utf-8", opener=private_opener):
            pass
        return _FileHandler(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", delay=True)
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise SettingsError(
            f"LOG_FILE: expected a file in an existing folder that may be written, got {path} ({reason})."
        ) from None


def syslog_handler(sockets: tuple[Path, ...]) -> logging.Handler:
    """Return the handler of the first syslog socket that can be used. Errors: SettingsError where none can."""
    for socket in sockets:
        if socket.exists():
            try:
                handler = _SyslogHandler(address=str(socket))
            except OSError:
                continue
            handler.ident = "d2i-csc-api: "
            handler.append_nul = False
            return handler
    raise SettingsError(
        "LOG_TO is syslog, but this machine has no syslog that can be used; set LOG_FILE instead (or, on Windows, "
        "LOG_TO=eventlog)."
    )


def event_log_handler() -> logging.Handler:
    """Return the handler of the Windows Event Log. Errors: SettingsError where it cannot be used."""
    has_package = util.find_spec("win32evtlogutil") is not None
    if getattr(sys, "frozen", False) and not has_package:
        raise SettingsError(
            "LOG_TO is eventlog, which the executable cannot write; set LOG_FILE instead (on Linux also LOG_TO=syslog) "
            "or use the package with the extra eventlog."
        )
    if sys.platform != "win32" or not has_package:
        raise SettingsError(
            "LOG_TO is eventlog, which needs Windows and the package pywin32 (pip install "
            f'"csc_api_pipeline-{__version__}-py3-none-any.whl[eventlog]"); set LOG_FILE instead, or LOG_TO=syslog '
            "elsewhere."
        )
    try:
        return _EventLogHandler("d2i-csc-api")
    except Exception as error:  # pywin32 raises its own kind, which is not known elsewhere
        raise SettingsError(
            f"LOG_TO is eventlog, but the Event Log cannot be used ({type(error).__name__}); use an account that may "
            "register the source d2i-csc-api, or set LOG_FILE."
        ) from None
