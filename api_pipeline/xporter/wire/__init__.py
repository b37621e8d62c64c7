"""The School Data API on the wire: who asks, tokens, one question and its answer.

The room uses `transport` and knows no database. Start reading at `client.py` (one question), then `answer.py` and
`reading.py` (what the answer means), `paging.py` (an answer in pages, which `pages.py` judges) and `posting.py` (a
request that writes).
"""
