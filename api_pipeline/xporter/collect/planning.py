"""Apply consent, and plan what is requested of each school."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Set
from functools import partial

from api_pipeline.errors import AuthenticationRefused, SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.xporter.catalogue import Column
from api_pipeline.xporter.collect.consent_step import ConsentStep
from api_pipeline.xporter.collect.desk import Problem
from api_pipeline.xporter.collect.options import SchoolPlan
from api_pipeline.xporter.collect.sorting import ROLL, needed_columns
from api_pipeline.xporter.collect.work import Work
from api_pipeline.xporter.consent import Known, Listed, odd_entries, read_list
from api_pipeline.xporter.landing import Round
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.client import IdaasClient

_LOG = logging.getLogger(__name__)


class Planner:
    """Plan a collection. `consent` applies the list of schools, which `manager`, the management secret's client, reads.

    `manager` is None where there is no management secret.
    """

    def __init__(self, work: Work, consent: ConsentStep, manager: IdaasClient | None) -> None:
        self._work = work
        self._options = work.options
        self._consent = consent
        self._manager = manager

    def plans(self) -> list[SchoolPlan]:
        """Apply consent, and return what is requested of each school, in the order of their numbers."""
        known = self._consent.known()
        self._check_any(known)
        listed = self._listed(known)
        asked = self._consent.settle(known, listed)
        if not asked and not self._work.summary.errors:
            of_shard = " of this shard" if self._options.shard else ""
            _LOG.warning("no school%s can be asked: none is authorised and has a secret here", of_shard)
        return [self._plan(estab, scopes, known.get(estab)) for estab, scopes in sorted(asked.items())]

    def _check_any(self, known: Mapping[str, Known]) -> None:
        """Raise SettingsError where no school can ever be asked: there is no list of them, and no secret of one."""
        if not (self._manager or known or self._has_a_secret(known)):
            raise SettingsError(
                "XPORTER_MANAGEMENT_SECRET: expected it, or XPORTER_SCHOOLS with schools whose secrets are in the "
                "credential store: nothing says which schools are to be asked."
            )

    def _has_a_secret(self, known: Iterable[str]) -> bool:
        """Return whether a secret of one school is here; a credential store cannot be asked which it holds."""
        schools = {*known, *self._options.only, *self._work.secrets.estabs()}
        return any(self._work.secrets.get(estab) for estab in schools)

    def _listed(self, known: Mapping[str, Known]) -> dict[str, Listed] | None:
        """Return the list of schools; None where there is no management secret or no answer."""
        if self._manager is None:
            return None
        try:
            answer = self._manager.schools()
        except Failed as failure:
            if failure.outcome == Outcome.REFUSED and not self._has_a_secret(known):
                raise AuthenticationRefused(
                    "The management secret is refused and there is no other list of schools; correct "
                    "XPORTER_MANAGEMENT_SECRET and XPORTER_RELYING_PARTY."
                ) from None
            outcome = Outcome.UNAVAILABLE
            text = f"The list of schools could not be read ({failure.text}); consent is as it was last known."
            if failure.outcome == Outcome.REFUSED:
                outcome = Outcome.ERROR
                text = (
                    "The management secret is refused, so the list of schools could not be read and consent is as it "
                    "was last known; correct XPORTER_MANAGEMENT_SECRET and XPORTER_RELYING_PARTY."
                )
            _LOG.warning("%s", text)
            self._work.summary.problems.append(Problem(Round("", "GetXodSchools"), outcome, text))
            return None
        if odd := odd_entries(answer):
            of_none = "of the list of schools, whose estab is not the number of a school"
            self._work.summary.lines.append(counted(odd, f"{{entry|entries}} {of_none}, {{was|were}} left out."))
        return read_list(answer)

    def _plan(self, estab: str, scopes: frozenset[str] | None, known: Known | None) -> SchoolPlan:
        syncs = self._work.run(partial(self._work.store.school_syncs, estab))
        return SchoolPlan(
            estab=estab,
            options=self._options,
            scopes=scopes,
            last_scopes=known.scopes if known is not None else None,
            landed={key: state for key, state in syncs.items() if state.rows is not None},
            landed_ids=self._landed_ids(estab),
            added=self._added(),
        )

    def _added(self) -> tuple[str, ...]:
        if not self._options.change_sets:
            return ()
        return tuple(f"{one.name}.{name}" for one in self._work.run(self._work.store.existing) for name in one.added)

    def _landed_ids(self, estab: str) -> dict[Column, Set[str]]:
        options = self._options
        columns = needed_columns(options.choices)
        if options.cohort is not None or any(choice.is_for_each_window for choice in options.choices):
            columns.add(ROLL)
        found: dict[Column, Set[str]] = {}
        for landing in self._work.store.existing():
            for column in columns:
                if (landing.endpoint, landing.table.name) == column[:2]:
                    found[column] = self._work.run(partial(self._work.store.ids, landing, column.column, estab))
        return found
