"""What a person reads about runs: console lines, the report page with its chart, and result tables for notebooks.

The room uses what the outbox and a run say, and formats it; it writes no table and sends nothing. Start reading at
`console.py` for the terminal, and at `run_report.py`, `html_page.py` and `report_file.py`, in this order, for the page.
"""
