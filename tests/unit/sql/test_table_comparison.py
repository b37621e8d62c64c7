"""What is said about a table that is there, and about one that is not."""

from __future__ import annotations

import pytest

from api_pipeline.sql.expected_tables import ExpectedTable, Need, expected_tables
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.table_comparison import FoundColumn, SchemaFinding, advice, compare, unreadable

TABLE = "ssd_api_data_staging"
_TODAY = {
    "id": ("int identity", 10, False),
    "person_id": ("nvarchar", 20, True),
    "legacy_id": ("nvarchar", 36, True),
    "previous_json_payload": ("nvarchar", 0, True),
    "json_payload": ("nvarchar", 0, False),
    "partial_json_payload": ("nvarchar", 0, True),
    "current_hash": ("binary", 32, True),
    "previous_hash": ("binary", 32, True),
    "submission_status": ("nvarchar", 50, True),
    "submission_timestamp": ("datetime", 23, True),
    "api_response": ("nvarchar", 0, True),
    "row_state": ("nvarchar", 10, True),
    "last_updated": ("datetime", 23, True),
}


def staging(dialect: Dialect = Dialect.SQLSERVER) -> ExpectedTable:
    return expected_tables(dialect, TABLE)[0]


def today(**changed: FoundColumn | None) -> list[FoundColumn]:
    """Return the columns of a table that today's build makes on SQL Server, some of them changed or (None) left out."""
    columns: dict[str, FoundColumn | None] = {name: FoundColumn(name, *rest) for name, rest in _TODAY.items()}
    columns.update(changed)
    return [column for column in columns.values() if column is not None]


def column(name: str, type_name: str, size: int | None = None, *, is_nullable: bool = True) -> FoundColumn:
    return FoundColumn(name, type_name, size, is_nullable)


def only(findings: list[SchemaFinding]) -> SchemaFinding:
    (finding,) = findings
    return finding


def test_table_of_todays_build_is_as_expected() -> None:
    assert compare(today(), staging()) == []


@pytest.mark.parametrize("length", [20, 36, 48, 255])
def test_every_length_that_person_id_ever_had_is_accepted(length: int) -> None:
    assert compare(today(person_id=column("person_id", "nvarchar", length)), staging()) == []


@pytest.mark.parametrize("size", [0, -1, 2**30 - 1, 2**31 - 1, None])
def test_every_way_a_driver_says_without_limit_is_understood(size: int | None) -> None:
    assert compare(today(json_payload=column("json_payload", "nvarchar", size)), staging()) == []


def test_names_are_compared_without_case_and_other_columns_left_alone() -> None:
    found = [one._replace(name=one.name.upper()) for one in today()]

    assert compare([*found, column("our_own_note", "money")], staging()) == []


def test_missing_table_names_the_script_that_makes_it() -> None:
    finding = only(compare([], staging()))

    assert (finding.need, finding.column) == (Need.REQUIRED, None)
    assert "does not exist" in finding.message
    assert "deploy-schema --apply" in finding.remedy
    assert "sqlserver_2016.sql" in finding.remedy


def test_missing_control_tables_are_recommended_with_what_is_lost() -> None:
    control_tables = expected_tables(Dialect.POSTGRESQL, "ssd." + TABLE)[1:]

    assert [table.name for table in control_tables] == [
        "ssd.ssd_api_held",
        "ssd.ssd_api_submission_log",
        "ssd.ssd_api_unconfirmed",
        "ssd.ssd_api_left_window",
        "ssd.ssd_api_built",
        "ssd.ssd_api_runs",
    ]
    for table in control_tables:
        finding = only(compare([], table))
        assert finding.need is Need.RECOMMENDED
        assert table.why in finding.message
        assert "postgresql.sql" in finding.remedy


@pytest.mark.parametrize("name", [name for name in _TODAY if name not in ("id", "legacy_id", "last_updated")])
def test_missing_required_column_comes_with_its_statement(name: str) -> None:
    finding = only(compare(today(**{name: None}), staging()))

    assert (finding.need, finding.column) == (Need.REQUIRED, name)
    assert finding.statement.startswith(f"ALTER TABLE {TABLE} ADD {name} ")
    assert finding.statement.endswith(" NULL;")
    assert "DEFAULT" not in finding.statement


def test_missing_columns_share_one_advice_with_a_statement_on_each_line() -> None:
    found = compare(today(previous_hash=None, row_state=None), staging())

    said, *statements = advice(found).splitlines()
    assert said.endswith("add what is missing, with the types of sqlserver_2016.sql:")
    assert statements == [one.statement for one in found]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_statement_adds_a_key_only_where_the_database_numbers_the_rows_itself(dialect: Dialect) -> None:
    found = [one for table in expected_tables(dialect, TABLE) for one in compare([column("else", "int")], table)]
    keys = [one for one in found if " PRIMARY KEY" in one.statement]
    assert len(keys) == (0 if dialect is Dialect.SQLITE else 2)
    assert all(" IDENTITY" in one.statement for one in keys)
    assert {one.column for one in found if not one.statement} >= {"person_id", "run_id"}
    assert all("copy its rows" in one.remedy for one in found if not one.statement)


