"""Microsoft's own ODBC driver, from the wheel that carries it, and a server that speaks to it as far as the login."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.databases import missing
from tests.support.ports import HERE

_LAST_PACKET, _LOGIN, _ANSWER = 1, 0x10, 0x04
# One option, the version (16.0.0.0), behind its directory of one entry and the end mark.
_PRELOGIN_ANSWER = bytes([0, 0, 6, 0, 6, 0xFF]) + bytes([16, 0, 0, 0, 0, 0])
_ERROR, _DONE = 0xAA, 0xFD
_DONE_WITH_ERROR = struct.pack("<BHHQ", _DONE, 2, 0, 0)


def driver() -> str:
    """Return the path of the driver's library, as it can stand in `Driver=`; without it the test is skipped."""
    found = importlib.util.find_spec("mssql_python_odbc")
    if found is None or found.origin is None or sys.platform != "linux":
        missing("the wheel mssql-python with Microsoft's ODBC driver is not installed, or not for this system")
    kind = "debian_ubuntu" if Path("/etc/debian_version").exists() else "rhel"
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = Path(found.origin).parent / "libs" / "linux" / kind / machine / "lib"
    libraries = sorted(folder.glob("libmsodbcsql-*.so.*"))
    return str(libraries[-1]) if libraries else missing(f"the wheel has no driver for {kind} on {machine}")


@contextmanager
def sql_server_at_the_door(
    files: tuple[Path, Path], number: int, message: str, logins: list[bytes] | None = None
) -> Iterator[int]:
    """Let nobody in, as SQL Server does it: with an error of this number and text; return the port. `logins` gets what
    each client says of itself.

    It speaks TDS 8.0 (`Encrypt=strict`) with this certificate and key, which is all that a client sees of a server
    that refuses its login (MS-TDS 2.2.6.4, 2.2.6.5, 2.2.7.10).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.set_alpn_protocols(["tds/8.0"])
    ends = threading.Event()
    with socket.create_server((HERE, 0)) as listener:
        thread = threading.Thread(
            target=_serve, args=(listener, context, _refusal(number, message), logins, ends), daemon=True
        )
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ends.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1.0).close()
            thread.join(10.0)


def _serve(
    listener: socket.socket, context: ssl.SSLContext, refusal: bytes, logins: list[bytes] | None, ends: threading.Event
) -> None:
    while True:
        plain, _ = listener.accept()
        if ends.is_set():
            plain.close()
            return
        plain.settimeout(5.0)
        # A client that does not trust the certificate is gone before it says anything.
        with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
            _read_message(connection)
            connection.sendall(_packet(_PRELOGIN_ANSWER))
            kind, said = _read_message(connection)
            if kind == _LOGIN:
                if logins is not None:
                    logins.append(said)
                connection.sendall(_packet(refusal))
                connection.recv(1)


def _packet(data: bytes) -> bytes:
    return struct.pack(">BBHHBB", _ANSWER, _LAST_PACKET, len(data) + 8, 0, 1, 0) + data


def _read_message(connection: socket.socket) -> tuple[int, bytes]:
    """Read a client's message to its last packet and return its kind and what it says."""
    said = b""
    while True:
        kind, status, length = struct.unpack(">BBH4x", _read(connection, 8))
        said += _read(connection, length - 8)
        if status & _LAST_PACKET:
            return int(kind), said


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def _refusal(number: int, message: str) -> bytes:
    severity, state, line = 14, 1, 1
    text = struct.pack("<H", len(message)) + message.encode("utf-16-le")
    server, procedure = b"\x01s\x00", b"\x00"
    body = struct.pack("<iBB", number, state, severity) + text + server + procedure + struct.pack("<i", line)
    return struct.pack("<BH", _ERROR, len(body)) + body + _DONE_WITH_ERROR
