"""Apply consent to the tables before the first request to a school: purges, withdrawn scopes, new secrets."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.xporter.collect.work import Work
from api_pipeline.xporter.consent import (
    Known,
    Listed,
    SchoolState,
    Verdict,
    fingerprint,
    judge,
    school_values,
)
from api_pipeline.xporter.landing.removal import purge_school, withdraw

_CLOSED = (SchoolState.REVOKED, SchoolState.REMOVED, SchoolState.PENDING)


class ConsentStep:
    """Bring the tables to what the list of schools says."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._options = work.options
        self._secrets = work.secrets
        self._store = work.store

    def known(self) -> dict[str, Known]:
        """Return what the table of schools says, by estab."""
        return self._work.run(self._store.known_schools)

    def settle(
        self, known: Mapping[str, Known], listed: Mapping[str, Listed] | None
    ) -> dict[str, frozenset[str] | None]:
        """Do what the list says; return the schools to collect from, with their scopes (None: not known yet)."""
        asked: dict[str, frozenset[str] | None] = {}
        only = self._options.only
        # A credential store cannot be asked for its schools, so that those of them count that the operator names.
        named = {estab for estab in only if self._secrets.get(estab)}
        every = set(known) | set(listed or ()) | set(self._secrets.estabs()) | named
        for estab in sorted(filter(self._is_ours, every)):
            entry = listed.get(estab) if listed is not None else None
            may_ask = self._settle_one(estab, known.get(estab), entry, has_list=listed is not None)
            if may_ask and (not only or estab in only):
                asked[estab] = entry.scopes if entry is not None else None
        for estab in sorted(filter(self._is_ours, only - set(asked))):
            self._work.say(f"School {estab} was not asked: it is not authorised, or has no secret here.")
        return asked

    def _is_ours(self, estab: str) -> bool:
        """Return whether a school is in this share; the same school is in the same share on every machine."""
        shard = self._options.shard
        return shard is None or zlib.crc32(estab.encode()) % shard[1] == shard[0] - 1

    def _settle_one(self, estab: str, known: Known | None, listed: Listed | None, *, has_list: bool) -> bool:
        """Do what the list says of a school; return whether requests may be sent to it."""
        secret = self._secrets.get(estab)
        if known is not None and known.state is SchoolState.REVOKED:
            known = replace(known, has_rows=self._has_rounds(estab))
        was_removed = known is not None and known.state is SchoolState.REMOVED
        if was_removed and (listed is None or listed.state is SchoolState.AUTHORISED) and self._is_left(known, secret):
            self._work.say(
                f"School {estab} was removed here, so it is not asked; take XPORTER_SECRET_{estab} out of the settings."
            )
            return False
        # Its secret was added again since, or is a new one: without a list of schools that alone brings it back.
        is_added_again = was_removed and listed is None and secret is not None
        verdict = judge(known, listed, secret)
        is_closed = verdict.state in _CLOSED and not is_added_again
        if listed is not None:
            self._carry_out(known, listed, verdict)
        elif known is not None and is_closed:
            return False
        elif has_list and known is not None:
            self._work.say(f"School {estab} is not in the list of schools; its rows are kept as they are.")
        if is_closed or secret is None or verdict.secret_is_dead:
            if verdict.state not in _CLOSED:
                self._say_without_secret(estab, listed)
            return False
        return True

    def _say_without_secret(self, estab: str, listed: Listed | None) -> None:
        is_wanted = not self._options.only or estab in self._options.only
        if listed is None and not is_wanted:
            return
        what = "was collected before" if listed is None else "has authorised you"
        self._work.say(
            f"School {estab} {what}, but its secret is not here; add it with: d2i-csc-api xporter schools add {estab}"
        )
        # What is landed grows old, as where the secret is under another account. Of a school that only begins, or that
        # was removed, nothing is landed.
        if is_wanted and self._has_rounds(estab):
            self._work.summary.odd.add(estab)

    def _is_left(self, known: Known | None, secret: str | None) -> bool:
        """Return whether a removed school's secret is the one that stood in the settings when it was removed."""
        if known is None or secret is None or known.estab not in self._secrets.estabs():
            return False
        return known.secret_version in (None, fingerprint(secret))

    def _carry_out(self, known: Known | None, listed: Listed, verdict: Verdict) -> None:
        """Do what the list says of a school that stands in it."""
        estab = listed.estab
        if self._options.is_dry_run:
            must_go = verdict.must_purge and self._options.purges_revoked and not self._is_in_grace(verdict.ended_at)
            if must_go and self._has_rounds(estab):
                self._work.say(f"School {estab}: its consent ended; a collection would remove its rows.")
            return
        # A collection that was killed may have landed rows of a school that was removed before.
        if verdict.must_purge or (verdict.state is SchoolState.REVOKED and self._has_rounds(estab)):
            self._end(known, listed, verdict)
        if verdict.secret_is_dead:
            self._forget_secret(estab)
        if listed.state is SchoolState.REVOKED:
            return
        if listed.state is SchoolState.PENDING and self._has_rounds(estab):
            self._work.say(
                f"School {estab} stands in the list as invited and not as authorised, so it is not asked; its rows are "
                "kept as they are."
            )
        if listed.scopes is not None:
            self._keep(known, listed, listed.scopes)
        else:
            self._save(school_values(known, listed, utc_now()))

    def _end(self, known: Known | None, listed: Listed, verdict: Verdict) -> None:
        """Remove a school whose consent ended, or say why its rows are still there."""
        estab = listed.estab
        if known is None and self._secrets.get(estab) is None and not self._has_rounds(estab):
            # Never ours: there is nothing to remove, and nothing to prove.
            self._save(school_values(None, listed, utc_now()))
        elif not self._options.purges_revoked:
            self._keep_rows(known, listed, verdict)
            self._work.summary.odd.add(estab)
            self._work.say(
                f"School {estab} revoked its consent; its rows are still here (XPORTER_ON_REVOKED=report). Remove them "
                f"with: d2i-csc-api xporter schools remove {estab}",
                logging.WARNING,
            )
        elif verdict.state is SchoolState.REVOKED and self._is_in_grace(verdict.ended_at):
            self._keep_rows(known, listed, verdict)
            self._work.say(
                f"School {estab} revoked its consent; it is not asked any more, and its rows are removed "
                f"{counted(self._options.revoked_grace.days, '{day|days}')} after that (XPORTER_REVOKED_GRACE_DAYS)."
            )
        else:
            self._purge(known, listed, verdict)

    def _keep_rows(self, known: Known | None, listed: Listed, verdict: Verdict) -> None:
        """Keep that a school revoked whose rows stay for now: nothing is written back to it meanwhile."""
        if verdict.state is SchoolState.REVOKED and self._has_rounds(listed.estab):
            self._save(school_values(known, listed, utc_now()))

    def _purge(self, known: Known | None, listed: Listed, verdict: Verdict) -> None:
        estab, now = listed.estab, utc_now()
        secret = self._secrets.get(estab)
        # By its fingerprint a secret that cannot be forgotten now is known as a dead one later.
        version = fingerprint(secret) if secret and verdict.secret_is_dead else None
        values = school_values(known, listed, now)
        removed = self._work.run(
            lambda: purge_school(self._store, estab, verdict.state, now, values, secret_version=version)
        )
        ended = f"{verdict.ended_at:%Y-%m-%d %H:%M}" if verdict.ended_at else "an unknown time"
        rows = counted(removed, "{row was|rows were} removed")
        self._work.say(f"School {estab}: consent ended at {ended}; {rows} at {now:%Y-%m-%d %H:%M} UTC.")

    def _is_in_grace(self, ended_at: datetime | None) -> bool:
        # A revocation without a date that can be read gets no grace.
        grace = self._options.revoked_grace
        return bool(grace) and ended_at is not None and utc_now() < ended_at + grace

    def _save(self, values: Mapping[str, object]) -> None:
        self._work.run(lambda: self._store.save_school(values))

    def _has_rounds(self, estab: str) -> bool:
        return bool(self._work.run(lambda: self._store.school_syncs(estab)))

    def _forget_secret(self, estab: str) -> None:
        try:
            was_there = self._secrets.forget(estab)
        except SettingsError as error:
            self._work.say(str(error))
            return
        if not was_there:
            self._work.say(f"The secret of school {estab} is dead; take XPORTER_SECRET_{estab} out of the settings.")

    def _keep(self, known: Known | None, listed: Listed, scopes: frozenset[str]) -> None:
        """Keep a school's entry and, in the same transaction, empty what its scopes no longer cover."""
        estab, now = listed.estab, utc_now()
        before = known.scopes if known else None
        lost = before - scopes if before is not None else frozenset()
        # What was landed while nobody knew the scopes may be more than they cover.
        must_empty = bool(lost) or (known is not None and before is None)

        def step() -> tuple[int, int]:
            with self._store.connection.transaction():
                done = withdraw(self._store, estab, scopes, before) if must_empty else (0, 0)
                self._store.save_school(school_values(known, listed, now, scopes))
            return done

        columns, tables = self._work.run(step)
        if lost:
            emptied = f"{counted(columns, '{column|columns}')} and {counted(tables, '{table|tables}')} were emptied"
            done = emptied if columns or tables else "no column and no table needed it, so none was emptied"
            self._work.summary.odd.add(estab)
            self._work.say(f"School {estab} took back {', '.join(sorted(lost))}: {done}.")

    def keep_scopes(self, estab: str, scopes: frozenset[str]) -> None:
        """Do the same for scopes that the school's own token names."""
        if not self._options.is_dry_run:
            self._keep(self.known().get(estab), Listed(estab, None), scopes)

    def keep_state(self, estab: str, state: SchoolState, version: str | None, problem: str | None) -> datetime:
        """Store a school's state after its requests; return since when it has this state."""
        known, now = self.known().get(estab), utc_now()
        since = known.state_since if known and known.state is state and known.state_since else now
        values = school_values(known, Listed(estab, None), now)
        values |= {"state": state.value, "state_since": since, "problem": problem}
        self._save(values | {"secret_version": version or values["secret_version"]})
        return since
