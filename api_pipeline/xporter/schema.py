"""Generate the scripts that make the wing's tables and views, from the catalogue, for each database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from api_pipeline.sql.identifiers import Dialect
from api_pipeline.xporter.catalogue import Endpoint, Field
from api_pipeline.xporter.layout import Landing, Names, landings
from api_pipeline.xporter.typed import typed_column

KEY_LENGTH = 200
ID_LENGTH = 200

# Each type in the words of SQL Server, PostgreSQL and SQLite. Keys compare byte by byte on every one of them.
_TYPES = {
    "estab": ("CHAR(7)", "VARCHAR(7)", "TEXT"),
    "window": ("NVARCHAR(10)", "VARCHAR(10)", "TEXT"),
    "key": (f"NVARCHAR({KEY_LENGTH}) COLLATE Latin1_General_BIN2", f'VARCHAR({KEY_LENGTH}) COLLATE "C"', "TEXT"),
    "id": (f"NVARCHAR({ID_LENGTH})", "TEXT", "TEXT"),
    "name": ("NVARCHAR(128)", "VARCHAR(128)", "TEXT"),
    "text": ("NVARCHAR(MAX)", "TEXT", "TEXT"),
    "sha": ("CHAR(32)", "VARCHAR(32)", "TEXT"),
    "run": ("CHAR(36)", "VARCHAR(36)", "TEXT"),
    "word": ("VARCHAR(20)", "VARCHAR(20)", "TEXT"),
    "time": ("DATETIME2(3)", "TIMESTAMP(3)", "TEXT"),
    "count": ("BIGINT", "BIGINT", "INTEGER"),
}
_DIALECTS = (Dialect.SQLSERVER, Dialect.POSTGRESQL, Dialect.SQLITE)

# name: (columns with type and whether they must have a value, primary key)
STATE_TABLES: dict[str, tuple[tuple[tuple[str, str, bool], ...], tuple[str, ...]]] = {
    "xporter_school": (
        (
            *(("estab", "estab", True), ("school_name", "text", False), ("state", "word", True)),
            *(("scopes", "text", False), ("authorised_at", "time", False), ("revoked_at", "time", False)),
            *(("purged_at", "time", False), ("purged_rows", "count", False), ("secret_version", "sha", False)),
            *(("state_since", "time", False), ("checked_at", "time", False), ("problem", "text", False)),
        ),
        ("estab",),
    ),
    "xporter_sync": (
        (
            *(("estab", "estab", True), ("endpoint", "name", True), ("time_window", "window", True)),
            *(("params_hash", "sha", False), ("row_count", "count", False), ("round_started", "time", False)),
            *(("round_ended", "time", False), ("data_as_of", "text", False), ("meta", "text", False)),
            *(("problem", "text", False), ("problem_at", "time", False), ("attempts", "count", False)),
        ),
        ("estab", "endpoint", "time_window"),
    ),
    "xporter_run": (
        (
            *(("run_id", "run", True), ("started_at", "time", True), ("finished_at", "time", False)),
            *(("schools", "count", False), ("rounds", "count", False), ("added", "count", False)),
            *(("changed", "count", False), ("deleted", "count", False), ("unchanged", "count", False)),
            *(("requests", "count", False), ("received_bytes", "count", False), ("exit_code", "count", False)),
            ("message", "text", False),
        ),
        ("run_id",),
    ),
    "xporter_run_log": (
        (
            *(("run_id", "run", True), ("estab", "estab", True), ("endpoint", "name", True)),
            *(("time_window", "window", True), ("logged_at", "time", True), ("outcome", "word", True)),
            *(("added", "count", False), ("changed", "count", False), ("deleted", "count", False)),
            *(("unchanged", "count", False), ("dropped", "count", False), ("received_bytes", "count", False)),
            *(("milliseconds", "count", False), ("message", "text", False)),
        ),
        ("run_id", "estab", "endpoint", "time_window"),
    ),
    "xporter_column": (
        (
            *(("table_name", "name", True), ("column_name", "name", True), ("first_seen", "time", True)),
            *(("last_seen", "time", True), ("estab", "estab", True)),
        ),
        ("table_name", "column_name"),
    ),
    "xporter_match": (
        (
            *(("person_id", "name", True), ("kind", "word", True), ("estab", "estab", True)),
            *(("student_id", "key", True), ("upn", "text", False), ("former_upn", "text", False)),
            *(("is_valid_upn", "count", False), ("found_at", "time", True)),
        ),
        ("person_id", "kind", "estab", "student_id"),
    ),
}


def render(names: Names, endpoints: Sequence[Endpoint], *, with_ssd: str | None = None) -> str:
    """Return the whole script as a database administrator runs it.

    `with_ssd` is what stands before the names of the SSD tables ("" for nothing), None where they are not there; the
    view of each child's attendance is made only with them.
    """
    head = "-- The tables of the school data collector (d2i-csc-api xporter). Makes what is missing; drops nothing.\n"
    end = "\nGO\n" if names.dialect is Dialect.SQLSERVER else ";\n"
    return head + "".join(f"\n{text}{end}" for text in statements(names, endpoints, with_ssd=with_ssd))


def statements(names: Names, endpoints: Sequence[Endpoint], *, with_ssd: str | None = None) -> list[str]:
    """Return the statements one by one, each safe to repeat."""
    made = _schema(names)
    for table, (columns, key) in STATE_TABLES.items():
        made.append(_create_table(names, table, [(name, kind, must) for name, kind, must in columns], key))
    for endpoint in endpoints:
        for landing in landings(endpoint):
            made.append(_landing_table(names, landing))
            made.append(_view(names, landing))
    if with_ssd is not None and {"Students", "AttendanceForDateRange"} <= {endpoint.name for endpoint in endpoints}:
        made.append(_create_view(names, "vChildAttendance", child_attendance(names, with_ssd)))
    return made


def child_attendance(names: Names, ssd_prefix: str) -> str:
    """Return the query of each child's attendance beside CIN and CLA (design 6)."""
    text = (files("api_pipeline") / "data" / "xporter" / "child_attendance.sql").read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return body.format(
        students=names.table("Students"),
        marks=names.table("AttendanceForDateRange_AttendMarks"),
        person=f"{ssd_prefix}ssd_person",
        cin=f"{ssd_prefix}ssd_cin_episodes",
        cla=f"{ssd_prefix}ssd_cla_episodes",
        **{f"c_{name.lower()}": names.column(name) for name in ("Id", "UPN", "FormerUPN", "StudentId", "Mark", "Date")},
    ).strip()


