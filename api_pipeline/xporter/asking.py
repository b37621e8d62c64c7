"""What is asked of each endpoint: options, required parameters, and ids that come from another endpoint's rows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import orjson

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.catalogue import Catalogue, Endpoint
from api_pipeline.xporter.windows import windows

Parameters = tuple[tuple[str, str], ...]

_IDS_AT_ONCE = 100
_EVERY_CHANGE_SINCE = "1900-01-01"

# Where the values of a required parameter come from: endpoint, table, column.
_SOURCES = {
    "Aspects": ("AssessmentStructure", "Aspects", "Id"),
    "Marksheets": ("AssessmentStructure", "Marksheets", "Id"),
    "Students": ("Students", "Students", "Id"),
    "StudentIds": ("Students", "Students", "Id"),
    "StaffIds": ("Staff", "Staff", "Id"),
    "UDFName": ("UserDefinedFields", "UDFs", "UDFName"),
    "DocumentTypeName": ("LinkedDocumentTypes", "DocumentTypes", "DocumentTypeName"),
}
# These endpoints take one Id at a time.
_ONE_ID = {
    "TimetableForStaff": ("Staff", "Staff", "Id"),
    "TimetableForStudent": ("Students", "Students", "Id"),
}
_ALWAYS = {"LinkedDocuments": "DocumentTypeName", "StaffLinkedDocuments": "DocumentTypeName"}


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
    closed_on: date | None = None


def choices(catalogue: Catalogue, texts: Iterable[str]) -> tuple[Choice, ...]:
    """Return the chosen endpoints, those that others take ids from first. Errors: SettingsError, naming each error."""
    chosen: dict[str, Choice] = {}
    for text in texts:
        choice = _choice(catalogue, text)
        if choice.endpoint.name in chosen:
            raise SettingsError(
                f'XPORTER_ENDPOINTS: expected each endpoint once, got "{choice.endpoint.name}" several times.'
            )
        chosen[choice.endpoint.name] = choice
    for choice in chosen.values():
        needed = _source(choice)
        if needed and needed[0] not in chosen:
            raise SettingsError(
                f"XPORTER_ENDPOINTS: expected {needed[0]} beside {choice.endpoint.name}, which takes ids from it, or "
                f"the parameter itself, as in {choice.endpoint.name}+NAME=VALUE."
            )
    sources = {needed[0] for choice in chosen.values() if (needed := _source(choice))} | {"Students"}
    return tuple(sorted(chosen.values(), key=lambda choice: _rank(choice, sources)))


def _rank(choice: Choice, sources: set[str]) -> int:
    if choice.endpoint.name == "Students":
        return 0
    return 1 if choice.endpoint.name in sources | {"StudentContacts"} else 2


def _choice(catalogue: Catalogue, text: str) -> Choice:
    name, *extras = (part.strip() for part in text.split("+"))
    try:
        endpoint = catalogue.endpoint(name)
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
    given = {name.lower() for name, _ in choice.parameters}
    for name in _required(choice.endpoint):
        if name.lower() not in given and name not in _SOURCES and choice.endpoint.name not in _ONE_ID:
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


def _source(choice: Choice) -> tuple[str, str, str] | None:
    if choice.endpoint.name in _ONE_ID:
        return None if _gives(choice, ("Id",)) else _ONE_ID[choice.endpoint.name]
    if choice.endpoint.asking.startswith("one of") and _gives(choice, choice.endpoint.filters):
        return None
    for name in _required(choice.endpoint):
        if name in _SOURCES and not _gives(choice, (name,)):
            return _SOURCES[name]
    return None


def _gives(choice: Choice, names: Iterable[str]) -> bool:
    given = {name.lower() for name, _ in choice.parameters}
    return any(name.lower() in given for name in names)


def sources_of(choice: Choice) -> list[tuple[str, str, str]]:
    """Return where the ids that a chosen endpoint needs come from: endpoint, table, column."""
    if choice.endpoint.name in _ONE_ID:
        found = _source(choice)
        return [found] if found else []
    if _source(choice) is None:
        return []
    names = [name for name in _required(choice.endpoint) if name in _SOURCES and not _gives(choice, (name,))]
    return [_SOURCES[name] for name in names]


def questions(
    choice: Choice,
    today: date,
    weeks_back: int,
    earliest: date | None,
    ids: Callable[[tuple[str, str, str]], list[str]],
) -> tuple[Question, ...]:
    """Return the rounds of a chosen endpoint. `ids` returns the values of a column (endpoint, table, column).

    A question without requests where ids are needed and there are none: its answer is empty.
    """
    if choice.is_for_each_window:
        return tuple(
            _question(
                *(choice, window.name, [(*window.parameters, *choice.parameters)]),
                closed_on=window.last_day if window.is_closed else None,
            )
            for window in windows(choice.endpoint, today, weeks_back, earliest)
        )
    fixed = list(choice.parameters)
    if choice.endpoint.name == "ConductLookups" and not _gives(choice, ("updatedSince",)):
        fixed.append(("updatedSince", _EVERY_CHANGE_SINCE))
    requests = [tuple(fixed)]
    if choice.endpoint.name in _ONE_ID:
        source = _source(choice)
        requests = [(*fixed, ("Id", value)) for value in ids(source)] if source else requests
    else:
        for source in sources_of(choice):
            name = next(name for name in _required(choice.endpoint) if _SOURCES.get(name) == source)
            requests = [
                (*request, (name, text)) for request in requests for text in _grouped(choice, name, ids(source))
            ]
    return (_question(choice, "", requests),)


def _grouped(choice: Choice, name: str, values: list[str]) -> list[str]:
    size = 1 if _ALWAYS.get(choice.endpoint.name) == name else _IDS_AT_ONCE
    return [",".join(values[first : first + size]) for first in range(0, len(values), size)]


def _question(choice: Choice, window: str, requests: list[Parameters], *, closed_on: date | None = None) -> Question:
    text = orjson.dumps([choice.endpoint.name, window, choice.options, sorted(choice.parameters)])
    return Question(window, tuple(requests), hashlib.sha256(text).hexdigest()[:32], closed_on)


def query_of(choice: Choice, request: Parameters, style: str, more: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the query of a request. `style` is `options` (one list) or `flags` (a boolean for each)."""
    query = list(request)
    if choice.options and style == "options":
        query.append(("options", ",".join(choice.options)))
    elif choice.options:
        query.extend((option, "true") for option in choice.options)
    query.extend(more.items())
    return query
