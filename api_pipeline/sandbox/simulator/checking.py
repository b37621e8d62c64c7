"""What the receiver finds wrong with a batch, and the words in which it says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from api_pipeline.sandbox.simulator.answer import Answer, error_answer, json_answer, page_answer, text_answer
from api_pipeline.sandbox.simulator.options import Refusal, RefusalForm

_FAULTS_TOLD_OF_ONE_RECORD = 5
_LONGEST_MESSAGE = 300
_MALFORMED = "The payload is malformed."


@dataclass(frozen=True, slots=True)
class RecordFault:
    """What is wrong with one record: its position counted from 0, the path in it (`.a[0].b`, "" for all), and why."""

    position: int
    path: str
    message: str

    @property
    def place(self) -> str:
        """Return the record and the path in it, as in `[3].social_care_episodes[0]`."""
        return f"[{self.position}]{self.path}"


def schema_faults(records: Sequence[Any]) -> list[RecordFault]:
    """Return every breach of the published schema, a few of each record."""
    is_valid, iter_errors = _compiled()
    return [
        RecordFault(position, _path(error.instance_path), error.message[:_LONGEST_MESSAGE])
        for position, record in enumerate(records)
        if not is_valid(record)
        for error in islice(iter_errors(record), _FAULTS_TOLD_OF_ONE_RECORD)
    ]


def identifier_faults(records: Sequence[Any]) -> list[RecordFault]:
    """Return the records that name no child; the least that is asked where the schema is not checked."""
    return [
        RecordFault(position, "", "la_child_id is a required property")
        for position, record in enumerate(records)
        if not (isinstance(record, dict) and isinstance(record.get("la_child_id"), str) and record["la_child_id"])
    ]


def first_refusal(records: Sequence[dict[str, Any]], refusals: Sequence[Refusal]) -> tuple[Refusal, list[int]] | None:
    """Return the first refusal that any record meets, and the positions of those records; None where none does."""
    for refusal in refusals:
        positions = [position for position, record in enumerate(records) if _is_meant(record, refusal)]
        if positions:
            return refusal, positions
    return None


def refusal_answer(refusal: Refusal, positions: Sequence[int], form: RefusalForm) -> Answer:
    """Return the answer to a batch in which some records are refused."""
    if refusal.status == 403:
        return page_answer(403, "Forbidden")
    faults = [RecordFault(position, "", refusal.message) for position in positions]
    return malformed_answer(faults, refusal.status, form if refusal.is_named else RefusalForm.UNNAMED)


def malformed_answer(faults: Sequence[RecordFault], status: int, form: RefusalForm) -> Answer:
    """Return the 400 or 422 that tells of the faults in the asked form."""
    match form:
        case RefusalForm.LIST:
            told = [f"{fault.place}: {fault.message}" for fault in faults]
            return json_answer(status, {"statusCode": status, "message": _MALFORMED, "errors": told})
        case RefusalForm.PROBLEM:
            by_place: dict[str, list[str]] = {}
            for fault in faults:
                by_place.setdefault(fault.place, []).append(fault.message)
            return json_answer(status, {"title": _MALFORMED, "status": status, "errors": by_place})
        case RefusalForm.TEXT:
            return text_answer(status, "\n".join(f"{fault.place}: {fault.message}" for fault in faults))
        case RefusalForm.UNNAMED:
            return error_answer(status, _MALFORMED)


def _is_meant(record: dict[str, Any], refusal: Refusal) -> bool:
    if record.get("la_child_id") in refusal.ids:
        return True
    details = record.get("child_details")
    if refusal.surnames and isinstance(details, dict) and details.get("surname") in refusal.surnames:
        return True
    return bool(refusal.contains) and refusal.contains.encode() in orjson.dumps(record)


def _path(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


@cache
def _compiled() -> tuple[Callable[[Any], bool], Callable[[Any], Iterator[Any]]]:
    text = resources.files("api_pipeline").joinpath("data").joinpath("csc_payload.schema.json").read_bytes()
    # Whether dates such as 2024-02-30 are refused is not published; the specification takes it that they are.
    validator = jsonschema_rs.Draft202012Validator(orjson.loads(text), validate_formats=True)
    return validator.is_valid, validator.iter_errors
