"""What the operator sees: progress on a terminal and off it, the summary, the state of the table."""

import io
import re
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.logs.progress_line import ProgressLine
from api_pipeline.outbox.status import ErrorCount, Overview, StateCount
from api_pipeline.reports.console import ConsoleProgress, print_summary, result_line, status_lines, summary_lines
from api_pipeline.run_summary import RunSummary
from tests.support.reports import BEGAN, killed_run, past_run


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def summary(**counts: object) -> RunSummary:
    values: dict[str, object] = {
        "run_id": "run-1",
        "table": "staging",
        "receiver": "here",
        "is_testing": False,
        "is_deltas": False,
        "started_at": BEGAN,
        "finished_at": BEGAN + timedelta(seconds=12.34),
        **counts,
    }
    return RunSummary(**values)  # type: ignore[arg-type] # the names are those of the fields


def shown_by(stream: io.StringIO, counts: list[tuple[float, int]], total: int = 1000, **options: bool) -> str:
    """Return what progress writes when so many records are done at each time in seconds."""
    clock = Clock()
    progress = ConsoleProgress(stream, quiet=options.get("quiet", False), clock=clock)
    progress.set_total(total)
    for at, done in counts:
        clock.now = at
        progress.update(summary(accepted=done, is_testing=options.get("testing", False)))
    progress.close()
    return stream.getvalue()


def test_off_a_terminal_progress_is_plain_lines_now_and_then() -> None:
    shown = shown_by(io.StringIO(), [(second, second * 10) for second in range(1, 25)])
    assert shown == (
        "100 of about 1000 records done, 10 a second, about 90 s left\n"
        "200 of about 1000 records done, 10 a second, about 80 s left\n"
    )


def test_a_short_run_shows_no_progress_off_a_terminal() -> None:
    assert shown_by(io.StringIO(), [(9.9, 500)]) == ""


def test_on_a_terminal_one_line_is_drawn_again_and_cleared_at_the_end() -> None:
    shown = shown_by(Terminal(), [(1, 250), (1.1, 260), (2, 500)])
    drawn = shown.split("\r")[1:]
    assert "\n" not in shown
    assert len(drawn) == 4, "two drawings and the clearing: 0.1 s after the first is too soon"
    assert "[###############...............] 500/1000 records, 250 a second, about 2 s left" in drawn[1]
    assert drawn[2:] == [" " * len(drawn[1]), ""]


def test_shorter_line_covers_a_longer_one_without_escape_sequences() -> None:
    stream = Terminal()
    line = ProgressLine(stream, quiet=False)
    for text in ("a long line", "short", "shorter"):
        line.show(text)
    line.close()
    assert stream.getvalue() == "\ra long line\rshort      \rshorter\r       \r"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_when_quiet_nothing_is_shown_anywhere(stream: io.StringIO) -> None:
    assert shown_by(stream, [(60, 10), (120, 20)], quiet=True) == ""


def test_testing_mode_is_said_on_every_line() -> None:
    assert shown_by(io.StringIO(), [(11, 5)], testing=True).startswith("TESTING ")
    assert shown_by(Terminal(), [(11, 5)], testing=True).startswith("\rTESTING [")


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 10**6))
def test_no_count_breaks_the_bar(done: int, total: int, at: float) -> None:
    for bar in re.findall(r"\[([#.]*)\]", shown_by(Terminal(), [(at, done)], total)):
        assert len(bar) == 30


def test_the_summary_has_one_line_a_count() -> None:
    lines = summary_lines(summary(due=20, accepted=9, deleted=2, unchanged=3, rejected=1, refused=2, undelivered=4))
    assert lines[0] == "Run run-1 on staging, 12.3 s"
    found = {" ".join(line.split()[:-1]): int(line.split()[-1]) for line in lines[1:10]}
    assert found == {
        "due": 20,
        "accepted": 9,
        "of these deletions": 2,
        "nothing to send": 3,
        "refused before sending": 1,
        "refused by the receiver": 2,
        "not delivered": 4,
        "not tried": 1,
        "requests": 0,
    }
    assert lines[-1].endswith("(exit code 5)")


def test_rare_counts_are_shown_only_when_they_occur() -> None:
    rare = {"purges": 2, "nulls_removed": 3, "warnings": 4, "receipts_recovered": 5, "receipts_spooled": 6}
    assert len(summary_lines(summary())) == 11
    lines = summary_lines(summary(**rare))
    for count in rare.values():
        assert any(line.startswith(f"  {count} ") for line in lines)


def test_testing_mode_is_said_in_the_summary() -> None:
    assert "TESTING mode: nothing left this machine" in summary_lines(summary(is_testing=True))[1]
    assert not any("TESTING" in line for line in summary_lines(summary()))


@pytest.mark.parametrize(
    ("counts", "code", "said"),
    [
        ({}, 0, "nothing was due"),
        ({"due": 2, "accepted": 2}, 0, "everything due was accepted"),
        ({"due": 2, "accepted": 2, "is_testing": True}, 0, "a live run sends them"),
        ({"due": 2, "refused": 1, "rejected": 1}, 1, "2 records are in error"),
        ({"due": 3, "undelivered": 1, "refused": 1}, 5, "could not be reached or kept failing for 1 record;"),
        ({"due": 3, "was_stopped": True, "undelivered": 1}, 130, "stopped by a signal; 2 rows were left as they were"),
        ({"errors": [AuthenticationRefused("The key is refused.")], "undelivered": 1}, 4, "The key is refused."),
    ],
)
def test_result_names_the_gravest_outcome_and_the_next_step(counts: dict[str, object], code: int, said: str) -> None:
    assert summary(**counts).exit_code == code
    assert said in result_line(summary(**counts))


