"""Cases about who the child is and who is in the cohort (mapping 1 to 5): each a function that makes one child so."""

from __future__ import annotations

from datetime import datetime, timedelta

from api_pipeline.sandbox.invented_children import invented_postcode, invented_upn
from api_pipeline.sandbox.synthetic_ssd.cases import Case, bare_case, episode_case
from api_pipeline.sandbox.synthetic_ssd.life import Life, Row, person_id_of

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
FORMER_UPN = "Former Unique Pupil Number"


def situation_cases() -> list[Case]:
    """Return all cases about the child and the cohort."""
    return [
        *(bare_case("1", make) for make in (_closed_at_the_start, _closed_before_the_start, _referred_at_the_end)),
        *(bare_case("1", make) for make in (_referred_after_the_end, _referral_without_date, _times_of_day)),
        *(bare_case("2.1", make) for make in (_aged_26_at_the_start, _aged_26_the_day_after, _born_after_the_end)),
        *(bare_case("2.1", make) for make in (_born_on_a_leap_day, _unborn, _unborn_expected_at_the_end)),
        *(bare_case("2.1", make) for make in (_unborn_far_ahead, _estimated_birth_years_ago, _no_birth_date_at_all)),
        *(bare_case("2.1", make) for make in (_both_birth_dates,)),
        *(bare_case("2.2", make) for make in (_active_referral_only, _waiting_for_assessment, _assessed_without_start)),
        *(bare_case("2.2", make) for make in (_cin_plan_only, _looked_after_by_anothers_referral)),
        *(bare_case("2.2", make) for make in (_looked_after_by_placement, _care_leaver_aged_19, _care_leaver_not_open)),
        *(bare_case("2.2", make) for make in (_cp_plan_only, _disability_only, _history_only, _nothing_at_all)),
        *(episode_case("4", make) for make in (_id_of_20, _id_too_long, _id_with_a_sign, _id_with_a_space)),
        *(episode_case("4", make) for make in (_former_upn, _newest_former_upn_is_short, _former_upn_in_capitals)),
        *(episode_case("4", make) for make in (_two_former_upns, _short_former_upn_without_date)),
        *(episode_case("4", make) for make in (_no_address, _two_addresses_of_one_day, _address_without_start)),
        *(episode_case("4.1", make) for make in (_uasc_ended_in_window, _uasc_ended_long_ago, _uasc_then_refugee)),
        *(episode_case("4.1", make) for make in (_uasc_twice, _uasc_without_start)),
        *(episode_case("5", make) for make in (_sdq_at_the_bounds, _sdq_out_of_window, _sdq_without_score)),
        *(episode_case("5", make) for make in (_sdq_without_date, _two_sdqs_of_one_day, _sdq_beyond_forty)),
    ]


def _closed_at_the_start(life: Life) -> None:
    life.episode(life.start - 100 * _DAY, life.start)


def _closed_before_the_start(life: Life) -> None:
    life.episode(life.start - 100 * _DAY, life.start - _SECOND)


def _referred_at_the_end(life: Life) -> None:
    life.episode(life.end)


def _referred_after_the_end(life: Life) -> None:
    life.episode(life.end + _SECOND, life.end + 9 * _DAY)


def _referral_without_date(life: Life) -> None:
    life.episode(None, life.start + 50 * _DAY)


def _times_of_day(life: Life) -> None:
    episode = life.episode(life.today + timedelta(hours=23, minutes=59, seconds=58))
    life.assessment(episode, life.today + timedelta(hours=23, minutes=59, seconds=59, milliseconds=997), None)


def _aged_26_at_the_start(life: Life) -> None:
    life.person["pers_dob"] = life.start.replace(year=life.start.year - 26)
    life.episode(life.start + _DAY)


def _aged_26_the_day_after(life: Life) -> None:
    life.person["pers_dob"] = life.start.replace(year=life.start.year - 26) + _DAY
    life.episode(life.start + _DAY)


def _born_after_the_end(life: Life) -> None:
    life.person["pers_dob"] = life.end + 3 * _DAY
    life.episode(life.start + _DAY)


