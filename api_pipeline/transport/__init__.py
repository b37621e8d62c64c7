"""HTTP for every service here: trust, proxies, bounded answers, repetition, rate limit.

The room may use `settings` and `errors`; it knows no service and no rows. Start reading at `exchange.Exchange` (a
request with its repetition and its token), then `single_request.ask` (one try, bounded in bytes and in time) and
`session.make_session` (certificates, proxy).
"""
