"""Apply consent, and plan what is requested of each school."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from functools import partial
from typing import Any

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import AuthenticationRefused, SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.xporter.asking import sources_of
from api_pipeline.xporter.collect.change_sets import ChangeSets
from api_pipeline.xporter.collect.items import SchoolPlan
from api_pipeline.xporter.collect.options import CollectOptions, CollectParts
from api_pipeline.xporter.collect.sorting import ROLL
from api_pipeline.xporter.consent import Known, Listed, odd_entries, read_list
from api_pipeline.xporter.consent_step import ConsentStep
from api_pipeline.xporter.landing import Round, SyncState
from api_pipeline.xporter.minimise import landed_sources
from api_pipeline.xporter.summary import CollectSummary, RoundResult
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.client import IdaasClient

_LOG = logging.getLogger(__name__)


class Planner:
    """Plan a collection. `with_retry` runs work on the database; `client` makes a school's client from its secret."""

    def __init__(
        self,
        parts: CollectParts,
        options: CollectOptions,
        summary: CollectSummary,
        with_retry: Callable[[Callable[[], Any]], Any],
        client: Callable[[str, str], IdaasClient],
    ) -> None:
        self._parts = parts
        self._options = options
        self._store = parts.store
        self.summary = summary
        self._with_retry = with_retry
        self._client = client

    def plans(self) -> list[SchoolPlan]:
        """Apply consent, and return what is requested of each school, in the order of their numbers."""
        step = ConsentStep(self._store, self._parts.secrets, self._options, self.summary, self._with_retry)
        known = step.known()
        self._check_any(known)
        listed = self._listed(known)
        asked = step.settle(known, listed, utc_now())
        if not asked and not self.summary.errors:
            _LOG.warning("no school can be asked: none is authorised and has a secret here")
        plans = []
        for estab, scopes in sorted(asked.items()):
            syncs = self._with_retry(partial(self._store.school_syncs, estab))
            plan = self._plan(estab, scopes, syncs)
            plans.append(replace(plan, last_scopes=known[estab].scopes) if estab in known else plan)
        return plans

    def _check_any(self, known: Mapping[str, Known]) -> None:
        """Raise SettingsError where no school can ever be asked: there is no list of them, and no secret of one."""
        if not (self._parts.management_secret or known or self._has_a_secret(known)):
            raise SettingsError(
                "XPORTER_MANAGEMENT_SECRET: expected it, or XPORTER_SCHOOLS with schools whose secrets are in the "
                "credential store: nothing says which schools are to be asked."
            )

    def _has_a_secret(self, known: Iterable[str]) -> bool:
        """Return whether a secret of one school is here; a credential store cannot be asked which it holds."""
        secrets = self._parts.secrets
        return any(secrets.get(estab) for estab in {*known, *self._options.only, *secrets.estabs()})

    def _listed(self, known: Mapping[str, Known]) -> dict[str, Listed] | None:
        """Return the list of schools; None where there is no management secret or no answer."""
        if not self._parts.management_secret:
            return None
        client = self._client("", self._parts.management_secret)
        try:
            answer = client.schools()
        except Failed as failure:
            if failure.outcome == Outcome.REFUSED and not self._has_a_secret(known):
                raise AuthenticationRefused(
                    "The management secret is refused and there is no other list of schools; correct "
                    "XPORTER_MANAGEMENT_SECRET and XPORTER_RELYING_PARTY."
                ) from None
            text = f"The list of schools could not be read ({failure.text}); consent is as it was last known."
            if failure.outcome == Outcome.REFUSED:
                text = (
                    "The management secret is refused, so the list of schools could not be read and consent is as it "
                    "was last known; correct XPORTER_MANAGEMENT_SECRET and XPORTER_RELYING_PARTY."
                )
            _LOG.warning("%s", text)
            outcome = Outcome.ERROR if failure.outcome == Outcome.REFUSED else Outcome.UNAVAILABLE
            self.summary.problems.append(RoundResult(Round("", "GetXodSchools"), outcome, text, is_news=True))
            return None
        if odd := odd_entries(answer):
            self.summary.lines.append(
                f"{counted(odd, '{entry|entries}')} of the list of schools, whose estab is not the number of a school, "
                f"{'was' if odd == 1 else 'were'} left out."
            )
        return read_list(answer)

    def _plan(
        self, estab: str, scopes: frozenset[str] | None, syncs: Mapping[tuple[str, str], SyncState]
    ) -> SchoolPlan:
        options = self._options
        landed = {key: state for key, state in syncs.items() if state.rows is not None}
        return SchoolPlan(
            estab=estab,
            choices=options.choices,
            scopes=scopes,
            known_endpoints=frozenset(endpoint for endpoint, _ in landed),
            landed={} if options.is_full else landed,
            landed_ids=self._landed_ids(estab),
            cohort=self._parts.cohort,
            today=options.today,
            weeks_back=options.weeks_back,
            earliest=options.earliest,
            options_style=options.options_style,
            paths=options.paths,
            shrink_pause_s=options.shrink_pause_s,
            verifies=options.verifies,
            keeps_unknown=options.keeps_unknown,
            changes=ChangeSets(
                *(options.change_sets, syncs, utc_now(), options.whole_every, options.is_full), added=self._added()
            ),
        )

    def _added(self) -> tuple[str, ...]:
        if not self._options.change_sets:
            return ()
        return tuple(f"{one.name}.{name}" for one in self._with_retry(self._store.existing) for name in one.added)

    def _landed_ids(self, estab: str) -> dict[tuple[str, str, str], Set[str]]:
        sources = {source for choice in self._options.choices for source in sources_of(choice)}
        sources |= {source for choice in self._options.choices for source in landed_sources(choice.endpoint)}
        if self._parts.cohort is not None or any(choice.is_for_each_window for choice in self._options.choices):
            sources.add(ROLL)
        found: dict[tuple[str, str, str], Set[str]] = {}
        for landing in self._store.existing():
            for endpoint, table, column in sources:
                if landing.endpoint == endpoint and landing.table is not None and landing.table.name == table:
                    found[endpoint, table, column] = self._with_retry(partial(self._store.ids, landing, column, estab))
        return found
