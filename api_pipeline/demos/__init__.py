"""The demos: each runs one service against an invented receiver, on an embedded database, and needs nothing else.

They use the services as the commands do, and the `sandbox` for everything invented. Start reading at `council`, two
nights of the main service; `sdr` and `xporter` are the demos of the two other services.
"""
