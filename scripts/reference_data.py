"""The reference of the data: SQL statements, table scripts, fields, code lists and rules, from the packaged files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any

from api_pipeline.payloads.census_rules import RULES
from api_pipeline.payloads.shape import schema
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect, table_names
from api_pipeline.sql.statements import load
from scripts.reference_commands import MADE, PROGRAM, cell
from scripts.reference_fields import field_reference

TABLE = "ssd_api_data_staging"
_TABLES = table_names(TABLE, Dialect.SQLITE)
_NAMES = {
    **_TABLES._asdict(),
    "table": TABLE,
    "source": TABLE,
    "target": f"{TABLE}_anon",
    "ssd": "",
    "cin_plan_id": "cinp_cin_plan_id",
}
# Six columns want the room that the table of contents takes.
_FIELDS_HEAD = f"""---
hide:
  - toc
---
{MADE}# Fields that stage fills

Where each field of a payload comes from, when `d2i-csc-api stage` fills the staging table ([how it works](staging.md)).
A field without a value is left out. *No.* is the number of the item in DfE's specification.

"""
_FIRST = ("queries.sql", "report_queries.sql", "diagnostics_queries.sql", "staging_queries.sql")


def sql_page() -> str:
    """Return every statement of data/*.sql with its purpose."""
    parts = [
        f"{MADE}# SQL statements\n",
        "Every statement that the program issues, but for the [table scripts](ddl.md). The text is that of the\n"
        "program's own files; only the tables' names are put in. `?` is a parameter: values always travel as\n"
        "parameters, never in the text.\n",
        "| written in the statement | what it becomes |\n|---|---|\n"
        "| `{ids}`, `{children}`, `{people}`, `{spellings}` | `IN (?, ?, ...)`: up to 100 parameters; PostgreSQL: one "
        "parameter, an array |\n"
        "| `{values}`, `({values})` | `(?, ?), (?, ?), ...`: as many rows of parameters as 2,000 parameters make, "
        "and at most 1,000 rows |\n"
        "| `{rows}` | `(VALUES (?, ?), (?, ?), ...) AS given`: up to 100 rows of parameters (in *insert_built* as many "
        "as in `{values}`), with the columns `column1`, `column2`; SQL Server: `AS given (column1, column2)`; "
        "PostgreSQL: each column is one parameter, an array |\n"
        "| `{delta}` | `done.delta`; PostgreSQL, where the column is JSONB: `CAST(done.delta AS jsonb)` |\n"
        "| `{milliseconds}` | 5,000 to 30,000: DB_RETRY_S within these bounds |\n"
        "| `{program}` | `d2i-csc-api run` and the run's id; `d2i-csc-api` for other commands |\n"
        "| `{page}` | `OFFSET 0 ROWS FETCH NEXT n ROWS ONLY`; on SQLite `LIMIT n` |\n"
        "| `{lock_rows}` | SQL Server: `WITH (UPDLOCK, ROWLOCK)`; else nothing |\n"
        "| `{exact}`, `{usual}` | SQL Server: `COLLATE Latin1_General_BIN2`, `COLLATE DATABASE_DEFAULT`; "
        "else nothing |\n"
        "| `{locked}` | PostgreSQL: `FOR UPDATE`; else nothing |\n"
        "| `{person}`, `{matching}`, `{filter}` | nothing, or one more condition: `AND person_id = ?`, "
        "`AND (LOWER(api_response) LIKE ? ESCAPE '!' OR api_response LIKE ? ESCAPE '!')`, the statement *only_listed* "
        "|\n"
        "| `{columns}`, `{more}` | columns by their names, as far as the table has them |\n"
        "| `{column}` | the name of one column |\n"
        "| `{after}` | nothing for the first page, then `AND id > ?` |\n"
        "| `{odd_words}` | nothing, or `OR submission_status IN (?, ...)`: words with blanks around them |\n"
        "| `{moment}` | `DATETIME2(3)`; PostgreSQL and SQLite: `TIMESTAMP` |\n"
        "| `{version}` | SQLite: the number that `user_version` has already |\n"
        "| `{any_table}`, `{ssd_table}`, `{filter_table}` | a table's name, checked to be nothing else |\n"
        "| `{listed}` | `person_id`, or `CAST(person_id AS BIGINT)` where it is a FLOAT |\n"
        "| `{catalogue}` | the SSD's database with a dot behind it, or nothing |\n"
        "| `{names}` | one `?` for each table that is asked about |\n",
    ]
    for name in _sql_files():
        parts.append(f"## {_title(name)}\n\n{_introduction(name)}\n")
        parts += statements_of(name, _NAMES)
    return "\n".join(parts)


def statements_of(file_name: str, names: Mapping[str, str]) -> Iterator[str]:
    """Return each statement of a file with its purpose; `names` stand in place of what is written in braces."""
    for statement in load(file_name).values():
        text = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), statement.sql)
        yield f"### {statement.name}\n\n{statement.purpose}\n\n```sql\n{text};\n```\n"


def _sql_files() -> list[str]:
    found = sorted(item.name for item in (files("api_pipeline") / "data").iterdir() if item.name.endswith(".sql"))
    # The Single Data Return has a page of its own for its tables and statements.
    others = [name for name in found if name not in _FIRST and not name.startswith("sdr_")]
    return [name for name in _FIRST if name in found] + others


def _introduction(file_name: str) -> str:
    """Return what a file says at its head, paragraph by paragraph."""
    text = (files("api_pipeline") / "data" / file_name).read_text(encoding="utf-8").partition("-- name:")[0]
    lines = [line.removeprefix("--").strip() for line in text.strip().splitlines() if line.startswith("--")]
    plain = "\n".join(lines)
    return re.sub(r"\{\w+\}", lambda found: f"`{found[0]}`", plain)


def _title(file_name: str) -> str:
    titles = {
        "queries.sql": "The main job, status and requeue",
        "report_queries.sql": "The report",
        "explain_queries.sql": "The story of one child (explain)",
        "diagnostics_queries.sql": "The tests of connection and tables",
        "rights_queries.sql": "The rights of a run",
        "staging_queries.sql": "Filling the staging table (stage)",
        "anonymise_queries.sql": "The anonymised copy (anonymise)",
    }
    return titles.get(file_name, file_name.removesuffix(".sql").replace("_", " ").capitalize())


def ddl_page() -> str:
    """Return the table scripts as `deploy-schema` prints them."""
    parts = [
        f"{MADE}# Table scripts\n",
        f"What `{PROGRAM} deploy-schema` prints, for the table `{TABLE}`. With `--table` the names change. Each\n"
        "script is safe to run again: it makes what is missing, and never drops, empties or changes what is there.\n"
        "The script for SQL Server 2012 and 2014 is the same as that for 2016 but for its first line.\n",
    ]
    parts += table_scripts("##", lambda dialect: ddl.render(dialect, TABLE))
    return "\n".join(parts)


def table_scripts(heading: str, script: Callable[[Dialect], str]) -> Iterator[str]:
    """Return the script for each database under a heading of this level."""
    titles = {Dialect.SQLSERVER: "SQL Server", Dialect.POSTGRESQL: "PostgreSQL", Dialect.SQLITE: "SQLite"}
    for dialect, title in titles.items():
        yield f"{heading} {title}\n\n```sql\n{script(dialect).strip()}\n```\n"


def checks_page() -> str:
    """Return the fields of a payload, the code lists and the returns' rules."""
    definitions: Mapping[str, Any] = schema()["$defs"]
    parts = [
        f"{MADE}# Checks of a payload\n",
        f"What a record may hold (DfE's definition, version 1.0.1), and what `{PROGRAM} validate` and every run\n"
        "check. The result of each check has one of these classes:\n",
        "| class | what it means | what happens |\n|---|---|---|\n"
        "| `schema` | the record breaks the receiver's definition | not sent (`SCHEMA_CHECK=reject`) |\n"
        "| `code` | a value is not in its code list | a warning (`SCHEMA_CODES=warn`) |\n"
        "| `cross_field` | a rule of the statutory returns is broken | always a warning |\n"
        "| `firewall` | the receiver's firewall may reject it | always a warning |\n",
        "## Fields\n",
        "Members that are not in this table are refused at every level. No member may be `null`; the program takes\n"
        "such members out. Every object marked with *purge* may also have `purge`.\n",
        "| path | accepted | code list |\n|---|---|---|",
    ]
    parts[-1] += "".join(
        f"\n| {breakable(path)} | {accepted} | {codes} |"
        for path, accepted, codes in _fields(schema(), "", definitions)
    )
    parts.append("\n## Code lists\n\n| list | codes |\n|---|---|")
    for name, definition in definitions.items():
        if "enum" in definition:
            legacy = definition.get("x-legacy", [])
            older = f"; of earlier years, with a warning: {', '.join(map(str, legacy))}" if legacy else ""
            parts[-1] += f'\n| <a id="{name}"></a>`{name}` | {", ".join(map(str, definition["enum"]))}{older} |'
    parts.append("\n## Rules of the returns\n\n| rule | about | says |\n|---|---|---|")
    parts[-1] += "".join(f"\n| {rule.name} | `{rule.about}` | {cell(rule.says)} |" for rule in RULES)
    parts.append(
        "\nCIN rules are those of the children in need census, 903 rules those of the SSDA903 return of looked-after\n"
        "children."
    )
    return "\n".join(parts)


def breakable(path: str) -> str:
    """Return a path as code that a narrow column may break after each dot."""
    return f"<code>{path.replace('.', '.<wbr>')}</code>"


def _fields(node: Mapping[str, Any], path: str, definitions: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = node.get("required", [])
    for name, member in node["properties"].items():
        if name == "purge":
            continue
        here = f"{path}.{name}" if path else name
        whole = definitions[member["$ref"].rsplit("/", 1)[-1]] | member if "$ref" in member else member
        items = whole.get("items", {})
        inner = items if items.get("type") == "object" else whole
        shown = f"{here}[]" if items else here
        yield shown, _accepted(whole, items, is_required=name in required), _codes(whole, items)
        if inner.get("type") == "object":
            yield from _fields(inner, shown, definitions)


def _accepted(member: Mapping[str, Any], items: Mapping[str, Any], *, is_required: bool) -> str:
    words = []
    if member.get("type") == "object" or items.get("type") == "object":
        words.append("a list of objects" if items else "an object")
        if "purge" in (items or member).get("properties", {}):
            words.append("*purge*")
    elif items:
        words.append("a list of texts" + _limits(items))
        words += [f"at most {member['maxItems']}"] if "maxItems" in member else []
        words += ["none twice"] if member.get("uniqueItems") else []
    elif member.get("format") == "date":
        words.append("a date, `YYYY-MM-DD`")
    else:
        kinds = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number"}
        words.append(kinds[member["type"]] + _limits(member))
    return ", ".join([*words, *(["**required**"] if is_required else [])])


def _limits(node: Mapping[str, Any]) -> str:
    low, high = node.get("minLength"), node.get("maxLength")
    text = ""
    if high is not None:
        noun = "character" if high == 1 else "characters"
        text = f" of exactly {high} {noun}" if low == high else f" of at most {high} {noun}"
    pattern = node.get("pattern")
    return f"{text}, `{cell(pattern)}`" if pattern else text


def _codes(member: Mapping[str, Any], items: Mapping[str, Any]) -> str:
    reference = member.get("x-codes") or items.get("x-codes")
    if reference is None:
        return ""
    name = reference.rsplit("/", 1)[-1]
    return f"[`{name}`](#{name})"


def staged_fields_page() -> str:
    """Return where each field comes from when `stage` fills the staging table."""
    text = re.sub(
        r"^\| `([\w.\[\]]+)`", lambda found: f"| {breakable(found[1])}", field_reference(), flags=re.MULTILINE
    )
    return _FIELDS_HEAD + text
