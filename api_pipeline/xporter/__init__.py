"""Collect the data of schools from the School Data API (Xporter) into landing tables of the council's own database.

A wing of its own: it uses transport, db, sql, settings and logs, and knows nothing of the children's social care run.
Start reading at `collect/run.py`. Each run reads from top to bottom:

- **A collection**: `collect/run.py`. Consent comes first: `collect/consent_step.py` applies the rules of `consent.py`.
  `collect/planning.py` makes a plan for each school, and `collect/school_round.py` asks the school, in a thread of its
  own (`asking.py` and `windows.py` say what; `wire/client.py` asks). `collect/sorting.py` sorts the rows by table and
  drops those that are not about the council's children (`minimise.py`). In the one thread that owns the database,
  `collect/writer.py` compares them with what is landed (`compare.py`, by the hashes of `rows.py`), and
  `landing/writing.py` writes the difference in one transaction. `landing/removal.py` takes out what consent no longer
  covers.
- **A write-back**: `write_back/run.py`. School by school: read what was sent before, send the rest, read it once.
- **A matching** of the landed pupils with the SSD: `propose` in `cohort.py`, by the rules of `match.py`.

`catalogue.py` says what may be asked, `layout.py` and `schema.py` which tables there are. `opening.py` puts together
from the settings what a command works with.
"""
