"""Marks that several test modules use."""

import pytest

EMBEDDED = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Where the kind of database does not matter: SQLite through Python's own driver alone."""
