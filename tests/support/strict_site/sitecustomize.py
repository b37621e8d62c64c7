"""Let a program of its own open the strict database: Python imports this at its start, being on PYTHONPATH."""

from tests.support.strict import install

install()
