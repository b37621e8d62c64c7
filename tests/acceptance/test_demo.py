"""The demo: two nights of an invented council, told truly."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import Completed, invoke_cli


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Completed, Path]:
    """Return what a demo of 300 people printed, and its folder."""
    folder = tmp_path_factory.mktemp("demo")
    return invoke_cli(["demo", "--children", "300"], {}, folder), folder / "d2i-csc-api-demo"


def test_demo_ends_with_0_and_leaves_nothing_due(told: tuple[Completed, Path]) -> None:
    done, folder = told

    assert (done.code, done.err) == (0, "")
    with closing(sqlite3.connect(folder / "demo.db")) as connection:
        states = connection.execute(
            "SELECT LOWER(row_state), LOWER(submission_status), COUNT(*) FROM ssd_api_data_staging GROUP BY 1, 2"
        ).fetchall()
    assert {(state, status) for state, status, _ in states} == {("unchanged", "sent"), ("deleted", "sent")}
    held = re.search(r"The receiver now holds (\d+) children; nothing is due any more", done.out)
    assert held is not None
    assert int(held[1]) == {state: count for state, _, count in states}["unchanged"]


def test_demo_shows_each_step_in_order(told: tuple[Completed, Path]) -> None:
    done, _ = told
    steps = [
        "The council's own tables (SSD): 300 people",
        "First night: the payloads are built from the SSD",
        "First run, full payloads",
        "Refused, with the reason that the table keeps",
        "Second run, after the data team corrected",
        "The next day the SSD has changed",
        "Second night: what that means for the payloads",
        "Third run, only what changed (deltas)",
        "Fourth run",
        "The first receipts",
    ]

    places = [done.out.index(step) for step in steps]
    assert places == sorted(places)
    assert "nothing was due (exit code 0)" in done.out.partition("Fourth run")[2]


def test_second_night_sends_only_what_changed(told: tuple[Completed, Path]) -> None:
    done, _ = told
    second = done.out.partition("Second night")[2]

    def count(words: str) -> int:
        found = re.search(rf"{words}\s+(\d+)", second)
        assert found is not None, words
        return int(found[1])

    new, updated, deleted = count("rows new"), count("rows updated"), count("rows deleted")
    assert min(new, updated, deleted) > 0
    assert count("due") == new + updated + deleted == count("accepted")
    assert count("of these deletions") == deleted
    assert count("rows unchanged") > 200


def test_records_rejected_on_purpose_are_corrected(told: tuple[Completed, Path]) -> None:
    done, folder = told

    assert "no_such_member" in done.out
    with closing(sqlite3.connect(folder / "demo.db")) as connection:
        texts = [text for (text,) in connection.execute("SELECT json_payload FROM ssd_api_data_staging")]
    assert not any("no_such_member" in text for text in texts)


def test_the_smallest_demo_works_too(tmp_path: Path) -> None:
    done = invoke_cli(["demo", "--children", "1"], {}, tmp_path)

    assert (done.code, done.err) == (0, "")


def test_lines_fit_a_terminal_and_plain_letters(told: tuple[Completed, Path]) -> None:
    done, folder = told
    shown = done.out.replace(str(folder.resolve()), "").replace(str(folder), "")

    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 120


def test_demo_can_be_rerun_and_omits_refusals_when_there_are_none(tmp_path: Path) -> None:
    few = ["demo", "--folder", "here", "--children", "5"]
    assert invoke_cli(few, {}, tmp_path).code == 0

    done = invoke_cli(few, {}, tmp_path)

    assert done.code == 0, done.text
    assert "Refused, with the reason" not in done.out


def a_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (id INTEGER)")


def a_text(path: Path) -> None:
    path.write_text("nothing for a database", encoding="utf-8")


@pytest.mark.parametrize("make", [a_database, a_text, Path.mkdir])
def test_file_not_made_by_a_demo_is_never_replaced(make: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""

    done = invoke_cli(["demo", "--folder", str(tmp_path)], {}, tmp_path)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: The file {path} is there already and was not made by this demo")
    assert path.exists()
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert [each.name for each in tmp_path.iterdir()] == ["demo.db"]
