"""The staging table and its control tables: due rows out, outcomes in.

It uses `db`, `sql`, `payloads` and `model`, and never HTTP. Start reading at `staged_rows`, and go on in this order:

- Out: `staged_rows` says what a row is and when it is due, `staging_table` reads rows page by page, and `superseded`
  says which of the rows of one person counts. `baselines` reads what the receiver holds of a child, `adoption` what the
  rows of another tool say of that, and `succession` whether it holds the child by the record of another person.
- In: `write_back` writes the outcomes of one POST in one transaction: what they change in rows (`changes`), and beside
  them in the control tables (`baselines.ControlTables`, or `overtaken` if one of these tables is missing).
- If the database fails: `reliable_write_back` tries again, and keeps receipts in a file in the last resort
  (`receipt_spool`); `recovery` writes them in the next run.
- Beside a run: `survey` looks at the whole table before it, `run_journal` writes its entry in the table of runs,
  `log_retention` deletes old lines of the submission log, and `status` shows all of it.
- Below all: `opening` opens the table that the settings name, `statements` runs the statements on it, and `storable`
  makes values such as the database can hold.
"""
