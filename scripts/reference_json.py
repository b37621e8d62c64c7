"""The reference of what commands print with `--json`, from the schemas that the package carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api_pipeline.documents import schemas
from scripts.reference_commands import MADE, cell

_HEAD = f"""{MADE}# Output for programs

With `--json` a command prints one JSON document on standard output, and nothing else there. The document is an object;
that of `sdr returns` is an array. Errors and the log go to standard error. The exit code is the same as without
`--json`.

A command that cannot begin, because a setting is wrong or the database is away, prints no JSON. The tests (`test-*`,
`smoke`) are the exception: they print the step that failed.

Each document follows a JSON Schema. It is in the package as `api_pipeline/data/schemas/NAME.schema.json`. The schemas
only grow: a later version may add members, and removes or renames none. Read the members you need and ignore the
others.

These have no `--json`:

- `preflight`, and `deploy-schema` without `--apply`: they print a script;
- `xporter config` and `sdr config --example`: they print a settings file;
- `init`, `demo`, `sdr demo` and `xporter demo`: they talk to a person;
- `simulate-api`, `sdr simulate` and `xporter simulate-api`: they serve until they are stopped;
- shell completion: its text is the shell's own.
"""


def json_page() -> str:
    """Return the reference of the documents."""
    rows = [f"| `{words}` | [`{name}`](#{name}) |" for words, name in schemas.SCHEMAS.items()]
    parts = [_HEAD, "| command | schema |\n|---|---|\n" + "\n".join(rows) + "\n"]
    for name in dict.fromkeys([*schemas.SCHEMAS.values(), "notification"]):
        schema = schemas.schema(name)
        lines = ["| member | type | meaning |", "|---|---|---|", *_rows(schema, "")]
        parts.append(f"## {name}\n\n{schema['title']}.\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    if not path and schema.get("type") == "array":
        yield from _rows(schema["items"], "[]")
    for name, inner in schema.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        yield f"| `{place}` | {cell(_kind(inner))} | {cell(inner.get('description', ''))} |"
        yield from _rows(inner, place)
        for part, mark in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(inner.get(part), dict):
                yield from _rows(inner[part], f"{place}{mark}")


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema["type"]
    names = [kind] if isinstance(kind, str) else list(kind)
    for part, word in (("items", "array of"), ("additionalProperties", "object of")):
        if isinstance(schema.get(part), dict):
            return f"{word} {_kind(schema[part])}" + (" or null" if "null" in names else "")
    return " or ".join(names)
