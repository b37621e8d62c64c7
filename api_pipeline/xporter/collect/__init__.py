"""One collection: consent first, then every school in turn, each answer compared and written in one transaction.

Start reading at `run.py`. `consent_step` applies the list of schools, `planning` says what each school is asked,
`school_round` asks one in a thread of its own, `writer` deals with what comes back over the `desk`.
"""

from api_pipeline.xporter.collect.options import CollectOptions
from api_pipeline.xporter.collect.run import collect
from api_pipeline.xporter.collect.summary import CollectSummary

__all__ = ["CollectOptions", "CollectSummary", "collect"]
