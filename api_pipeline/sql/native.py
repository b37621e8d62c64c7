"""Load pyodbc, which needs a library of the operating system that no wheel carries everywhere."""

from __future__ import annotations

from typing import Any

from api_pipeline.errors import DatabaseError

MISSING_LIBRARY = (
    "The ODBC library of this machine is missing or cannot be loaded ({what}), and without it no database but "
    "sqlite:///PATH can be opened; install unixODBC: apt-get install unixodbc (Debian, Ubuntu), dnf install unixODBC "
    "(Red Hat), brew install unixodbc (macOS)."
)


def odbc() -> Any:
    """Return the module pyodbc. Errors: DatabaseError where it cannot be loaded, naming what is to be installed."""
    try:
        import pyodbc  # slow to load, and most commands need it later or never
    except ImportError as error:
        library = str(error).partition(":")[0] or "pyodbc"
        raise DatabaseError(MISSING_LIBRARY.format(what=library)) from None
    return pyodbc
