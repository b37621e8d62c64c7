"""`test-db-connection`, with every fault provoked for real; contract 1 and 5."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import microsoft
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.diagnosing import Found, diagnose
from tests.support.ports import closed_port
from tests.support.postgres import DRIVER, PostgresServer
from tests.support.tls import Authority, context_of_old, raw_server

PASSWORD = "a-password-that-stays-here"
LOGIN = f"DATABASE=council;UID=reader;PWD={PASSWORD}"


def connect(folder: Path, connection_string: str, **settings: str) -> Found:
    chosen = {"CONNECT_TIMEOUT_S": "2", **settings, "DB_CONNECTION_STRING": connection_string}
    found = diagnose("test-db-connection", chosen, folder)
    assert PASSWORD not in str(found)
    return found


def through_microsoft(place: str, more: str = "", login: str = LOGIN) -> str:
    return f"DRIVER={microsoft.driver()};SERVER={place};{login};{more}"


def strict(files: tuple[Path, Path]) -> str:
    return f"Encrypt=strict;ServerCertificate={files[0]}"


def test_database_that_opens_is_named(database: TestDatabase, tmp_path: Path) -> None:
    found = diagnose("test-db-connection", database.settings, tmp_path)

    assert found.code == 0
    assert list(found.steps) == [
        *("settings", "connect", "SELECT 1", "driver", "server", "database", "login", "version"),
    ]
    assert found.steps["SELECT 1"]["detail"] == "1"
    assert found.steps["connect"]["detail"].startswith(f"{database.dialect.value} through ")
    assert re.search(r"SQLite 3\.|PostgreSQL \d+|Microsoft SQL Server", found.steps["version"]["detail"])


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_server_database_login_and_its_kind_are_named(database: TestDatabase, tmp_path: Path) -> None:
    found = diagnose("test-db-connection", database.settings, tmp_path)

    details = {name: step["detail"] for name, step in found.steps.items()}
    assert details["driver"].startswith(DRIVER)
    assert details["server"] == "127.0.0.1"
    assert details["database"] == database.rows("SELECT current_database()")[0][0]
    assert details["login"] == "tester (login tester with a password)"


def test_database_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.db"
    found = connect(tmp_path, f"sqlite:///{path}")

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence == (
        f"The database file {path} does not exist; correct DB_CONNECTION_STRING, or make it with: "
        "d2i-csc-api deploy-schema --apply"
    )


def test_folder_of_the_database_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "council.db"
    assert connect(tmp_path, f"sqlite:///{path}").sentence == (
        f"The folder of the database file {path} does not exist; correct DB_CONNECTION_STRING, or make the folder."
    )


def test_folder_instead_of_a_database_file_is_reported(tmp_path: Path) -> None:
    found = connect(tmp_path, f"sqlite:///{tmp_path}")

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence == (
        f"DB_CONNECTION_STRING names {tmp_path}, which is a folder; expected the path of a file in it."
    )


def test_prefix_of_the_embedded_database_may_be_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "council.db"
    settings = {"DB_CONNECTION_STRING": f"SQLITE:///{path}"}

    assert "CREATE TABLE" in invoke_cli(["deploy-schema"], settings, tmp_path).out
    assert invoke_cli(["deploy-schema", "--apply"], settings, tmp_path).code == 0
    found = diagnose("test-db-connection", settings, tmp_path)
    assert (found.code, found.steps["database"]["detail"]) == (0, str(path))


def test_missing_setting_is_named(tmp_path: Path) -> None:
    found = diagnose("test-db-connection", {}, tmp_path)

    assert (found.code, found.failed) == (2, "settings")
    assert "DB_CONNECTION_STRING is missing" in found.sentence


def test_missing_driver_is_named(tmp_path: Path) -> None:
    found = connect(tmp_path, f"DRIVER={{ODBC Driver 99 for SQL Server}};SERVER=sql01.invalid;{LOGIN}")

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith("The ODBC driver ODBC Driver 99 for SQL Server is not installed on this machine;")
    assert "Install it (for SQL Server: Microsoft's ODBC Driver 18), or name one of these" in found.sentence
    assert found.advice == "", "without a driver nobody got as far as the server"


def test_driver_without_its_library_is_named(tmp_path: Path) -> None:
    found = connect(tmp_path, f"DRIVER={tmp_path / 'libodbc-of-nobody.so'};SERVER=sql01.invalid;{LOGIN}")

    assert found.failed == "connect"
    assert "is not installed on this machine; installed are: " in found.sentence


def test_driver_with_a_broken_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"no library")
    found = connect(tmp_path, f"DRIVER={tmp_path / 'broken.so'};SERVER=127.0.0.1,{closed_port()};{LOGIN}")

    assert found.failed == "connect"
    assert "is registered, but its library or one that it needs cannot be loaded" in found.sentence


def test_connection_string_without_a_driver_is_reported(tmp_path: Path) -> None:
    found = connect(tmp_path, f"SERVER=sql01.invalid;{LOGIN}")

    assert found.failed == "connect"
    assert found.sentence.startswith("DB_CONNECTION_STRING names no ODBC driver; installed are: ")


def test_missing_data_source_is_named(tmp_path: Path) -> None:
    found = connect(tmp_path, "DSN=council-of-nowhere")

    assert found.steps["settings"]["detail"] == "data source council-of-nowhere, its database"
    assert found.sentence.startswith("There is no ODBC data source council-of-nowhere for this account")


def test_login_that_postgresql_refuses_is_reported(postgres_server: PostgresServer, tmp_path: Path) -> None:
    found = connect(tmp_path, postgres_server.connection_string("postgres", password=PASSWORD))

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith(
        "The server 127.0.0.1 refused the login to postgres (login tester with a password); check user and password in "
        "DB_CONNECTION_STRING, or, for a trusted connection, the account that runs this program. (SQLSTATE "
    )
    assert found.advice.startswith(f"port {postgres_server.port} of 127.0.0.1 takes connections")


def test_user_that_postgresql_does_not_know_is_reported(postgres_server: PostgresServer, tmp_path: Path) -> None:
    found = connect(tmp_path, postgres_server.connection_string("postgres", user="nobody", password=PASSWORD))

    assert found.sentence.startswith(
        "The server 127.0.0.1 refused the login to postgres (login nobody with a password)"
    )


def test_database_that_postgresql_does_not_have_is_named(postgres_server: PostgresServer, tmp_path: Path) -> None:
    found = connect(tmp_path, postgres_server.connection_string("nowhere"))

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith(
        "The server 127.0.0.1 has no database nowhere, or this login may not open it, or it is not online; check the "
        "name, and the login's access to it. (SQLSTATE "
    )


@pytest.mark.usefixtures("postgres_server")
def test_closed_port_of_postgresql_is_reported(tmp_path: Path) -> None:
    port = closed_port()
    found = connect(tmp_path, f"DRIVER={{{DRIVER}}};SERVER=127.0.0.1;PORT={port};{LOGIN}")

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith(
        "The server 127.0.0.1 refused the connection; check that the database service runs"
    )
    assert found.advice == (
        f"port {port} of 127.0.0.1 refuses connections: ask the database administrator whether the service runs there, "
        "listens to TCP/IP, and on which port."
    )


@pytest.mark.usefixtures("postgres_server")
def test_server_name_that_nobody_knows_is_reported(tmp_path: Path) -> None:
    found = connect(tmp_path, f"DRIVER={{{DRIVER}}};SERVER=sql01.invalid;PORT=5432;{LOGIN}")

    assert found.sentence.startswith("The server sql01.invalid was not found by its name; check the spelling")
    assert found.advice.startswith("the name sql01.invalid is not known to this machine's DNS")


def test_closed_port_is_reported_through_microsofts_driver(tmp_path: Path) -> None:
    port = closed_port()
    found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}"))

    assert (found.code, found.failed) == (3, "connect")
    # The driver itself says no more than that it waited; what is wrong is found by a look at the port.
    assert found.sentence.startswith(f"The server 127.0.0.1,{port} did not answer in time; check name (and instance")
    assert found.sentence.endswith("(SQLSTATE HYT00)")
    assert found.advice.startswith(f"port {port} of 127.0.0.1 refuses connections: ask the database administrator")


def test_unknown_server_is_reported_through_microsofts_driver(tmp_path: Path) -> None:
    found = connect(tmp_path, through_microsoft("sql01.invalid"))

    assert found.code == 3
    assert found.advice == (
        "the name sql01.invalid is not known to this machine's DNS: correct the name, or ask the network team."
    )


def test_port_that_is_no_sql_server_is_reported(tmp_path: Path) -> None:
    with raw_server(greeting=b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}"))

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith(
        f"What answers at 127.0.0.1,{port} is not a database server of this kind; check name and port"
    )


def test_microsofts_driver_does_not_trust_the_servers_certificate(council: Authority, tmp_path: Path) -> None:
    with microsoft.sql_server_at_the_door(council.issue(), 18456, "") as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", "Encrypt=strict"))

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence.startswith(
        f"The server 127.0.0.1,{port} showed a certificate that this machine does not trust, and ODBC Driver 18 "
    )
    assert "have the council's certificate authority installed here" in found.sentence
    assert "TrustServerCertificate=yes" in found.sentence


def test_server_of_old_encryption_is_reported(council: Authority, tmp_path: Path) -> None:
    files = council.issue()
    with raw_server(tls=context_of_old(files)) as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", strict(files)))

    assert found.sentence.startswith(f"The server 127.0.0.1,{port} and this machine's ODBC driver have no encryption")


def test_login_that_sql_server_refuses_is_reported(council: Authority, tmp_path: Path) -> None:
    files = council.issue()
    with microsoft.sql_server_at_the_door(files, 18456, "Login failed for user 'reader'.") as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", strict(files)))

    assert (found.code, found.failed) == (3, "connect")
    assert found.sentence == (
        f"The server 127.0.0.1,{port} refused the login to council (login reader with a password); check user and "
        "password in DB_CONNECTION_STRING, or, for a trusted connection, the account that runs this program. "
        "(SQLSTATE 28000)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Driver={PostgreSQL Unicode}x;Server=127.0.0.1;Port=9", "text stands between a closing brace"),
        ("Driver={PostgreSQL Unicode};Sever=127.0.0.1;Port=9", "has the keyword Sever, which drivers do not know"),
        ("\u201cDriver={PostgreSQL Unicode};Server=127.0.0.1;Port=9\u201d", "has a curly quotation mark in it"),
        ("Driver={PostgreSQL Unicode};Server=127.0.0.1;Port=9;PWD=a;b", "a part without KEYWORD= behind PWD"),
        ("Driver={PostgreSQL Unicode};Server=127.0.0.1;Port=9;PWD={other;one", "a;b}c is written {a;b}}c}"),
    ],
)
def test_malformed_connection_string_is_reported(tmp_path: Path, text: str, said: str) -> None:
    found = connect(tmp_path, text)
    assert (found.code, found.failed) == (3, "connect")
    assert said in found.sentence
    assert "database administrator" not in json.dumps(found.steps)


@pytest.mark.parametrize(("given", "named"), [("", "d2i-csc-api"), (";APP=council jobs", "council jobs")])
def test_sql_server_sees_the_program_unless_another_is_named(
    council: Authority, tmp_path: Path, given: str, named: str
) -> None:
    files = council.issue()
    logins: list[bytes] = []
    with microsoft.sql_server_at_the_door(files, 18456, "no", logins) as port:
        connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", strict(files)) + given)

    assert logins
    assert all(named.encode("utf-16-le") in login for login in logins)
    assert given == "" or not any("d2i-csc-api".encode("utf-16-le") in login for login in logins)


def test_database_that_sql_server_does_not_have_is_named(council: Authority, tmp_path: Path) -> None:
    files = council.issue()
    message = 'Cannot open database "council" requested by the login. The login failed.'
    with microsoft.sql_server_at_the_door(files, 4060, message) as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", strict(files)))

    assert found.sentence.startswith(
        f"The server 127.0.0.1,{port} has no database council, or this login may not open it, or it is not online;"
    )


def test_account_without_a_domain_is_reported(council: Authority, tmp_path: Path) -> None:
    files = council.issue()
    trusted = "DATABASE=council;Trusted_Connection=yes"
    with microsoft.sql_server_at_the_door(files, 18456, "") as port:
        found = connect(tmp_path, through_microsoft(f"127.0.0.1,{port}", strict(files), trusted))

    assert found.sentence.startswith(
        f"The account that runs this program could not show the server 127.0.0.1,{port} who it is (trusted connection);"
    )
