"""The TLS handshake with a server: protocol and certificate and, where it fails, the usual cause."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timezone

from api_pipeline.diagnostics.route import NETWORK_TEAM, Target, connect, failure, open_tunnel
from api_pipeline.diagnostics.steps import Status, StepFailed, StepResult
from api_pipeline.transport.certificates import Certificate, read_certificate
from api_pipeline.transport.session import TransportOptions, tls_context

_EXPIRES_SOON_DAYS = 21
# Numbers of errors of the trust store of Windows. Its sentences have other words, and are in the system's language.
_OUT_OF_TIME, _OF_ANOTHER_NAME = 0x800B0101, 0x800B010F


def shake_hands(
    plain: socket.socket, target: Target, options: TransportOptions, timeout_s: float, finding: StepResult
) -> None:
    """Speak TLS over a connection as a run does, and record protocol and certificate. Errors: StepFailed."""
    context = tls_context(options.ca_bundle)
    plain.settimeout(timeout_s)
    try:
        with context.wrap_socket(plain, server_hostname=target.host) as secured:
            protocol = secured.version() or "TLS"
            certificate = read_certificate(secured.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        raise _certificate_failure(error, target, options, timeout_s) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        # Before the others, for its words hold "protocol", as if that were what was refused.
        raise _closed(target) from None
    except ssl.SSLError as error:
        raise _handshake_failure(error, target) from None
    except TimeoutError:
        raise failure(
            f"{target.host} did not answer the TLS handshake within {timeout_s:g} s.",
            f"a firewall or an inspecting proxy usually holds it up: ask {NETWORK_TEAM} about {target.host}.",
        ) from None
    except OSError:
        raise _closed(target) from None
    finding.detail = f"{protocol}; {_described(certificate)}"
    _remark(certificate, target, finding)


def _described(certificate: Certificate) -> str:
    return (
        f"certificate of {certificate.subject}; issued by {certificate.issuer}; "
        f"valid until {certificate.expires:%Y-%m-%d %H:%M} UTC"
    )


def _remark(certificate: Certificate, target: Target, finding: StepResult) -> None:
    days = (certificate.expires - datetime.now(timezone.utc)).days
    if not certificate.is_public:
        finding.status = Status.REMARK
        finding.detail += f"\n{_who_issues_so(certificate)}"
        opens = "the proxy opens" if certificate.is_inspected else "if it is a proxy, it opens"
        finding.advice = (
            f"it is trusted here, so this works; but {opens} what is sent, records too: ask {NETWORK_TEAM} whether "
            f"{target.host} should be exempt from inspection."
        )
    elif days < _EXPIRES_SOON_DAYS:
        finding.status = Status.REMARK
        finding.advice = f"the certificate expires in {days} days; whoever runs {target.host} should renew it."


def _who_issues_so(certificate: Certificate) -> str:
    if certificate.is_inspected:
        return "The issuer is a TLS-inspecting proxy: it opens the connection on the way."
    return (
        "The issuer is not a public certificate authority known by name: most probably an inspecting proxy, or an "
        "authority of the council's own."
    )


def _closed(target: Target) -> StepFailed:
    return failure(
        f"{target.host} closed the connection in the middle of the TLS handshake.",
        f"a firewall or an inspecting proxy does that to hosts it does not allow: ask {NETWORK_TEAM} to allow "
        f"{target.host}.",
    )


def _handshake_failure(error: ssl.SSLError, target: Target) -> StepFailed:
    text = str(error).upper()
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text or "PACKET_LENGTH" in text:
        return failure(
            f"What answers at {target.host}:{target.port} does not speak TLS.",
            "check port and scheme of the endpoint; a proxy that must be named (PROXY_URL) also answers so.",
        )
    if "VERSION" in text or "PROTOCOL" in text:
        return failure(
            f"{target.host} offers no TLS of version 1.2 or later.",
            f"an old proxy or firewall stands between: ask {NETWORK_TEAM}; older versions are never used.",
        )
    return failure(
        f"The TLS handshake with {target.host} failed ({error.reason or type(error).__name__}).",
        f"ask {NETWORK_TEAM} whether a proxy or firewall inspects or cuts TLS to {target.host}.",
    )


def _certificate_failure(
    error: ssl.SSLCertVerificationError, target: Target, options: TransportOptions, timeout_s: float
) -> StepFailed:
    certificate = _presented(target, options, timeout_s)
    shown = f" It shows a {_described(certificate)}." if certificate else ""
    text = (error.verify_message or str(error)).lower()
    if "expired" in text or (certificate and certificate.expires < datetime.now(timezone.utc)):
        return failure(
            f"The certificate of {target.host} has expired.{shown}",
            f"check this machine's clock; if it is right, whoever runs {target.host} must renew the certificate.",
        )
    if "not yet valid" in text or error.verify_code == _OUT_OF_TIME:
        return failure(
            f"The certificate of {target.host} is not valid yet.{shown}",
            f"check this machine's clock; if it is right, whoever runs {target.host} must correct the certificate.",
        )
    is_of_another = any(words in text for words in ("mismatch", "not valid for", "does not match"))
    if is_of_another or error.verify_code == _OF_ANOTHER_NAME:
        return failure(
            f"The certificate is for another name than {target.host}.{shown}",
            f"check the endpoint's host name; if it is right, ask {NETWORK_TEAM} what answers in its place.",
        )
    if options.ca_bundle:
        trust = f"CA_BUNDLE ({options.ca_bundle}) does not hold the authority that issued it"
    else:
        trust = "this machine does not trust the authority that issued it"
    guess = f" {_who_issues_so(certificate)}" if certificate and not certificate.is_public else ""
    return failure(
        f"The certificate of {target.host} is not trusted: {trust}.{shown}{guess}",
        f"ask {NETWORK_TEAM} to exempt {target.host} from TLS inspection, or for the root certificate of the proxy: "
        "put it into the operating system's trust store, or name its PEM file in CA_BUNDLE. The check cannot be "
        "switched off.",
    )


def _presented(target: Target, options: TransportOptions, timeout_s: float) -> Certificate | None:
    """Return the certificate that was refused a moment ago, so that its issuer can be named; None if it is not shown.

    Nothing is sent over this connection, and nothing but the certificate is read: it is closed at once.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            _opened_again(target, options, timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=target.host) as shown,
        ):
            return read_certificate(shown.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError, StepFailed):
        return None


def _opened_again(target: Target, options: TransportOptions, timeout_s: float) -> socket.socket:
    return open_tunnel(target, target.proxy, options, timeout_s) if target.proxy else connect(target, timeout_s)
