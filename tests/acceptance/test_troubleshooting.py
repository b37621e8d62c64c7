"""The pages of troubles: every message, exit code and SQLSTATE is on them, and what is printed can be found."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultTarget, SimulatorServer
from api_pipeline.sql import driver_errors, odbc_errors
from api_pipeline.transport import certificates
from scripts import reference_troubles
from scripts.reference_messages import Reader, Unreadable, messages, shown
from scripts.reference_troubles import FOLDER, IN_A_STATEMENT, NATIVE, WHEN_OPENING, place
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.ports import closed_port
from tests.support.staging import fill, staged
from tests.support.world import live_settings

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
_LEAST_WORDS = 3


def table_under(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its first two lines."""
    section = PAGES["index"].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_message_is_on_the_page_with_who_can_fix_it() -> None:
    # One test for all: every process of the tests would read them, which takes seconds, to collect one for each.
    assert len(messages()) > 200
    for message in messages():
        topic, heading = place(message) or ("", "")
        table = PAGES[topic].partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
        cell = shown(message.text) + (f"<br>What to do: {shown(message.advice)}" if message.advice else "")
        line = next((line for line in table.splitlines() if line.startswith(f"| {cell} |")), "")

        assert line, f"run scripts/make-docs: {message.module}: {message.text}"
        assert line.endswith(f"| {message.who} |")


def test_everybody_who_can_fix_something_is_introduced() -> None:
    introduced = {row[0] for row in table_under("Who can fix it")}
    named = {part.strip() for message in messages() for part in re.split(r", (?:or )?", message.who)}

    assert named - introduced <= {"nobody: it usually passes", "who runs the server"}
    assert introduced <= named


@pytest.mark.parametrize(
    "module", ["sql.odbc_errors", "diagnostics.tls", "diagnostics.receiver_answer", "sql.driver_errors"]
)
def test_modules_that_explain_errors_are_read_completely(module: str) -> None:
    tree = ast.parse(Path("api_pipeline", *module.split(".")).with_suffix(".py").read_text(encoding="utf-8"))
    told = [message.text for message in messages()] + [message.advice for message in messages()]
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    sentences = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        if re.match(r"[A-Z][a-z]+ [a-z]", node.value) and len(node.value.split()) > 3
    ]
    plain = [re.sub(r"\{\w+\}", "...", text).strip(" .") for text in sentences]
    missing = [text for text in plain if not any(text in each for each in told)]

    assert sentences
    assert missing == []


def test_message_of_a_module_without_a_page_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    topics = {topic: headings for topic, headings in reference_troubles.TOPICS.items() if topic != "staging"}
    monkeypatch.setattr(reference_troubles, "TOPICS", topics)

    with pytest.raises(Unreadable, match=r"no page of troubles takes (staging|anonymise)"):
        reference_troubles.pages()


@pytest.mark.parametrize(
    ("module", "listed"), [(odbc_errors, WHEN_OPENING), (driver_errors, IN_A_STATEMENT)], ids=["opening", "statement"]
)
def test_every_sqlstate_that_the_code_knows_is_listed(module: ModuleType, listed: tuple[tuple[str, str], ...]) -> None:
    known = set(re.findall(r'"((?=\w*\d)[0-9A-Z]{5})"', Path(str(module.__file__)).read_text(encoding="utf-8")))

    assert known
    assert known - {state for state, _ in listed} == set()
    assert all(f"**{state}** {means}" in PAGES["database"] for state, means in listed)


def test_every_number_of_sql_server_that_the_code_knows_is_listed() -> None:
    patterns = (driver_errors._BUSY, driver_errors._READ_ONLY, driver_errors._FULL)
    known = {number for pattern in patterns for number in re.findall(r"\d{3,}", pattern)}

    assert known == {number for number, _ in NATIVE}
    assert all(f"**{number}** {means}" in PAGES["database"] for number, means in NATIVE)


def test_search_of_the_site_finds_each_code_by_a_heading() -> None:
    headings = [line for line in PAGES["database"].splitlines() if line.startswith("#### ")]
    states = {state for state, _ in (*WHEN_OPENING, *IN_A_STATEMENT)}
    numbers = {number for number, _ in NATIVE}
    named = {word for heading in headings for word in re.findall(r"[0-9A-Z]{3,5}", heading)}
    assert {*states, *numbers} - named == set()


def test_states_that_begin_alike_have_an_example_each() -> None:
    states = [state for state, _ in IN_A_STATEMENT]

    assert all(any(state.startswith(prefix) for state in states) for prefix in ("08", "57P", "HYT", "01002", "23"))


