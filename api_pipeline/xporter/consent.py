"""The rules of consent: what the list of schools says of each, and what follows from it. Pure.

A school may stand in the list as revoked and as authorised: the later date wins, and a tie counts as revoked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.xporter.catalogue import load_catalogue, scopes_of
from api_pipeline.xporter.values import lowered, member_of, read_time

# What the tables take for the number of a school, and what may stand in an address.
_ESTAB = re.compile(r"[0-9A-Za-z]{1,7}")
_MEMBERS = ("Authorised", "Revoked", "PendingAuthorisation")
PAUSED_IS_NEWS_AFTER = timedelta(days=7)
# Times stand without a zone, in UTC, as the tables keep them.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as said
# A revocation without a date that can be read must not be outlived by an older authorisation. The last year of the
# calendar stands for no date in other programs too.
_NO_DATE = datetime(9999, 1, 1)  # noqa: DTZ001 - as said


class SchoolState(str, Enum):
    """Where a school stands."""

    AUTHORISED = "authorised"
    PENDING = "pending"
    PAUSED = "paused"
    REFUSED = "refused"
    REVOKED = "revoked"
    REMOVED = "removed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list of schools says of one: dates are without zone, in UTC. `scopes` is None where none are named."""

    estab: str
    name: str | None
    authorised_at: datetime | None = None
    revoked_at: datetime | None = None
    invited_at: datetime | None = None
    scopes: frozenset[str] | None = None

    @property
    def is_revoked(self) -> bool:
        """Return whether the consent has ended."""
        if self.revoked_at is None or self.authorised_at is None:
            return self.revoked_at is not None
        return self.authorised_at <= self.revoked_at

    @property
    def state(self) -> SchoolState:
        """Return the state that the list gives."""
        if self.is_revoked:
            return SchoolState.REVOKED
        return SchoolState.AUTHORISED if self.authorised_at or self.invited_at is None else SchoolState.PENDING


def read_list(answer: Mapping[str, Any]) -> dict[str, Listed]:
    """Return the schools of a list by estab, from the members Authorised, Revoked and PendingAuthorisation.

    An entry whose estab is not the number of a school is left out.
    """
    schools: dict[str, Listed] = {}
    for member, estab, entry in _entries(answer):
        if not _ESTAB.fullmatch(estab):
            continue
        known = schools.get(estab, Listed(estab, None))
        name = (
            " ".join(without_null_characters(str(entry["schoolname"])).split())
            if entry.get("schoolname")
            else known.name
        )
        schools[estab] = _with(replace(known, name=name), member, entry)
    return schools


def odd_entries(answer: Mapping[str, Any]) -> int:
    """Return how many entries of a list have an estab that is not the number of a school."""
    return sum(not _ESTAB.fullmatch(estab) for _, estab, _ in _entries(answer))


