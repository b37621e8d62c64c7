"""Make columns of members that the catalogue does not know (`XPORTER_NEW_COLUMNS=add`), or say what would make them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from api_pipeline.common.clock import utc_now
from api_pipeline.db.retry import Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.landing.new_columns import add_column_sql, add_columns
from api_pipeline.xporter.layout import Landing, addable

_LOG = logging.getLogger(__name__)


class NewColumns:
    """Add columns in the thread that owns the database; `lines` takes what the operator is to read."""

    def __init__(self, store: LandingStore, retrying: Retrying, lines: list[str]) -> None:
        self._store = store
        self._retrying = retrying
        self._lines = lines
        self._without: set[tuple[str, str]] = set()

    def make(self, landing: Landing, members: Iterable[str], estab: str) -> Landing | None:
        """Return the landing table with new columns for its members, None where it stays as it is."""
        new = [name for name in addable(landing, members) if (landing.name, name) not in self._without]
        if not new:
            return None
        try:
            self._retrying.run(partial(add_columns, self._store, landing, new, estab, utc_now()))
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            # Another share of the schools may have made them a moment ago.
            self._store.forget_layout()
            there = {name.lower() for name in self._store.known(landing).columns}
            left = [name for name in new if name.lower() not in there]
            if left:
                self._say_not_added(landing, left)
            return self._store.known(landing) if len(left) < len(new) else None
        text = (
            f"{landing.name}: new columns {', '.join(new)}; the rows of the table are written anew once, those of "
            "closed weeks with --full alone."
        )
        self._lines.append(text)
        _LOG.info("%s", text)
        return self._store.known(landing)

    def _say_not_added(self, landing: Landing, members: list[str]) -> None:
        self._without.update((landing.name, name) for name in members)
        statements = "; ".join(add_column_sql(self._store, landing, name) for name in members)
        text = (
            f"{landing.name}: the database does not let this program add columns for new members, so their values "
            f"are kept in extra. A database administrator can add them with: {statements}"
        )
        self._lines.append(text)
        _LOG.warning("%s", text)
