"""Check before a run that the staging table has a layout that a run can work on."""

from __future__ import annotations

from api_pipeline.db import Connection
from api_pipeline.diagnostics.columns import differences, found_columns
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.expected_tables import Need, expected_staging_table

# A table of another kind may lack everything: one sentence is read, a page of them is not.
_SHOWN = 2


def check_layout(connection: Connection, table_name: str) -> None:
    """Check that a run can work on the staging table, as `test-schema` does. Errors: DatabaseError.

    What the catalogue does not show (a table that only a synonym names, say) is left to the statements themselves.
    """
    staging = expected_staging_table(connection.dialect, table_name)
    found = found_columns(connection, staging.name)
    wrong = [one for one in differences(connection, found, staging) if one.need is Need.REQUIRED] if found else []
    if wrong:
        remedies = "; ".join(dict.fromkeys(one.remedy for one in wrong[:_SHOWN]))
        shown = [one.message for one in wrong[:_SHOWN]]
        if len(wrong) > _SHOWN:
            shown.append(f"There are {len(wrong) - _SHOWN} more findings.")
        raise DatabaseError(
            f"The staging table cannot be used, and nothing was sent: {' '.join(shown)} To put it right: {remedies}. "
            "d2i-csc-api test-schema shows all of it."
        )
