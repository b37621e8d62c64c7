"""TEC's own schema of the records, from the OpenAPI file of its portal, where the user has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.checks import SchemaCheck
from api_pipeline.sdr.nouns import Collection

_MOST_RULES = 5


def schemas(path: Path, paths: Mapping[Collection, str]) -> dict[Collection, dict[str, Any]]:
    """Return the schema of one record for each collection that the file describes a PUT of, by the path of each.

    Errors: SettingsError.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise SettingsError(
            f"SDR_SCHEMA: expected TEC's OpenAPI file as JSON, got {path}, which cannot be read as JSON."
        ) from None
    found: dict[Collection, dict[str, Any]] = {}
    described = document.get("paths") if isinstance(document, dict) else None
    for name, item in (described or {}).items():
        collection = next((one for one in Collection if f"/{name.strip('/')}".endswith(f"/{paths[one]}")), None)
        record = _record_schema(document, item) if collection else None
        if collection is not None and record is not None:
            components = document.get("components", {})
            schema = _resolved(document, record)
            members = {name: _member(document, one) for name, one in (schema.get("properties") or {}).items()}
            found[collection] = {**schema, "properties": members, "components": _plain(components)}
    if not found:
        raise SettingsError(
            f"SDR_SCHEMA: {path} describes no upload (PUT) of the five collections; download the OpenAPI file of the "
            "SDR API from TEC's portal."
        )
    return found


def schema_check(path: Path, paths: Mapping[Collection, str]) -> SchemaCheck:
    """Return a check of records against the file, by the path of each collection. Errors: SettingsError."""
    validators = {
        one: jsonschema_rs.Draft202012Validator(_plain(schema)) for one, schema in schemas(path, paths).items()
    }

    def check(collection: Collection, record: dict[str, Any]) -> list[str]:
        validator = validators.get(collection)
        if validator is None:
            return []
        rules = []
        for error in validator.iter_errors(record):
            where = ".".join(str(part) for part in error.instance_path) or "the record"
            keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
            if not (keyword == "required" and "localId" in error.message):
                rules.append(f"{where}: breaks the schema's rule {keyword}")
            if len(rules) == _MOST_RULES:
                break
        return rules

    return check


def _record_schema(document: Mapping[str, Any], item: Any) -> dict[str, Any] | None:
    """Return the schema of an element of `content` in the body of a path's PUT."""
    put = item.get("put") if isinstance(item, dict) else None
    content = (put or {}).get("requestBody", {}).get("content", {})
    body = next((one.get("schema") for one in content.values() if isinstance(one, dict)), None)
    envelope = _resolved(document, body or {})
    array = _resolved(document, envelope.get("properties", {}).get("content", {}))
    record = array.get("items")
    return record if isinstance(record, dict) else None


def _member(document: Mapping[str, Any], schema: Any) -> Any:
    """Return the schema of a member with what it refers to in its place: its type, and that of its elements."""
    if not isinstance(schema, dict):
        return schema
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict):
        # So a reference is written that may be null.
        schema = {**_resolved(document, parts[0]), **{name: one for name, one in schema.items() if name != "allOf"}}
    member = _resolved(document, schema)
    elements = member.get("items")
    return {**member, "items": _resolved(document, elements)} if isinstance(elements, dict) else member


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return dict(schema)
    value: Any = document
    for part in reference[2:].split("/"):
        value = value.get(part, {}) if isinstance(value, dict) else {}
    return dict(value) if isinstance(value, dict) else {}


def _plain(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: `nullable` becomes a type."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: _plain(value) for name, value in schema.items() if name not in ("nullable", "example", "discriminator")
    }
    if schema.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain
