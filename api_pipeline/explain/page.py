"""The story of one child as plain lines. They show values only if they are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.explain.nouns import KnownBaseline, RowStory, SentRecord, Story
from api_pipeline.explain.structure import Part, StructureChange
from api_pipeline.model import RecordKind

_MOST_LINES = 200
_NOT_KNOWN = "what the receiver holds is not known"
_NO_RECEIVER = "API_ENDPOINT is not set, so the only baseline is what the table itself says was sent"


def story_lines(story: Story, *, with_values: bool) -> list[str]:
    """Return the story on a page. Without `with_values` it has ids and names of members, and no value."""
    child = f", la_child_id {story.la_child_id}" if story.la_child_id else ""
    lines = [f"person_id {story.person_id}{child} in {story.table}"]
    lines.append(f"Receiver: {story.receiver or _NO_RECEIVER}")
    lines += _section("Tonight", [story.tonight.sentence])
    lines += _section("Rows, the newest first", [line for row in story.rows for line in _row(row)])
    lines += _section("Checks of the newest payload", _checks(story))
    lines += _section("Difference from what the receiver holds", _difference(story, with_values=with_values))
    lines += _section("What the receiver holds", _held(story.held, with_values=with_values))
    lines += _section("Staged payload", _parts(story.staged, with_values=with_values) or [story.unreadable])
    return lines + _section("Records sent, the latest first", _records(story))


def _section(title: str, lines: Sequence[str]) -> list[str]:
    shown = list(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        shown.append(f"and {len(lines) - _MOST_LINES} more; --json has them all")
    return ["", title, *(f"  {line}" for line in shown)]


def _row(row: RowStory) -> list[str]:
    state = f"{row.row_state or '(none)'}/{row.submission_status or '(none)'}"
    at = f", {row.submission_timestamp}" if row.submission_timestamp else ""
    due = "due" if row.is_due else "not due"
    lines = [f"row {row.id}: {state}{at}, {row.payload_bytes} bytes; {due}, because {row.reason}"]
    return [*lines, f"  answer: {row.answer}"] if row.answer else lines


def _checks(story: Story) -> list[str]:
    if story.unreadable:
        return [story.unreadable]
    if not story.checks:
        return ["no finding"]
    return [f"{found.severity}: {found.path}: {found.rule}: {found.message}" for found in story.checks]


def _difference(story: Story, *, with_values: bool) -> list[str]:
    if story.unreadable:
        return ["none can be worked out: " + story.unreadable]
    is_deletion = any(record.kind == RecordKind.DELETION.value for record in story.tonight.records)
    if not story.held.parts and (story.difference or is_deletion):
        what = "gone" if is_deletion else "new"
        is_known = story.held.state == "known"
        return [f"everything is {what}: " + ("the receiver holds nothing" if is_known else _NOT_KNOWN)]
    return [_change(change, with_values=with_values) for change in story.difference] or ["none"]


def _change(change: StructureChange, *, with_values: bool) -> str:
    if not with_values:
        return f"{change.change:<7} {change.path}"
    values = f"{change.before or '(nothing)'} -> {change.now or '(nothing)'}"
    return f"{change.change:<7} {change.path}: {values}"


def _held(held: KnownBaseline, *, with_values: bool) -> list[str]:
    receipt = f", receipt {held.receipt}" if held.receipt else ""
    at = f", accepted {held.accepted_at} UTC" if held.accepted_at else ""
    doubt = "; a later record may have arrived as well" if held.state == "in doubt" and held.parts else ""
    return [f"{held.state}{receipt}{at}: {held.source}{doubt}", *_parts(held.parts, with_values=with_values)]


def _parts(parts: Sequence[Part], *, with_values: bool) -> list[str]:
    if not with_values:
        return [f"{part.path}: {', '.join(part.members) or 'no members'}" for part in parts]
    return [
        f"{part.path}.{name} = {value}" for part in parts for name, value in zip(part.members, part.values, strict=True)
    ]


def _records(story: Story) -> list[str]:
    if not story.has_log:
        return ["the submission log is missing or cannot be read; see why with: d2i-csc-api test-schema"]
    return [_record(record) for record in story.records] or ["none"]


def _record(record: SentRecord) -> str:
    code = f"HTTP {record.http_code}" if record.http_code is not None else "no answer"
    return f"{record.logged_at} UTC, {record.kind}, {record.outcome} ({code}): {record.answer} (run {record.run_id})"