def printed(quiet: bool, **counts: object) -> list[str]:
    @click.command()
    def command() -> None:
        print_summary(summary(**counts), quiet=quiet)

    return CliRunner().invoke(command).output.splitlines()


@pytest.mark.parametrize(
    ("counts", "quiet", "lines"), [({}, False, 11), ({}, True, 0), ({"due": 1, "refused": 1}, True, 1)]
)
def test_quiet_prints_only_an_error(counts: dict[str, object], quiet: bool, lines: int) -> None:
    said = printed(quiet, **counts)
    assert len(said) == lines
    assert not said or said[-1].startswith("Result: ")


@pytest.mark.parametrize("quiet", [False, True])
def test_the_last_line_says_in_few_words_what_ended_the_run(quiet: bool) -> None:
    said = printed(quiet, errors=[AuthenticationRefused("The key is refused.")])
    assert said[-1] == "Result: the run ended early: access was refused (exit code 4)"


def test_figures_of_a_past_run_add_up() -> None:
    run = past_run(0, due=242, accepted=0, unchanged=241, refused=1, undelivered=0, not_tried=0, exit_code=1)
    *_, header, row = status_lines(Overview([], None, [], [run]), "staging")
    shown = dict(zip(header.split()[3:7], map(int, row.split()[4:8]), strict=True))
    assert shown == {"due": 242, "accepted": 0, "unchanged": 241, "failed": 1}
    assert int(row.split()[8]) == 0


def an_overview() -> Overview:
    return Overview(
        counts=[StateCount("new", "pending", 12), StateCount("", "", 1)],
        oldest_pending="2026-11-02 03:04:05",
        errors=[ErrorCount("HTTP 400: surname is too long", 3, "1001")],
        runs=[past_run(0, due=10, accepted=6, refused=2, undelivered=1, not_tried=1, exit_code=5), killed_run(1)],
    )


def test_the_state_of_the_table_is_shown_in_columns() -> None:
    lines = status_lines(an_overview(), "staging")
    assert lines[0] == "Table staging"
    assert lines[2].split() == ["new", "pending", "12"]
    assert lines[3].split() == ["(none)", "(none)", "1"]
    assert "Oldest pending row: 2026-11-02 03:04:05" in lines
    assert "         3 x HTTP 400: surname is too long  (for example 1001)" in lines
    ids = [run.run_id for run in an_overview().runs]
    assert lines[-2].split() == ["2026-11-20", "02:00:04", "live", "deltas", "10", "6", "0", "3", "1", "5", ids[0]]
    assert lines[-1].split() == ["2026-11-19", "02:00:04", "live", "deltas", "?", "?", "?", "?", "?", "?", ids[1]]
    header, *rows = lines[-3:]
    assert {len(line) for line in rows} == {len(header)}


def test_a_table_with_nothing_to_tell_is_shown_short() -> None:
    lines = status_lines(Overview([], None, [], []), "staging")
    assert len(lines) == 4
    assert "The table is empty; fill it" in lines[2]
    assert lines[-1] == "Oldest pending row: none"


def test_pending_rows_without_a_time_are_not_called_none() -> None:
    overview = Overview([StateCount("new", "Pending", 12)], None, [], [])
    assert status_lines(overview, "staging")[-1] == "Oldest pending row: none with a time"


def test_everything_of_our_own_can_be_shown_on_a_cp1252_console() -> None:
    lines = [
        shown_by(io.StringIO(), [(11, 5)]),
        shown_by(Terminal(), [(11, 5)]),
        *summary_lines(summary(is_testing=True, due=3, undelivered=1, purges=1, receipts_spooled=1)),
        *status_lines(an_overview(), "staging"),
    ]
    assert all(line.isascii() and line for line in lines)


@pytest.mark.parametrize("is_testing", [False, True])
def test_limited_resync_names_no_rest_that_the_next_run_would_send(is_testing: bool) -> None:
    made = summary(due=3, accepted=3, is_testing=is_testing, is_resync=True, was_limited=True)
    assert result_line(made) == (
        "all 3 records that --limit allowed passed; the rest was left as it was; run --resync without --limit takes all"
    )
    stopped = summary(due=3, accepted=1, is_testing=is_testing, is_resync=True, was_stopped=True)
    assert result_line(stopped).endswith("2 rows were left as they were; run --resync again for the rest")
    failed = summary(due=3, accepted=1, is_testing=is_testing, is_resync=True, errors=[ServiceUnavailable("Away.")])
    lines = summary_lines(failed, errors_follow=True)
    assert lines[-1].endswith("; rows left as they were, which another run --resync takes: 2 (exit code 5)")


@pytest.mark.parametrize(
    ("due", "is_testing", "sentence"),
    [
        (10, False, "all 10 records that --limit allowed passed; the rest is still due, and the next run sends it"),
        (1, False, "1 record that --limit allowed passed; the rest is still due, and the next run sends it"),
        (10, True, "all 10 records that --limit allowed passed; the rest was not tried"),
    ],
)
def test_limited_run_says_what_becomes_of_the_rest(due: int, is_testing: bool, sentence: str) -> None:
    assert result_line(summary(due=due, accepted=due, is_testing=is_testing, was_limited=True)) == sentence
