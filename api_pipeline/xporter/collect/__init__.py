"""One collection: consent first, then every school in turn, each answer compared and written in one transaction.

Start reading at `run.py`: `planning` says what each school is asked, `school_round` asks one in a thread of its own,
`writer` deals with what comes back.
"""

from api_pipeline.xporter.collect.options import CollectOptions, CollectParts
from api_pipeline.xporter.collect.run import collect

__all__ = ["CollectOptions", "CollectParts", "collect"]
