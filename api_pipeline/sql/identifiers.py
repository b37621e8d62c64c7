"""Names of the staging table and its control tables, checked and quoted for the database they go to."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from api_pipeline.errors import SettingsError

STAGING_TABLE = "ssd_api_data_staging"
"""The staging table, where TABLE_NAME names no other."""

ANONYMISED_ENDING = "_anon"
"""How the name of an anonymised copy ends."""

_PART = r"(?:[A-Za-z0-9_]+|\[[A-Za-z0-9_]+\])"
_NAME = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<table>{_PART})")

# Words that one of the three databases, or a later version of it, does not take as a bare name of a table or schema:
# those that Microsoft reserves in Transact-SQL, and what PostgreSQL and SQLite reserve besides.
_RESERVED_WORDS = """
    add all alter analyse analyze and any array as asc asymmetric authorization backup begin between both break
    browse bulk by cascade case cast check checkpoint close clustered coalesce collate collation column commit
    compute concurrently constraint contains containstable continue convert create cross current current_catalog
    current_date current_role current_schema current_time current_timestamp current_user cursor database dbcc
    deallocate declare default deferrable delete deny desc disk distinct distributed do double drop dump else
    end errlvl escape except exec execute exists exit external false fetch file fillfactor for foreign freetext
    freetexttable freeze from full function glob goto grant group having holdlock identity identity_insert
    identitycol if ilike in index initially inner insert intersect into is isnull join key kill lateral leading
    left like limit lineno load localtime localtimestamp merge national natural nocheck nonclustered not notnull
    null nullif of off offset offsets on only open opendatasource openquery openrowset openxml option or order
    outer over overlaps percent pivot placing plan precision primary print proc procedure public raiserror read
    readtext reconfigure references regexp replication restore restrict return returning revert revoke right
    rollback rowcount rowguidcol rule save schema securityaudit select semantickeyphrasetable
    semanticsimilaritydetailstable semanticsimilaritytable session_user set setuser shutdown similar some
    statistics symmetric system_user table tablesample textsize then to top trailing tran transaction trigger
    true truncate try_convert tsequal union unique unpivot update updatetext use user using values variadic
    varying verbose view waitfor when where while window with within writetext
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())

CONTROL_TABLES = {
    "held": "ssd_api_held",
    "log": "ssd_api_submission_log",
    "unconfirmed": "ssd_api_unconfirmed",
    "left_window": "ssd_api_left_window",
    "built": "ssd_api_built",
    "runs": "ssd_api_runs",
}


class Dialect(str, Enum):
    """The databases the pipeline speaks to."""

    SQLSERVER = "sqlserver"
    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"


_MOST_LETTERS = {Dialect.POSTGRESQL: 63, Dialect.SQLSERVER: 128}


class Identifier(NamedTuple):
    """One part of a table's name; `is_quoted` where it was written in brackets, so that its case is to be kept."""

    text: str
    is_quoted: bool = False

    def sql(self, dialect: Dialect) -> str:
        """Return the part as it may stand in a statement, quoted only where it must be.

        A plain name stays bare, so that PostgreSQL folds its case as it does for everybody else's statements.
        Errors: SettingsError where the database takes no name as long. PostgreSQL would cut it off without an error,
        so that a live table of 60 letters and its anonymised copy were one table.
        """
        most = _MOST_LETTERS.get(dialect)
        if most and len(self.text) > most:
            raise SettingsError(
                f"The name {self.text} has {len(self.text)} letters, and the database takes at most {most} in the name "
                f"of a table or schema; choose a shorter one (a table and {ANONYMISED_ENDING} together are a name too)."
            )
        if not (self.is_quoted or self.text[0].isdigit() or self.text.lower() in _RESERVED):
            return self.text
        if dialect is Dialect.SQLSERVER:
            return f"[{self.text}]"
        folded = dialect is Dialect.POSTGRESQL and not self.is_quoted
        return f'"{self.text.lower() if folded else self.text}"'


