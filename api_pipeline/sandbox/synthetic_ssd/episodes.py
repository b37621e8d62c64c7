"""Cases about an episode's blocks (mapping 6 to 7.1): each a function that adds to one child's open episode."""

from __future__ import annotations

from datetime import timedelta

from api_pipeline.sandbox.synthetic_ssd.cases import Case, episode_case
from api_pipeline.sandbox.synthetic_ssd.life import Life, Row
from api_pipeline.sandbox.synthetic_ssd.ordinary import ordinary_episode

_DAY = timedelta(days=1)


def block_cases() -> list[Case]:
    """Return all cases about an episode, its assessments, plans and enquiries."""
    return [
        *(episode_case("6", make) for make in (_id_too_long, _id_with_a_sign, _several_episodes, _two_of_one_day)),
        *(episode_case("6", make) for make in (_closed_without_reason, _reason_without_closure, _closed_too_early)),
        *(episode_case("7", make) for make in (_assessment_by_its_end, _assessment_out_of_window, _assessment_undated)),
        *(episode_case("7", make) for make in (_plans_in_and_out, _plan_without_start, _plan_ends_at_the_start)),
        *(episode_case("7", make) for make in (_enquiry_by_its_conference, _enquiry_out_of_window)),
        *(episode_case("7", make) for make in (_several_conferences, _conference_without_date, _cp_plans_in_and_out)),
        *(episode_case("7", make) for make in (_ids_of_36, _block_id_too_long, _block_id_with_a_sign, _orphans)),
        *(episode_case("7.1", make) for make in (_two_factor_rows, _all_but_21_in_two_rows_with_21)),
    ]


def _id_too_long(life: Life, _episode: Row) -> None:
    life.episode(life.today - 90 * _DAY)["cine_referral_id"] = f"{life.number:037d}"


def _id_with_a_sign(life: Life, _episode: Row) -> None:
    life.episode(life.today - 90 * _DAY)["cine_referral_id"] = f"R/{life.number}"


def _several_episodes(life: Life, _episode: Row) -> None:
    for days in (500, 20, 300):
        ordinary_episode(life, life.today - days * _DAY)


def _two_of_one_day(life: Life, _episode: Row) -> None:
    for _ in range(2):
        life.episode(life.today - 33 * _DAY)


def _closed_without_reason(life: Life, episode: Row) -> None:
    episode["cine_close_date"] = life.today - 3 * _DAY


def _reason_without_closure(_life: Life, episode: Row) -> None:
    episode["cine_close_reason"] = "RC1"


def _closed_too_early(life: Life, _episode: Row) -> None:
    life.episode(life.today - 30 * _DAY, life.today - 60 * _DAY)


def _assessment_by_its_end(life: Life, episode: Row) -> None:
    life.assessment(episode, life.start - 20 * _DAY, life.start + 10 * _DAY)


def _assessment_out_of_window(life: Life, episode: Row) -> None:
    life.assessment(episode, life.start - 90 * _DAY, life.start - 50 * _DAY)


def _assessment_undated(life: Life, episode: Row) -> None:
    life.assessment(episode, None, None)


def _plans_in_and_out(life: Life, episode: Row) -> None:
    life.cin_plan(episode, life.start - 90 * _DAY, life.start + 3 * _DAY)
    life.cin_plan(episode, life.start - 190 * _DAY, life.start - 93 * _DAY)


def _plan_without_start(life: Life, episode: Row) -> None:
    life.cin_plan(episode, None, life.today)


def _plan_ends_at_the_start(life: Life, episode: Row) -> None:
    life.cin_plan(episode, life.start - 90 * _DAY, life.start)
    life.cin_plan(episode, life.end, None)


def _enquiry_by_its_conference(life: Life, episode: Row) -> None:
    enquiry = life.enquiry(episode, life.start - 40 * _DAY, life.start - 20 * _DAY, '{"CP_CONFERENCE_FLAG":"Y"}')
    life.conference(enquiry, life.start + 2 * _DAY)


def _enquiry_out_of_window(life: Life, episode: Row) -> None:
    enquiry = life.enquiry(episode, life.start - 90 * _DAY, life.start - 70 * _DAY, '{"CP_CONFERENCE_FLAG":"Y"}')
    life.conference(enquiry, life.start - 60 * _DAY)


def _several_conferences(life: Life, episode: Row) -> None:
    enquiry = life.enquiry(episode, life.today - 60 * _DAY, None, '{"CP_CONFERENCE_FLAG":"Y"}')
    for days in (40, 20, 30):
        life.conference(enquiry, life.today - days * _DAY)


def _conference_without_date(life: Life, episode: Row) -> None:
    enquiry = life.enquiry(episode, life.today - 60 * _DAY, None, '{"CP_CONFERENCE_FLAG":"Y"}')
    life.conference(enquiry, None)


def _cp_plans_in_and_out(life: Life, episode: Row) -> None:
    life.cp_plan(episode, life.start - 190 * _DAY, life.start - 93 * _DAY)
    life.cp_plan(episode, life.start - 90 * _DAY, None)


def _ids_of_36(life: Life, episode: Row) -> None:
    life.cin_plan(episode, life.today - 5 * _DAY, None)["cinp_cin_plan_id"] = f"P{life.number:035d}"


def _block_id_too_long(life: Life, episode: Row) -> None:
    life.cin_plan(episode, life.today - 5 * _DAY, None)["cinp_cin_plan_id"] = f"P{life.number:036d}"


def _block_id_with_a_sign(life: Life, episode: Row) -> None:
    life.cp_plan(episode, life.today - 5 * _DAY, None)["cppl_cp_plan_id"] = f"CP {life.number}"


def _orphans(life: Life, _episode: Row) -> None:
    nobodys: Row = {"cine_referral_id": None}
    life.assessment(nobodys, life.today - 5 * _DAY, None)
    life.cin_plan({"cine_referral_id": f"none-{life.number}"}, life.today - 5 * _DAY, None)
    life.enquiry(nobodys, life.today - 5 * _DAY, None, None)
    life.factors({"cina_assessment_id": f"none-{life.number}"}, '["1A"]')
    life.conference({"s47e_s47_enquiry_id": f"none-{life.number}"}, life.today)
    life.placement(f"none-{life.number}", life.today - 5 * _DAY, None)
    life.sdq(life.today - 5 * _DAY, 3)["csdq_person_id"] = f"none-{life.number}"
    life.involvement(nobodys, 50, life.today, None)


def _two_factor_rows(life: Life, episode: Row) -> None:
    assessment = life.assessment(episode, life.today - 60 * _DAY, None)
    life.factors(assessment, '["1A","4B"]')
    life.factors(assessment, '["2B","1A"]')


def _all_but_21_in_two_rows_with_21(life: Life, episode: Row) -> None:
    assessment = life.assessment(episode, life.today - 60 * _DAY, None)
    life.factors(assessment, '{"21":"Yes","3A":"Yes"}')
    life.factors(assessment, '["3B"]')
