"""Say in a sentence what an ODBC connection error means, by its SQLSTATE and the driver's own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from api_pipeline.common.paths import is_there
from api_pipeline.sql.connection_slips import malformed
from api_pipeline.sql.connection_string import pairs, plain, quotable
from api_pipeline.sql.native import installed_drivers

_NO_DRIVER_STATES = frozenset({"IM002", "IM003", "IM004", "IM005", "IM012", "IM014"})
_LOGIN_STATES = frozenset({"28000", "28P01"})
_CANNOT_LOAD = re.compile(r"can't open lib|specified driver could not be loaded", re.I)
_CERTIFICATE = re.compile(r"certificate", re.I)
_NO_COMMON_ENCRYPTION = re.compile(
    r"legacy sigalg|unsupported protocol|common algorithm|handshake failure|encryption not supported", re.I
)
_ENCRYPTION = re.compile(r"SSL Provider|SSL routines", re.I)
_LOGIN = re.compile(
    r"login failed|authentication failed|failed to authenticate|no password supplied|role .* does not exist|pg_hba",
    re.I,
)
_WINDOWS_LOGIN = re.compile(r"SSPI|Kerberos", re.I)
_NO_DATABASE = re.compile(
    r"cannot open (user default )?database|database .* does not exist|connect failed \(14\)", re.I
)
# SQL Server: 976, 978, 983 and 4221 are a replica that takes no connection; 922, 927 and 40613 (Azure) a database that
# comes up; 6005, 17142 and the two kinds of 184xx a server that goes down, or comes up after an update.
_REPLICA = re.compile(r"availability (group|database|replica)|HADR_DATABASE|read-only intent", re.I)
_NOT_YET = re.compile(
    r"script upgrade mode|single user mode|service has been paused|shutdown is in progress|being recovered|"
    r"middle of a restore|is not currently available|database system is (starting up|shutting down)",
    re.I,
)
# SQL Server: 17809, and Azure's 10928, 10929, 10936 and 40501; 17892 is a logon trigger.
_FULL = re.compile(
    r"number of '?\d+'? user connections|limit for the (database|elastic pool) is|too busy to support|"
    r"service is currently busy|too many (clients|connections)|connection slots are reserved",
    re.I,
)
_TRIGGER = re.compile(r"due to trigger execution", re.I)
_BAD_VALUE = re.compile(r"invalid value specified for connection string attribute '([A-Za-z_ ]{1,30})'", re.I)
# Microsoft's driver: an Authentication= that does not go with the rest of the connection string.
_CONTRADICTIONS = frozenset({"FA001", "FA002", "FA003"})
# What its commonest keywords take.
_TAKEN = {
    **dict.fromkeys(("trusted_connection", "trustservercertificate", "multisubnetfailover"), "yes or no"),
    "encrypt": "yes or no, and since version 18 also strict",
    "applicationintent": "ReadWrite or ReadOnly",
}
_ADDRESS = re.compile(r"is not allowed to access the server", re.I)
_NO_HOST = re.compile(r"could not translate host|no such host|name or service not known|0x2AF9|11001", re.I)
_REFUSED = re.compile(r"connection refused|actively refused|0x274D|10061", re.I)
_WRONG_SERVICE = re.compile(r"protocol error in TDS|expected authentication request|invalid response", re.I)
_SQL_SERVER_DRIVER = re.compile(r"sql server|msodbcsql|sqlncli", re.I)
_USUAL_PORTS = (("sqlserver", 1433), ("postgresql", 5432))


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What a connection string says, without anything secret; "" for what it leaves out.

    `login` is its kind: trusted, a named login, an Entra ID login, none. `port` is None where it is not known, as
    for a named instance of SQL Server.
    """

    driver: str
    data_source: str
    server: str
    port: int | None
    database: str
    login: str

    @property
    def host(self) -> str:
        """Return the server's host name alone: no protocol, instance or port."""
        return re.split(r"[\\,]", self.server.partition(":")[2] if _has_protocol(self.server) else self.server)[0]


