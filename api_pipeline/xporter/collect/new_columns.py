"""Make columns of members that the catalogue does not know (`XPORTER_NEW_COLUMNS=add`), or say what would make them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import DatabaseError
from api_pipeline.xporter.collect.work import Work
from api_pipeline.xporter.layout import Landing, addable


class NewColumns:
    """Add columns in the thread that owns the database."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._store = work.store
        self._without: set[tuple[str, str]] = set()

    def make(self, landing: Landing, members: Iterable[str], estab: str) -> Landing | None:
        """Return the landing table with new columns for its members, None where it stays as it is."""
        new = [name for name in addable(landing, members) if (landing.name, name) not in self._without]
        if not new:
            return None
        try:
            self._work.run(partial(self._store.add_columns, landing, new, estab, utc_now()))
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
        self._work.say(
            f"{landing.name}: new columns {', '.join(new)}; the rows of the table are written anew once, those of "
            "closed weeks with --full alone."
        )
        return self._store.known(landing)

    def _say_not_added(self, landing: Landing, members: list[str]) -> None:
        self._without.update((landing.name, name) for name in members)
        statements = "; ".join(self._store.add_column_sql(landing, name) for name in members)
        self._work.say(
            f"{landing.name}: the database does not let this program add columns for new members, so their values "
            f"are kept in extra. A database administrator can add them with: {statements}",
            logging.WARNING,
        )
