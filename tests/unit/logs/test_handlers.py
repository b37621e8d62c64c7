"""Logs as contract 6 describes them: one line for each event, on any console, never a secret."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api_pipeline.errors import DatabaseError, SettingsError
from api_pipeline.logs import destinations
from api_pipeline.logs.handlers import LogOptions, RedactingFilter, printable, set_up_logging
from api_pipeline.logs.redaction import Redactor
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import LogFormat
from api_pipeline.settings.sources import Sources

OPTIONS = LogOptions(run_id="run-7")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
log = logging.getLogger("api_pipeline.delivery.run")


@contextmanager
def logging_to_text(options: LogOptions = OPTIONS, *secrets: str) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with set_up_logging(options, stream, Redactor(secrets)):
        yield stream


def fail_with(error: Exception) -> None:
    raise error


def test_line_has_time_with_zone_level_run_and_message() -> None:
    with logging_to_text() as stream:
        log.info("batch %d accepted in %.1f s", 3, 0.25)

    assert re.fullmatch(rf"{TIME} INFO run-7 batch 3 accepted in 0\.2 s\n", stream.getvalue())


def test_every_line_of_testing_mode_says_so() -> None:
    for log_format in ("text", "json"):
        with logging_to_text(LogOptions("r", is_testing=True, log_format=log_format)) as stream:
            log.info("one")
            log.warning("two")
        lines = stream.getvalue().splitlines()
        assert len(lines) == 2
        assert all("[TESTING] " in line for line in lines)


def test_live_line_does_not_claim_to_be_testing() -> None:
    with logging_to_text() as stream:
        log.info("one")

    assert "TESTING" not in stream.getvalue()


def test_json_line_is_one_object_with_run_id(tmp_path: Path) -> None:
    with logging_to_text(LogOptions("run-8", log_format="json")) as stream:
        log.warning('said "no"\nand Łódź')

    event = json.loads(stream.getvalue())
    assert event["message"] == 'said "no" | and Łódź'
    assert (event["level"], event["run_id"], event["mode"]) == ("WARNING", "run-8", "live")
    assert event["logger"] == "api_pipeline.delivery.run"
    assert re.fullmatch(TIME, event["time"])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_event_is_one_line_whatever_the_message_holds(log_format: LogFormat) -> None:
    with logging_to_text(LogOptions("r", log_format=log_format)) as stream:
        log.info("a\r\nb\nc\x1b[31m\x00\u2028d\x85e")

    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().isprintable() or stream.getvalue()[:-1].isprintable()


def test_console_that_knows_only_cp1252_gets_escapes_and_no_exception() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", newline="")
    with set_up_logging(OPTIONS, stream, Redactor()):
        log.info("Café in Łódź \U0001f600")
    stream.flush()

    line = raw.getvalue().decode("cp1252")
    assert line.endswith("Café in \\u0141ód\\u017a \\U0001f600\n")


def test_text_is_made_printable_for_any_stream() -> None:
    assert printable("Łódź é", io.TextIOWrapper(io.BytesIO(), encoding="ascii")) == "\\u0141\\xf3d\\u017a \\xe9"
    assert printable("Łódź", io.StringIO()) == "Łódź"


def test_file_takes_the_same_lines_in_utf8(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with logging_to_text(OPTIONS._replace(log_file=path)) as stream:
        log.info("Łódź")

    assert path.read_text(encoding="utf-8") == stream.getvalue()


def test_quiet_console_leaves_the_file_its_lines(tmp_path: Path) -> None:
    settings = load_settings(Sources({}, {"DB_CONNECTION_STRING": "sqlite:///a.db", "LOG_FILE": "run.log"}, tmp_path))
    with logging_to_text(LogOptions.from_settings(settings, "r", quiet=True)) as stream:
        log.info("one")
        log.error("two")

    assert stream.getvalue().count("\n") == 1
    assert (tmp_path / "run.log").read_text(encoding="utf-8").count("\n") == 2


def test_verbose_or_debug_setting_shows_debug_lines(tmp_path: Path) -> None:
    environment = {"DB_CONNECTION_STRING": "sqlite:///a.db"}
    for given, verbose, shown in (({}, False, 0), ({}, True, 1), ({"DEBUG": "true"}, False, 1)):
        settings = load_settings(Sources({}, environment | given, tmp_path))
        with logging_to_text(LogOptions.from_settings(settings, "r", verbose=verbose)) as stream:
            log.debug("one")
        assert stream.getvalue().count("\n") == shown


def test_file_is_rotated_and_old_ones_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destinations, "FILE_BYTES", 500)
    path = tmp_path / "run.log"
    with logging_to_text(OPTIONS._replace(log_file=path)):
        for number in range(100):
            log.info("event %d", number)

    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.log", *(f"run.log.{n}" for n in range(1, 6))]
    assert all(item.stat().st_size <= 500 for item in tmp_path.iterdir())


@pytest.mark.parametrize("open_elsewhere", ["run.log", "run.log.2"])
def test_file_that_cannot_be_rotated_loses_no_line_and_no_old_file(
    open_elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "FILE_BYTES", 200)
    replace = Path.replace

    def replace_as_windows_does(source: Path, target: Path) -> Path:
        if source.name == open_elsewhere:
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(source))
        return replace(source, target)

    # Before Python 3.11 a path does not look at the module os again.
    monkeypatch.setattr(Path, "replace", replace_as_windows_does)
    path = tmp_path / "run.log"
    path.write_text("full\n" * 40)
    for number in range(1, 6):
        (tmp_path / f"run.log.{number}").write_text(f"old {number}")
    with logging_to_text(OPTIONS._replace(log_file=path)):
        for number in range(20):
            log.info("event %d", number)

    assert path.read_text(encoding="utf-8").count("event") == 20
    texts = {item.read_text(encoding="utf-8") for item in tmp_path.iterdir()}
    assert {f"old {number}" for number in range(1, 5)} <= texts, "only the oldest goes, as in any rotation"


@pytest.mark.parametrize("name", ["no/such/folder/run.log", "."])
def test_log_file_that_cannot_be_opened_is_a_settings_error(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(SettingsError, match="LOG_FILE: expected a file in an existing folder"),
        set_up_logging(LogOptions("r", log_file=tmp_path / name), None, Redactor()),
    ):
        pass


def test_full_disk_neither_stops_the_run_nor_fills_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with set_up_logging(LogOptions("r", log_file=Path("/dev/full")), None, Redactor()):
        log.info("one")
        log.info("two")

    assert capsys.readouterr().err.splitlines() == [
        "The log file can no longer be written (No space left on device); the run continues without it."
    ]


def test_traceback_needs_debug_and_foreign_exceptions_are_masked() -> None:
    for debug, frames in ((False, 0), (True, 1)):
        with logging_to_text(LogOptions("r", debug=debug, console_level=logging.DEBUG), "hush-hush") as stream:
            try:
                try:
                    fail_with(ValueError("bad value 'Zoë' of Smith born 2014-03-02"))
                except ValueError as error:
                    raise DatabaseError("Write-back to ssd failed with hush-hush.") from error
            except DatabaseError:
                log.exception("It went wrong")
        text = stream.getvalue()
        assert "It went wrong (DatabaseError)" in text
        assert text.count("Traceback") + text.count("in fail_with") == frames
        assert ("Write-back to ssd failed with ***." in text) is debug
        assert ("ValueError: bad value '***' of *** born ***" in text) is debug
        assert len(text.splitlines()) == 1


def test_secrets_are_taken_out_of_message_arguments_and_exceptions() -> None:
    with logging_to_text(OPTIONS, "hush-hush") as stream:
        log.info("key hush-hush and %s and %r", "hush-hush", {"a": "hush-hush"})
        try:
            fail_with(RuntimeError("hush-hush"))
        except RuntimeError:
            log.exception("failed")

    assert "hush" not in stream.getvalue()


def test_token_that_is_fetched_later_is_taken_out_as_well() -> None:
    stream, redactor = io.StringIO(), Redactor()
    with set_up_logging(OPTIONS, stream, redactor):
        redactor.add("token-of-tonight")
        log.info("token-of-tonight")

    assert "tonight" not in stream.getvalue()


def test_message_whose_arguments_do_not_fit_stops_nothing() -> None:
    record = logging.makeLogRecord({"name": "api_pipeline.x", "msg": "%d of %d", "args": (1,)})

    assert RedactingFilter(Redactor(), debug=False).filter(record)
    assert record.getMessage() == "%d of %d"


def test_other_packages_are_heard_from_warning_on_and_redacted() -> None:
    with logging_to_text(OPTIONS, "hush-hush") as stream:
        logging.getLogger("urllib3").info("chatter")
        logging.getLogger("urllib3").warning("hush-hush")

    assert stream.getvalue().count("\n") == 1
    assert "hush" not in stream.getvalue()


def test_warning_that_quotes_the_head_of_an_answer_is_masked() -> None:
    with logging_to_text(OPTIONS) as stream:
        head = "unparsed data: 'Broken line Avery Stone AB1 2CD\\r\\nSet-Cookie: session=c00kie\\r\\n'"
        logging.getLogger("urllib3.connection").warning("Failed to parse headers (url=%s): %s", "/x", head)

    assert "Failed to parse headers" in stream.getvalue()
    for value in ("Avery", "Stone", "AB1", "c00kie"):
        assert value not in stream.getvalue()


def test_leaving_takes_every_handler_off_again() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    with logging_to_text():
        assert len(root.handlers) == len(before) + 1

    assert (root.handlers, root.level) == (before, level)


def test_program_without_a_console_logs_to_its_file(tmp_path: Path) -> None:
    with set_up_logging(LogOptions("r", log_file=tmp_path / "run.log"), None, Redactor()):
        log.info("one")

    assert "one" in (tmp_path / "run.log").read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_syslog_gets_a_line_with_program_and_run(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(5)
        options = LogOptions("run-9", log_to="syslog")
        with set_up_logging(options, None, Redactor(["hush-hush"]), syslog_sockets=(tmp_path / "none", path)):
            log.warning("batch 3 hush-hush")
        received = receiver.recv(4096).decode()

    assert re.fullmatch(rf"<12>d2i-csc-api: {TIME} WARNING run-9 batch 3 \*\*\*", received)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_syslog_that_goes_away_is_said_once_and_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        with set_up_logging(LogOptions("r", log_to="syslog"), None, Redactor(), syslog_sockets=(path,)):
            syslog.close()
            path.unlink()
            log.info("one")
            log.info("two")
    assert capsys.readouterr().err == (
        "The system's log can no longer be written (No such file or directory); the run continues without it.\n"
    )


def test_missing_syslog_is_a_settings_error(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match="LOG_TO is syslog"),
        set_up_logging(LogOptions("r", log_to="syslog"), None, Redactor(), syslog_sockets=(tmp_path / "none",)),
    ):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has an Event Log")
def test_event_log_outside_windows_is_a_settings_error() -> None:
    with (
        pytest.raises(SettingsError, match="LOG_TO is eventlog, which needs Windows"),
        set_up_logging(LogOptions("r", log_to="eventlog"), None, Redactor()),
    ):
        pass


def test_event_log_in_the_executable_is_refused_without_advice_on_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with (
        pytest.raises(SettingsError, match="the executable cannot write; set LOG_FILE instead") as refused,
        set_up_logging(LogOptions("r", log_to="eventlog"), None, Redactor()),
    ):
        pass
    assert "pip install" not in str(refused.value)


def test_import_of_logs_needs_no_driver_http_or_store() -> None:
    code = "import api_pipeline.logs, sys; print(*{'pyodbc', 'requests', 'keyring'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
