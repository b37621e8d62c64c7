"""What is read: the tables, whose columns are the fields of the tuples that hold their rows."""

from __future__ import annotations

from api_pipeline.staging.rows import id_key
from api_pipeline.staging.tables import ASSESSMENT_FACTORS, CIN_PLAN, SDQ_SCORE, SSD_TABLES, SsdColumn, SsdKind


def test_a_table_has_the_fields_of_its_rows_in_order_with_its_prefix() -> None:
    assert CIN_PLAN.key == ("cinp_cin_plan_id",)
    assert CIN_PLAN.columns[:3] == tuple(
        SsdColumn(name, SsdKind.TEXT, 48) for name in ("cinp_cin_plan_id", "cinp_referral_id", "cinp_person_id")
    )
    assert CIN_PLAN.columns[3] == SsdColumn("cinp_cin_plan_start_date", SsdKind.DATE, None)
    assert SDQ_SCORE.columns[3] == SsdColumn("csdq_sdq_score", SsdKind.INTEGER, None)
    assert ASSESSMENT_FACTORS.key == ("cinf_table_id", "cinf_assessment_id")


def test_all_nineteen_tables_are_listed_once() -> None:
    assert len({table.name for table in SSD_TABLES}) == len({table.row_type for table in SSD_TABLES}) == 19


def test_only_the_factors_have_no_limit_of_length() -> None:
    columns = [column for table in SSD_TABLES for column in table.columns if column.kind is SsdKind.TEXT]

    assert [column.name for column in columns if column.length is None] == ["cinf_assessment_factors_json"]


def test_ids_are_compared_without_regard_to_case_and_outer_spaces() -> None:
    assert id_key("ab12 ") == id_key(" AB12") == "AB12"
