"""What the anonymising knows of each member of a payload, what it says at the end, and its statements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.anonymise.fields import FieldKind, Items, Leaf, Members, drawn_codes, record_fields
from api_pipeline.anonymise.filling import CopyOptions, CopyOutcome, RowList
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.record import LiveRecord, anonymise
from api_pipeline.anonymise.tables import pair_of
from api_pipeline.anonymise.values import small_letters
from api_pipeline.commands.anonymise import sentences
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.payloads.shape import schema
from api_pipeline.sql.statements import Statement, load

KEY = RunKey(b"k" * 32)
PAIR = pair_of("ssd.Staging")


def kinds(field: Any, path: str = "") -> Iterator[tuple[str, Leaf]]:
    match field:
        case Members():
            for name, member in field.by_name.items():
                yield from kinds(member, f"{path}.{name}")
        case Items():
            yield from kinds(field.each, path)
        case Leaf():
            yield path, field


def values_of(node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of every value of the schema, read without the code under test."""
    node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
    if node["type"] == "object":
        for name, member in node["properties"].items():
            yield from values_of(member, f"{path}.{name}")
    elif node["type"] == "array":
        yield from values_of(node["items"], path)
    else:
        yield path


def test_every_value_of_the_schema_is_known_for_what_it_is() -> None:
    assert [path for path, _ in kinds(record_fields())] == list(values_of(schema()))


def test_each_child_of_a_run_keeps_one_of_many_tables_of_a_list() -> None:
    codes = drawn_codes("code_ethnicity")
    draws = [KEY.draws(1, f"C{number}")[0] for number in range(300)]
    tables = [KEY.table("code_ethnicity", codes, draw) for draw in draws]

    assert all(list(table) == list(codes) and sorted(table.values()) == sorted(codes) for table in tables)
    assert 60 < len({tuple(table.values()) for table in tables}) <= 128
    assert KEY.table("code_ethnicity", codes, KEY.draws(1, "C7")[0]) == tables[7]
    assert RunKey(b"other").table("code_ethnicity", codes, draws[7]) != tables[7]


def test_invented_letters_are_found_in_a_text_whatever_its_case() -> None:
    assert small_letters("JOS\u00c9 \u00d3-\u0174yn 12".encode()) == "jos\u00e9 \u00f3-\u0175yn 12".encode()


def test_a_name_is_invented_anew_where_the_row_has_it() -> None:
    name = invented_of(child_details={"surname": "Quillfeather"})["child_details"]["surname"]
    text = json.dumps({"la_child_id": "1", "child_details": {"surname": "Quillfeather"}, "note": name.upper()})
    live = LiveRecord(1, name.upper(), None, text, None, "new")

    assert json.loads(anonymise(live, KEY).json_payload)["child_details"]["surname"] != name


def test_each_kind_is_found_where_it_belongs() -> None:
    found: dict[FieldKind, set[str]] = {kind: set() for kind in FieldKind}
    for path, leaf in kinds(record_fields()):
        found[leaf.kind].add(path.rsplit(".", 1)[-1])

    assert found[FieldKind.NAME] == {"first_name", "surname"}
    assert found[FieldKind.POSTCODE] == {"postcode"}
    assert found[FieldKind.UPN] == {"unique_pupil_number", "former_unique_pupil_number"}
    assert found[FieldKind.SCORE] == {"score"}
    assert found[FieldKind.FLAG] == {"purge", "uasc_flag", "referral_no_further_action_flag", "icpc_required_flag"}
    assert all(name.endswith("_id") for name in found[FieldKind.IDENTIFIER])
    assert all(name == "date" or name.endswith("_date") or "birth" in name for name in found[FieldKind.DATE])


def invented_of(**members: Any) -> dict[str, Any]:
    live = LiveRecord(1, "1", None, json.dumps({"la_child_id": "1", **members}), None, "new")
    made: dict[str, Any] = json.loads(anonymise(live, KEY).json_payload)
    return made


@pytest.mark.parametrize("sex", ["M", "F", "U"])
def test_sex_is_kept_and_what_is_none_becomes_one(sex: str) -> None:
    assert invented_of(child_details={"sex": sex})["child_details"]["sex"] == sex
    assert invented_of(child_details={"sex": "female"})["child_details"]["sex"] in "MFU"


