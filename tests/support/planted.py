"""Secrets and an invented child's values that are planted, and the search for them in every way of writing them."""

from __future__ import annotations

import base64
import json
from functools import cache
from urllib.parse import quote, quote_plus

from tests.support.staging import Staged, staged

CLIENT_SECRET = "Zx8~planted.Client/Secret+9"
SUPPLIER_KEY = "planted-Supplier-Key-77e1"
PROXY_PASSWORD = "planted+Proxy/Pass"
WRONG_PASSWORD = "planted;Wrong}Password"
TOKEN = "planted.Token-5f3a.x9Zq"
HOOK_TOKEN = "planted-hook-c0ffee41"
MAIL_PASSWORD = "planted.Mail=Pass"
SECRETS = (CLIENT_SECRET, SUPPLIER_KEY, PROXY_PASSWORD, WRONG_PASSWORD, TOKEN, HOOK_TOKEN, MAIL_PASSWORD)

PERSONAL = ("Zephyrine", "Quillfeather", "O'Thistlewood", "2011-02-27", "27/02/2011", "ZE9 7QX", "Z874563219045")
TALE = (
    "surname 'Quillfeather' of Zephyrine Quillfeather (mother: O'Thistlewood), born 2011-02-27, that is 27/02/2011, "
    "of ZE9 7QX, UPN Z874563219045"
)


def payload(person: str, **members: object) -> str:
    details = {
        "unique_pupil_number": "Z874563219045",
        "first_name": "Zephyrine",
        "surname": "Quillfeather",
        "date_of_birth": "2011-02-27",
        "sex": "F",
        "postcode": "ZE9 7QX",
    }
    return json.dumps({"la_child_id": person, "child_details": details, **members})


ROWS: list[Staged] = [
    staged("1", payload("1")),
    staged("2", payload("2")),
    staged("3", payload("3")[:-7]),
    staged("4", payload("4", Quillfeather="Zephyrine")),
    staged("5", payload("5", child_details={"sex": "Zephyrine", "date_of_birth": "Quillfeather", "surname": 2})),
    staged("6", payload("6"), "Error", response=f"HTTP 400: {TALE}"),
    staged("7", payload("7"), "Sent", "Deleted", previous=payload("7")),
    staged("8", payload("8"), "Sent", "Unchanged", previous=payload("8")),
    staged("9", payload("9", disabilities=["Zephyrine Quillfeather"]), previous=payload("9")),
]


@cache
def forms(value: str) -> set[str]:
    """Return the ways in which a value can be written down, in lower case."""
    in_json = json.dumps(value)[1:-1]
    written = {value, in_json, quote(value, safe=""), quote(value), quote_plus(value), value.replace("}", "}}")}
    written |= {repr(value)[1:-1], value.replace("&", "&amp;").replace("'", "&#x27;"), value.replace(" ", "")}
    return {form.lower() for form in written}


@cache
def encoded(value: str) -> set[str]:
    """Return the ways in which base64 can carry a value: alone, and behind a user as basic authentication writes it."""
    pairs = [value, f"operator:{value}"]
    return {base64.b64encode(pair.encode()).decode().rstrip("=").lower() for pair in pairs}


def found_in(text: str, values: list[str]) -> list[str]:
    """Return the first letters of those values that a text holds in any form."""
    lowered = text.lower()
    return [value[:4] for value in values if any(form in lowered for form in forms(value) | encoded(value))]
