"""Load pyodbc, which needs a library of the operating system that no wheel carries everywhere."""

from __future__ import annotations

from typing import Any

from api_pipeline.errors import DatabaseError

MISSING_LIBRARY = (
    "The ODBC library of this machine is missing or cannot be loaded ({what}), and without it no database but "
    "sqlite:///PATH can be opened; install unixODBC: apt-get install unixodbc (Debian, Ubuntu), dnf install unixODBC "
    "(Red Hat), brew install unixodbc (macOS)."
)

NEWEST_DRIVER = "ODBC Driver 18 for SQL Server"


def odbc() -> Any:
    """Return the module pyodbc. Errors: DatabaseError where it cannot be loaded, naming what is to be installed."""
    try:
        import pyodbc  # slow to load, and most commands need it later or never
    except ImportError as error:
        library = str(error).partition(":")[0] or "pyodbc"
        raise DatabaseError(MISSING_LIBRARY.format(what=library)) from None
    return pyodbc


def is_odbc_here() -> bool:
    """Return whether pyodbc and the library that it needs can be loaded."""
    try:
        odbc()
    except DatabaseError:
        return False
    return True


def installed_drivers() -> list[str]:
    """Return the names of the ODBC drivers installed on this machine; none where ODBC itself is missing."""
    return list(odbc().drivers()) if is_odbc_here() else []


def drivers_to_name() -> list[str]:
    """Return the drivers that a connection string may name; without ODBC that which belongs on the machine.

    Opening it says that ODBC is missing, which no driver would help.
    """
    return installed_drivers() if is_odbc_here() else [NEWEST_DRIVER]