def type_sql(dialect: Dialect, kind: str) -> str:
    """Return a column's type; an unknown kind is a text."""
    return _TYPES.get(kind, _TYPES["text"])[_DIALECTS.index(dialect)]


def _schema(names: Names) -> list[str]:
    match names.dialect:
        case Dialect.SQLSERVER:
            plain = names.schema_sql.strip("[]")
            return [f"IF SCHEMA_ID(N'{plain}') IS NULL EXEC(N'CREATE SCHEMA {names.schema_sql}')"]
        case Dialect.POSTGRESQL:
            return [f"CREATE SCHEMA IF NOT EXISTS {names.schema_sql}"]
        case Dialect.SQLITE:
            return []


def _landing_table(names: Names, landing: Landing) -> str:
    columns = [("estab", "estab", True), ("time_window", "window", True), ("row_key", "key", True)]
    columns += [(field.name, _kind(field), False) for field in landing.fields]
    columns += [("extra", "text", False), ("row_sha", "sha", True), ("first_seen", "time", True)]
    columns += [("changed_at", "time", True), ("run_id", "run", True)]
    return _create_table(names, landing.name, columns, ("estab", "time_window", "row_key"))


def _kind(field: Field) -> str:
    return "id" if field.type == "id" else "text"


def _create_table(names: Names, table: str, columns: Iterable[tuple[str, str, bool]], key: tuple[str, ...]) -> str:
    lines = [
        f"    {names.column(name)} {type_sql(names.dialect, kind)}{' NOT NULL' if must else ' NULL'}"
        for name, kind, must in columns
    ]
    lines.append(f"    PRIMARY KEY ({', '.join(names.column(name) for name in key)})")
    body = ",\n".join(lines)
    full = names.table(table)
    if names.dialect is Dialect.SQLSERVER:
        return f"IF OBJECT_ID(N'{full}', N'U') IS NULL\nCREATE TABLE {full} (\n{body}\n)"
    # A key of three texts would be kept twice, in the table and in its index, and a small row is mostly key.
    ending = " WITHOUT ROWID" if names.dialect is Dialect.SQLITE and len(lines) <= 24 else ""
    return f"CREATE TABLE IF NOT EXISTS {full} (\n{body}\n){ending}"


def _view(names: Names, landing: Landing) -> str:
    own = [names.column("estab"), names.column("time_window"), names.column("row_key")]
    typed = [f"{typed_column(names, field)} AS {names.column(field.name)}" for field in landing.fields]
    kept = [names.column("extra"), names.column("changed_at")]
    columns = ",\n    ".join([*own, *typed, *kept])
    return _create_view(names, f"v{landing.name}", f"SELECT\n    {columns}\nFROM {names.table(landing.name)}")


def _create_view(names: Names, name: str, query: str) -> str:
    full = names.table(name)
    match names.dialect:
        case Dialect.SQLSERVER:
            text = f"CREATE VIEW {full} AS\n{query}".replace("'", "''")
            return f"IF OBJECT_ID(N'{full}', N'V') IS NULL\nEXEC(N'{text}')"
        case Dialect.POSTGRESQL:
            return f"CREATE OR REPLACE VIEW {full} AS\n{query}"
        case Dialect.SQLITE:
            return f"CREATE VIEW IF NOT EXISTS {full} AS\n{query}"
