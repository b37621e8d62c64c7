"""Write attendance and conduct back into a school's system, through a table that the council fills.

Submitted is not done: a row counts as done once it was read again. A row whose answer was lost is read before it is
sent again (design 4.8). Start reading at `run.py`; `bodies` checks a row, `batches` puts rows together, `reading`
compares them with what the school has.
"""

from api_pipeline.xporter.write_back.run import write_back
from api_pipeline.xporter.write_back.summary import WriteBackSummary

__all__ = ["WriteBackSummary", "write_back"]