@pytest.mark.parametrize("name", ["legacy_id", "last_updated"])
def test_column_of_newer_layouts_is_recommended_alone(name: str) -> None:
    assert only(compare(today(**{name: None}), staging())).need is Need.RECOMMENDED


@pytest.mark.parametrize(
    ("name", "type_name", "size"),
    [
        ("id", "uniqueidentifier", 36),
        ("json_payload", "varbinary", 0),
        ("current_hash", "int", 10),
        ("submission_timestamp", "nvarchar", 30),
        ("submission_timestamp", "date", 10),
        ("row_state", "bit", 1),
    ],
)
def test_column_of_another_type_is_an_error(name: str, type_name: str, size: int) -> None:
    finding = only(compare(today(**{name: column(name, type_name, size)}), staging()))

    assert (finding.need, finding.column) == (Need.REQUIRED, name)
    assert type_name in finding.message


@pytest.mark.parametrize(
    ("name", "length", "wanted"),
    [
        ("person_id", 19, "at least 20"),
        ("row_state", 8, "at least 9"),
        ("submission_status", 6, "at least 7"),
        ("json_payload", 4000, "no limit"),
        ("api_response", 500, "no limit"),
    ],
)
def test_column_too_short_for_its_values_is_an_error(name: str, length: int, wanted: str) -> None:
    finding = only(compare(today(**{name: column(name, "nvarchar", length)}), staging()))

    assert finding.need is Need.REQUIRED
    assert str(length) in finding.message
    assert wanted in finding.message


@pytest.mark.parametrize(
    "name", ["previous_json_payload", "previous_hash", "partial_json_payload", "submission_timestamp"]
)
def test_column_that_refuses_null_in_write_back_is_an_error(name: str) -> None:
    columns = [one._replace(is_nullable=one.name != name) for one in today()]

    finding = only(compare(columns, staging()))
    assert (finding.need, finding.column) == (Need.REQUIRED, name)
    assert "refuses null" in finding.message


def test_payload_that_may_be_null_in_older_layouts_is_accepted() -> None:
    assert compare(today(json_payload=column("json_payload", "nvarchar", 0)), staging()) == []


@pytest.mark.parametrize("name", ["current_hash", "previous_hash"])
def test_hash_kept_as_text_works_and_gets_a_remark(name: str) -> None:
    finding = only(compare(today(**{name: column(name, "varchar", 64)}), staging()))

    assert finding.need is Need.RECOMMENDED
    assert "it works" in finding.message


@pytest.mark.parametrize("type_name", ["varchar", "VARCHAR", "text"])
def test_texts_in_a_code_page_get_a_remark_on_sql_server(type_name: str) -> None:
    finding = only(compare(today(json_payload=column("json_payload", type_name, -1)), staging()))

    assert finding.need is Need.RECOMMENDED
    assert "stored as a question mark" in finding.message
    assert compare(today(person_id=column("person_id", "varchar", 48)), staging()) == []


def test_json_columns_of_todays_postgresql_table_get_remarks() -> None:
    payloads = ("previous_json_payload", "json_payload", "partial_json_payload")
    found = [
        column("id", "bigserial", 19, is_nullable=False),
        column("person_id", "varchar", 48),
        *(column(name, "jsonb", 255) for name in payloads),
        *(column(name, "bytea", 255) for name in ("current_hash", "previous_hash")),
        *(column(name, "timestamptz", 29) for name in ("submission_timestamp", "last_updated")),
        column("submission_status", "varchar", 50),
        column("api_response", "text", 8190),
        column("row_state", "varchar", 10),
    ]

    findings = compare(found, staging(Dialect.POSTGRESQL))

    assert {finding.need for finding in findings} == {Need.RECOMMENDED}
    assert {finding.column for finding in findings} == {"legacy_id", *payloads}


def test_sqlite_table_may_declare_any_length_or_no_type_at_all() -> None:
    found = [column(name, "" if name == "json_payload" else "NVARCHAR(5)") for name in _TODAY if name != "id"]
    hashes = {
        "current_hash": column("current_hash", "BLOB"),
        "previous_hash": column("previous_hash", ""),
        "last_updated": column("last_updated", "DATETIME"),
    }
    columns = [column("id", "INTEGER"), *(hashes.get(one.name, one) for one in found)]

    assert compare(columns, staging(Dialect.SQLITE)) == []


def test_length_in_a_types_own_name_counts() -> None:
    finding = only(compare(today(row_state=column("row_state", "NVARCHAR(5)")), staging()))

    assert "holds 5" in finding.message


def test_unreadable_table_is_not_called_missing() -> None:
    finding = unreadable(expected_tables(Dialect.SQLSERVER, TABLE)[1], "The login may not do this.")
    assert finding.message.startswith("The table ssd_api_held cannot be read: what a receiver holds of a child")
    assert finding.message.endswith("cannot be purged. The login may not do this.")
    assert finding.need is Need.RECOMMENDED
