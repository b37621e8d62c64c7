"""Says in a sentence what an ODBC connection fault means, by its SQLSTATE and the driver's own words."""

from __future__ import annotations

import re

_DRIVER = re.compile(r"driver\s*=\s*(\{[^}]*\}|[^;]*)", re.I)
_SERVER = re.compile(r"(?:server|servername|address|addr|network address)\s*=\s*(\{[^}]*\}|[^;]*)", re.I)
_DATABASE = re.compile(r"(?:database|initial catalog)\s*=\s*(\{[^}]*\}|[^;]*)", re.I)
_CERTIFICATE = re.compile(r"certificate|SSL Provider|trust", re.I)
_LOGIN = re.compile(r"login failed|password authentication failed|no password supplied|role .* does not exist", re.I)
_NO_DATABASE = re.compile(r"cannot open database|database .* does not exist", re.I)


def explain_connection_fault(error: Exception, connection_string: str) -> str:
    """Gives one sentence: what failed, on which driver, server and database, and what to do next.

    The driver's own text is read but not repeated, since it may quote the connection string.
    """
    state = str(error.args[0]) if error.args else "HY000"
    text = str(error.args[1]) if len(error.args) > 1 else ""
    server = _part(_SERVER, connection_string) or "the server"
    database = _part(_DATABASE, connection_string) or "the database"
    return f"{_explanation(state, text, connection_string, server, database)} (SQLSTATE {state})"


def installed_drivers() -> list[str]:
    """Gives the names of the ODBC drivers installed on this machine."""
    import pyodbc

    return list(pyodbc.drivers())


def _part(pattern: re.Pattern[str], connection_string: str) -> str:
    found = pattern.search(connection_string)
    return found.group(1).strip("{} ") if found else ""


def _explanation(state: str, text: str, connection_string: str, server: str, database: str) -> str:
    if state in ("IM002", "IM003", "IM004", "01000") and not _LOGIN.search(text):
        wanted = _part(_DRIVER, connection_string) or "none named"
        there = ", ".join(installed_drivers()) or "none"
        return (
            f"The ODBC driver of DB_CONNECTION_STRING ({wanted}) cannot be used; installed are: {there}. "
            "Install the driver or name one of these."
        )
    if _NO_DATABASE.search(text) or state == "3D000":
        return f"The server {server} has no database {database} for this login; check its name and the login's access."
    if state == "28000" or _LOGIN.search(text):
        return f"The server {server} refused the login to {database}; check user and password, or the task's account."
    if _CERTIFICATE.search(text):
        return (
            f"The server {server} showed a certificate that this machine does not trust; driver 18 insists on one: "
            "install the council's certificate authority, or ask the administrator about TrustServerCertificate."
        )
    return f"The server {server} cannot be reached or did not let us in; check name, port, network and that it is up."