def connection_facts(connection_string: str) -> ConnectionFacts:
    """Return what an ODBC connection string says about driver, server, database and login; never a password."""
    values: dict[str, str] = {}
    for keyword, value in pairs(connection_string):
        values.setdefault(plain(keyword), quotable(value))
    server = _first(values, "server", "servername", "address", "addr", "networkaddress")
    driver = values.get("driver", "")
    return ConnectionFacts(
        driver=driver,
        data_source=_first(values, "dsn", "filedsn"),
        server=server,
        port=_port(values, server, driver),
        database=_first(values, "database", "initialcatalog", "dbq"),
        login=_login(values),
    )


def explain_connection_error(error: Exception, connection_string: str) -> str:
    """Return one sentence: what failed, on which driver, server and database, and what to do next.

    The driver's own text is read but not repeated, since it may quote the connection string.
    """
    state = str(error.args[0]) if error.args else "HY000"
    text = str(error.args[1]) if len(error.args) > 1 else ""
    if slip := malformed(connection_string):
        return f"{_unopened(slip)} (SQLSTATE {state})"
    if slip := _refused_by_driver(state, text):
        return f"{_unopened(slip)} (SQLSTATE {state})"
    facts = connection_facts(connection_string)
    if state in _NO_DRIVER_STATES or _CANNOT_LOAD.search(text):
        sentence = _driver_sentence(state, facts, installed_drivers())
    else:
        sentence = _server_sentence(state, text, facts)
    return f"{sentence} (SQLSTATE {state})"


def _unopened(slip: str) -> str:
    return f"No database could be opened, because the connection string is not put together well: {slip}"


def _refused_by_driver(state: str, text: str) -> str:
    """Return what the driver itself refuses of the connection string, "" for nothing."""
    if found := _BAD_VALUE.search(text):
        taken = _TAKEN.get(found[1].lower())
        return f"the driver takes no such value of {found[1]}{f'; it takes {taken}' if taken else ''}."
    if state in _CONTRADICTIONS:
        return (
            "Authentication= does not go with Trusted_Connection=yes, and with passwords it needs both UID= and PWD=; "
            "leave out what does not belong there."
        )
    return ""


def is_driver_here(driver: str) -> bool:
    """Return whether an ODBC driver, named as in a connection string or by its library, is on this machine."""
    return driver.lower() in (name.lower() for name in installed_drivers()) or is_there(Path(driver))


def _driver_sentence(state: str, facts: ConnectionFacts, installed: Sequence[str]) -> str:
    there = ", ".join(installed) or "none"
    if facts.data_source and not facts.driver:
        return (
            f"There is no ODBC data source {facts.data_source} for this account, or its driver is missing; installed "
            f"drivers are: {there}. Set it up as a system data source, or name driver and server in "
            "DB_CONNECTION_STRING."
        )
    if not facts.driver:
        return (
            f"DB_CONNECTION_STRING names no ODBC driver; installed are: {there}. Begin it with Driver={{...}}, one of "
            "these."
        )
    if state == "IM014":
        return (
            f"The ODBC driver {facts.driver} was built for another architecture than this program (32 or 64 bits); "
            "install the 64-bit driver."
        )
    if is_driver_here(facts.driver):
        return (
            f"The ODBC driver {facts.driver} is registered, but its library or one that it needs cannot be loaded; "
            "install the driver anew."
        )
    return (
        f"The ODBC driver {facts.driver} is not installed on this machine; installed are: {there}. Install it (for "
        "SQL Server: Microsoft's ODBC Driver 18), or name one of these in DB_CONNECTION_STRING."
    )