def test_every_inspecting_product_that_the_program_knows_is_named() -> None:
    names = certificates._INSPECTING.pattern.split("|")
    section = PAGES["receiver"].partition("## A certificate from an inspecting proxy")[2].partition("\n## ")[0]

    assert len(names) > 20
    assert [name for name in names if not re.search(name, section, re.IGNORECASE)] == []


def test_message_built_dynamically_is_an_error() -> None:
    reader = Reader({}, {"SettingsError": 2})

    with pytest.raises(Unreadable, match=r"new\.module: made_elsewhere\(\)"):
        list(reader.messages_of("new.module", ast.parse("raise SettingsError(made_elsewhere())")))


def test_message_is_read_with_dots_for_what_differs() -> None:
    code = """raise SettingsError(f"The {name} of {MARK} is {a if b else c}{f' ({d})' if d else ''}; mend it.")"""
    reader = Reader({"MARK": "the table"}, {"SettingsError": 2})

    (message,) = reader.messages_of("new.module", ast.parse(code))
    assert (message.text, message.code) == ("The ... of the table is ...; mend it.", 2)


def refused_token(server: SimulatorServer) -> None:
    server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=401, times=None))


def dead_receiver(server: SimulatorServer) -> None:
    server.simulator.add_fault(Fault(status=503, times=None))


def refused_key(server: SimulatorServer) -> None:
    server.simulator.change(refuse_supplier_key=True)


def nothing(server: SimulatorServer) -> None:
    assert server.port


FAULTS: list[tuple[str, dict[str, str], Callable[[SimulatorServer], None], int]] = [
    ("run", {"BATCH_SIZE": "many", "LA_CODE": ""}, nothing, 2),
    ("run", {"TABLE_NAME": "nowhere"}, nothing, 3),
    ("run", {"DB_CONNECTION_STRING": "sqlite:///nowhere.db"}, nothing, 3),
    ("run", {"DB_CONNECTION_STRING": "Driver={Nobody's};Server=x"}, nothing, 3),
    ("run", {}, refused_token, 4),
    ("run", {}, refused_key, 4),
    ("run", {"GIVE_UP_AFTER_FAILED_BATCHES": "1", "MAX_ATTEMPTS": "1"}, dead_receiver, 5),
    ("run", {"CA_BUNDLE": "nowhere.pem"}, nothing, 2),
    ("run --log-file nowhere/run.log", {}, nothing, 2),
    ("secrets set LA_CODE", {}, nothing, 2),
    ("report --run-id nobody", {}, nothing, 2),
    ("test-endpoint --send-test-record", {"API_ENDPOINT": "https://receiver.example/1"}, nothing, 2),
]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("command", "settings", "break_it", "code"), FAULTS, ids=lambda value: getattr(value, "__name__", str(value))[:40]
)
def test_what_is_printed_is_found_on_the_page(
    command: str,
    settings: dict[str, str],
    break_it: Callable[[SimulatorServer], None],
    code: int,
    deployed: TestDatabase,
    tmp_path: Path,
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    with SimulatorServer() as server:
        break_it(server)
        environment = {**deployed.settings, **live_settings(server), **settings}
        done = invoke_cli(command.split(), environment, tmp_path)

    assert done.code == code, done.text
    said = [line.removeprefix("Error: ").removeprefix("  - ") for line in done.err.splitlines()]
    unknown = [line for line in said if line and not is_listed(line)]
    assert [line for line in unknown if "settings cannot be used" not in line] == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_the_tests_of_the_surroundings_say_is_found_on_the_page(deployed: TestDatabase, tmp_path: Path) -> None:
    with SimulatorServer() as server:
        closed = {"API_ENDPOINT": f"https://127.0.0.1:{closed_port()}"}
        deployed.execute("DROP TABLE ssd_api_held")
        done = invoke_cli(["smoke"], {**deployed.settings, **live_settings(server), **closed}, tmp_path)

    assert done.code == 5
    assert is_listed(detail_of(done, "TCP"))
    assert is_listed(detail_of(done, "ssd_api_held"))


def detail_of(done: Completed, step: str) -> str:
    line = next(line for line in done.out.splitlines() if line.startswith(f"  {step} "))
    return re.sub(r"^  \S+ +(?:FAILED|remark) +[\d.]+ s +", "", line)


def is_listed(line: str) -> bool:
    """Whether a line of output is one of the messages, whatever stands for their dots."""
    return any(pattern.fullmatch(line) for pattern in _patterns())


@cache
def _patterns() -> list[re.Pattern[str]]:
    return [
        re.compile(".*".join(re.escape(part) for part in message.text.split("...")) + r"\.?.*")
        for message in messages()
        if len(message.text.replace("...", " ").split()) >= _LEAST_WORDS
    ]