def _born_on_a_leap_day(life: Life) -> None:
    life.person["pers_dob"] = datetime(life.start.year - life.start.year % 4 - 12, 2, 29)  # noqa: DTZ001 - as in the SSD
    life.episode(life.start + _DAY)


def _unborn(life: Life) -> None:
    life.person.update(pers_dob=None, pers_expected_dob=life.today - 9 * _DAY, pers_sex="U")
    life.episode(life.today - 60 * _DAY)


def _unborn_expected_at_the_end(life: Life) -> None:
    life.person.update(pers_dob=None, pers_expected_dob=life.end, pers_sex="U")
    life.episode(life.today - 60 * _DAY)


def _unborn_far_ahead(life: Life) -> None:
    life.person.update(pers_dob=None, pers_expected_dob=life.end + 90 * _DAY, pers_sex="U")
    life.episode(life.today - 60 * _DAY)


def _estimated_birth_years_ago(life: Life) -> None:
    life.person.update(pers_dob=None, pers_expected_dob=life.start - 15 * 365 * _DAY)
    life.immigration("Unaccompanied Asylum Seeking Child", life.start + 9 * _DAY)
    life.episode(life.start + 9 * _DAY)


def _no_birth_date_at_all(life: Life) -> None:
    life.person.update(pers_dob=None, pers_expected_dob=None)
    life.episode(life.start + 9 * _DAY)


def _both_birth_dates(life: Life) -> None:
    born = life.today - 200 * _DAY
    life.person.update(pers_dob=born, pers_expected_dob=born + 6 * _DAY)
    life.episode(life.today - 190 * _DAY)


def _active_referral_only(life: Life) -> None:
    life.episode(life.start + 20 * _DAY, life.start + 90 * _DAY)


def _waiting_for_assessment(life: Life) -> None:
    # An open episode without a date is in no window; only this set takes it.
    life.episode(None)


def _assessed_without_start(life: Life) -> None:
    life.assessment(life.episode(None), None, life.today - 9 * _DAY)


def _cin_plan_only(life: Life) -> None:
    old = life.episode(life.start - 900 * _DAY, life.start - 300 * _DAY)
    life.cin_plan(old, life.start - 800 * _DAY, life.start + 10 * _DAY)


def _looked_after_by_anothers_referral(life: Life) -> None:
    # A brother's or sister's referral: it belongs to the person numbered one below.
    referral = life.episode(life.start + 40 * _DAY)
    referral["cine_person_id"] = person_id_of(max(life.number - 1, 0))
    placement = life.placement(f"L{life.number}-1", life.start - 300 * _DAY, life.start - 200 * _DAY)
    life.care_episode(referral["cine_referral_id"], placement, life.start - 300 * _DAY, life.start - 200 * _DAY)


def _looked_after_by_placement(life: Life) -> None:
    old = life.episode(life.start - 900 * _DAY, life.start - 300 * _DAY)
    placement = life.placement(f"L{life.number}-1", life.start - 500 * _DAY, None)
    life.care_episode(old["cine_referral_id"], placement, life.start - 500 * _DAY, None)


def _care_leaver_aged_19(life: Life) -> None:
    life.person["pers_dob"] = life.today - 19 * 365 * _DAY
    life.episode(life.start - 700 * _DAY)
    life.care_leaver(life.today - 30 * _DAY)


def _care_leaver_not_open(life: Life) -> None:
    life.person["pers_dob"] = life.today - 19 * 365 * _DAY
    life.episode(life.start - 700 * _DAY, life.start - 200 * _DAY)
    life.care_leaver(life.today - 30 * _DAY)


def _cp_plan_only(life: Life) -> None:
    old = life.episode(life.start - 900 * _DAY, life.start - 300 * _DAY)
    life.cp_plan(old, life.start - 800 * _DAY, None)


def _disability_only(life: Life) -> None:
    life.rows("ssd_disability").clear()
    life.disability("AUT")


def _history_only(life: Life) -> None:
    old = life.episode(life.start - 900 * _DAY, life.start - 300 * _DAY)
    life.assessment(old, life.start - 890 * _DAY, life.start - 850 * _DAY)


