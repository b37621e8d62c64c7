"""The data answers of the simulated API: an endpoint's tables, and one page of them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from api_pipeline.sandbox.simulator.answer import Answer, json_answer
from api_pipeline.sandbox.simulator.options import CommonConditions
from api_pipeline.sandbox.simulator.xporter.quirks import Quirk
from api_pipeline.sandbox.simulator.xporter.school import School, published, sample_rows

_MOST_ROWS = 100_011


@dataclass(frozen=True, slots=True)
class SchoolConditions(CommonConditions):
    """What holds until it is changed. `most_rows` is how many one answer holds before pages are forced.

    With `real_codes` an error has the HTTP code that fits it; else it comes as 200, as the reference warns. With
    `queues_writes` what is written back waits until `take_queues`; with `is_fresh` data are as of now, not of 03:00.
    `unknown_snapshot` is what a hash that is not kept gets: error, full or lie (see `Snapshots`).
    """

    most_rows: int = _MOST_ROWS
    real_codes: bool = False
    queues_writes: bool = False
    is_fresh: bool = False
    unknown_snapshot: str = "error"
    token_lifetime_s: float = 3600.0
    clock_offset_s: float = 0.0


def tables_of(school: School, endpoint: str, query: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of an endpoint as the school lets them out now."""
    if endpoint == "Counts":
        return {"counts": [{"Area": "Students", "Count": len(school.truth("Students")["Students"])}]}
    if endpoint == "Health":
        row = {"SchoolDataStatus": "ok", "SchoolDataAgeDays": school.age_days, "XodStatus": "ok"}
        return {"health": [row]}
    if endpoint == "AttendanceForDate" and query.get("date"):
        day = query["date"]
        marks = school.truth("AttendanceForDateRange", day, day)["AttendMarks"]
        return {"AttendMarks": [*marks, *(row for row in school.lessons.values() if row["Date"] == day)]}
    if endpoint not in school.data:
        return sample_rows(endpoint, school.pupils)
    tables = school.truth(endpoint)
    first, last = query.get("datefrom"), query.get("dateto")
    if endpoint == "AttendanceForDateRange" and first and last:
        tables = school.truth(endpoint, first, last)
        tables["DateRange"] = [{"Id": 1, "DateFrom": first, "DateTo": last}]
    aliases = {item["name"]: item.get("alias", item["name"]) for item in published()[endpoint.lower()]["tables"]}
    return {aliases.get(name, name): rows for name, rows in tables.items()}


def _refreshed_before(moment: datetime) -> datetime:
    """Return as of when the cache is: of three each night, three hours later.

    So at no hour of the day does it have what was sent within the last three hours.
    """
    at_three = moment.replace(hour=3, minute=0, second=0, microsecond=0)
    return at_three if at_three <= moment - timedelta(hours=3) else at_three - timedelta(days=1)


def paged(
    moment: datetime,
    tables: dict[str, list[dict[str, Any]]],
    query: Mapping[str, str],
    conditions: SchoolConditions,
    quirk: Quirk | None,
    changes: dict[str, Any] | None,
) -> Answer:
    """Return the page of an answer that is asked for; `moment` is as of when its data are."""
    rows = max((len(table) for name, table in tables.items() if not name.endswith("_deleted")), default=0)
    asked = int(query.get("pagesize") or 0)
    size = min(asked or conditions.most_rows, conditions.most_rows)
    pages = max(1, -(-rows // size))
    number = 1 if quirk and quirk.kind == "same_page" else int(query.get("page") or 1)
    first = (number - 1) * size
    body: dict[str, Any] = {
        name: table if name.endswith("_deleted") else table[first : first + size] for name, table in tables.items()
    }
    if changes is not None:
        body["__changedRows__"] = [changes]
    moved = 1 if quirk and quirk.kind == "moved_between_pages" and number > 1 else 0
    as_of = moment if conditions.is_fresh else _refreshed_before(moment)
    body["meta"] = [{"Database": "XodSchoolData", "LastUpdated": as_of.isoformat(timespec="seconds")}]
    body["__pagination__"] = [
        {
            **{"PageSize": size, "PageNumber": number, "PageCount": pages, "RowCount": rows + moved},
            "NextPage": number + 1 if number < pages else None,
        }
    ]
    if quirk and quirk.kind == "wrapped":
        body = {"TrackingId": "1", "DataSet": body, "Message": "success"}
    answer = json_answer(200, body)
    if quirk and quirk.kind == "cut":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    if quirk and quirk.kind == "broken_gzip":
        packed = gzip.compress(answer.body)
        return replace(answer, body=packed[: len(packed) // 2], headers={"Content-Encoding": "gzip"})
    return answer
