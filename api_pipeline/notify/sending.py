"""Send one notification: an HTTP request or a mail. Each function returns what went wrong, "" where nothing did."""

from __future__ import annotations

import contextlib
import platform
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from api_pipeline.errors import reason_of
from api_pipeline.settings.model import Settings
from api_pipeline.settings.notify import EmailSettings
from api_pipeline.transport.session import TransportOptions, make_session, tls_context
from api_pipeline.transport.single_request import Reach, Request, Transient, ask

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

    from api_pipeline.sdr.settings import SdrSettings

TIME_S = 10.0
_ANSWER_BYTES = 65_536
_MORE_WANTED, _LOGGED_IN = 334, 235
_OTHER_SERVICE = "what answers at NOTIFY_EMAIL_SERVER and NOTIFY_EMAIL_PORT is not a mail server"
# healthchecks.io, and connectors of Teams, say with status 200 that a message went nowhere.
_GONE_NOWHERE = rb"(?i)\s*OK \((not found|rate limited)\)|\s*Webhook message (delivery failed)"


class Route(NamedTuple):
    """How the outside is reached: proxy and certificate authorities."""

    ca_bundle: Path | None
    proxy_url: str
    proxy_auth: str
    user_agent: str

    @classmethod
    def of(cls, settings: Settings | SdrSettings) -> Route:
        """Return the route that the settings name."""
        return cls(settings.ca_bundle, settings.proxy_url, settings.proxy_auth, settings.user_agent)

    @property
    def authorities(self) -> str | None:
        """Return the PEM file of trusted authorities, None for the system's."""
        return None if self.ca_bundle is None else str(self.ca_bundle)


def post(url: str, body: bytes, content_type: str, label: str, route: Route) -> str:
    """POST a body and return what went wrong; the address is never named, for it holds a token."""
    proxy = route.proxy_url or None
    reach = Reach((TIME_S, TIME_S), route.user_agent, peer=f"the server of the {label}")
    request = Request("POST", url, label, {"Content-Type": content_type}, body, _ANSWER_BYTES, whole_s=TIME_S)
    with make_session(TransportOptions(route.authorities, proxy, route.proxy_auth)) as session:
        answer = ask(session, reach, request)
    if isinstance(answer, Transient):
        return answer.reason.replace("CONNECT_TIMEOUT_S", f"{TIME_S:.0f} s").replace(
            "READ_TIMEOUT_S", f"{TIME_S:.0f} s"
        )
    if not 200 <= answer.status < 300:
        return f"HTTP {answer.status}"
    found = re.match(_GONE_NOWHERE, answer.body)
    return f"HTTP {answer.status}, but the answer says: {(found[1] or found[2]).decode().lower()}" if found else ""


def ping_address(url: str, signal: str) -> str:
    """Return the address of a check for a signal ("" for success, start, fail, log): the signal ends its path."""
    if not signal:
        return url
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{signal}").geturl()


def send_mail(message: EmailMessage, email: EmailSettings, route: Route) -> str:
    """Send a mail and return what went wrong, in the code of the mail server."""
    import smtplib  # most runs send no mail

    name = platform.node() or "localhost"
    try:
        if email.security == "tls":
            context = tls_context(route.authorities)
            server: SMTP = smtplib.SMTP_SSL(email.server, email.port, name, timeout=TIME_S, context=context)
        else:
            server = smtplib.SMTP(email.server, email.port, name, timeout=TIME_S)
        with contextlib.closing(server):
            if email.security == "starttls":
                server.starttls(context=tls_context(route.authorities))
            if email.user:
                _log_in(server, email)
            refused = server.send_message(message)
            # Whatever the server says to that, it has the mail.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
    except smtplib.SMTPResponseException as error:
        # What the server says could quote the login.
        return f"the mail server answered {error.smtp_code}" if error.smtp_code > 0 else _OTHER_SERVICE
    except smtplib.SMTPNotSupportedError:
        return "the mail server does not offer what NOTIFY_EMAIL_SECURITY, NOTIFY_EMAIL_USER or an address needs"
    except smtplib.SMTPRecipientsRefused:
        return "the mail server refused every address of NOTIFY_EMAIL_TO"
    except (smtplib.SMTPException, OSError) as error:
        return f"the mail server could not be reached or used ({reason_of(error)})"
    return f"the mail server refused {len(refused)} of {len(email.to)} addresses of NOTIFY_EMAIL_TO" if refused else ""


def _log_in(server: SMTP, email: EmailSettings) -> None:
    """Log in to a mail server. Errors: smtplib.SMTPException, OSError.

    smtplib takes ASCII alone; user and password with other signs, such as a pound sign, are sent as UTF-8 (RFC 4616).
    """
    import smtplib

    user, password = email.user, email.password
    if f"{user}{password}".isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    offered = server.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        code, said = server.docmd("AUTH", f"PLAIN {_encoded(f'{chr(0)}{user}{chr(0)}{password}')}")
    elif "LOGIN" in offered:
        code, said = server.docmd("AUTH", f"LOGIN {_encoded(user)}")
        if code == _MORE_WANTED:
            code, said = server.docmd(_encoded(password))
    else:
        raise smtplib.SMTPNotSupportedError
    if code != _LOGGED_IN:
        raise smtplib.SMTPAuthenticationError(code, said)


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