def _nothing_at_all(life: Life) -> None:
    for table in [name for name in life.tables if name != "ssd_person"]:
        life.rows(table).clear()


def _id_of_20(life: Life, _episode: Row) -> None:
    life.rename(f"T{life.number:019d}")


def _id_too_long(life: Life, _episode: Row) -> None:
    life.rename(f"T{life.number:020d}")


def _id_with_a_sign(life: Life, _episode: Row) -> None:
    life.rename(f"T-{life.number}")


def _id_with_a_space(life: Life, _episode: Row) -> None:
    life.rename(f"T {life.number}")


def _former_upn(life: Life, _episode: Row) -> None:
    life.identifier(FORMER_UPN, invented_upn(life.rng), life.today - 900 * _DAY)


def _two_former_upns(life: Life, _episode: Row) -> None:
    for days in (900, 500, 700):
        life.identifier(FORMER_UPN, invented_upn(life.rng), life.today - days * _DAY)


def _newest_former_upn_is_short(life: Life, _episode: Row) -> None:
    life.identifier(FORMER_UPN, invented_upn(life.rng), life.today - 900 * _DAY)
    life.identifier(FORMER_UPN, "A1234", life.today - 100 * _DAY)


def _former_upn_in_capitals(life: Life, _episode: Row) -> None:
    life.identifier(FORMER_UPN.upper() + " ", invented_upn(life.rng), life.today - 900 * _DAY)


def _short_former_upn_without_date(life: Life, _episode: Row) -> None:
    life.identifier(FORMER_UPN, "A1234", None)
    life.identifier(FORMER_UPN, invented_upn(life.rng), life.today - 900 * _DAY)


def _no_address(life: Life, _episode: Row) -> None:
    life.rows("ssd_address").clear()


def _two_addresses_of_one_day(life: Life, _episode: Row) -> None:
    for _ in range(2):
        life.address(invented_postcode(life.rng), life.today - 2 * _DAY)


def _address_without_start(life: Life, _episode: Row) -> None:
    life.address(invented_postcode(life.rng), None)


def _uasc_ended_in_window(life: Life, _episode: Row) -> None:
    life.immigration("UASC", life.start - 90 * _DAY, life.start + 90 * _DAY)


def _uasc_ended_long_ago(life: Life, _episode: Row) -> None:
    life.immigration("U", life.start - 900 * _DAY, life.start - 500 * _DAY)


def _uasc_then_refugee(life: Life, _episode: Row) -> None:
    life.immigration("Unaccompanied Asylum Seeking Child", life.start, life.start + 60 * _DAY)
    life.immigration("Refugee", life.start + 61 * _DAY)


def _uasc_twice(life: Life, _episode: Row) -> None:
    life.immigration("UASC", life.start + 80 * _DAY)
    life.immigration("UASC", life.start - 90 * _DAY, life.start + 70 * _DAY)


def _uasc_without_start(life: Life, _episode: Row) -> None:
    life.immigration("UASC", None)
    life.immigration("UASC", life.start - 90 * _DAY, life.start + 70 * _DAY)


def _sdq_at_the_bounds(life: Life, _episode: Row) -> None:
    for moment in (life.start - _SECOND, life.start, life.end, life.end + _SECOND):
        life.sdq(moment, 12)


def _sdq_out_of_window(life: Life, _episode: Row) -> None:
    life.rows("ssd_sdq_scores").clear()
    life.sdq(life.start - 30 * _DAY, 12)


def _sdq_without_score(life: Life, _episode: Row) -> None:
    life.sdq(life.start + 30 * _DAY, None)


def _sdq_without_date(life: Life, _episode: Row) -> None:
    life.sdq(None, 12)


def _two_sdqs_of_one_day(life: Life, _episode: Row) -> None:
    life.sdq(life.start + 30 * _DAY, 12)
    life.sdq(life.start + 30 * _DAY, 7)


def _sdq_beyond_forty(life: Life, _episode: Row) -> None:
    life.sdq(life.start + 30 * _DAY, 45)
