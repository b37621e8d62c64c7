"""The results of validations as they are stored, and the marks that they leave on the staged records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api_pipeline.common.clock import utc_now
from api_pipeline.db import Rows, parts_of
from api_pipeline.sdr.nouns import Collection, TecFinding, errors_and_warnings
from api_pipeline.sdr.statements import Scope, Statements


class Results(Statements):
    """The stored results of validations."""

    def store_findings(
        self,
        scope: Scope,
        run: str,
        findings: Sequence[TecFinding],
        counts: tuple[int, int] | None,
        *,
        has_passed: bool = False,
    ) -> None:
        """Store the results of a validation whole, and mark the staged records that they name.

        `counts` are its errors and warnings. One that did not end by its rules has none (None) and says nothing of the
        records: the marks of the one before it stay. One that passed and found nothing leaves a row too, for the next
        to be compared with.
        """
        rows: list[tuple[object, ...]] = [
            (
                *scope.key,
                run,
                one.number,
                one.collection.value if one.collection else None,
                one.local_id,
                one.code,
                one.kind,
                one.description,
                one.student_id,
                one.course_code,
                one.record_text,
            )
            for one in findings
        ]
        if has_passed and not rows:
            rows.append((*scope.key, run, 0, None, None, "", "", "", "", "", ""))
        with self.connection.transaction():
            self.execute("delete_results", [*scope.key, run])
            self.insert("insert_results", rows)
            self.execute("update_validation", [run, *(counts or (None, None)), utc_now(), *scope.key])
            if counts is not None:
                self.execute("clear_validation_marks", ())
            self._mark_validated(scope, findings)

    def _mark_validated(self, scope: Scope, findings: Sequence[TecFinding]) -> None:
        marks: dict[str, dict[str, list[TecFinding]]] = {}
        for one in findings:
            if one.collection and one.local_id is not None:
                marks.setdefault(one.collection.value, {}).setdefault(one.local_id, []).append(one)
        for collection, found in marks.items():
            rows = [(local_id, *_marks_of(here)) for local_id, here in found.items()]
            for part in parts_of(self.connection.dialect, rows, 5, beside=2):
                keys = [row[0] for row in part]
                values = [scope.return_id, Rows((str, int, int, str), part), collection, keys]
                self.execute("mark_validated", values)

    def findings(self, scope: Scope, run: str) -> list[TecFinding]:
        """Return the stored results of a validation, in TEC's order."""
        return [_finding(row) for row in self.query("read_results", [*scope.key, run])]

    def validations(self, scope: Scope) -> list[tuple[str, int, int]]:
        """Return the stored validations of a period with errors and warnings, the oldest first."""
        rows = self.query("read_validation_runs", scope.key)
        return [(str(row[0]), int(row[1] or 0), int(row[2] or 0)) for row in rows]


def _finding(row: Sequence[Any]) -> TecFinding:
    number, collection, local_id, code, kind, description, student, course, text = row
    return TecFinding(
        int(number),
        Collection(str(collection).strip()) if collection else None,
        str(local_id) if local_id is not None else None,
        str(code or ""),
        str(kind or ""),
        str(description or ""),
        str(student or ""),
        str(course or ""),
        str(text or ""),
    )


def _marks_of(found: Sequence[TecFinding]) -> tuple[int, int, str]:
    """Return errors and warnings found in a record, and the sentence with their first codes."""
    codes = ", ".join(list(dict.fromkeys(one.code for one in found))[:5])
    return *errors_and_warnings(found), f"validation: {codes}"
