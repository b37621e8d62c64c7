"""The JSON examples of the page on what is sent are what the program makes of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from api_pipeline.model import Baseline, StagedRow, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.schema_check import Checker
from tests.support.documents import DOCS, blocks, prose

PAGE = DOCS / "what-is-sent.md"
_EXAMPLE = re.compile(r"^### (.+)$", re.MULTILINE)
_LEADS = {
    "The receiver holds:": "held",
    "Staged:": "staged",
    "Staged, deleted:": "staged",
    "Sent as a full record:": "full",
    "Sent as a delta:": "delta",
    "Sent as a deletion:": "deletion",
    "Sent first, in a request of its own:": "first",
    "Then sent as a full record:": "full",
    "Or then sent as a delta:": "delta",
}


@dataclass(frozen=True)
class Example:
    """One example: what is held, what is staged (as text), and what the page says is sent."""

    title: str
    parts: dict[str, str]
    says_nothing_is_sent: bool
    is_deleted: bool


def examples() -> list[Example]:
    text = PAGE.read_text(encoding="utf-8").partition("\n## Examples")[2].partition("\n## ")[0]
    found = []
    for title, body in zip(*[iter(_EXAMPLE.split(text)[1:])] * 2, strict=True):
        blocks_here = re.findall(r"\*\*([^*]+)\*\*\n\n```json\n(.*?)```", body, re.DOTALL)
        parts = {_LEADS[lead]: block for lead, block in blocks_here}
        found.append(Example(title, parts, "**Nothing is sent.**" in body, "**Staged, deleted:**" in body))
    return found


EXAMPLES = examples()


def sent(example: Example, *, deltas: bool) -> list[dict[str, Any]]:
    """Return what the program sends, record after record, each accepted in turn."""
    # The text is compact as a build would stage it: how a page breaks its lines is not a part of a payload.
    staged = json.dumps(json.loads(example.parts["staged"]))
    held = json.dumps(json.loads(example.parts["held"])) if "held" in example.parts else None
    row = StagedRow(1, "P1", example.is_deleted, "pending", staged, None, has_previous=held is not None)
    found: list[dict[str, Any]] = []
    while True:
        baseline = Baseline() if held is None else Baseline(held)
        record = plan(row, parse_payload(staged), baseline, Policy(deltas=deltas))
        if isinstance(record, UpToDate):
            return found
        found.append(json.loads(record.body))
        held = record.held_after
        if record.then is None:
            return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_is_what_the_program_sends(example: Example) -> None:
    said = {name: json.loads(text) for name, text in example.parts.items()}
    first = [said["first"]] if "first" in said else []
    if example.says_nothing_is_sent:
        assert sent(example, deltas=False) == sent(example, deltas=True) == []
    if "full" in said:
        assert sent(example, deltas=False) == [*first, said["full"]]
    if "delta" in said:
        assert sent(example, deltas=True) == [*first, said["delta"]]
        assert len(json.dumps(said["delta"])) <= len(json.dumps(said["staged"]))
    if "deletion" in said:
        assert sent(example, deltas=False) == sent(example, deltas=True) == [said["deletion"]]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_what_an_example_sends_breaks_no_rule_of_the_receiver(example: Example) -> None:
    checker = Checker()
    for name in ("full", "delta", "deletion", "first"):
        if name in example.parts:
            text = example.parts[name]
            assert [
                finding for finding in checker.check(json.loads(text), text.encode()) if finding.severity == "schema"
            ] == []


def test_the_page_has_an_example_for_every_kind_and_leaves_no_block_unread() -> None:
    kinds = {name for example in EXAMPLES for name in example.parts}
    assert kinds == set(_LEADS.values())
    assert any(example.says_nothing_is_sent for example in EXAMPLES)
    shown = [block for block in blocks(PAGE) if block.language == "json"]
    assert sum(len(example.parts) for example in EXAMPLES) == len(shown)
    assert "open question to DfE" in prose(PAGE)[:200]
