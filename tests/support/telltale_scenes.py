"""The scenes of every command in a world with planted secrets: what it can be made to say, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from api_pipeline.sandbox.simulator import FaultKind, FaultTarget, ReceiptShape
from tests.support.planted import CLIENT_SECRET, PROXY_PASSWORD, SUPPLIER_KEY, TALE, TOKEN, WRONG_PASSWORD
from tests.support.telltale_world import (
    World,
    fault,
    open_brace,
    refused_hook,
    refused_key,
    setting,
    telltale_copy,
    telltale_trigger,
    wrong_password,
)


@dataclass(frozen=True)
class Scene:
    """One way to run a command. `code` is the exit code that shows the scene to be what it is meant to be."""

    arguments: str
    code: int | None = 0
    before: Callable[[World], None] = lambda _world: None
    stdin: str = ""
    serves: bool = False


_SECRET_PAGE = f"client_secret={CLIENT_SECRET} is not the secret; SupplierKey: {SUPPLIER_KEY}; {TALE}"
_GRANTED = json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
_BAD_GRANT = json.dumps({"error": "invalid_client", "error_description": _SECRET_PAGE})
_REDIRECT = {"Location": f"http://127.0.0.1:9/login?key={quote_plus(SUPPLIER_KEY)}&who=Quillfeather"}

# What may go wrong between us and the receiver, for every command that talks to it.
_RECEIVER_SCENES: list[tuple[Callable[[World], None], int]] = [
    (fault(status=500, body=_SECRET_PAGE), 5),
    (fault(status=401, body=f"Bearer {TOKEN} of {TALE}"), 4),
    (fault(status=403, body=_SECRET_PAGE), 4),
    (fault(status=302, headers=_REDIRECT), 1),
    (fault(target=FaultTarget.TOKEN, status=401, body=_BAD_GRANT), 4),
    (fault(target=FaultTarget.TOKEN, status=200, body=_GRANTED), 4),
    (fault(target=FaultTarget.TOKEN, status=200, body=_SECRET_PAGE), 5),
    (fault(target=FaultTarget.TOKEN, kind=FaultKind.DROP), 5),
    (refused_key, 4),
]


def on_receiver(arguments: str) -> list[Scene]:
    return [Scene(arguments, code, before) for before, code in _RECEIVER_SCENES]


_DATABASE_FAULTS: list[Callable[[World], None]] = [wrong_password, open_brace]


def on_database(arguments: str) -> list[Scene]:
    return [Scene(arguments, 3, before) for before in _DATABASE_FAULTS]


def unchecked(scenes: list[Scene]) -> list[Scene]:
    """Return the same scenes for a command whose exit codes have tests of their own."""
    return [Scene(scene.arguments, None, scene.before, scene.stdin) for scene in scenes]


SCENES: dict[str, list[Scene]] = {
    "run": [
        Scene("run", 1),
        Scene("run --deltas --report reports", 1),
        Scene("run --testing --report reports", 1),
        Scene("run --resync --batch-size 1", 1),
        Scene("run --dry-run", 1),
        Scene("run --dry-run --deltas --json", 1),
        Scene("run --json --report reports", 1),
        Scene("run", 1, setting(NO_PROXY="elsewhere.example")),
        Scene("run", 1, fault(status=400, body=f"<html>{_SECRET_PAGE}</html>")),
        Scene("run", 1, fault(kind=FaultKind.RECEIPTS, shape=ReceiptShape.LOGIN_PAGE)),
        Scene("run", 1, refused_hook),
        Scene("run", 3, telltale_trigger),
        Scene("run", 2, setting(API_ENDPOINT=f"http://operator:{quote(PROXY_PASSWORD, safe='')}@receiver.example")),
        Scene("run", 2, setting(DB_CONNECTION_STRING=f"SERVER=x;PWD={WRONG_PASSWORD}", LA_CODE="", BATCH_SIZE="x")),
        *on_receiver("run"),
        *on_database("run"),
    ],
    "validate": [
        Scene("validate --csv findings.csv", 1),
        Scene("validate --all", 1),
        Scene("validate --json", 1),
        *on_database("validate"),
    ],
    "status": [Scene("status"), Scene("status --json"), *on_database("status")],
    "explain": [
        *(Scene(f"explain {person}") for person in "123456"),
        *(Scene(f"explain {person} --json") for person in "45789"),
        Scene("explain nobody", 2),
        Scene("explain 1 --with-values", 2),
        *on_database("explain 1"),
    ],
    "report": [Scene("report --folder reports"), Scene("report --json --folder reports"), *on_database("report")],
    "requeue": [
        Scene("requeue --json"),
        Scene("requeue --matching born"),
        Scene("requeue", 3, telltale_trigger),
        *on_database("requeue"),
    ],
    "anonymise": [
        Scene("anonymise --replace"),
        Scene("anonymise --replace --dry-run --json"),
        Scene("anonymise", 2),
        Scene("anonymise --replace --target ssd_api_data_staging", 2),
        Scene("anonymise --replace", 3, telltale_copy),
        *on_database("anonymise"),
    ],
    "deploy-schema": [
        Scene("deploy-schema"),
        Scene("deploy-schema --apply --json"),
        *on_database("deploy-schema --apply"),
    ],
    "preflight": [Scene("preflight"), Scene("preflight --dialect sqlite --schema x.y.z", 2)],
    "demo": [Scene("demo --children 30 --folder demo")],
    "simulate-api": [Scene("simulate-api --port 0", None, serves=True)],
    "test-db-connection": [
        Scene("test-db-connection"),
        Scene("test-db-connection --json"),
        *on_database("test-db-connection"),
    ],
    "test-schema": [Scene("test-schema"), Scene("test-schema --json"), *on_database("test-schema")],
    "test-endpoint": [
        Scene("test-endpoint"),
        Scene("test-endpoint --json"),
        # Nothing is in error here where nothing was sent: what a run would call a refusal is an address gone wrong.
        *(Scene("test-endpoint", code if code > 1 else 5, before) for before, code in _RECEIVER_SCENES),
        Scene("test-endpoint", 0, setting(NO_PROXY="elsewhere.example")),
        Scene("test-endpoint --send-test-record", 1, fault(status=422, body=_SECRET_PAGE)),
    ],
    "test-notify": [Scene("test-notify", 5), Scene("test-notify --json", 5, refused_hook)],
    "smoke": [
        Scene("smoke"),
        Scene("smoke --json"),
        # Its parts have scenes of their own above; these are for what it makes of a fault.
        Scene("smoke", 3, wrong_password),
        Scene("smoke", 4, fault(target=FaultTarget.TOKEN, status=401, body=_BAD_GRANT)),
        Scene("smoke --json", 4, fault(status=403, body=_SECRET_PAGE)),
    ],
    "init": [
        Scene("init --unattended --env-file other.env --store --no-rehearse"),
        Scene("init --unattended --env-file other.env --no-store --replace", 1),
        Scene("init --unattended --env-file third.env", 3, wrong_password),
        Scene("init --unattended --env-file third.env", 3, open_brace),
    ],
    "config": [
        Scene("config show"),
        Scene("config show --all --json"),
        Scene("config check --live"),
        Scene("config show", None, wrong_password),
        Scene("config show", None, open_brace),
        Scene("config check --json", 2, setting(API_ENDPOINT=f"https://x.example/1?subscription-key={SUPPLIER_KEY}")),
    ],
    "schedule": [
        *(Scene(f"schedule --kind {kind}") for kind in ("task-scheduler", "systemd", "cron")),
        Scene("schedule --at 2", 2),
    ],
    "secrets": [
        Scene("secrets list --json"),
        # The store of this sweep forgets what it is given, which is found out.
        Scene("secrets set CLIENT_SECRET", 2, stdin=f"{CLIENT_SECRET}\n"),
        Scene("secrets delete SUPPLIER_KEY"),
    ],
    "sdr": [
        Scene("sdr config --example"),
        Scene("sdr status", None, setting(SDR_CLIENT_SECRET=CLIENT_SECRET)),
        Scene("sdr returns", None, setting(SDR_CLIENT_SECRET=CLIENT_SECRET, TESTING_MODE="false")),
        Scene("sdr check", None, wrong_password),
    ],
    "xporter": [
        Scene("xporter config"),
        Scene("xporter status", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET)),
        Scene("xporter collect", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET)),
        Scene("xporter status", None, wrong_password),
        Scene(
            "xporter write-back", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET, XPORTER_WRITE_BACK="conduct")
        ),
    ],
    "stage": [Scene("stage", None), Scene("stage --dry-run --json", None), *unchecked(on_database("stage"))],
}
