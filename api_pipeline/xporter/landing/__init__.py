"""The landing tables and their state, in one database: the only place of the collection that reads and writes them.

Everything that belongs together is one transaction: the rows of a school's endpoint, what was deleted, its state and
its entry in the log (design R2). The thread that runs the collection owns the connection.
"""

from api_pipeline.xporter.landing.rounds import Counts, Round, RoundEntry, SyncState, TableChange, counts_of
from api_pipeline.xporter.landing.store import LandingStore

__all__ = ["Counts", "LandingStore", "Round", "RoundEntry", "SyncState", "TableChange", "counts_of"]
