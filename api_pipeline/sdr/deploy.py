"""Make the six tables of the Single Data Return: the packaged DDL as text, or applied."""

from __future__ import annotations

from api_pipeline.db import connect
from api_pipeline.sdr import schema
from api_pipeline.sdr.settings import SdrSettings
from api_pipeline.sql.connection_string import is_embedded
from api_pipeline.sql.identifiers import Dialect


def script_for(settings: SdrSettings, dialect: str | None) -> str:
    """Return the script for `dialect`, or for the configured database without one. Errors: DatabaseError."""
    if dialect or is_embedded(settings.connection_string):
        return schema.render(Dialect(dialect or "sqlite"), settings.table_name)
    connection = connect(settings.connection_string)
    try:
        return schema.render(connection.dialect, settings.table_name)
    finally:
        connection.close()


def make_tables(settings: SdrSettings) -> None:
    """Run the script on the configured database, and make an embedded one that is missing. Errors: DatabaseError."""
    connection = connect(settings.connection_string, create=True)
    try:
        schema.apply(connection.execute, connection.dialect, settings.table_name)
    finally:
        connection.close()
