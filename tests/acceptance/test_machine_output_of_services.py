"""What the commands of sdr and xporter print with --json follows its schema, in a rehearsal of each service."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jsonschema_rs
import pytest

from api_pipeline.db import connect
from api_pipeline.documents import schemas
from api_pipeline.sandbox.simulator.tec import SimulatedReturn, TecOptions, TecServer, TecSimulator
from api_pipeline.sandbox.simulator.xporter import Quirk, XporterServer, XporterSimulator
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill
from tests.support.commands import invoke_cli, run_cli
from tests.support.keyrings import store_settings
from tests.support.xporter import TODAY, make_school
from tests.support.xporter_council import Council

PERIOD = "202608"
# In this order: what one leaves, the next one shows. Each has its exit code.
SDR = {
    "sdr deploy-schema --apply --json": 0,
    "sdr config --json": 0,
    "sdr test-endpoint --json": 0,
    "sdr returns --json": 0,
    "sdr load FILE --json": 0,
    "sdr check --json": 1,
    "sdr submit PERIOD --dry-run --json": 0,
    "sdr submit PERIOD --json": 0,
    "sdr submit PERIOD --reupload --validate --report pages --json": 1,
    "sdr validate PERIOD --json": 1,
    "sdr validate PERIOD --no-wait --json": 0,
    "sdr validate PERIOD --resume --json": 1,
    "sdr results PERIOD --json": 0,
    "sdr status --json": 0,
    "sdr reset PERIOD --yes --json": 0,
}
XPORTER = {
    "xporter deploy-schema --apply --json": 0,
    "xporter check --json": 1,
    "xporter collect --dry-run --json": 1,
    "xporter collect --json": 1,
    "xporter schools --json": 0,
    "xporter schools list --json": 0,
    "xporter status --json": 1,
    "xporter report --json": 0,
    "xporter catalogue --json": 0,
    "xporter catalogue Students --json": 0,
    "xporter match --json": 0,
    "xporter write-back --json": 0,
}


def follows(words: str, out: str) -> None:
    """Raise where what a command printed is not one document that follows its schema."""
    called = words.split()[:2]
    names = {name for known, name in schemas.SCHEMAS.items() if known.split()[:2] == called and "-dry-" not in known}
    name = schemas.SCHEMAS.get(words) or next(name for name in names if not name.startswith("xporter-schools-"))
    jsonschema_rs.validate(schemas.schema(name), json.loads(out))


def test_every_command_of_sdr_prints_what_its_schema_says(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    period = SimulatedReturn(int(PERIOD), 2026, 8, now - timedelta(days=20), now + timedelta(days=10))
    learners = "studentIdentificationCode,gender,nameIdCode\ns1,F,AAAAA\ns2,?,BBBBB\n"
    enrolments = "studentIdentificationCode,qualificationCode,courseCode\ns1,QX0001,nowhere\n"
    files = [tmp_path / "LEAR.csv", tmp_path / "ENRL.csv"]
    for file, text in zip(files, (learners, enrolments), strict=True):
        file.write_text(text, encoding="utf-8")
    with TecServer(TecSimulator(TecOptions(returns=(period,)))) as server:
        settings = {**server.settings(), "DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'tec.db'}"}
        settings |= {"TESTING_MODE": "false", "SDR_POLL_S": "0.01", "RETRY_MAX_WAIT_S": "0"}
        for words, code in SDR.items():
            given = words.replace("PERIOD", PERIOD).replace("FILE", " ".join(map(str, files))).split()
            done = invoke_cli(given, settings, tmp_path)
            assert done.code == code, f"{words}: {done.text}"
            follows(words, done.out)
            if "gender" in done.out:
                assert "BBBBB" not in done.out, words


def test_every_command_of_xporter_prints_what_its_schema_says(tmp_path: Path) -> None:
    schools = [make_school(number, pupils=2, weeks=0, today=TODAY) for number in (1, 2)]
    surnames = {str(pupil["Surname"]) for school in schools for pupil in school.pupils.values()}
    with XporterServer(XporterSimulator(schools)) as server:
        council = Council(server, tmp_path, schools)
        council.simulator.add_quirk(Quirk("scope", "9990002", times=None))
        ssd = connect(f"sqlite:///{council.database}", create=True)
        create_tables(ssd.execute, ssd.dialect)
        fill(ssd, SyntheticSsd(5, TODAY))
        ssd.close()
        for words, code in XPORTER.items():
            done = council.run(*words.split()[1:], XPORTER_WRITE_BACK="attendance")
            assert done.code == code, f"{words}: {done.text}"
            follows(words, done.out)
            assert not any(surname in done.out for surname in surnames), words
        with sqlite3.connect(council.database) as connection:
            assert connection.execute("SELECT COUNT(*) FROM xporter_run").fetchone() == (1,)
        connection.close()


def test_secrets_of_schools_are_kept_and_removed_with_json(tmp_path: Path) -> None:
    schools = [make_school(1, pupils=1, weeks=0, today=TODAY)]
    with XporterServer(XporterSimulator(schools)) as server:
        council = Council(server, tmp_path, schools)
        council.run("deploy-schema", "--apply")
        assert council.run("collect").code == 0
        settings = {**council.settings, **store_settings(tmp_path / "store.json")}
        for words in ("xporter schools add ESTAB --json", "xporter schools remove ESTAB --json"):
            given = words.replace("ESTAB", schools[0].estab).split()
            done = run_cli(given, settings, tmp_path, stdin="an invented secret\n")
            assert done.code == 0, done.text
            jsonschema_rs.validate(schemas.schema(schemas.SCHEMAS[words]), json.loads(done.out))


def test_these_rehearsals_leave_no_command_out() -> None:
    alone = {"xporter schools add ESTAB --json", "xporter schools remove ESTAB --json"}
    of_services = {words for words in schemas.SCHEMAS if words.startswith(("sdr ", "xporter "))}
    assert of_services - {*SDR, *XPORTER} == alone


@pytest.mark.parametrize(
    "words", ["sdr deploy-schema --json", "sdr reset 202608 --json", "sdr results 202608 --csv --json"]
)
def test_json_that_makes_no_sense_is_refused(words: str, tmp_path: Path) -> None:
    done = invoke_cli(words.split(), {"DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'x.db'}"}, tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "--json" in done.err
