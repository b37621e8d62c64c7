"""How a landed text becomes a value of its type in a view: what cannot be read is null, and never an error."""

from __future__ import annotations

from api_pipeline.sql.identifiers import Dialect
from api_pipeline.xporter.catalogue import Field
from api_pipeline.xporter.layout import Names

_YES = "'1', 'true', 't', 'yes', 'y'"
_NO = "'0', 'false', 'f', 'no', 'n'"
_DAY = "^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

# PostgreSQL has no cast that may fail, and reckons with a date that does not exist. So a day is added to the month's
# first one and must come out as it was written; SQLite turns 30 February into 1 March once it reckons with it.
_POSTGRESQL_DAY = (
    "to_char(CAST(substring({c} FROM 1 FOR 8) || '01' AS DATE) + (CAST(substring({c} FROM 9 FOR 2) AS INTEGER) - 1), "
    "'YYYY-MM-DD') = substring({c} FROM 1 FOR 10)"
)
_TSQL_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TSQL_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_READ = {
    # Its conversions make 1900-01-01 of an empty text, the first of January of a year, and 0 of an empty number.
    Dialect.SQLSERVER: {
        "date": f"CASE WHEN {{c}} LIKE '{_TSQL_DAY}%' THEN TRY_CONVERT(DATE, LEFT({{c}}, 10), 23) END",
        "datetime": f"CASE WHEN {{c}} LIKE '{_TSQL_DAY}[T ]{_TSQL_TIME}%' "
        "THEN TRY_CONVERT(DATETIME2(3), STUFF(LEFT({c}, 19), 11, 1, 'T'), 126) END",
        "integer": "CASE WHEN {c} LIKE '%[0-9]%' AND {c} NOT LIKE '%[^-0-9]%' THEN TRY_CONVERT(BIGINT, {c}) END",
        "decimal": "CASE WHEN {c} LIKE '%[0-9]%' AND {c} NOT LIKE '%[^-0-9.]%' "
        "THEN TRY_CONVERT(DECIMAL(19, 4), {c}) END",
    },
    Dialect.POSTGRESQL: {
        "date": f"CASE WHEN {{c}} ~ '{_DAY}' THEN CASE WHEN {_POSTGRESQL_DAY} "
        "THEN CAST(substring({c} FROM 1 FOR 10) AS DATE) END END",
        "datetime": f"CASE WHEN {{c}} ~ '{_DAY}{_TIME}' THEN CASE WHEN {_POSTGRESQL_DAY} "
        "THEN CAST(substring({c} FROM 1 FOR 19) AS TIMESTAMP) END END",
        "integer": "CASE WHEN {c} ~ '^-?[0-9]{{1,18}}$' THEN CAST({c} AS BIGINT) END",
        "decimal": "CASE WHEN {c} ~ '^-?[0-9]{{1,15}}([.][0-9]{{1,15}})?$' THEN CAST({c} AS DECIMAL(19, 4)) END",
    },
    Dialect.SQLITE: {
        "date": "CASE WHEN date(substr({c}, 1, 10), '+0 days') = substr({c}, 1, 10) THEN substr({c}, 1, 10) END",
        "datetime": "CASE WHEN date(substr({c}, 1, 10), '+0 days') = substr({c}, 1, 10) "
        "THEN strftime('%Y-%m-%d %H:%M:%S', substr({c}, 1, 19)) END",
        "integer": "CASE WHEN CAST(CAST({c} AS INTEGER) AS TEXT) = {c} THEN CAST({c} AS INTEGER) END",
        "decimal": "CASE WHEN {c} NOT GLOB '*[^0-9.-]*' AND {c} GLOB '*[0-9]*' THEN CAST({c} AS REAL) END",
    },
}
_FLAG = f"CASE WHEN LOWER({{c}}) IN ({_YES}) THEN 1 WHEN LOWER({{c}}) IN ({_NO}) THEN 0 END"


def typed_column(names: Names, field: Field) -> str:
    """Return the expression that reads a landed column; ids, codes, times of day and texts stay as they came."""
    pattern = _FLAG if field.type == "flag" else _READ[names.dialect].get(field.type, "{c}")
    return pattern.format(c=names.column(field.name))