@pytest.mark.parametrize(
    ("codes", "kept"),
    [(["NONE"], "NONE"), (["MOB", "NONE"], "NONE"), (["MOB", "HAND"], None), (["Q", "R", "MOB"], None)],
)
def test_the_disability_none_stays_none_and_no_other_becomes_it(codes: list[str], kept: str | None) -> None:
    made = invented_of(child_details={"disabilities": codes})["child_details"]["disabilities"]

    assert len(set(made)) == len(codes)
    assert ("NONE" in made) == (kept == "NONE")


def test_a_full_list_of_codes_stays_a_full_list() -> None:
    codes = list(drawn_codes("code_assessment_factor"))
    assessment = {"child_and_family_assessment_id": "A", "factors": codes}
    made = invented_of(
        social_care_episodes=[{"social_care_episode_id": "E", "child_and_family_assessments": [assessment]}]
    )

    factors = made["social_care_episodes"][0]["child_and_family_assessments"][0]["factors"]
    assert sorted(factors) == sorted(codes)
    assert factors != codes
    assert Checker().check(made) == []


def test_anonymised_id_fits_the_schema_and_is_not_hexadecimal() -> None:
    worker = {"worker_id": "SW123456", "start_date": "2026-01-05"}
    made = invented_of(social_care_episodes=[{"social_care_episode_id": "E", "care_worker_details": [worker] * 2}])

    workers = [item["worker_id"] for item in made["social_care_episodes"][0]["care_worker_details"]]
    assert workers[0] == workers[1]
    assert len(workers[0]) == 12
    assert len(made["la_child_id"]) == 20
    assert not set("0XIO") & set(made["la_child_id"] + workers[0])


def test_what_was_empty_stays_empty() -> None:
    made = invented_of(mis_child_id="", child_details={"surname": "", "postcode": ""}, social_care_episodes=[])

    assert made["mis_child_id"] == made["child_details"]["surname"] == made["child_details"]["postcode"] == ""
    assert made["social_care_episodes"] == []


@pytest.mark.parametrize("blanks", ["   ", "\u00a0", "\t\n"])
def test_blanks_in_the_columns_make_no_other_person(blanks: str) -> None:
    made = anonymise(LiveRecord(1, f"P1{blanks}", blanks, '{"la_child_id": "P1"}', None, "new"), KEY)

    assert made.person_id == json.loads(made.json_payload)["la_child_id"]
    assert made.legacy_id == blanks


@pytest.mark.parametrize(
    ("previous", "state"), [('{"purge":false,"la_child_id":"C1"}', "updated"), (None, "unchanged")]
)
def test_previous_payload_in_another_order_is_a_change_as_its_hash_says(previous: str | None, state: str) -> None:
    text = '{"la_child_id": "C1", "purge": false}'

    made = anonymise(LiveRecord(1, "P1", None, text, previous or text.replace(" ", ""), "unchanged"), KEY)

    assert made.row_state == state
    assert (made.current_hash == made.previous_hash) == (state == "unchanged")


def test_sentences_contain_counts_and_row_ids() -> None:
    unreadable = RowList()
    for row in range(1, 13):
        unreadable.add(row)
    done = sentences(
        PAIR, CopyOptions(replace=True), CopyOutcome(records=1, replaced=4, left_out=2, unreadable=unreadable)
    )

    assert done == [
        "1 invented record of ssd.Staging was written to ssd.Staging_anon; nothing of the originals was found in it.",
        "4 earlier rows were removed from ssd.Staging_anon.",
        "12 rows were skipped, because the payload is blank or cannot be read: "
        "id 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and others of ssd.Staging.",
        "2 members or values that the schema does not have were left out.",
    ]
    assert all(line.isascii() for line in done)


@pytest.mark.parametrize("statement", load("anonymise_queries.sql").values(), ids=lambda statement: statement.name)
def test_statements_are_t_sql_and_write_only_to_the_copy(statement: Statement) -> None:
    pieces = {
        "source": "[dbo].[live]",
        "target": "[dbo].[live_anon]",
        "table": "[dbo].[live]",
        "columns": "id, json_payload",
        "after": "AND id > ?",
    }
    sql = statement.sql.format(
        **pieces, values="?, ?", legacy_id="NULL", page="OFFSET 0 ROWS FETCH NEXT 200 ROWS ONLY"
    ).replace("?", "@value")

    (parsed,) = sqlglot.parse(sql, dialect="tsql")

    assert isinstance(parsed, exp.Select | exp.Insert | exp.Delete)
    assert statement.purpose
    if not isinstance(parsed, exp.Select):
        assert {table.name for table in parsed.find_all(exp.Table)} == {"live_anon"}
