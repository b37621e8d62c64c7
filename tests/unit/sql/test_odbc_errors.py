"""What ODBC drivers say when they cannot connect, and what is made of it; texts as the drivers' makers print them."""

from __future__ import annotations

import pyodbc
import pytest

from api_pipeline.sql.odbc_errors import connection_facts, explain_connection_error

MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server]"
TRUSTED = "Driver={ODBC Driver 18 for SQL Server};Server=sql01\\ssd,1444;Database=HDM;Trusted_Connection=yes"
NAMED = "Driver={ODBC Driver 18 for SQL Server};Server=tcp:sql01;Database=HDM;UID=csc;PWD={hush;hush}"


def explain(state: str, text: str, connection_string: str = TRUSTED) -> str:
    return explain_connection_error(pyodbc.Error(state, f"[{state}] {text} (SQLDriverConnect)"), connection_string)


@pytest.mark.parametrize(
    ("state", "text", "sentence"),
    [
        (
            "IM002",
            "[Microsoft][ODBC Driver Manager] Data source name not found and no default driver specified (0)",
            "The ODBC driver ODBC Driver 18 for SQL Server is not installed on this machine",
        ),
        (
            "01000",
            "[unixODBC][Driver Manager]Can't open lib 'ODBC Driver 18 for SQL Server' : file not found (0)",
            "The ODBC driver ODBC Driver 18 for SQL Server is not installed on this machine",
        ),
        (
            "IM003",
            "[Microsoft][ODBC Driver Manager] Specified driver could not be loaded due to system error 126",
            "The ODBC driver ODBC Driver 18 for SQL Server is not installed on this machine",
        ),
        (
            "IM014",
            "[Microsoft][ODBC Driver Manager] The specified DSN contains an architecture mismatch between the Driver "
            "and Application (0)",
            "The ODBC driver ODBC Driver 18 for SQL Server was built for another architecture than this program",
        ),
        (
            "08001",
            f"{MICROSOFT}Named Pipes Provider: Could not open a connection to SQL Server [53].  (53)",
            "The server sql01\\ssd,1444 cannot be reached or refused the connection",
        ),
        (
            "08001",
            f"{MICROSOFT}TCP Provider: No such host is known.\r\n (11001)",
            "The server sql01\\ssd,1444 was not found by its name",
        ),
        (
            "08001",
            f"{MICROSOFT}TCP Provider: Error code 0x2AF9 (11001)",
            "The server sql01\\ssd,1444 was not found by its name",
        ),
        (
            "08001",
            f"{MICROSOFT}TCP Provider: No connection could be made because the target machine actively refused it.",
            "The server sql01\\ssd,1444 refused the connection",
        ),
        ("HYT00", f"{MICROSOFT}Login timeout expired (0)", "The server sql01\\ssd,1444 did not answer in time"),
        (
            "28000",
            f"{MICROSOFT}[SQL Server]Login failed for user 'COUNCIL\\svc-csc'. (18456)",
            "The server sql01\\ssd,1444 refused the login to HDM (trusted connection, as the account that runs this",
        ),
        (
            "28000",
            f"{MICROSOFT}[SQL Server]Login failed. The login is from an untrusted domain and cannot be used with "
            "Integrated authentication. (18452)",
            "The server sql01\\ssd,1444 refused the login to HDM",
        ),
        (
            "42000",
            f'{MICROSOFT}[SQL Server]Cannot open database "HDM" requested by the login. The login failed. (4060)',
            "The server sql01\\ssd,1444 has no database HDM, or this login may not open it, or it is not online",
        ),
        (
            "42000",
            f"{MICROSOFT}[SQL Server]Cannot open user default database. Login failed. (4064)",
            "The server sql01\\ssd,1444 has no database HDM, or this login may not open it",
        ),
        (
            "42000",
            f"{MICROSOFT}[SQL Server]Unable to access availability database 'HDM' because the database replica is not "
            "in the PRIMARY or SECONDARY role. (983)",
            "The database HDM on sql01\\ssd,1444 is a replica that takes no connection of this kind now",
        ),
        (
            "42000",
            f"{MICROSOFT}[SQL Server]The target database, 'HDM', is participating in an availability group and is "
            "currently not accessible for queries. (976)",
            "The database HDM on sql01\\ssd,1444 is a replica that takes no connection of this kind now",
        ),
        (
            "28000",
            f"{MICROSOFT}[SQL Server]Login failed for user 'csc'. Reason: Server is in script upgrade mode. Only "
            "administrator can connect at this time. (18401)",
            "The server sql01\\ssd,1444, or its database HDM, is being started, updated, restored or shut down",
        ),
        (
            "42000",
            f"{MICROSOFT}[SQL Server]Database 'HDM' on server 'sql01' is not currently available. (40613)",
            "The server sql01\\ssd,1444, or its database HDM, is being started, updated, restored or shut down",
        ),
        (
            "42000",
            f"{MICROSOFT}[SQL Server]Cannot open server 'sql01' requested by the login. Client with IP address "
            "'192.0.2.1' is not allowed to access the server. (40615)",
            "The firewall of the server sql01\\ssd,1444 does not allow the address of this machine",
        ),
        (
            "08004",
            f"{MICROSOFT}[SQL Server]Could not connect because the maximum number of '32' user connections has already "
            "been reached. (17809)",
            "The server sql01\\ssd,1444 is up and takes no further connection now",
        ),
        (
            "HY000",
            f"{MICROSOFT}[SQL Server]Resource ID: 1. The session limit for the database is 300 and has been reached. "
            "(10928)",
            "The server sql01\\ssd,1444 is up and takes no further connection now",
        ),
        (
            "HY000",
            f"{MICROSOFT}[SQL Server]The service is currently busy. Retry the request after 10 seconds. (40501)",
            "The server sql01\\ssd,1444 is up and takes no further connection now",
        ),
        (
            "HY000",
            f"{MICROSOFT}[SQL Server]Logon failed for login 'csc' due to trigger execution. (17892)",
            "A logon trigger on the server sql01\\ssd,1444 refuses this login",
        ),
        (
            "FA004",
            f"{MICROSOFT}[SQL Server]Failed to authenticate the user 'csc' in Active Directory (Authentication option "
            "is 'ActiveDirectoryPassword'). Error code 0xCAA2000C; AADSTS50126 (0)",
            "The server sql01\\ssd,1444 refused the login to HDM",
        ),
        (
            "08001",
            f"{MICROSOFT}Invalid value specified for connection string attribute 'TrustServerCertificate' (0)",
            "No database could be opened, because the connection string is not put together well: the driver takes no "
            "such value of TrustServerCertificate; it takes yes or no.",
        ),
        (
            "08001",
            f"{MICROSOFT}Invalid value specified for connection string attribute 'UID' (0)",
            "No database could be opened, because the connection string is not put together well: the driver takes no "
            "such value of UID.",
        ),
        (
            "08001",
            f"{MICROSOFT}SSL Provider: The certificate chain was issued by an authority that is not trusted.",
            "The server sql01\\ssd,1444 showed a certificate that this machine does not trust, and ODBC Driver 18",
        ),
        (
            "08001",
            f"{MICROSOFT}SSL Provider: The target principal name is incorrect. The certificate's CN name differs",
            "The server sql01\\ssd,1444 showed a certificate that this machine does not trust",
        ),
        (
            "08001",
            f"{MICROSOFT}SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed]",
            "The server sql01\\ssd,1444 showed a certificate that this machine does not trust",
        ),
        (
            "08001",
            f"{MICROSOFT}SSL Provider: The client and server cannot communicate, because they do not possess a common "
            "algorithm.",
            "The server sql01\\ssd,1444 and this machine's ODBC driver have no encryption (TLS 1.2 or later) in common",
        ),
        (
            "08001",
            f"{MICROSOFT}SSL Provider: [error:0A000102:SSL routines::unsupported protocol] (-1)",
            "The server sql01\\ssd,1444 and this machine's ODBC driver have no encryption (TLS 1.2 or later) in common",
        ),
        (
            "HY000",
            f"{MICROSOFT}Cannot generate SSPI context (0)",
            "The account that runs this program could not show the server sql01\\ssd,1444 who it is",
        ),
        (
            "HY000",
            f"{MICROSOFT}Protocol error in TDS stream (0)",
            "What answers at sql01\\ssd,1444 is not a database",
        ),
    ],
)
def test_sqlstate_is_explained(state: str, text: str, sentence: str) -> None:
    said = explain(state, text)

    assert said.startswith(sentence)
    assert said.endswith(f"(SQLSTATE {state})")