class QualifiedName(NamedTuple):
    """A table's name, with its schema where it was given one."""

    schema: Identifier | None
    table: Identifier

    def sql(self, dialect: Dialect) -> str:
        """Return the whole name as it may stand in a statement."""
        table = self.table.sql(dialect)
        return f"{self.schema.sql(dialect)}.{table}" if self.schema else table

    def beside(self, name: str) -> QualifiedName:
        """Return the name of another table in the same schema."""
        return self._replace(table=Identifier(name))


class TableNames(NamedTuple):
    """The staging table and its control tables, each quoted and safe to put into a statement."""

    staging: str
    held: str
    log: str
    unconfirmed: str
    runs: str
    left_window: str
    built: str


def parse_table_name(table_name: str, option: str = "TABLE_NAME") -> QualifiedName:
    """Take a TABLE_NAME apart: `table`, `schema.table`, `[schema].[table]` (contract 2).

    `option` is what the name was given by. Errors: SettingsError, naming that, where the name holds anything but
    letters, digits, `_`, one dot and brackets around a part.
    """
    found = _NAME.fullmatch(table_name)
    if found is None:
        raise SettingsError(
            f"{option}: expected table or schema.table of letters, digits and _, where a part may stand in [ ], got "
            f"{table_name!r}."
        )
    schema = found["schema"]
    return QualifiedName(_identifier(schema) if schema else None, _identifier(found["table"]))


def is_table_name(text: str) -> bool:
    """Return whether `text` is `table` or `schema.table`, each part of letters, digits and `_`, or that in brackets."""
    return _NAME.fullmatch(text) is not None


def is_same_table(one: str, other: str, dialect: Dialect) -> bool:
    """Return whether two TABLE_NAMEs of one schema name one table, as this database compares names.

    A text that is no table's name is the same as itself alone.
    """
    return one == other or (
        is_table_name(one) and is_table_name(other) and _known_by(one, dialect) == _known_by(other, dialect)
    )


def _known_by(table_name: str, dialect: Dialect) -> str:
    """Return a table's own name, without schema, as the database knows it; PostgreSQL keeps capitals in brackets."""
    table = parse_table_name(table_name).table
    return table.text if table.is_quoted and dialect is Dialect.POSTGRESQL else table.text.lower()


def is_anonymised(table_name: str) -> bool:
    """Return whether the table's own name, without schema and brackets, ends in _anon in any case of letters."""
    return _own_name(table_name).endswith(ANONYMISED_ENDING)


def is_control_table(table_name: str) -> bool:
    """Return whether the table's own name, without schema and brackets, is that of a control table."""
    return _own_name(table_name) in CONTROL_TABLES.values()


def _own_name(table_name: str) -> str:
    return table_name.rpartition(".")[2].strip("[]").lower()


def schema_prefix(schema: str, dialect: Dialect, option: str = "SSD_SCHEMA") -> str:
    """Return what stands before a table's name for a schema as SSD_SCHEMA has it: `schema.` or `database.schema.`.

    For no schema ("") nothing stands there. `option` is what the schema was given by. Errors: SettingsError, naming
    that, where it is not a schema's name.
    """
    if not schema:
        return ""
    if _NAME.fullmatch(schema) is None:
        raise SettingsError(
            f"{option}: expected schema or database.schema of letters, digits and _, where a part may stand in [ ], "
            f"got {schema!r}."
        )
    return f"{parse_table_name(schema).sql(dialect)}."


def table_names(table_name: str | QualifiedName, dialect: Dialect) -> TableNames:
    """Return the names for a TABLE_NAME; the control tables live in the staging table's schema (contract 3).

    Errors: SettingsError where it is not a table name.
    """
    staging = parse_table_name(table_name) if isinstance(table_name, str) else table_name
    beside = {key: staging.beside(name).sql(dialect) for key, name in CONTROL_TABLES.items()}
    return TableNames(staging=staging.sql(dialect), **beside)


def _identifier(part: str) -> Identifier:
    return Identifier(part.strip("[]"), is_quoted=part.startswith("["))
