"""Log set-up: one line for each event, with run id and time, redacted in one place whatever it is written to.

Contract 6. Payloads, names, dates of birth, postcodes, secrets and tokens never stand in a log; a caller that logs
the receiver's words masks them first (`masking.mask_values`).
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO, TypeAlias

from api_pipeline.errors import PipelineError
from api_pipeline.logs.masking import mask_values
from api_pipeline.logs.plain_text import harmless
from api_pipeline.logs.redaction import Redactor
from api_pipeline.settings.model import LogFormat, LogTarget

if TYPE_CHECKING:
    _StreamHandler: TypeAlias = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # takes no type parameter before Python 3.11

SYSLOG_SOCKETS = (Path("/dev/log"), Path("/var/run/syslog"))

_OURS = __name__.partition(".")[0]
_ONE_LINE = dict.fromkeys((*range(32), *range(127, 160)), "?") | dict.fromkeys(
    (0x0A, 0x0D, 0x85, 0x2028, 0x2029), " | "
)
_ONE_LINE[0x09] = " "


class LogSettings(Protocol):
    """The settings of a service, as far as its logs need them."""

    @property
    def debug(self) -> bool:
        """Return whether everything is logged."""

    @property
    def testing_mode(self) -> bool:
        """Return whether each line is marked as a rehearsal's."""

    @property
    def log_file(self) -> Path | None:
        """Return LOG_FILE."""

    @property
    def log_format(self) -> LogFormat:
        """Return LOG_FORMAT."""

    @property
    def log_to(self) -> LogTarget:
        """Return LOG_TO."""


class LogOptions(NamedTuple):
    """What is logged, and where.

    `console_level` is a level of `logging`; files and system logs take INFO and above, or everything when `debug`.
    """

    run_id: str
    console_level: int = logging.INFO
    debug: bool = False
    is_testing: bool = False
    log_file: Path | None = None
    log_format: LogFormat = "text"
    log_to: LogTarget = ""

    @classmethod
    def from_settings(
        cls, settings: LogSettings, run_id: str, *, verbose: bool = False, quiet: bool = False
    ) -> LogOptions:
        """Return the options of the settings and the command line's switches; quiet shows errors only."""
        debug = settings.debug or verbose
        level = logging.ERROR if quiet else logging.DEBUG if debug else logging.INFO
        return cls(
            run_id=run_id,
            console_level=level,
            debug=debug,
            is_testing=settings.testing_mode,
            log_file=settings.log_file,
            log_format=settings.log_format,
            log_to=settings.log_to,
        )


@contextmanager
def set_up_logging(
    options: LogOptions,
    stream: TextIO | None,
    redactor: Redactor,
    syslog_sockets: tuple[Path, ...] = SYSLOG_SOCKETS,
    advice: Callable[[str], str] = str,
) -> Iterator[None]:
    """Log to `stream` (the console's stderr; None: there is none) and to what the options name, inside the block.

    `advice` completes the commands that a message advises. Errors: SettingsError when the log file or the system's log
    cannot be used.
    """
    handlers = _handlers(options, stream, syslog_sockets)
    redacting = RedactingFilter(redactor, debug=options.debug, advice=advice)
    formatter = _JsonFormatter(options) if options.log_format == "json" else _TextFormatter(options)
    root = logging.getLogger()
    level_before = root.level
    for handler in handlers:
        handler.addFilter(redacting)
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(min((handler.level for handler in handlers), default=logging.WARNING))
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            with suppress(OSError):  # what a full disk did not take is lost, and handleError has said so
                handler.close()
        root.setLevel(level_before)


def _handlers(options: LogOptions, stream: TextIO | None, syslog_sockets: tuple[Path, ...]) -> list[logging.Handler]:
    kept_level = logging.DEBUG if options.debug else logging.INFO
    handlers: list[logging.Handler] = []
    if stream is not None:
        handlers.append(_ConsoleHandler(stream))
        handlers[0].setLevel(options.console_level)
        if options.console_level > logging.INFO:
            handlers[0].addFilter(_is_not_printed)
    if options.log_file is not None:
        # Here and below: imported where there is one, because the library's handlers bring sockets and pickle along.
        from api_pipeline.logs.destinations import file_handler

        handlers.append(file_handler(options.log_file))
        handlers[-1].setLevel(kept_level)
    if options.log_to:
        from api_pipeline.logs.destinations import event_log_handler, syslog_handler

        system = syslog_handler(syslog_sockets) if options.log_to == "syslog" else event_log_handler()
        system.setLevel(kept_level)
        handlers.append(system)
    return handlers


def _is_not_printed(record: logging.LogRecord) -> bool:
    """Return whether the console needs a record: not where the command prints the same sentence itself."""
    return not getattr(record, "is_printed", False)


class RedactingFilter(logging.Filter):
    """Redact every record of every handler, in one place, and make it one plain line.

    Tracebacks are kept in debug only; the words of an exception that is not ours are masked, since a driver may quote
    what it was given. So are the warnings of other packages: urllib3 quotes the head of an answer that it cannot read.
    Their chatter below WARNING is dropped unless in debug.
    """

    def __init__(self, redactor: Redactor, *, debug: bool, advice: Callable[[str], str] = str) -> None:
        super().__init__()
        self._redactor = redactor
        self._debug = debug
        self._advice = advice

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged; change it in place."""
        is_ours = record.name.partition(".")[0] == _OURS
        if not is_ours and record.levelno < logging.WARNING and not self._debug:
            return False
        if getattr(record, "is_redacted", False):
            return True
        text = self._advice(_message(record)) if is_ours else _message_of_others(record)
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({type(record.exc_info[1]).__name__})"
            if self._debug:
                text += "\n" + _trace(record.exc_info[1])
        record.msg = harmless(self._redactor(text)).strip().translate(_ONE_LINE)
        record.args = None
        record.exc_info = record.exc_text = record.stack_info = None
        record.is_redacted = True
        return True


def printable(text: str, stream: TextIO) -> str:
    """Return `text` as the stream's encoding can write it: letters that it lacks become backslash escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _message_of_others(record: logging.LogRecord) -> str:
    text = _message(record)
    return text if record.levelno < logging.WARNING else mask_values(text)


def _trace(error: BaseException) -> str:
    """Return the traceback with its causes, oldest first; words of exceptions that are not ours are masked."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        words = str(current) if isinstance(current, PipelineError) else mask_values(str(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__name__}: {words}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "\n".join(reversed(parts))


class _Formatter(logging.Formatter):
    def __init__(self, options: LogOptions) -> None:
        super().__init__()
        self._run_id = options.run_id
        self._is_testing = options.is_testing

    @staticmethod
    def _time(record: logging.LogRecord) -> str:
        return datetime.fromtimestamp(record.created, timezone.utc).astimezone().isoformat(timespec="milliseconds")


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        mark = "[TESTING] " if self._is_testing else ""
        return f"{self._time(record)} {record.levelname} {self._run_id} {mark}{record.getMessage()}"


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": self._time(record),
            "level": record.levelname,
            "run_id": self._run_id,
            "mode": "testing" if self._is_testing else "live",
            "logger": record.name,
            "message": ("[TESTING] " if self._is_testing else "") + record.getMessage(),
        }
        return json.dumps(event, ensure_ascii=False)


class _ConsoleHandler(_StreamHandler):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), self.stream)
