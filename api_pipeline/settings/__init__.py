"""Every setting: what it means, where it is found, what is accepted, and the one object they end in.

The room reads the environment, the credential store and the `.env` file; it opens no database and no connection.
It may use `sql`, `common` and `errors`. Start reading at `definitions/` (the table of all settings, by group), then
`sources.py` (where a value comes from), `values.py` (text to value), `reading.py` (values to the object of `model.py`)
and `safety.py` (what must never be sent where); `loading.py` puts them together.
"""
