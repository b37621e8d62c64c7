"""Access tokens: fetched from a token service, shared by all senders, renewed before they expire (OAuth 2.0).

The room knows no API: each service passes its own address and credentials. It uses `transport` and `errors`.
Start reading at `token_provider`, which fetches a token and keeps it for all threads; `token_answer` says what an
answer of the token service means.
"""
