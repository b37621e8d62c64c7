"""Laws of secrets: whatever a password is made of, it arrives as written and is never seen."""

from __future__ import annotations

import base64
import io
import json
import logging
import tempfile
from pathlib import Path
from urllib.parse import quote

from dotenv import set_key
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api_pipeline.logs.handlers import LogOptions, set_up_logging
from api_pipeline.logs.masking import mask_values
from api_pipeline.logs.redaction import SHORTEST_SECRET, Redactor
from api_pipeline.settings.env_file import read_env_file
from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.sources import Sources
from api_pipeline.sql.connection_string import in_braces, pairs, redacted_connection_string
from tests.support.effort import examples

# what may stand on one line of a settings file
letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
passwords = st.text(letters, min_size=1, max_size=30).filter(lambda text: text == text.strip())
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
long_passwords = passwords.filter(lambda text: len(text) >= SHORTEST_SECRET and not set(text) <= set("*"))


def quoted(value: str, quote_mark: str) -> str:
    """`value` as a line of the settings file would have it, by the rules at the head of `.env.example`."""
    return quote_mark + value.replace("\\", "\\\\").replace(quote_mark, "\\" + quote_mark) + quote_mark


@given(
    passwords,
    st.sampled_from("'\""),
    st.sampled_from(["\n", "\r\n"]),
    encodings,
)
@example("pa$$w#o;r{d}", '"', "\n", "utf-8")
@example("a\\", "'", "\n", "utf-8")
@example("\\new\\\\table", '"', "\r\n", "utf-8-sig")
def test_any_password_survives_the_settings_file(password: str, mark: str, ending: str, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        lines = ["LA_CODE=845", f"CLIENT_SECRET={quoted(password, mark)}", "SCOPE=x", ""]
        path.write_bytes(ending.join(lines).encode(encoding))

        file = read_env_file(path)

    assert file.values == {"LA_CODE": "845", "CLIENT_SECRET": password, "SCOPE": "x"}
    assert file.errors == ()


@given(passwords)
def test_what_python_dotenv_writes_is_read_as_it_was_meant(password: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        set_key(path, "CLIENT_SECRET", password)

        assert read_env_file(path).values == {"CLIENT_SECRET": password}


@given(long_passwords, passwords)
def test_password_is_never_seen_in_representation_or_connection_string(password: str, other: str) -> None:
    secret = f"{password}-{password}"
    connection = f"Driver={{x}};Server=db1;PWD={in_braces(secret)};UID=job;Token={in_braces(other)}"
    environment = {"DB_CONNECTION_STRING": connection, "CLIENT_SECRET": secret, "SUPPLIER_KEY": "k" * 9}

    settings = load_settings(Sources({}, environment, Path(tempfile.gettempdir())))

    assert dict(pairs(connection))["PWD"] == secret
    assert secret not in repr(settings)
    assert redacted_connection_string(connection) == "Driver=x;Server=db1;PWD=***;UID=job;Token=***"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("{};=:/ "), max_size=40))
@example("://")
@example("Server={")
def test_no_connection_string_at_all_shows_its_password(text: str) -> None:
    shown = redacted_connection_string(text + ";PWD={geheim;eins}")

    assert "geheim" not in shown or text.lower().startswith("sqlite:///")


@settings(max_examples=examples(25, 300))
@given(long_passwords, st.sampled_from(["plain", "url", "json", "basic", "connection", "argument"]))
def test_known_password_is_never_logged(password: str, form: str) -> None:
    written = {
        "plain": password,
        "url": quote(password, safe=""),
        "json": json.dumps(password)[1:-1],
        "basic": base64.b64encode(f"job:{password}".encode()).decode(),
        "connection": f"PWD={in_braces(password)};",
        "argument": password,
    }[form]
    redactor = Redactor()
    redactor.add_credentials("job", password)
    stream = io.StringIO()
    with set_up_logging(LogOptions("r"), stream, redactor):
        log = logging.getLogger("api_pipeline.delivery.run")
        if form == "argument":
            log.info("<%s>", written)
        else:
            log.info("<" + written + ">")

    line = stream.getvalue().split(" r ", 1)[1]
    assert "***" in line
    assert written not in line


names = st.from_regex(r"[A-Z][a-zé]{2,12}", fullmatch=True).filter(lambda name: mask_values(name) == "***")
dates = st.dates().map(str)
postcodes = st.from_regex(r"[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}", fullmatch=True)
pupil_numbers = st.from_regex(r"[A-Z][0-9]{11}[0-9A-Z]", fullmatch=True)
paths = st.sampled_from(["[3].child_details.postcode", "[0].social_care_episodes[1].referral_date"])
templates = st.sampled_from(
    ["{path}: {value} is not allowed", "{path} '{value}' is too long", '{{"errors": {{"{path}": ["got {value}"]}}}}']
)


@given(templates, paths, names | dates | postcodes | pupil_numbers)
def test_masking_removes_every_value_and_keeps_every_path(template: str, path: str, value: str) -> None:
    masked = mask_values(template.format(path=path, value=value))

    assert value not in masked
    assert path in masked
    assert "***" in masked
