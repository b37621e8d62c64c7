"""Who the council's own children are: the people of the SSD, beside the landed pupils."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

from api_pipeline.db import Connection, ConnectionLost, DatabaseBusy, unless_refused
from api_pipeline.db.run_lock import locked
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.identifiers import schema_prefix
from api_pipeline.sql.statements import load
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.match import Person, Proposal, Pupil, cohort_marks, name_key, proposals, pupil_keys
from api_pipeline.xporter.values import text_of

_PUPIL = (
    *("UPN", "FormerUPN", "Forename", "Surname", "LegalForename", "LegalSurname"),
    *("DateOfBirth", "Gender", "InLeaCare"),
)


def people(connection: Connection, ssd_schema: str, way_round: str = "") -> list[Person]:
    """Return the people of the SSD. Errors: DatabaseError, which ends with the `way_round` where there is one."""
    prefix = schema_prefix(ssd_schema, connection.dialect)
    queries = load("xporter/queries.sql")
    try:
        rows = connection.query(queries["cohort_people"].sql.format(person=f"{prefix}ssd_person"))
        cared = connection.query(queries["in_care"].sql.format(cla=f"{prefix}ssd_cla_episodes"))
    except (ConnectionLost, DatabaseBusy):
        raise
    except DatabaseError:
        raise DatabaseError(
            "The tables ssd_person and ssd_cla_episodes cannot be read, which say who the council's children are; let "
            f"the account read them, or set SSD_SCHEMA{way_round}."
        ) from None
    in_care = {str(row[0]).strip() for row in cared}
    return [_person(row, in_care) for row in rows]


def marks_of_children(connection: Connection, ssd_schema: str) -> Set[str]:
    """Return by what a pupil is known as one of the council's children. Errors: DatabaseError, also where nothing says.

    With an SSD that is being loaded, nobody would be one of them, and everything that is landed would be removed.
    """
    way_round = ", or, to collect every pupil of the schools, XPORTER_KEEP_UNMATCHED=true"
    marks = cohort_marks(people(connection, ssd_schema, way_round))
    if not marks:
        raise DatabaseError(
            "The table ssd_person has neither a UPN nor a child without one who has a name and a birth date, so it is "
            "not known who the council's children are; nothing was collected. Load the SSD and collect again, or, to "
            "collect every pupil of the schools, set XPORTER_KEEP_UNMATCHED=true."
        )
    return marks


def _person(row: Sequence[Any], in_care: set[str]) -> Person:
    person_id, upn, unknown, forename, surname, sex, born = row
    key = str(person_id).strip()
    return Person(
        person_id=key,
        upn=str(upn or "").strip().upper(),
        upn_unknown=str(unknown or "").strip().upper(),
        name=name_key(surname, forename, born),
        sex=str(sex or "").strip()[:1].upper(),
        is_in_care=key in in_care,
    )


def pupils(store: LandingStore) -> list[Pupil]:
    """Return the landed pupils. Errors: DatabaseError."""
    columns = ", ".join(store.names.column(name) for name in _PUPIL)
    sql = store.sql("pupils", table=store.names.table("Students"), columns=columns)
    names = [name.lower() for name in _PUPIL]
    return [
        _pupil(str(estab), str(key), dict(zip(names, values, strict=True)))
        for estab, key, *values in store.connection.query(sql)
    ]


def _pupil(estab: str, key: str, row: Mapping[str, Any]) -> Pupil:
    in_care = text_of(row, "inleacare").lower()
    return Pupil(
        estab=estab.strip(),
        student_id=key,
        upn=text_of(row, "upn").upper(),
        former_upn=text_of(row, "formerupn").upper(),
        names=pupil_keys(row),
        sex=text_of(row, "gender")[:1].upper(),
        is_in_care=None if in_care not in ("0", "1", "true", "false") else in_care in ("1", "true"),
    )


def propose(store: LandingStore, ssd_schema: str, now: datetime, *, is_dry_run: bool) -> list[Proposal]:
    """Return the proposals, and keep them. Errors: AlreadyRunning, DatabaseError.

    A collection may remove a pupil, with the proposals that rest on the pupil, so that none may be at work meanwhile.
    """
    with locked(store.connection, store.names.table("xporter_sync"), None):
        found = proposals(people(store.connection, ssd_schema), pupils(store))
        if not is_dry_run:
            write_proposals(store, found, now)
    return found


def write_proposals(store: LandingStore, found: Sequence[Proposal], now: datetime) -> None:
    """Replace the proposals in their table, in one transaction. Errors: DatabaseError."""
    rows = [
        (item.person_id, item.kind, item.estab, item.student_id, item.upn, item.former_upn, int(item.is_valid_upn), now)
        for item in found
    ]
    with store.connection.transaction():
        store.connection.execute(store.sql("delete_matches"))
        store.connection.execute_many(store.sql("insert_match"), rows)


def has_ssd(connection: Connection, ssd_schema: str) -> bool:
    """Return whether the SSD's tables of people, CIN and CLA can be read."""
    prefix = schema_prefix(ssd_schema, connection.dialect)
    queries = load("xporter/queries.sql")
    probes = [queries[name].sql.format(prefix=prefix) for name in ("probe_person", "probe_cin", "probe_cla")]
    return unless_refused(lambda: [connection.query(sql) for sql in probes]) is not None
