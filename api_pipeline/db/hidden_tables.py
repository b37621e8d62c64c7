"""Tables that are there and that a login does not see, because it may not use their schema."""

from __future__ import annotations

from api_pipeline.db.connection import Connection
from api_pipeline.db.retry import unless_refused
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load


def hidden_by_schema(connection: Connection, table: str) -> tuple[str, str] | None:
    """Return what to say of a table in a schema that the login may not use, and the advice; None where there is none.

    PostgreSQL passes over such a schema: it says of a table in it that it does not exist. Of one that is named with
    its schema it says by itself that the login may not use that. Errors: ConnectionLost, DatabaseBusy.
    """
    if connection.dialect is not Dialect.POSTGRESQL or "." in table:
        return None
    name = table.strip('"')
    sql = load()["schemas_without_usage_postgresql"].sql
    rows = unless_refused(lambda: connection.query(sql, [name]))
    if not rows:
        return None
    schema, login = rows[0]
    return (
        f"The login may not use the schema {schema}, so it does not see the table {name} there",
        f"ask the database administrator for: GRANT USAGE ON SCHEMA {schema} TO {login}",
    )
