"""The expressions in which SQL Server (2012 and later), PostgreSQL and SQLite differ, for checks of stored values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api_pipeline.db import dialect_pieces
from api_pipeline.sql.identifiers import Dialect, parse_table_name, schema_prefix

LETTERS_AND_DIGITS = "A-Za-z0-9"
_ID_LENGTH = 60
_WHITE_SPACE = (9, 10, 13)


@dataclass(frozen=True, slots=True)
class Sql:
    """Write expressions for one database; `schema` is that of the SSD's tables as --schema has it, "" for none."""

    dialect: Dialect
    schema: str = ""

    def table(self, name: str) -> str:
        """Return a table's name with its schema. Errors: SettingsError where the schema is not a name."""
        table = parse_table_name(name).sql(self.dialect)
        return f"{schema_prefix(self.schema, self.dialect, '--schema')}{table}"

    def literal(self, text: str) -> str:
        """Return a text as a literal; what is asked for is ASCII, so that it needs no mark of its kind."""
        doubled = text.replace("'", "''")
        return f"'{doubled}'"

    def as_text(self, value: str) -> str:
        """Return a number as text."""
        kind = {Dialect.SQLSERVER: "NVARCHAR", Dialect.POSTGRESQL: "VARCHAR"}.get(self.dialect)
        return f"CAST({value} AS {kind}({_ID_LENGTH}))" if kind else f"CAST({value} AS TEXT)"

    def as_other_id(self, value: str) -> str:
        """Return an id of another table as text that can be compared with one of this table, whatever its collation."""
        return self.as_id(value) + dialect_pieces(self.dialect, 0)["usual"]

    def as_id(self, value: str) -> str:
        """Return an id as text: on SQL Server, Mosaic mixes whole numbers and texts for the same id."""
        return self.as_text(value) if self.dialect is Dialect.SQLSERVER else value

    def trimmed(self, value: str) -> str:
        """Return a text without spaces at its ends."""
        return f"LTRIM(RTRIM({value}))"

    def length(self, value: str) -> str:
        """Return a text's number of characters; SQL Server does not count spaces at its end."""
        return f"LEN({value})" if self.dialect is Dialect.SQLSERVER else f"LENGTH({value})"

    def first(self, value: str, count: int) -> str:
        """Return the first characters of a text."""
        return (
            f"SUBSTRING({value}, 1, {count})" if self.dialect is Dialect.SQLSERVER else f"SUBSTR({value}, 1, {count})"
        )

    def code(self, value: str, length: int) -> str:
        """Return the code that a description begins with: trimmed, cut, in capitals."""
        return f"UPPER({self.trimmed(self.first(self.trimmed(value), length))})"

    def with_spaces_only(self, value: str) -> str:
        """Return a text with a space in place of each tab and line break."""
        character = "CHR" if self.dialect is Dialect.POSTGRESQL else "CHAR"
        for number in _WHITE_SPACE:
            value = f"REPLACE({value}, {character}({number}), ' ')"
        return value

    def holds_other_than(self, value: str, allowed: str) -> str:
        """Return the condition that a text has a character that is not in a set such as `A-Z0-9`."""
        if self.dialect is Dialect.POSTGRESQL:
            return f"{value} ~ '[^{allowed}]'"
        if self.dialect is Dialect.SQLITE:
            return f"{value} GLOB '*[^{allowed}]*'"
        # A binary collation: in others an accented letter stands between A and Z.
        return f"{value} COLLATE Latin1_General_BIN2 LIKE '%[^{allowed}]%'"

    def begins_with(self, value: str, character: str) -> str:
        """Return the condition that a text begins with a character; a pattern would give `[` a meaning of its own."""
        return f"{self.first(value, 1)} = {self.literal(character)}"

    def one_of(self, value: str, texts: Iterable[str]) -> str:
        """Return the condition that a value is one of several texts."""
        return f"{value} IN ({', '.join(map(self.literal, texts))})"

    def is_blank(self, value: str) -> str:
        """Return the condition that a value is null or has spaces only."""
        return f"({value} IS NULL OR {self.trimmed(value)} = '')"

    @property
    def today(self) -> str:
        """Midnight of today, by the database's clock."""
        return {
            Dialect.SQLSERVER: "CAST(GETDATE() AS DATE)",
            Dialect.POSTGRESQL: "CURRENT_DATE",
            Dialect.SQLITE: "DATE('now', 'localtime')",
        }[self.dialect]

    @property
    def end_of_window(self) -> str:
        """Midnight of tomorrow, the last moment that is in the window."""
        return {
            Dialect.SQLSERVER: "DATEADD(DAY, 1, CAST(CAST(GETDATE() AS DATE) AS DATETIME))",
            Dialect.POSTGRESQL: "CURRENT_DATE + 1",
            Dialect.SQLITE: "STRFTIME('%Y-%m-%d 00:00:00.000', 'now', 'localtime', '+1 day')",
        }[self.dialect]
