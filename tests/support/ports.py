"""This machine's own address, and ports of it."""

from __future__ import annotations

import socket

HERE = "127.0.0.1"
_KEPT: list[socket.socket] = []


def free_port() -> int:
    """Return a port to listen on. Another program may take it first."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def closed_port() -> int:
    """Return a port on which nothing listens, nor will: it is kept from every other program until this one ends."""
    kept = socket.socket()
    kept.bind((HERE, 0))
    _KEPT.append(kept)
    return int(kept.getsockname()[1])