def test_nothing_of_the_drivers_text_or_the_password_is_repeated() -> None:
    said = explain("28000", "Login failed; PWD=hush;hush", NAMED)

    assert said.startswith("The server tcp:sql01 refused the login to HDM (login csc with a password)")
    assert "hush" not in said


def test_registered_driver_that_does_not_load_is_not_called_missing() -> None:
    registered = pyodbc.drivers()
    if not registered:
        pytest.skip("no ODBC driver is registered here")
    said = explain("01000", "Can't open lib 'x' : file not found", f"Driver={{{registered[0]}}};Server=s")

    assert said.startswith(f"The ODBC driver {registered[0]} is registered, but its library or one that it needs")


def test_error_without_any_text_is_explained_all_the_same() -> None:
    assert explain_connection_error(pyodbc.Error(), TRUSTED).startswith("The server sql01\\ssd,1444 cannot be reached")


@pytest.mark.parametrize(
    ("connection_string", "host", "port", "login"),
    [
        (TRUSTED, "sql01", 1444, "trusted connection, as the account that runs this program"),
        (NAMED, "sql01", 1433, "login csc with a password"),
        ("Driver=SQL Server;Server=sql01\\ssd", "sql01", None, "none named"),
        ("Driver=SQL Server;Server=np:\\\\sql01\\pipe\\sql", "", None, "none named"),
        ("Driver=PostgreSQL Unicode;Servername=pg01;User Name=x", "pg01", 5432, "login x with a password"),
        ("Driver=PostgreSQL Unicode;Server=pg01;Port=6432;UID=x", "pg01", 6432, "login x with a password"),
        ("Driver=Other;Server=s", "s", None, "none named"),
        (
            "Driver=ODBC Driver 18 for SQL Server;Addr=s;Authentication=ActiveDirectoryMsi;UID=x",
            "s",
            1433,
            "ActiveDirectoryMsi, user x",
        ),
        (
            "Driver=ODBC Driver 18 for SQL Server;Address=s;Authentication=ActiveDirectoryIntegrated",
            "s",
            1433,
            "ActiveDirectoryIntegrated",
        ),
    ],
)
def test_connection_string_is_read_for_where_and_as_whom(
    connection_string: str, host: str, port: int | None, login: str
) -> None:
    facts = connection_facts(connection_string)

    assert (facts.host, facts.port, facts.login) == (host, port, login)


def test_of_two_servers_the_first_counts_as_for_odbc() -> None:
    assert connection_facts("Server=first;Server=second").server == "first"


@pytest.mark.parametrize(
    "connection_string",
    [
        "Driver={ODBC Driver 18 for SQL Server;Server=sql01;UID=csc;PWD=hush",
        "Driver={x};Server={sql01;Database=HDM;UID=csc;PWD=hush",
        "Driver={x};Server=sql01;Database={HDM;UID=csc;PWD=hush",
        "DSN={csc;PWD=hush",
        "Driver={x};Server=sql01;UID={csc;PWD=hush",
        "Driver={x};Server=sql01;PWD={hush;Database=HDM",
    ],
)
@pytest.mark.parametrize("state", ["IM002", "IM014", "08001", "28000", "3D000", "HYT00"])
def test_brace_that_is_not_closed_never_shows_the_password(connection_string: str, state: str) -> None:
    sentence = explain(state, connection_string, connection_string)

    assert "hush" not in sentence
    assert "hush" not in repr(connection_facts(connection_string))