def _server_sentence(state: str, text: str, facts: ConnectionFacts) -> str:
    server = facts.server or facts.data_source or "(unnamed)"
    database = facts.database or "the login's default database"
    if unready := _unready(text, server, database):
        return unready
    if _NO_DATABASE.search(text) or state == "3D000":
        where = (
            f"The server {server} has no database {database}" if facts.server else f"There is no database {database}"
        )
        return (
            f"{where}, or this login may not open it, or it is not online; check the name, and the login's access to "
            "it."
        )
    if state in _LOGIN_STATES or _LOGIN.search(text):
        return (
            f"The server {server} refused the login to {database} ({facts.login}); check user and password in "
            "DB_CONNECTION_STRING, or, for a trusted connection, the account that runs this program."
        )
    if _WINDOWS_LOGIN.search(text):
        return (
            f"The account that runs this program could not show the server {server} who it is (trusted connection); "
            "run it as a domain account that may log in there, or ask the database administrator about the server's "
            "service principal name (SPN)."
        )
    if _CERTIFICATE.search(text) and not _NO_COMMON_ENCRYPTION.search(text):
        return (
            f"The server {server} showed a certificate that this machine does not trust, and ODBC Driver 18 insists on "
            "one that it does; have the council's certificate authority installed here, or a certificate that fits on "
            "the server. TrustServerCertificate=yes in DB_CONNECTION_STRING goes without the check: the database "
            "administrator's decision."
        )
    if _ENCRYPTION.search(text) or _NO_COMMON_ENCRYPTION.search(text):
        return (
            f"The server {server} and this machine's ODBC driver have no encryption (TLS 1.2 or later) in common; "
            "ask the database administrator whether the server has TLS 1.2, and which Encrypt= it needs."
        )
    return _network_sentence(state, text, server)


def _unready(text: str, server: str, database: str) -> str:
    """Return the sentence for a server that is up and does not let this program into the database; "" for none."""
    if _REPLICA.search(text):
        return (
            f"The database {database} on {server} is a replica that takes no connection of this kind now (Always On); "
            "name the listener of its availability group in DB_CONNECTION_STRING, without ApplicationIntent=ReadOnly, "
            "and during a failover try again later."
        )
    if _NOT_YET.search(text):
        return (
            f"The server {server}, or its database {database}, is being started, updated, restored or shut down; try "
            "again later, and ask the database administrator if it stays so."
        )
    if _FULL.search(text):
        return (
            f"The server {server} is up and takes no further connection now: its limit is reached, or it is too busy. "
            "Try again later, and ask the database administrator about its limits if it stays so."
        )
    if _TRIGGER.search(text):
        return (
            f"A logon trigger on the server {server} refuses this login; ask the database administrator which "
            "programs, hours or computers it allows."
        )
    if _ADDRESS.search(text):
        return (
            f"The firewall of the server {server} does not allow the address of this machine (Azure SQL); ask the "
            "database administrator to allow it."
        )
    return ""


def _network_sentence(state: str, text: str, server: str) -> str:
    if _NO_HOST.search(text):
        return f"The server {server} was not found by its name; check the spelling, the network and its DNS."
    if _REFUSED.search(text):
        return f"The server {server} refused the connection; check that the database service runs there, and its port."
    if _WRONG_SERVICE.search(text):
        return f"What answers at {server} is not a database server of this kind; check name and port."
    if state.startswith("HYT"):
        return (
            f"The server {server} did not answer in time; check name (and instance or port), that it is up, and that "
            "no firewall stands between."
        )
    return (
        f"The server {server} cannot be reached or refused the connection; check name, port, network and that it is up."
    )


def _first(values: dict[str, str], *keywords: str) -> str:
    return next((values[keyword] for keyword in keywords if values.get(keyword)), "")


def _has_protocol(server: str) -> bool:
    return re.match(r"(?i)(tcp|np|lpc|admin):", server) is not None


def _port(values: dict[str, str], server: str, driver: str) -> int | None:
    written = values.get("port") or server.partition(",")[2]
    if written.strip().isdigit():
        return int(written)
    if written or "\\" in server or server.lower().startswith(("np:", "lpc:")):
        return None
    kind = "sqlserver" if _SQL_SERVER_DRIVER.search(driver) else "postgresql" if "postgres" in driver.lower() else ""
    return dict(_USUAL_PORTS).get(kind)


def _login(values: dict[str, str]) -> str:
    trusted = _first(values, "trustedconnection", "integratedsecurity").lower()
    if trusted in ("yes", "true", "sspi", "1"):
        return "trusted connection, as the account that runs this program"
    kind = values.get("authentication", "")
    user = _first(values, "uid", "user", "userid", "username")
    if kind and kind.lower() != "sqlpassword":
        return f"{kind}{f', user {user}' if user else ''}"
    return f"login {user} with a password" if user else "none named"
