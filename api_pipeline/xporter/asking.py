"""What is asked of each endpoint: options, required parameters, and ids that come from another endpoint's rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import orjson

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.catalogue import Column, Endpoint, load_catalogue
from api_pipeline.xporter.windows import windows

Parameters = tuple[tuple[str, str], ...]

_IDS_AT_ONCE = 100
_EVERY_CHANGE_SINCE = "1900-01-01"

# Where the values of a required parameter come from.
_SOURCES = {
    "Aspects": Column("AssessmentStructure", "Aspects", "Id"),
    "Marksheets": Column("AssessmentStructure", "Marksheets", "Id"),
    "Students": Column("Students", "Students", "Id"),
    "StudentIds": Column("Students", "Students", "Id"),
    "StaffIds": Column("Staff", "Staff", "Id"),
    "UDFName": Column("UserDefinedFields", "UDFs", "UDFName"),
    "DocumentTypeName": Column("LinkedDocumentTypes", "DocumentTypes", "DocumentTypeName"),
}
# These endpoints take one Id.
_ONE_ID = {
    "TimetableForStaff": Column("Staff", "Staff", "Id"),
    "TimetableForStudent": Column("Students", "Students", "Id"),
}
_ONE_AT_A_TIME = ("Id", "DocumentTypeName")


@dataclass(frozen=True, slots=True)
class Choice:
    """An endpoint as the settings choose it: with which options, and with parameters of the operator's own."""

    endpoint: Endpoint
    options: tuple[str, ...]
    parameters: Parameters

    @property
    def is_for_each_window(self) -> bool:
        """Return whether it is asked by week or school year."""
        return self.endpoint.asking.startswith("window:") or self.endpoint.asking == "school year"


@dataclass(frozen=True, slots=True)
class Question:
    """One round's question: the window's name and the parameters of its requests, most often of one.

    `params_hash` changes with whatever makes the answer another set of data. `closed_on` is the last day of a window
    that is asked for until it was landed after that day.
    """

    window: str
    requests: tuple[Parameters, ...]
    params_hash: str
    closed_on: date | None


def choices(texts: Iterable[str]) -> tuple[Choice, ...]:
    """Return the chosen endpoints, those that others take ids from first. Errors: SettingsError, naming each error."""
    chosen: dict[str, Choice] = {}
    for text in texts:
        choice = _choice(text)
        if choice.endpoint.name in chosen:
            raise SettingsError(
                f'XPORTER_ENDPOINTS: expected each endpoint once, got "{choice.endpoint.name}" several times.'
            )
        chosen[choice.endpoint.name] = choice
    for choice in chosen.values():
        for source in sources_of(choice).values():
            if source.endpoint not in chosen:
                raise SettingsError(
                    f"XPORTER_ENDPOINTS: expected {source.endpoint} beside {choice.endpoint.name}, which takes ids "
                    f"from it, or the parameter itself, as in {choice.endpoint.name}+NAME=VALUE."
                )
    sources = {source.endpoint for choice in chosen.values() for source in sources_of(choice).values()}
    return tuple(sorted(chosen.values(), key=lambda choice: _rank(choice, sources)))


def _rank(choice: Choice, sources: set[str]) -> int:
    if choice.endpoint.name == "Students":
        return 0
    return 1 if choice.endpoint.name in {*sources, "StudentContacts"} else 2


def _choice(text: str) -> Choice:
    name, *extras = (part.strip() for part in text.split("+"))
    try:
        endpoint = load_catalogue().endpoint(name)
    except SettingsError as error:
        raise SettingsError(f"XPORTER_ENDPOINTS: {error}") from None
    options: list[str] = []
    parameters: list[tuple[str, str]] = []
    for extra in extras:
        key, is_parameter, value = extra.partition("=")
        if is_parameter:
            if not re.fullmatch(r"\w{1,60}", key) or not value:
                raise SettingsError(f'XPORTER_ENDPOINTS: expected {endpoint.name}+NAME=VALUE, got "{text}".')
            parameters.append((key, value))
            continue
        known = next((option for option in endpoint.options if option.lower() == key.lower()), None)
        if known is None:
            raise SettingsError(
                f'XPORTER_ENDPOINTS: expected an option of {endpoint.name}, got "{key}"; its options are '
                f"{', '.join(endpoint.options) or 'none'}."
            )
        options.append(known)
    choice = Choice(endpoint, tuple(sorted(set(options))), tuple(parameters))
    _check_required(choice)
    return choice


def _check_required(choice: Choice) -> None:
    for name in _required(choice.endpoint):
        if not (_gives(choice, name) or name in _SOURCES or choice.endpoint.name in _ONE_ID):
            raise SettingsError(
                f"XPORTER_ENDPOINTS: expected a value for {name}, which {choice.endpoint.name} needs: "
                f"{choice.endpoint.name}+{name}=VALUE."
            )


def _required(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the parameters that must be given for an endpoint, of several that suffice the one we can fill."""
    kind, _, rest = endpoint.asking.partition(":")
    names = tuple(name.strip() for name in rest.split(",") if name.strip())
    if kind == "one of":
        return ("Students",)
    if kind != "needs" or endpoint.name == "ConductLookups":
        return ()
    # The reference lists these dates and the type's Id as parameters, its filter table the type's name.
    return tuple(name for name in names if name != "DocumentTypeId")


def sources_of(choice: Choice) -> dict[str, Column]:
    """Return where the ids that a chosen endpoint needs come from, by the parameter that takes them."""
    endpoint = choice.endpoint
    if endpoint.name in _ONE_ID:
        needed = {"Id": _ONE_ID[endpoint.name]}
    elif endpoint.asking.startswith("one of") and any(_gives(choice, name) for name in endpoint.filters):
        needed = {}
    else:
        needed = {name: _SOURCES[name] for name in _required(endpoint) if name in _SOURCES}
    return {name: source for name, source in needed.items() if not _gives(choice, name)}


def _gives(choice: Choice, name: str) -> bool:
    return any(given.lower() == name.lower() for given, _ in choice.parameters)


def questions(
    choice: Choice,
    today: date,
    weeks_back: int,
    earliest: date | None,
    ids: Callable[[Column], list[str]],
) -> tuple[Question, ...]:
    """Return the rounds of a chosen endpoint. `ids` returns the values of a column.

    A question without requests where ids are needed and there are none: its answer is empty.
    """
    if choice.is_for_each_window:
        return tuple(
            _question(choice, window.name, [(*window.parameters, *choice.parameters)], closed_on=window.closed_on)
            for window in windows(choice.endpoint, today, weeks_back, earliest)
        )
    fixed = choice.parameters
    if choice.endpoint.name == "ConductLookups" and not _gives(choice, "updatedSince"):
        fixed = (*fixed, ("updatedSince", _EVERY_CHANGE_SINCE))
    requests = [fixed]
    for name, source in sources_of(choice).items():
        groups = _grouped(ids(source), 1 if name in _ONE_AT_A_TIME else _IDS_AT_ONCE)
        requests = [(*request, (name, text)) for request in requests for text in groups]
    return (_question(choice, "", requests),)


def _grouped(values: list[str], size: int) -> list[str]:
    return [",".join(values[first : first + size]) for first in range(0, len(values), size)]


def _question(choice: Choice, window: str, requests: list[Parameters], *, closed_on: date | None = None) -> Question:
    text = orjson.dumps([choice.endpoint.name, window, choice.options, sorted(choice.parameters)])
    return Question(window, tuple(requests), hashlib.sha256(text).hexdigest()[:32], closed_on)
