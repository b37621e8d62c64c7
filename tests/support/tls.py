"""Authorities and certificates made for a test, and a server that is too old for us."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme

from api_pipeline.sandbox.simulator import Simulator, SimulatorServer
from tests.support.ports import HERE


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the test's own; `pem` is the file to name in CA_BUNDLE."""

    ca: trustme.CA
    folder: Path

    @property
    def pem(self) -> Path:
        """The authority's own certificate."""
        return self.folder / "authority.pem"

    def issue(
        self, *names: str, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> tuple[Path, Path]:
        """Return the files of a certificate chain and its key for these host names or addresses, this machine's by
        default."""
        hosts = names or (HERE,)
        issued = self.ca.issue_cert(
            *hosts,
            common_name=hosts[0],
            organization_name="Invented Receiver",
            organization_unit_name="Serving",
            not_before=not_before,
            not_after=not_after,
        )
        chain, key = self.folder / "chain.pem", self.folder / "key.pem"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return chain, key


def authority(folder: Path, organisation: str = "Invented Borough Council") -> Authority:
    """Make an authority with the name of an organisation; its files go into a folder of that name."""
    place = folder / organisation.replace(" ", "-").replace("'", "")
    place.mkdir()
    made = Authority(trustme.CA(organization_name=organisation, organization_unit_name="Issuing"), place)
    made.ca.cert_pem.write_to_path(made.pem)
    return made


@contextmanager
def secured_server(files: tuple[Path, Path], simulator: Simulator | None = None) -> Iterator[SimulatorServer]:
    """Serve the receiver over TLS with a certificate and its key."""
    with SimulatorServer(simulator or Simulator(), certfile=files[0], keyfile=files[1]) as server:
        yield server


def context_of_old(files: tuple[Path, Path]) -> ssl.SSLContext:
    """Return what a server speaks that never got beyond TLS 1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*files)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@contextmanager
def raw_server(*, greeting: bytes = b"", tls: ssl.SSLContext | None = None, gap_s: float = 0.0) -> Iterator[int]:
    """Serve every connection by TLS or by a few bytes, close it then, and return the port.

    `gap_s` is the time between two of the bytes, in seconds.
    Nothing that a client says is read: it is what listens where something else was expected.
    """
    with socket.create_server((HERE, 0)) as listener:
        ends = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, greeting, tls, ends, gap_s), daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            ends.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1.0).close()
            thread.join(10.0)


@contextmanager
def silent_server() -> Iterator[int]:
    """Let clients connect and never say anything to them; return the port."""
    with socket.create_server((HERE, 0)) as listener:
        yield int(listener.getsockname()[1])


def _serve(
    listener: socket.socket, greeting: bytes, tls: ssl.SSLContext | None, ends: threading.Event, gap_s: float
) -> None:
    while True:
        connection, _ = listener.accept()
        if ends.is_set():
            connection.close()
            return
        connection.settimeout(5.0)
        with contextlib.suppress(OSError), connection:
            if tls is not None:
                tls.wrap_socket(connection, server_side=True).close()
            else:
                for piece in [greeting] if not gap_s else map(bytes, zip(greeting, strict=True)):
                    connection.sendall(piece)
                    ends.wait(gap_s)
                # Closed at once, it might be reset before the client has read what it was told.
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
