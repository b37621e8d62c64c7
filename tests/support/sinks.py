"""Servers on this machine that keep what they are told: an HTTP server for webhooks and pings, and a mail server."""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.databases import missing
from tests.support.ports import HERE, free_port


@dataclass
class HttpSink:
    """What was asked of it: method, path and body of each request, in their order."""

    port: int
    status: int = 200
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://{HERE}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path for _, path, _ in self.asked]

    def documents(self, path: str) -> list[dict[str, Any]]:
        """Return the JSON that a path got."""
        return [json.loads(body) for _, at, body in self.asked if at == path]


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    """Serve an HTTP server that keeps every request and answers with its status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sink.asked.append((self.command, self.path, body.decode()))
            self.send_response(sink.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer((HERE, 0), Handler) as server:
        sink = HttpSink(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join(10)


@dataclass
class MailSink:
    """A mail server: what it took, and the logins that it saw. `unknown` are the addresses that it refuses."""

    port: int = 0
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False
    unknown: set[str] = field(default_factory=set)
    goodbye: str = "221 Bye"

    async def handle_RCPT(self, *arguments: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take an address."""
        _server, _session, envelope, address, _options = arguments
        if address in self.unknown:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, *_arguments: object) -> str:  # noqa: N802 - aiosmtpd's name
        """Say goodbye."""
        return self.goodbye

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail."""
        if self.refuses:
            return "554 not wanted: password hunter2"
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 kept"


@contextmanager
def mail_sink(
    files: tuple[Path, Path] | None = None, *, is_tls: bool = False, login: str = "", without: str = ""
) -> Iterator[MailSink]:
    """Serve a real SMTP server: with STARTTLS where `files` are a certificate and its key, TLS from the first byte
    where `is_tls`; `login` is the password that it wants, `without` a mechanism of logins that it does not offer."""
    try:
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
    except ImportError:
        missing("aiosmtpd is not installed")
    sink = MailSink()

    def authenticate(_server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> Any:
        sink.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == login, handled=False)

    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": True} if login else {}
    options |= {"auth_require_tls": files is not None, "auth_exclude_mechanism": [without]} if login else {}
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        options["ssl_context" if is_tls else "tls_context"] = context
        options |= {"auth_require_tls": not is_tls} if is_tls else {"require_starttls": True}
    # It warns of its own next version, and of a login without TLS, which is tested on purpose.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    controller = Controller(sink, hostname=HERE, port=free_port(), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        with contextlib.suppress(AssertionError):
            controller.stop()
