"""Ways in which an answer may give a value back, and the search that finds a value however it is written."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from urllib.parse import quote, unquote_plus

ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "title case": str.title,
    "swapped case": str.swapcase,
    "without a quotation's end": lambda name: f"'{name}",
    "in quotation marks": lambda name: f'"{name}"',
    "in curly ones": lambda name: f"\u201c{name.lower()}\u201d",
    "in backticks": lambda name: f"`{name.lower()}`",
    "with a possessive s": lambda name: f"{name.lower()}'s",
    "at the end of an equation": lambda name: f"surname={name.lower()}",
    "in a path": lambda name: f"child_details.surname.{name.lower()}",
    "in brackets": lambda name: f"[{name.lower()}]",
    "in angle brackets": lambda name: f"< {name.lower()}",
    "as JSON": lambda name: json.dumps({"value": name.lower()}),
    "as a name in JSON": lambda name: json.dumps({name.lower(): True}),
    "as JSON within JSON": lambda name: json.dumps({"detail": json.dumps({"value": name.lower()})}),
    "in a list": lambda name: json.dumps(["surname", name.lower()]),
    "in unfinished JSON": lambda name: json.dumps({"value": name.lower()})[:-1],
    "with entities": lambda name: "".join(f"&#{ord(letter)};" for letter in name.lower()),
    "with entities in hexadecimal": lambda name: "".join(f"&#x{ord(letter):x};" for letter in name.lower()),
    "with entities twice": lambda name: html.escape("".join(f"&#{ord(letter)};" for letter in name.lower())),
    "percent-encoded": lambda name: "".join(f"%{ord(letter):02x}" for letter in name.lower()),
    "percent-encoded twice": lambda name: quote("".join(f"%{ord(letter):02X}" for letter in name.lower())),
    "with escapes of JSON": lambda name: "".join(f"\\u{ord(letter):04x}" for letter in name.lower()),
    "with escapes of Python": lambda name: "".join(f"\\x{ord(letter):02x}" for letter in name.lower()),
    "with old escapes of a browser": lambda name: "".join(f"%u{ord(letter):04x}" for letter in name.lower()),
    "over two lines": lambda name: _cut(name, "\n"),
    "over two lines, escaped": lambda name: _cut(name, "\\n"),
    "with a tag": lambda name: f"<b>{name.lower()}</b>",
    "cut by a tag": lambda name: _cut(name, "<i></i>"),
    "cut by a remark": lambda name: _cut(name, "<!-- x -->"),
    "cut by an invisible sign": lambda name: _cut(name, "\u200b"),
    "cut by a soft hyphen": lambda name: _cut(name, "\u00ad"),
    "cut by an escape sequence": lambda name: _cut(name, "\x1b[31m"),
    "cut by a zero byte": lambda name: _cut(name, "\x00"),
    "behind a half of a surrogate pair": lambda name: f"\ud83d{name.lower()}",
    "spaced out": lambda name: " ".join(name.lower()),
    "with underscores": lambda name: re.sub(r"\W", "_", name.lower()),
    "in base64": lambda name: base64.b64encode(name.lower().encode()).decode(),
    "in hexadecimal": lambda name: name.lower().encode().hex(),
    "backwards": lambda name: name.lower()[::-1],
    # those that came later
    "words turned round": lambda name: " ".join(reversed(re.split(r"\W+", name))),
    "dotted": lambda name: ".".join(name.lower()),
    "hyphenated": "-".join,
    "joined by underscores": "_".join,
    "padded with blanks": lambda name: f"[{name.lower():>40}\u00a0\u3000]",
    "decomposed": lambda name: unicodedata.normalize("NFD", name.lower().replace("e", "\u00e9")),
    "in wide letters": lambda name: "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in name),
    "in mathematical letters": lambda name: "".join(
        chr(0x1D41A + ord(sign) - 97) if "a" <= sign <= "z" else sign for sign in name.lower()
    ),
    "with accents laid on": "\u0301".join,
    "quoted-printable": lambda name: "".join(f"={ord(sign):02X}" if sign in "eiou-" else sign for sign in name.lower()),
    "in UTF-16": lambda name: name.lower().encode("utf-16-be").hex(),
    "in octal": lambda name: "".join(f"\\{ord(sign):03o}" for sign in name.lower()),
    "as numbers": lambda name: ", ".join(str(ord(sign)) for sign in name.lower()),
    "as numbers in a list": lambda name: json.dumps([ord(sign) for sign in name.lower()]),
    "as a list of letters": lambda name: json.dumps(list(name.lower())),
    "in two members": lambda name: json.dumps({"first": name[: len(name) // 2], "rest": name[len(name) // 2 :]}),
    "in a URL": lambda name: f"https://receiver.example/find?surname={quote(name.lower())}&x=1",
    "in an e-mail address": lambda name: f"{quote(name.lower(), safe='')}@home.example",
    "in a section of XML": lambda name: f"<![CDATA[{name.lower()}]]>",
    "in an attribute": lambda name: f"<input value='{name.lower()}'>",
    "in an unclosed tag": lambda name: f"<input value={name.lower()}",
    "in a comment of SQL": lambda name: f"/* {name.lower()} */ SELECT",
    "as a Python value": lambda name: repr({"surname": name.lower()}),
    "glued to a rule": lambda name: f"value{name.lower()}invalid",
    "in camel case": lambda name: f"isNot{name.title()}Valid",
}

# Ways that only a mask meets, which keeps nothing but the words of rules. A search for a known secret does not: nobody
# would expect a server to write so, and everything would have to be decoded in every way.
DISGUISES = frozenset(
    {
        *("with underscores", "backwards", "words turned round", "dotted", "hyphenated", "joined by underscores"),
        *("decomposed", "in wide letters", "in mathematical letters", "with accents laid on", "quoted-printable"),
        *("in UTF-16", "in octal", "as numbers", "as numbers in a list", "as a list of letters", "in two members"),
        *("over two lines, escaped", "as JSON within JSON"),
    }
)


def _cut(name: str, sign: str) -> str:
    half = max(1, len(name) // 2)
    return name.lower()[:half] + sign + name.lower()[half:]


# Halves of shorter values would be found everywhere.
_LONG = 10
_NEITHER = re.compile(r"[\W_]+")
_TAG = re.compile(r"<[^<>]*>")
_ESCAPE = re.compile(r"\\u\{?([0-9a-fA-F]{4,6})\}?|\\x([0-9a-fA-F]{2})|%u([0-9a-fA-F]{4})|=([0-9A-F]{2})")
_STEERING = re.compile(r"\x1b\[[0-9;]*[a-zA-Z]")
_NUMBERS = re.compile(r"(?:\b|\\)\d{2,3}(?:[^\w\[\]]{1,3}\d{2,3}){2,}\b")


def found_in(text: str, values: list[str]) -> list[str]:
    """Return the first letters of those values that a text holds, in whatever form."""
    return [value[:4] for value in _found_in(text, tuple(values))]


# A sweep searches the same files after every command.
@lru_cache(maxsize=256)
def _found_in(text: str, values: tuple[str, ...]) -> tuple[str, ...]:
    # Most texts look the same to all readers, and would be searched several times.
    views = {_squeezed(view) for view in set(_views(text))}
    views |= {view[::-1] for view in views}
    return tuple(value for value in values if any(form in view for form in _forms(value) for view in views))


@cache
def _forms(value: str) -> set[str]:
    """Return the ways in which a value can stand in a squeezed text."""
    data = value.lower().encode("utf-8", "replace"), value.encode("utf-8", "replace")
    packed = {base64.b64encode(form).decode().rstrip("=") for form in data} | {form.hex() for form in data}
    whole = _squeezed(value)
    halves = (whole[: len(whole) // 2], whole[len(whole) // 2 :]) if len(whole) >= _LONG else ()
    parts = [*halves, *(part for part in re.split(r"\W+", value) if len(part) > _LONG // 2)]
    return {_squeezed(form) for form in (value, *packed, *parts)} | {value.lower().encode("utf-16-be").hex()}


def _views(text: str) -> Iterator[str]:
    """Return a text as it stands, and as readers of several kinds would see it."""
    yield text
    plain = text
    for _ in range(4):
        plain = _ESCAPE.sub(_unescaped, unquote_plus(html.unescape(_STEERING.sub("", plain)), errors="replace"))
    yield plain
    yield _TAG.sub("", plain)
    yield quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    yield " ".join(_spelled(found[0]) for found in _NUMBERS.finditer(text))


def _spelled(numbers: str) -> str:
    found = re.findall(r"\d+", numbers)
    decimal = "".join(chr(int(number)) for number in found)
    octal = "".join(chr(int(number, 8)) for number in found if not set(number) & {"8", "9"})
    return f"{decimal} {octal}"


def _unescaped(match: re.Match[str]) -> str:
    return chr(min(int(next(group for group in match.groups() if group), 16), 0x10FFFF))


def _squeezed(text: str) -> str:
    """Return the letters and digits alone, without case, accents and kinds of letters."""
    return _NEITHER.sub("", unicodedata.normalize("NFKD", text).casefold())
