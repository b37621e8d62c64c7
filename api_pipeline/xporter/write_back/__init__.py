"""Write attendance and conduct back into a school's system, through a table that the council fills.

Submitted is not done: a row counts as done once it was read again. A row whose answer was lost is read before it is
sent again (design 4.8). Start reading at `run.py`, which takes each school through four steps: `outbox` reads its rows,
which `bodies` checks; `reading` reads the days of those that were sent before, and `settling` says what became of each;
`sending` sends the others in `batches`; and what was sent a moment ago is read once.
"""

from api_pipeline.xporter.write_back.run import write_back
from api_pipeline.xporter.write_back.summary import WriteBackSummary

__all__ = ["WriteBackSummary", "write_back"]
