"""All people of a synthetic SSD: made one by one from the seed, so that an SSD of any size needs no memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time

from api_pipeline.sandbox.synthetic_ssd.care import REGISTRATIONS, care_cases
from api_pipeline.sandbox.synthetic_ssd.cases import Case
from api_pipeline.sandbox.synthetic_ssd.episodes import block_cases
from api_pipeline.sandbox.synthetic_ssd.life import FEWEST_PROFESSIONALS, Life, Row, professional_id_of
from api_pipeline.sandbox.synthetic_ssd.nights import Night, NightChange, NightStep, changed_person, drawn_changes
from api_pipeline.sandbox.synthetic_ssd.ordinary import ordinary_life
from api_pipeline.sandbox.synthetic_ssd.person import SyntheticPerson
from api_pipeline.sandbox.synthetic_ssd.situations import situation_cases
from api_pipeline.sandbox.synthetic_ssd.values import value_cases
from api_pipeline.staging.window import window_for

ALL_CASES: tuple[Case, ...] = (*situation_cases(), *block_cases(), *care_cases(), *value_cases())
# Beyond the first of each, every twentieth person is a case: most of a council's records are in order.
_CASE_EVERY = 20
_STRIDE = 31


class SyntheticSsd:
    """An SSD of invented people as it stands on a day. The same `people`, `as_of` and `seed` give the same rows.

    The first `len(ALL_CASES)` people are one case each, so an SSD of as many people holds every case of the mapping;
    without `all_cases_first` the cases come among the others only, as rarely as at a council.
    """

    def __init__(self, people: int, as_of: date, seed: int = 1, *, all_cases_first: bool = True) -> None:
        self.people = people
        self._all_cases_first = all_cases_first
        self._seed = seed
        self._as_of = as_of
        self._changed: dict[int, SyntheticPerson | None] = {}
        self._professionals = max(FEWEST_PROFESSIONALS, people // 20)
        self._gone: list[SyntheticPerson] = []

    def person(self, number: int) -> SyntheticPerson | None:
        """Return the person with a number (from 0), as they stand tonight; None for one whose rows are gone."""
        if number in self._changed:
            return self._changed[number]
        return self._made(number)

    def persons(self) -> Iterator[SyntheticPerson]:
        """Yield everybody whose rows are there, in the order of their numbers."""
        for number in range(self.people):
            person = self.person(number)
            if person is not None:
                yield person

    def professionals(self) -> list[Row]:
        """Return the rows of the professionals, who belong to no person; the first have odd registration numbers."""
        return [self._professional(number) for number in range(self._professionals)]

    def next_night(self, rng: random.Random, share: float, as_of: date | None = None) -> Night:
        """NightChange a share of the people (one at least) as a night does, and return what was changed.

        `as_of` is the day after that night, for dates that come in with it; without it the day stays.
        """
        today = datetime.combine(as_of or self._as_of, time())
        count = max(1, round(self.people * share))
        steps: list[NightStep] = []
        for change in drawn_changes(rng, count):
            step = self._step(rng, change, today, {step.number for step in steps})
            if step is not None:
                steps.append(step)
                self._changed[step.number] = step.after
        return Night(tuple(steps))

    def _step(self, rng: random.Random, change: NightChange, today: datetime, taken: set[int]) -> NightStep | None:
        if change is NightChange.CAME:
            self.people += 1
            return NightStep(change, self.people - 1, None, self._made(self.people - 1))
        if change is NightChange.RETURNED:
            gone = [person for person in self._gone if person.number not in taken]
            if not gone:
                return None
            person = rng.choice(gone)
            self._gone.remove(person)
            return NightStep(change, person.number, None, person)
        number = rng.randrange(self.people)
        before = self.person(number)
        if before is None or number in taken:
            return None
        if change is NightChange.VANISHED:
            self._gone.append(before)
            return NightStep(change, number, before, None)
        return NightStep(change, number, before, changed_person(rng, before, change, today))

    def _made(self, number: int) -> SyntheticPerson:
        rng = random.Random(f"{self._seed}/{number}")  # noqa: S311 - invented people need no cryptography
        window = window_for(self._as_of)
        life = Life(rng, number, datetime.combine(self._as_of, time()), window.start, window.end)
        life.professionals = self._professionals
        case = self._case_of(number)
        (case.make if case else ordinary_life)(life)
        return SyntheticPerson(number, life.person_id, case.name if case else None, life.tables)

    def _case_of(self, number: int) -> Case | None:
        if self._all_cases_first and number < len(ALL_CASES):
            return ALL_CASES[number]
        # In strides, so that a small SSD too sees cases of every section.
        return ALL_CASES[number // _CASE_EVERY * _STRIDE % len(ALL_CASES)] if number % _CASE_EVERY == 0 else None

    def _professional(self, number: int) -> Row:
        odd = number < len(REGISTRATIONS)
        return {
            "prof_professional_id": professional_id_of(number),
            "prof_staff_id": f"ST{number}",
            "prof_social_worker_registration_no": REGISTRATIONS[number] if odd else f"SW{100000 + number}",
        }
