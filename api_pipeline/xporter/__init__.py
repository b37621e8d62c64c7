"""Collect the data of schools from the School Data API (Xporter) into landing tables of the council's own database.

A wing of its own: it uses transport, db, sql, settings and logs, and knows nothing of the children's social care run.
One collection asks each school for each endpoint, compares the whole answer with what is landed, and writes the
difference in one transaction; it takes rows and columns out again when consent ends. Start reading at `collect/run.py`;
`catalogue.py` says what may be asked, `wire/` asks it, `landing/` owns the tables, `consent.py` the rules of consent.
"""
