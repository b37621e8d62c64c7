"""TEC and the School Data API give back what they were sent: none of it comes out of any command (contract 6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import invoke_cli
from tests.support.echoed_values import CLIENT_SECRET, SECRETS, SHORT_SECRET, SUPPLIER_KEY, VALUES
from tests.support.echoes import ECHOES, found_in
from tests.support.hostile_answers import saying
from tests.support.hostile_receiver import TOKEN, HostileReceiver, Reply, Talk

WINGS = [
    "sdr test-endpoint",
    "sdr returns",
    "sdr submit 202608",
    "sdr validate 202608",
    "sdr status",
    "xporter check",
    "xporter schools list",
    "xporter collect",
    "xporter status",
]


def saying_everywhere(status: int) -> Reply:
    """Return a reply that quotes every value and secret in each member that an error may have."""
    ways = ("as it is", "lower case", "with entities", "percent-encoded", "as JSON", "cut by a tag")
    page = " ".join(ECHOES[way](value) for value in (*VALUES, *SECRETS) for way in ways)
    names = ("error", "errorCode", "message", "Message", "ExceptionMessage", "ExceptionType", "Type", "content")
    return saying(json.dumps(dict.fromkeys(names, page) | {"errors": [{"code": page, "localId": page}]}), status)


def given_a_token(talk: Talk) -> None:
    talk.answer(json.dumps({"access_token": TOKEN, "token": TOKEN, "Token": TOKEN, "expires_in": 3600}).encode())


def scopes(talk: Talk) -> None:
    talk.answer(json.dumps({"Scopes": ["edubase", "sims.student.read"], "ExceptionMessage": None}).encode())


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("has_token", [True, False])
def test_no_echo_comes_out_of_the_commands_of_the_wings(status: int, has_token: bool, tmp_path: Path) -> None:
    echoing = saying_everywhere(status)
    with HostileReceiver(otherwise=echoing, token=given_a_token if has_token else echoing) as receiver:
        receiver.pages["/api/v1/Scopes"] = scopes
        origin = receiver.settings["TOKEN_ENDPOINT"].removesuffix("/token")
        settings = {
            "DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'wings.db'}",
            "SDR_API_ENDPOINT": origin,
            "SDR_EID": "6001",
            "SDR_TOKEN_ENDPOINT": f"{origin}/token",
            "SDR_CLIENT_ID": "provider",
            "SDR_CLIENT_SECRET": CLIENT_SECRET,
            "SDR_SCOPE": "scope",
            "SDR_WAIT_BLOCKED_S": "0",
            "TESTING_MODE": "false",
            "MAX_ATTEMPTS": "1",
            "LA_CODE": "999",
            "XPORTER_BASE_URL": origin,
            "XPORTER_TOKEN_URL": f"{origin}/token/",
            "XPORTER_RELYING_PARTY": "council",
            "XPORTER_MANAGEMENT_SECRET": SUPPLIER_KEY,
            "XPORTER_SCHOOLS": "9991234",
            "XPORTER_SECRET_9991234": SHORT_SECRET,
            "XPORTER_READY_WAIT_S": "0",
        }
        for command in ("sdr deploy-schema --apply", "xporter deploy-schema --apply"):
            assert invoke_cli(command.split(), settings, tmp_path).code == 0
        played = {
            command: invoke_cli(f"--verbose --log-file wings.log {command}".split(), settings, tmp_path)
            for command in WINGS
        }
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("wings.log"))
    shown = {command: found_in(done.text, [*SECRETS, *VALUES]) for command, done in played.items()}
    assert {command: found for command, found in shown.items() if found} == {}
    assert found_in(written, [*SECRETS, *VALUES]) == []
    assert {command: done.code for command, done in played.items() if "Traceback" in done.text} == {}
    assert len(receiver.heard) > 5, "the commands did ask"
