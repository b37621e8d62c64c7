"""What the steps of one collection work with, in the thread that owns the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from api_pipeline.db.retry import Retrying
from api_pipeline.xporter.collect.options import CollectOptions
from api_pipeline.xporter.collect.summary import CollectSummary
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.parts import Parts, SchoolSecrets

_LOG = logging.getLogger(__name__)
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Work:
    """The tables and secrets, what is asked for, and what was done so far."""

    parts: Parts
    options: CollectOptions
    summary: CollectSummary
    retrying: Retrying

    @property
    def store(self) -> LandingStore:
        """Return the landing tables."""
        return self.parts.store

    @property
    def secrets(self) -> SchoolSecrets:
        """Return the schools' secrets."""
        return self.parts.secrets

    def run(self, step: Callable[[], _Found]) -> _Found:
        """Do what one transaction holds, again while the database is away. Errors: DatabaseError."""
        return self.retrying.run(step)

    def say(self, text: str, level: int = logging.INFO) -> None:
        """Write a sentence for the operator into the summary and the log."""
        self.summary.lines.append(text)
        _LOG.log(level, "%s", text)
