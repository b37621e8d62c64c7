"""Redaction: what a secret may look like in a text, and what of a connection string may be shown."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from api_pipeline.logs.plain_text import harmless
from api_pipeline.logs.redaction import Redactor
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.sources import Sources
from api_pipeline.sql.connection_string import pairs, redacted_connection_string, redacted_url

SECRET = "tr/ea s=u&re%}\"'\\ß"


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote(SECRET),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        SECRET.replace("}", "}}"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"job:{SECRET}".encode()).decode(),
        base64.b64encode(f"job:{quote_plus(SECRET)}".encode()).decode(),
    ],
)
def test_known_secret_is_hidden_in_every_form(written: str) -> None:
    redactor = Redactor()
    redactor.add_credentials("job", SECRET)

    shown = redactor(f"before {written} after")

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown
    assert "ea" not in shown.removeprefix("before ").removesuffix(" after").replace("***", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Driver={x};Server=db1;UID=job;PWD={a;b}}c};Encrypt=yes", "PWD=***"),
        ("login with Password = hus h;Encrypt=yes", "login with Password = ***;Encrypt=yes"),
        ("proxy http://job:hush@proxy:8080/ said 407", "proxy http://***@proxy:8080/ said 407"),
        ("proxy http://job:hu/sh@x@proxy:8080 said 407", "proxy http://***@proxy:8080 said 407"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
        ("{'Authorization': 'Basic am9iOmh1c2g='}", "{'Authorization': '***'}"),
        ("Proxy-Authorization: Basic am9iOmh1c2g=", "Proxy-Authorization: ***"),
        ("sent bearer abcdefgh12345678.", "sent bearer ***"),
        ("got eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2lnbmF0dXJl now", "got *** now"),
        ("SupplierKey: 0a1b2c", "SupplierKey: ***"),
        ("{'SupplierKey': '0a1b2c', 'b': 1}", "{'SupplierKey': ***, 'b': 1}"),
        ('{"access_token": "abc", "expires_in": 3599}', '{"access_token": ***, "expires_in": 3599}'),
        ("grant_type=client_credentials&client_secret=hush&scope=x", "client_secret=***&scope=x"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_unasked(text: str, shown: str) -> None:
    assert shown in Redactor()(text)


@pytest.mark.parametrize(
    "text",
    [
        "run 7: 100 records, 98 accepted, 2 refused (HTTP 400) in 1.2 s",
        "POST https://receiver.example/1/children_social_care_data/845/children",
        "the token lapses in 3599 s; a bearer token was refused",
        "person_id 4711, receipt 0f8fad5b-d9cb-469f-a165-70867728950e",
    ],
)
def test_harmless_line_stays_as_it_is(text: str) -> None:
    assert Redactor(["abc"])(text) == text


@pytest.mark.parametrize("sign", ["\u200b", "\x07", "\udca3"])
def test_secret_with_a_sign_that_is_not_printed_is_hidden_as_it_is_printed(sign: str) -> None:
    """Copied from a web page, a secret may hold such a sign."""
    secret = f"Hun{sign}ter2-horse"
    assert Redactor((secret,)).hide_known(harmless(f"got {secret}.")) == "got ***."


def test_redactor_for_settings_knows_every_secret_of_them(tmp_path: Path) -> None:
    environment = {
        "DB_CONNECTION_STRING": "Driver={x};Server=db1;UID=job;PWD={geheim;eins}",
        "CLIENT_SECRET": "geheim-zwei",
        "SUPPLIER_KEY": "geheim-drei",
        "PROXY_URL": "http://job:geheim%2Fvier@proxy:8080",
    }
    redactor = Redactor.for_settings(load_settings(Sources({}, environment, tmp_path)))
    words = ["geheim;eins", "geheim-zwei", "geheim-drei", "geheim/vier", "geheim%2Fvier"]
    basic = base64.b64encode(b"job:geheim/vier").decode()

    assert redactor(" ".join([*words, basic])) == " ".join(["***"] * 6)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Driver={ODBC Driver 18 for SQL Server};Server=h\\i,1433;Database=d;UID=u;PWD=p", "PWD=***"),
        ("PWD={a;b}}c};Server=h", "PWD=***;Server=h"),
        ("Server=h;PWD={never closed;Database=d", "Server=h;PWD=***"),
        ("Server=h;PWD=ab;cd;Database=d", "Server=h;PWD=***;***;Database=d"),
        ("Server=h; pwd = x ;Uid=me", "Server=h;pwd=***;Uid=me"),
        ("Server=h;AccessToken=abc;Strange=abc", "Server=h;AccessToken=***;Strange=***"),
        ("Server={a b};PWD=", "Server=a b;PWD="),
        ("Server={never closed;PWD={a};Database=d", "Server=***;Database=d"),
        ("sqlite:////data/council.db", "sqlite:////data/council.db"),
        ("postgresql://job:hu/sh@db:5432/council?x=1", "***"),
        ("nonsense", "***"),
        ("", ""),
    ],
)
def test_connection_string_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert redacted_connection_string(text).endswith(shown)


def test_pairs_are_read_by_the_rules_of_odbc() -> None:
    text = "Driver={a b};; Server = h ;PWD={x;=}}y} ;Junk;Last={open;"

    assert list(pairs(text)) == [
        ("Driver", "a b"),
        ("Server", "h"),
        ("PWD", "x;=}y"),
        ("", "Junk"),
        ("Last", "open;"),
    ]


def test_url_is_shown_without_user_and_password() -> None:
    assert redacted_url("http://u:p@h:1/x") == "http://***@h:1/x"
    assert redacted_url("https://h/x") == "https://h/x"


@pytest.mark.parametrize("secret", ["abc", "a.c", "sun flower", "s+u*n$", "(?:x)", "hushhush"])
@pytest.mark.parametrize(
    "write",
    [
        str,
        str.upper,
        lambda text: f"key={text};",
        lambda text: "".join(f"&#{ord(letter)};" for letter in text),
        lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
        lambda text: "".join(f"%{ord(letter):02x}" for letter in text),
        lambda text: "".join(f"%25{ord(letter):02X}" for letter in text),
        lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
        lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        lambda text: text.encode().hex(),
        json.dumps,
        repr,
    ],
)
def test_short_plain_and_odd_secrets_are_hidden_in_every_form(secret: str, write: Callable[[str], str]) -> None:
    written = write(secret)

    shown = Redactor([secret])(f"it is <{written}>, is it not")

    assert written not in shown
    assert secret.lower() not in shown.lower()
    assert shown.startswith("it is <")
    assert shown.endswith(">, is it not")


def test_long_token_is_learnt_at_once() -> None:
    token = "aB3." * 1000
    redactor = Redactor()
    started = time.process_time()
    redactor.add(token)

    assert redactor(f"got {token}!") == "got ***!"
    assert time.process_time() - started < 1


def test_secret_learnt_after_a_text_is_hidden_in_disguise_as_the_first_is() -> None:
    redactor = Redactor(["marigold", "mari"])
    redactor("a text with % in it")
    redactor.add("a-new-token")

    assert redactor("m%61rigold a&#45;new-token m%61ri") == "*** *** ***"


def test_password_behind_a_brace_that_is_not_closed_is_known() -> None:
    redactor = Redactor()
    redactor.add_connection_string("Driver={ODBC Driver 18 for SQL Server;Server=x;UID=u;PWD=gehei;Encrypt=yes")

    assert redactor("login with gehei") == "login with ***"
