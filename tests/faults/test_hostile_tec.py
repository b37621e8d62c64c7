"""A TEC that means harm, over real sockets: bounded memory, one sentence, and no record that is `sent` untruly."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from api_pipeline.db import connect
from tests.support.commands import invoke_cli
from tests.support.effort import IS_LONG
from tests.support.hostile_answers import FAST, SLOW, saying
from tests.support.hostile_receiver import Reply, Talk
from tests.support.hostile_tec import LIST, SLACK_S, VALIDATE, Case, run_all, tec, waited_s

on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def _objects(make: Callable[[int], str], count: int) -> Reply:
    return saying('{"results":[' + ",".join(make(number) for number in range(count)) + "]}")


def _deep(text: bytes) -> bytes:
    return b'{"errors":{"content":' + b'{"a":' * 900 + text + b"}" * 900 + b"}}"


def _values() -> dict[str, Reply]:
    """Return what stands in an answer, at whatever call it comes; it is large, and made for the test alone."""
    return {
        "wide objects": _objects(lambda n: f'{{"{n}":{n}}}', 500_000),
        "empty lists": saying(b'{"results":[' + b"[]," * 2_700_000 + b"[]]}"),
        "small numbers": saying(b'{"results":[' + b"1.5," * 2_000_000 + b"1]}"),
        "short texts": _objects(lambda n: f'"{n:x}"', 800_000),
        "an id of five thousand digits": saying(
            b'{"results":[{"returnId":"' + b"9" * 5000 + b'"}],"totalCount":"\xc2\xb2"}'
        ),
        "a total without an end": saying(json.dumps({**LIST, "totalCount": 10**18, "page": 10**17})),
        "dates beyond the calendar": saying(
            json.dumps({"results": [{**LIST["results"][0], "closeWindowDate": "9999-12-31T23:59:59-14:00"}]})
        ),
    }


_REFUSALS: dict[str, Reply] = {
    "deep errors": saying(_deep(b'"x"'), 400),
    "deep errors with many texts": saying(_deep(b"[" + b'"x",' * 250_000 + b'"x"]'), 400),
    "codes without an end": saying(json.dumps({"errorCodes": [f"X{n}" for n in range(100_000)]}), 400),
    "a code of a megabyte": saying(json.dumps({"errorCode": "SC" + "9" * 1_000_000}), 400),
    "places beyond numbers": saying(
        json.dumps({"errors": {"content[" + "9" * 5000 + "]": ["x"], "content": {"[\u00b2]": ["x"]}}}), 400
    ),
}


def _endless_results() -> Reply:
    pages = iter(range(10**9))

    def reply(talk: Talk) -> None:
        page = next(pages)
        one = {"localId": "s1", "errorCode": "036", "errorType": "Error", "recordText": "x" * 4000}
        talk.answer(json.dumps({"page": page, "pageSize": 500, "results": [one] * 500 + [{"a": page}]}).encode())

    return reply


# What the wire brings is read by one reader for all receivers (test_hostile_receiver.py has each of them), so that one
# of each kind shows that TEC's answers go through it.
_OF_THE_WIRE = (
    *("error body of a gigabyte", "chunks without an end", "gzip bomb", "bomb in two layers", "100,000 headers"),
    *("packing that nobody asked for", "header line without an end", "no HTTP at all", "status of 999"),
    *("interim answers without an end", "redirect elsewhere", "100,000 levels", "700 levels of an error"),
    *("deep error with many texts", "millions of lists", "page of blanks", "steering signs in a refusal"),
    *("signs of no encoding", "wait of 400 digits", "wait of a megabyte", "cookies", "nothing wrong"),
)
_WIRE = {name: reply for name, (_, reply) in FAST.items() if IS_LONG or name in _OF_THE_WIRE}
_UNSENT, _ANY = {2, 4, 5, 6}, {0, 1, 2, 4, 5, 6}


def _cases() -> list[Case]:
    values = {**_values(), **_REFUSALS}
    return [
        *(Case("returns", name, reply, _UNSENT) for name, reply in _WIRE.items()),
        *(Case("returns", name, reply, _ANY) for name, reply in values.items()),
        *(Case("results", name, reply, _ANY, VALIDATE) for name, reply in values.items()),
        # An empty 200 is an acceptance, whatever stands in its head.
        *(
            Case("records", name, reply, _UNSENT | {1})
            for name, reply in _WIRE.items()
            if name != "100 headers of 60,000 letters"
        ),
        *(Case("records", name, reply, _ANY) for name, reply in (values if IS_LONG else _REFUSALS).items()),
    ]


@on_linux
def test_no_answer_of_tec_takes_much_memory_or_marks_a_record_sent(tmp_path: Path) -> None:
    cases = [*_cases(), Case("", "honest", saying(""), {0})]
    left, text = run_all(tmp_path, cases)
    assert "Traceback" not in text, text[-3000:]
    wrong = [
        (case.call, case.name, one)
        for case, one in zip(cases, left, strict=True)
        if one.code not in case.codes or not one.is_bounded()
    ]
    assert wrong == []
    untrue = [(case.call, case.name) for case, one in zip(cases[:-1], left, strict=False) if one.sent]
    assert untrue == [], "the first of these marked a record sent"
    assert left[-1].sent == 3, "honest answers are believed"


@on_linux
def test_list_of_results_without_an_end_is_given_up(tmp_path: Path) -> None:
    endless = Case("results", "endless", _endless_results(), {5}, VALIDATE)
    (left,), text = run_all(tmp_path, [endless], has_any_page=True)
    assert (left.code, left.is_bounded()) == (5, True), text[-3000:]
    assert "beyond 32 MiB" in text


def test_nobody_at_tec_is_waited_for_longer_than_twice_the_read_timeout(tmp_path: Path) -> None:
    cases = [Case("records", name, reply, {5}) for name, reply in SLOW.items()]
    with tec(tmp_path, cases, READ_TIMEOUT_S=0.3) as (receiver, env):
        for number, case in enumerate(cases):
            endpoint = env["SDR_API_ENDPOINT"].replace("/r0", f"/r{number}")
            done = invoke_cli(case.args, {**env, "SDR_API_ENDPOINT": endpoint}, tmp_path)
            assert 0.1 < waited_s(receiver, f"r{number}") < 2 * 0.3 + SLACK_S, case.name
            assert done.code in case.codes, f"{case.name}: {done.text}"
        with closing(connect(env["DB_CONNECTION_STRING"])) as connection:
            words = connection.query("SELECT DISTINCT submission_status FROM sdr_staging")
    assert ("sent",) not in words
