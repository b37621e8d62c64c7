"""A world with planted secrets: a receiver, a database and a proxy that say too much, and a folder to search."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from api_pipeline.sandbox.simulator import LA_CODE, Answer, Fault, Options, Refusal, Simulator, SimulatorServer
from tests.support.databases import TestDatabase
from tests.support.planted import (
    CLIENT_SECRET,
    HOOK_TOKEN,
    MAIL_PASSWORD,
    PROXY_PASSWORD,
    ROWS,
    SUPPLIER_KEY,
    TALE,
    WRONG_PASSWORD,
)
from tests.support.sinks import HttpSink
from tests.support.staging import fill


class Overheard(Simulator):
    """A receiver that refuses one child in words that quote it, and notes every token it issues."""

    def __init__(self) -> None:
        super().__init__(Options(client_secret=CLIENT_SECRET, supplier_key=SUPPLIER_KEY))
        self.tokens: list[str] = []

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        answer = super().handle(method, path, headers, body)
        self.tokens += re.findall(r'"access_token": ?"([^"]+)"', answer.body.decode("utf-8", "replace"))
        return answer


@dataclass
class World:
    """A database with rows, a receiver that talks too much, and a folder in which nothing may be told."""

    database: TestDatabase
    simulator: Overheard
    server: SimulatorServer
    folder: Path
    sink: HttpSink
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def database_password(self) -> str:
        """The password in the connection string."""
        return self.database.connection_string.partition("PWD=")[2].partition(";")[0]

    def restart(self) -> None:
        """Stage the rows anew and take all faults out of the receiver."""
        self.database.execute(f"DELETE FROM {self.database.table}")
        for table in (self.database.table, self.database.anon_table):
            self.database.execute(f"DROP TRIGGER IF EXISTS telltale ON {table}")
        fill(self.database, self.database.table, ROWS)
        self.simulator.clear_faults()
        refusal = Refusal(ids=frozenset({"2"}), message=TALE)
        self.simulator.change(refusals=(refusal,), refuse_supplier_key=False)
        self.settings = {
            **self.database.settings,
            "API_ENDPOINT": self.server.base_url,
            "TOKEN_ENDPOINT": self.server.token_url,
            "CLIENT_ID": self.simulator.options.client_id,
            "CLIENT_SECRET": CLIENT_SECRET,
            "SCOPE": self.simulator.options.scope,
            "SUPPLIER_KEY": SUPPLIER_KEY,
            "LA_CODE": LA_CODE,
            "TESTING_MODE": "false",
            "MAX_ATTEMPTS": "2",
            "RETRY_MAX_WAIT_S": "0",
            "DB_RETRY_S": "0",
            "PROXY_URL": f"http://operator:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "NOTIFY_WEBHOOK": f"{self.sink.url}/{HOOK_TOKEN}",
            "NOTIFY_WHEN": "always",
            "NOTIFY_EMAIL_TO": "team@council.example",
            "NOTIFY_EMAIL_FROM": "csc-api@council.example",
            "NOTIFY_EMAIL_SERVER": "127.0.0.1",
            "NOTIFY_EMAIL_PORT": "9",
            "NOTIFY_EMAIL_PASSWORD": MAIL_PASSWORD,
            **dict.fromkeys(
                ("PING_URL", "XPORTER_PING_URL", "XPORTER_WRITE_BACK_PING_URL", "SDR_PING_URL"),
                f"{self.sink.url}/ping/{HOOK_TOKEN}",
            ),
            "METRICS_FILE": "metrics.prom",
        }
        self.sink.status = 200
        self.sink.asked.clear()


def fault(**members: object) -> Callable[[World], None]:
    """Make the receiver answer every request that way."""
    return lambda world: world.simulator.add_fault(Fault(times=None, **members))  # type: ignore[arg-type] # the names are those of a fault


def setting(**settings: str) -> Callable[[World], None]:
    return lambda world: world.settings.update(settings)


def wrong_password(world: World) -> None:
    text = world.database.connection_string
    world.settings["DB_CONNECTION_STRING"] = re.sub("PWD=.*", "PWD={planted;Wrong}}Password}", text)


def open_brace(world: World) -> None:
    text = world.database.connection_string
    world.settings["DB_CONNECTION_STRING"] = re.sub("PWD=.*", f"PWD={{{WRONG_PASSWORD}", text)


def telltale_trigger(world: World) -> None:
    """Let the database refuse the write-back in words that quote the row, as a trigger of a council's own might."""
    table = world.database.table
    world.database.execute(
        "CREATE OR REPLACE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.submission_status IN ('sent', 'pending') THEN "
        "RAISE EXCEPTION 'no change of %', NEW.json_payload; END IF; RETURN NEW; END $$"
    )
    world.database.execute(f"CREATE TRIGGER telltale BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION tell()")


def telltale_copy(world: World) -> None:
    """Let the database refuse the copy's rows in words that quote the live ones."""
    world.database.execute(
        "CREATE OR REPLACE FUNCTION tell_copy() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'not beside %', (SELECT MAX(json_payload) FROM {world.database.table}); END $$"
    )
    table = world.database.anon_table
    world.database.execute(
        f"CREATE TRIGGER telltale BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION tell_copy()"
    )


def refused_hook(world: World) -> None:
    world.sink.status = 500


def refused_key(world: World) -> None:
    world.simulator.change(refuse_supplier_key=True)
