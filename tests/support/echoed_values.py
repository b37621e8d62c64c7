"""Secrets and values of an invented child that a receiver gives back."""

from __future__ import annotations

from tests.support.hostile_receiver import TOKEN

# Of three letters, of lower-case words, with signs of regular expressions, with what ends a value of ODBC or of HTML.
CLIENT_SECRET = "marigold"
SUPPLIER_KEY = "a.*[bq$^(zw"
SHORT_SECRET = "qzk"
PROXY_PASSWORD = "{wq};=<zb>&\"'"
SECRETS = [CLIENT_SECRET, SUPPLIER_KEY, SHORT_SECRET, PROXY_PASSWORD, TOKEN]
# `Vocabulary` is a word that rules are made of: only the child's own record tells that it is a name.
CHILD = {
    "first_name": "Xiq",
    "surname": "Quillfeather-Vocabulary",
    "date_of_birth": "2011-02-27",
    "postcode": "ZE9 7QX",
    "unique_pupil_number": "Z874563219045",
}
VALUES = [*CHILD.values(), "Vocabulary"]
