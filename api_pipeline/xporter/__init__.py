"""Collect the data of schools from the School Data API (Xporter) into landing tables of the council's own database.

A wing of its own: it uses transport, db, sql, settings and logs, and knows nothing of the children's social care run.
Each run reads from top to bottom:

- **A collection**: `collect/run.py`. Consent first (`collect/consent_step.py` applies the rules of `consent.py`), then
  a plan for each school (`collect/planning.py`). Each school is asked in a thread of its own (`collect/school_round.py`;
  `asking.py` and `windows.py` say what, `wire/client.py` asks). Its rows are sorted by table and minimised
  (`collect/sorting.py`, `minimise.py`) and handed to the one thread that owns the database. There `collect/writer.py`
  compares them with what is landed (`compare.py`, by the hashes of `rows.py`), and `landing/writing.py` writes the
  difference in one transaction; `landing/removal.py` takes out what consent no longer covers.
- **A write-back**: `write_back/run.py`. School by school: read what was sent before, send the rest, read it once.
- **A matching** of the landed pupils with the SSD: `propose` in `cohort.py`, by the rules of `match.py`.

`catalogue.py` says what may be asked, `layout.py` and `schema.py` which tables there are, and `opening.py` puts together
from the settings what a command works with.
"""
