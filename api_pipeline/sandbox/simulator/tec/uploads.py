"""Uploads and deletes of the simulated TEC: what a body holds, and what becomes of its records."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, json_answer
from api_pipeline.sandbox.simulator.tec.answers import problem
from api_pipeline.sandbox.simulator.tec.options import PutAnswer, TecConditions, UnknownDelete


def read_records(
    headers: Mapping[str, str], body: bytes, conditions: TecConditions
) -> Answer | tuple[str, list[dict[str, Any]]]:
    """Return the submission token and the records of a body, or the answer that refuses it."""
    if headers.get("content-encoding", "") == "gzip":
        try:
            body = gzip.decompress(body) if conditions.gzip else b""
        except (OSError, EOFError, zlib.error):
            body = b""
        if not body:
            return problem(400, "GM1", "The compressed payload stream could not be read.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return problem(400, "CV1", "The body is not JSON")
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list) or not all(
        isinstance(one, dict) and isinstance(one.get("localId"), str) and one["localId"] for one in content
    ):
        return problem(400, "CV1", "Each record needs a localId")
    return str(value.get("submissionToken", "")), content


def put(
    held: dict[str, dict[str, Any]], records: list[Any], conditions: TecConditions, *, keeps: bool = True
) -> Answer:
    """Take records into what is `held`, unless the simulator `keeps` none; return the answer."""
    broken = [place for place, record in enumerate(records) if _has(record, conditions.bad)]
    if broken:
        errors = {f"content[{place}]": ["The record does not match the schema."] for place in broken}
        more = {"errorCodes": ["CV1"]} if conditions.code_in_list else {}
        code = "" if conditions.code_in_list else "CV1"
        return problem(400, code, "Schema validation failed", errors if conditions.names_culprit else {}, **more)
    content = []
    for record in records:
        is_refused = _has(record, conditions.refused)
        if not is_refused and keeps:
            held[record["localId"]] = record
        content.append({"localId": record["localId"], "errors": ["not acceptable"] if is_refused else []})
    return _acknowledgement(content, conditions)


def delete(held: dict[str, dict[str, Any]], records: list[Any], conditions: TecConditions) -> Answer:
    """Take records out of what is `held`; return the answer."""
    unknown = [record["localId"] for record in records if record["localId"] not in held]
    if unknown and conditions.unknown_delete is UnknownDelete.REFUSED:
        return problem(400, "CV1", "A record was not found")
    for record in records:
        held.pop(record["localId"], None)
    tells = conditions.unknown_delete is UnknownDelete.ERRORS
    content = [
        {"localId": record["localId"], "errors": ["not found"] if tells and record["localId"] in unknown else []}
        for record in records
    ]
    return json_answer(200, {"content": content})


def _has(record: Any, marks: tuple[str, ...]) -> bool:
    return bool(marks) and any(mark in str(value) for mark in marks for value in record.values())


def _acknowledgement(content: list[dict[str, Any]], conditions: TecConditions) -> Answer:
    with_errors = [one for one in content if one["errors"]]
    match conditions.put_answer:
        case PutAnswer.ECHO:
            return json_answer(200, {"content": content})
        case PutAnswer.EMPTY if not with_errors:
            return json_answer(200, {})
        case PutAnswer.NOTHING if not with_errors:
            return Answer(200)
        case _:
            return json_answer(200, {"content": with_errors})
