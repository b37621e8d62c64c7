"""The ending of a run in the forms that Teams, Slack, a mail and other programs take."""

from __future__ import annotations

import json
from datetime import timezone
from typing import TYPE_CHECKING

from api_pipeline.notify.ending import Ending
from api_pipeline.settings.notify import EmailSettings, WebhookKind

if TYPE_CHECKING:
    from email.message import EmailMessage

_CARD_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
_COLOURS = {"failure": "Attention", "recovery": "Good", "success": "Good", "skipped": "Default", "test": "Accent"}


def webhook_body(ending: Ending, kind: WebhookKind) -> bytes:
    """Return the JSON that a webhook of this kind takes."""
    if kind == "teams":
        document: dict[str, object] = _card(ending)
    elif kind == "slack":
        document = {"text": plain_text(ending)}
    else:
        document = ending.document
    return json.dumps(document).encode()


def plain_text(ending: Ending) -> str:
    """Return the ending as lines of plain text."""
    return "\n".join([ending.headline, "", *(f"{name}: {value}" for name, value in ending.facts)])


def mail(ending: Ending, email: EmailSettings) -> EmailMessage:
    """Return the ending as a mail."""
    # Imported here: most runs send none.
    from email.message import EmailMessage
    from email.utils import format_datetime, make_msgid

    message = EmailMessage()
    message["Subject"] = f"{ending.headline} ({ending.table})"
    message["From"] = email.sender
    message["To"] = ", ".join(email.to)
    message["Date"] = format_datetime(ending.finished_at.replace(tzinfo=timezone.utc))
    message["Message-ID"] = make_msgid(domain=email.sender.rpartition("@")[2] or "localhost")
    # So that no out-of-office answer comes back.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain_text(ending) + "\n")
    return message


def _card(ending: Ending) -> dict[str, object]:
    """Return a message with an adaptive card, as a Workflows webhook of Teams takes it."""
    title = {
        "type": "TextBlock",
        "text": ending.headline,
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
        "color": _COLOURS[ending.event],
    }
    facts = {"type": "FactSet", "facts": [{"title": name, "value": value} for name, value in ending.facts]}
    card = {"$schema": _CARD_SCHEMA, "type": "AdaptiveCard", "version": "1.4", "body": [title, facts]}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
