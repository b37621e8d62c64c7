"""Which JSON Schema the output of each command follows: `data/schemas/NAME.schema.json`.

A later version may add members, and removes none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

# Which schema the output of a command follows; the reference is made from this.
SCHEMAS: Mapping[str, str] = {
    "run --json": "run",
    "run --stage --json": "run",
    "run --dry-run --json": "dry-run",
    "stage --json": "stage",
    "validate --json": "validate",
    "status --json": "status",
    "explain PERSON_ID --json": "explain",
    "report --json": "report",
    "requeue --json": "requeue",
    "anonymise --json": "anonymise",
    "config show --json": "config",
    "config check --json": "config",
    "test-db-connection --json": "test",
    "test-schema --json": "test",
    "test-endpoint --json": "test",
    "test-notify --json": "test",
    "smoke --json": "smoke",
    "deploy-schema --apply --json": "deploy-schema",
    "secrets list --json": "secrets",
    "secrets set NAME --json": "secret",
    "secrets delete NAME --json": "secret",
    "schedule --json": "schedule",
    "schedule status --json": "schedule-status",
    "schedule remove --json": "schedule-remove",
    "sdr returns --json": "sdr-returns",
    "sdr load FILE --json": "sdr-load",
    "sdr check --json": "sdr-check",
    "sdr submit PERIOD --dry-run --json": "sdr-plan",
    "sdr submit PERIOD --json": "sdr-submit",
    "sdr validate PERIOD --json": "sdr-validate",
    "sdr results PERIOD --json": "sdr-validate",
    "sdr status --json": "sdr-status",
    "sdr reset PERIOD --yes --json": "sdr-reset",
    "sdr test-endpoint --json": "test",
    "sdr deploy-schema --apply --json": "sdr-deploy-schema",
    "sdr config --json": "sdr-config",
    "xporter schools --json": "xporter-schools",
    "xporter schools list --json": "xporter-schools",
    "xporter schools add ESTAB --json": "xporter-schools-add",
    "xporter schools remove ESTAB --json": "xporter-schools-remove",
    "xporter check --json": "xporter-check",
    "xporter deploy-schema --apply --json": "xporter-deploy-schema",
    "xporter collect --json": "xporter-collect",
    "xporter status --json": "xporter-status",
    "xporter report --json": "xporter-report",
    "xporter catalogue --json": "xporter-catalogue",
    "xporter match --json": "xporter-match",
    "xporter write-back --json": "xporter-write-back",
}


def schema(name: str) -> dict[str, Any]:
    """Return a schema by its name, `notification` (what a webhook gets) among them."""
    path = files("api_pipeline") / "data" / "schemas" / f"{name}.schema.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