def _entries(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield each entry of a list: the member that it stands in, its estab, and its own members by lower-case names."""
    for member in _MEMBERS:
        for row in _rows(answer, member):
            entry = lowered(row)
            yield member, str(entry.get("estab") or "").strip(), entry


def _rows(answer: Mapping[str, Any], member: str) -> list[Mapping[str, Any]]:
    found = member_of(answer, member.lower())
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _with(known: Listed, member: str, entry: Mapping[str, Any]) -> Listed:
    if member == "Authorised":
        # A school is in this list because it authorised us, whatever its date looks like.
        at = read_time(entry.get("dateauthorised")) or _EPOCH + timedelta(days=1)
        if known.authorised_at and known.authorised_at > at:
            return known
        return replace(known, authorised_at=at, scopes=read_scopes(entry.get("scopesauthorised")))
    if member == "Revoked":
        at = read_time(entry.get("daterevoked")) or _NO_DATE
        return replace(known, revoked_at=max(at, known.revoked_at or at))
    return replace(known, invited_at=read_time(entry.get("dateinvited")) or _EPOCH)


def read_scopes(value: object) -> frozenset[str] | None:
    """Return scopes, as the reference spells them, from a text with commas between or a list; None for neither."""
    if isinstance(value, str):
        words: Iterable[str] = value.replace(";", ",").split(",")
    elif isinstance(value, list):
        words = (_scope(item) for item in value)
    else:
        return None
    named = (without_null_characters(word).strip() for word in words)
    return frozenset(_spellings().get(word.lower(), word) for word in named if word)


@cache
def _spellings() -> Mapping[str, str]:
    """Return the published scopes by their names in small letters: in another case they are the same consent."""
    tables = (table for operation in load_catalogue().operations for table in operation.tables)
    return {scope.lower(): scope for scope in scopes_of(tables)}


def _scope(item: object) -> str:
    if isinstance(item, Mapping):
        named = lowered(item)
        return str(named.get("scope") or named.get("name") or named.get("id") or "")
    return str(item)


def fingerprint(secret: str) -> str:
    """Return what is kept of a school's secret, to see that it is a new one; the secret cannot be read from it."""
    return hashlib.sha256(b"xporter-secret:" + secret.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Known:
    """What the table of schools says of one."""

    estab: str
    state: SchoolState
    scopes: frozenset[str] | None
    authorised_at: datetime | None
    revoked_at: datetime | None
    secret_version: str | None
    state_since: datetime | None
    name: str | None = None
    has_rows: bool = False

    @property
    def was_purged(self) -> bool:
        """Return whether its consent ended before and its rows are gone; of a school that revoked they may be kept."""
        return self.state in (SchoolState.REVOKED, SchoolState.REMOVED) and not self.has_rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from the list for one school.

    `must_purge`: its rows must go. `secret_is_dead`: the secret that is kept belongs to a consent that ended.
    `ended_at` is when that consent ended; None where no date can be read.
    """

    state: SchoolState
    must_purge: bool
    secret_is_dead: bool
    ended_at: datetime | None


def judge(known: Known | None, listed: Listed | None, secret: str | None) -> Verdict:
    """Return what follows for a school from what is known and what the list says (None: it is not in the list)."""
    if listed is None:
        state = known.state if known else SchoolState.UNKNOWN
        return Verdict(state, must_purge=False, secret_is_dead=False, ended_at=None)
    is_old_secret = bool(secret and known and known.secret_version == fingerprint(secret))
    was_purged = known is not None and known.was_purged
    ended_at = listed.revoked_at if listed.revoked_at and listed.revoked_at < _NO_DATE else None
    if listed.is_revoked:
        # A secret that was never tried, given since the end, may already be that of the next consent.
        was_open = known is not None and known.state not in (SchoolState.REVOKED, SchoolState.REMOVED)
        is_dead = is_old_secret or known is None or (known.secret_version is None and was_open)
        return Verdict(SchoolState.REVOKED, not was_purged, is_dead, ended_at)
    ended_unseen = (
        known is not None
        and known.authorised_at is not None
        and listed.revoked_at is not None
        and known.authorised_at <= listed.revoked_at
        and not was_purged
    )
    return Verdict(listed.state, ended_unseen, ended_unseen and is_old_secret, ended_at)


def known_of(row: Mapping[str, Any]) -> Known:
    """Return what a row of the table of schools says."""
    return Known(
        estab=row["estab"],
        state=SchoolState(row["state"]),
        scopes=read_scopes(row["scopes"]),
        authorised_at=read_time(row["authorised_at"]),
        revoked_at=read_time(row["revoked_at"]),
        secret_version=row["secret_version"],
        state_since=read_time(row["state_since"]),
        name=row["school_name"],
    )


def school_values(
    known: Known | None, listed: Listed, now: datetime, scopes: frozenset[str] | None = None
) -> dict[str, object]:
    """Return a school's row of that table, by column, from what was known and what the list says.

    Without `scopes` those that were known stay.
    """
    # After it was asked a school may be paused or refused, which the list does not say.
    keeps = known is not None and known.state in (SchoolState.PAUSED, SchoolState.REFUSED)
    state = known.state if known is not None and keeps and listed.state is SchoolState.AUTHORISED else listed.state
    kept = known.scopes if scopes is None and known is not None else scopes
    return {
        "estab": listed.estab,
        "school_name": listed.name or (known.name if known else None),
        "state": state.value,
        "scopes": None if kept is None else ",".join(sorted(kept)),
        "authorised_at": listed.authorised_at or (known.authorised_at if known else None),
        "revoked_at": listed.revoked_at or (known.revoked_at if known else None),
        "secret_version": known.secret_version if known else None,
        "state_since": known.state_since if known is not None and known.state is state else now,
        "checked_at": now,
        "problem": None,
    }
