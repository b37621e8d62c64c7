"""`sdr demo`: an invented provider submits, validation finds errors, they are corrected, and a second one passes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from api_pipeline.auth.token_provider import Credentials
from api_pipeline.db import Connection
from api_pipeline.demos.database import open_new
from api_pipeline.errors import PipelineError
from api_pipeline.run_summary import counted
from api_pipeline.sandbox.simulator.tec import TecConditions, TecOptions, TecServer, TecSimulator
from api_pipeline.sdr import flows, opening, schema
from api_pipeline.sdr.nouns import Collection, Rules
from api_pipeline.sdr.outcome import Options
from api_pipeline.sdr.report import ResultPage, lines, write
from api_pipeline.sdr.store import Store
from api_pipeline.sdr.validation import PollTiming, Verdict
from api_pipeline.sdr.wire import Address, RequestOptions
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.session import TransportOptions, make_session
from api_pipeline.transport.single_request import Reach

TABLE = "sdr_staging"
_SEED = 20260801
_COURSES = 12
# Whose enrolments name a course that is not in the register, and whose gender is not a code: what validation finds.
_WRONG_COURSE_EVERY, _WRONG_GENDER_EVERY = 60, 100
_MARK = b"TECD"
_FILE = "sdr-demo.db"
_STUDENT = "studentIdentificationCode"


def demo(folder: Path, learners: int, echo: Callable[[str], None]) -> int:
    """Make the folder with its database, submit and validate until it passes, and print what happened.

    Return the exit code: 0 where the second validation passed. Errors: PipelineError.
    """
    connection = open_new(folder / _FILE, _MARK)
    simulator = TecSimulator(TecOptions(conditions=TecConditions(batch_limit=100)))
    try:
        schema.apply(connection, TABLE)
        with TecServer(simulator) as server:
            return _play(_Provider(connection, server, echo), folder, learners)
    finally:
        connection.close()


class _Provider:
    """The invented provider: its tables, the server, and what it does to a period."""

    def __init__(self, connection: Connection, server: TecServer, echo: Callable[[str], None]) -> None:
        self.connection = connection
        self.server = server
        self.echo = echo
        self.store = opening.make_store(connection, TABLE)
        self.period = str(server.simulator.latest_return)

    def submit(self) -> flows.Outcome:
        """Send what differs. Errors: what ended the run."""
        with self._context() as context:
            outcome = flows.submit(context, self.period, Options())
        if outcome.summary.error:
            raise outcome.summary.error
        return outcome

    def validate(self) -> tuple[Verdict, ResultPage]:
        """Let TEC validate, and return what it found."""
        with self._context() as context:
            found, verdict = flows.validate(context, self.period, indicative=False, waits=True, resumes=False)
            scope = context.scope(found)
        if verdict is None:
            raise PipelineError("The demo's validation did not end; run the demo again.")
        history = self.store.validations(scope)
        before = self.store.findings(scope, history[-2][0]) if len(history) > 1 else None
        stored = self.store.submission(scope)
        run = stored.validation_received if stored else ""
        return verdict, ResultPage(found.name, run, verdict.state, verdict.findings, before, history)

    @contextmanager
    def _context(self) -> Iterator[flows.Context]:
        options = self.server.simulator.options
        login = Credentials(
            self.server.token_url,
            options.client_id,
            options.client_secret,
            options.scope,
            client_auth="basic",
            extra={"org_id": options.eid},
        )
        base = opening.base_url(self.server.origin)
        access = opening.Access(
            login, Address(base, options.eid), Reach((5.0, 30.0), peer="TEC"), RetryPolicy(3, 1.0), RequestOptions()
        )
        with make_session(TransportOptions()) as session:
            receiver = opening.make_receiver(session, access)
            key = opening.receiver_key(base, options.eid)
            yield flows.Context(
                self.store,
                receiver,
                key,
                Rules(first_wait_s=0.1),
                PollTiming(0.05, 60.0),
                False,
                "off",
            )


def _play(provider: _Provider, folder: Path, learners: int) -> int:
    echo, period = provider.echo, provider.period
    count = _stage(provider.store, learners)
    staged = f"{counted(count, '{record|records}', ',')} of {counted(learners, 'invented {learner|learners}', ',')}"
    echo(f"1. A provider stages {staged} in {folder / _FILE}.")
    sent = provider.submit().summary
    taken = counted(sent.total("accepted"), "{record|records}", ",")
    echo(f"2. sdr submit {period}: TEC accepts {taken} in {counted(sent.requests, '{request|requests}')}.")
    verdict, page = provider.validate()
    echo(f"3. sdr validate {period}: TEC's first pass finds {counted(verdict.errors, '{error|errors}', ',')}.")
    _show(echo, page)
    changed = _correct(provider.store, Collection.LEARNERS)
    sent = provider.submit().summary
    verdict, page = provider.validate()
    there = counted(sent.total("unchanged"), "{record is|records are}", ",")
    echo(
        f"4. {counted(changed, '{learner is|learners are}')} corrected and sent ({there} there already). "
        f"Now the full rules run and find {counted(verdict.errors, '{error|errors}', ',')}."
    )
    _show(echo, page)
    changed = _correct(provider.store, Collection.COURSE_ENROLMENTS)
    provider.submit()
    verdict, page = provider.validate()
    echo(f"5. {changed} enrolments are corrected and sent, and the third validation {_WORDS[verdict.exit_code]}.")
    _show(echo, page)
    html, _ = write(folder, page)
    echo(f"The last validation as a page: {html}")
    return verdict.exit_code


_WORDS = ("passes", "does not pass")


def _show(echo: Callable[[str], None], page: ResultPage) -> None:
    for line in lines(page):
        echo(f"   {line}")


def _stage(store: Store, learners: int) -> int:
    """Stage an invented provider's records and return their number."""
    rng = random.Random(_SEED)  # noqa: S311 - invented data
    rows: list[tuple[str, str, str]] = []

    def add(collection: Collection, local_id: str, record: dict[str, str]) -> None:
        rows.append((collection.value, local_id, orjson.dumps(record).decode()))

    for number in range(_COURSES):
        code = f"C{number:03d}"
        add(
            Collection.COURSES,
            code,
            {"courseCode": code, "courseTitle": f"Invented course {number}", "qualificationCode": "QX0001"},
        )
    for number in range(learners):
        student = f"S{number:05d}"
        gender = "?" if number % _WRONG_GENDER_EVERY == 7 else rng.choice("MFD")
        born = f"{rng.randint(1960, 2008)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T00:00:00Z"
        learner = {_STUDENT: student, "gender": gender, "dateOfBirth": born, "nameIdCode": "AAAAA"}
        add(Collection.LEARNERS, student, learner)
        for place in rng.sample(range(_COURSES), 2):
            course = f"C{place:03d}"
            wrong = number % _WRONG_COURSE_EVERY == 5
            named = f"X{place:03d}" if wrong else course
            enrolment = {_STUDENT: student, "qualificationCode": "QX0001", "courseCode": named}
            add(Collection.COURSE_ENROLMENTS, f"{student}|QX0001|{course}", enrolment)
    store.insert("insert_staged", rows)
    return len(rows)


def _correct(store: Store, collection: Collection) -> int:
    """Correct what validation found in a collection, as a person would in the student management system."""
    found = store.query("read_with_errors", [collection.value])
    for row_id, local_id, payload in found:
        record = orjson.loads(payload)
        if collection is Collection.LEARNERS:
            record["gender"] = "D"
        else:
            record["courseCode"] = local_id.rpartition("|")[2]
        store.execute("update_staged", [orjson.dumps(record).decode(), row_id])
    return len(found)
