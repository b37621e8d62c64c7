"""Cases about placements, adoption, care leavers and workers (mapping 7.2 to 7.5), each added to one open episode."""

from __future__ import annotations

from datetime import timedelta

from api_pipeline.sandbox.synthetic_ssd.cases import Case, episode_case
from api_pipeline.sandbox.synthetic_ssd.life import Life, Row
from api_pipeline.sandbox.synthetic_ssd.ordinary import ordinary_care, ordinary_episode

_DAY = timedelta(days=1)
# The numbers of the professionals that have something odd about them, in `REGISTRATIONS`.
REGISTRATIONS: tuple[str | None, ...] = (
    *(None, "", "   ", " SW000007 ", "SW1234567890123", "SW12.345", "SW 12345", "sw000008", "SW123456789A"),
)


def care_cases() -> list[Case]:
    """Return all cases about care and the people who give it."""
    return [
        *(episode_case("7.2", make) for make in (_placements_in_a_row, _open_after_ended, _ends_before_it_starts)),
        *(episode_case("7.2", make) for make in (_two_episodes_on_one_placement, _placement_without_episode)),
        *(episode_case("7.2", make) for make in (_episode_without_placement, _placement_without_start)),
        *(episode_case("7.2", make) for make in (_ended_placement_open_episode, _placement_out_of_window)),
        *(episode_case("7.2", make) for make in (_one_period_two_referrals, _care_without_referral)),
        *(episode_case("7.3", make) for make in (_adoption, _adoption_by_period_of_care, _adoption_out_of_window)),
        *(episode_case("7.3", make) for make in (_two_adoptions, _adoption_in_two_episodes, _adoption_with_gaps)),
        *(episode_case("7.4", make) for make in (_care_leaver_in_two_episodes, _care_leaver_without_contact)),
        *(episode_case("7.4", make) for make in (_care_leaver_long_ago, _two_care_leaver_rows)),
        *(episode_case("7.5", make) for make in (_worker_over_a_census_date, _worker_between_census_dates)),
        *(episode_case("7.5", make) for make in (_worker_without_plan, _plan_over_before_the_window)),
        *(episode_case("7.5", make) for make in (_worker_ends_on_a_census_date, _unknown_professional, _same_worker)),
        *(_registration_case(number, value) for number, value in enumerate(REGISTRATIONS)),
    ]


def _placements_in_a_row(life: Life, episode: Row) -> None:
    ordinary_care(life, episode, life.today - 600 * _DAY, 5)


def _open_after_ended(life: Life, episode: Row) -> None:
    care = f"L{life.number}-1"
    first = life.placement(care, life.today - 90 * _DAY, life.today - 60 * _DAY)
    life.care_episode(episode["cine_referral_id"], first, life.today - 90 * _DAY, life.today - 60 * _DAY)
    second = life.placement(care, life.today - 60 * _DAY, None)
    life.care_episode(episode["cine_referral_id"], second, life.today - 60 * _DAY, None)


def _ends_before_it_starts(life: Life, episode: Row) -> None:
    placement = life.placement(f"L{life.number}-1", life.today - 60 * _DAY, life.today - 90 * _DAY)
    life.care_episode(episode["cine_referral_id"], placement, life.today - 60 * _DAY, life.today - 50 * _DAY)


def _two_episodes_on_one_placement(life: Life, episode: Row) -> None:
    placement = life.placement(f"L{life.number}-1", life.today - 90 * _DAY, life.today - 10 * _DAY)
    for begins, ends in ((50, 10), (90, 50)):
        life.care_episode(episode["cine_referral_id"], placement, life.today - begins * _DAY, life.today - ends * _DAY)


def _placement_without_episode(life: Life, episode: Row) -> None:
    care = f"L{life.number}-1"
    first = life.placement(care, life.today - 90 * _DAY, None)
    life.care_episode(episode["cine_referral_id"], first, life.today - 90 * _DAY, None)
    life.placement(care, life.today - 30 * _DAY, None)


def _episode_without_placement(life: Life, episode: Row) -> None:
    nowhere: Row = {"clap_cla_placement_id": None, "clap_cla_id": f"L{life.number}-9"}
    life.care_episode(episode["cine_referral_id"], nowhere, life.today - 90 * _DAY, None)


def _placement_without_start(life: Life, episode: Row) -> None:
    placement = life.placement(f"L{life.number}-1", None, None)
    life.care_episode(episode["cine_referral_id"], placement, life.today - 90 * _DAY, None)


def _ended_placement_open_episode(life: Life, episode: Row) -> None:
    placement = life.placement(f"L{life.number}-1", life.today - 90 * _DAY, life.today - 9 * _DAY)
    life.care_episode(episode["cine_referral_id"], placement, life.today - 90 * _DAY, None)


def _placement_out_of_window(life: Life, episode: Row) -> None:
    ordinary_care(life, episode, life.start - 1500 * _DAY, 2)


def _one_period_two_referrals(life: Life, episode: Row) -> None:
    other = ordinary_episode(life, life.today - 300 * _DAY)
    placement = life.placement(f"L{life.number}-1", life.today - 100 * _DAY, None)
    life.care_episode(other["cine_referral_id"], placement, life.today - 100 * _DAY, life.today - 40 * _DAY)
    life.care_episode(episode["cine_referral_id"], placement, life.today - 40 * _DAY, None)


def _care_without_referral(life: Life, _episode: Row) -> None:
    placement = life.placement(f"L{life.number}-1", life.today - 100 * _DAY, None)
    life.care_episode(None, placement, life.today - 100 * _DAY, None)


def _adoption(life: Life, _episode: Row) -> None:
    life.permanence(life.start + 10 * _DAY, life.start + 90 * _DAY, life.start + 120 * _DAY)


def _adoption_by_period_of_care(life: Life, episode: Row) -> None:
    care = ordinary_care(life, episode, life.start + 5 * _DAY, 1)
    life.permanence(life.start + 10 * _DAY, None, None).update(perm_person_id=None, perm_cla_id=care)


def _adoption_out_of_window(life: Life, _episode: Row) -> None:
    life.permanence(life.start - 300 * _DAY, life.start - 200 * _DAY, life.start - 100 * _DAY)


def _two_adoptions(life: Life, _episode: Row) -> None:
    life.permanence(life.start + 10 * _DAY, None, None)
    life.permanence(life.start - 90 * _DAY, life.start - 30 * _DAY, life.start + 60 * _DAY)
    life.permanence(life.start + 60 * _DAY, None, None)


def _adoption_in_two_episodes(life: Life, _episode: Row) -> None:
    ordinary_episode(life, life.today - 100 * _DAY)
    life.permanence(life.start + 10 * _DAY, life.start + 90 * _DAY, None)


def _adoption_with_gaps(life: Life, _episode: Row) -> None:
    life.permanence(None, life.start + 10 * _DAY, None)


def _care_leaver_in_two_episodes(life: Life, _episode: Row) -> None:
    ordinary_episode(life, life.today - 100 * _DAY)
    life.care_leaver(life.today - 20 * _DAY)


def _care_leaver_without_contact(life: Life, _episode: Row) -> None:
    life.care_leaver(None)


def _care_leaver_long_ago(life: Life, _episode: Row) -> None:
    life.care_leaver(life.start - 900 * _DAY)


def _two_care_leaver_rows(life: Life, _episode: Row) -> None:
    for moment in (None, life.today - 90 * _DAY, life.today - 20 * _DAY, life.today - 20 * _DAY):
        life.care_leaver(moment)


def _workers(life: Life, episode: Row, begins: int, ends: int | None) -> Row:
    """Add a worker by days from START, which is a day after a census date; on an episode with a CIN plan."""
    life.cin_plan(episode, life.start, None)
    until = None if ends is None else life.start + ends * _DAY
    row = life.involvement(episode, 50, life.start + begins * _DAY, until)
    row["invo_professional_role_id"] = "CW"
    return row


def _worker_over_a_census_date(life: Life, episode: Row) -> None:
    _workers(life, episode, 300, None)


def _worker_between_census_dates(life: Life, episode: Row) -> None:
    _workers(life, episode, 20, 200)


def _worker_ends_on_a_census_date(life: Life, episode: Row) -> None:
    row = _workers(life, episode, 20, None)
    row["invo_involvement_end_date"] = life.start.replace(year=life.start.year + 1) - _DAY


def _worker_without_plan(life: Life, episode: Row) -> None:
    life.rows("ssd_cin_plans").clear()
    life.involvement(episode, 51, life.start, None)["invo_professional_role_id"] = "CW"


def _plan_over_before_the_window(life: Life, episode: Row) -> None:
    life.rows("ssd_cin_plans").clear()
    life.cin_plan(episode, life.start - 90 * _DAY, life.start - 60 * _DAY)
    life.involvement(episode, 51, life.start, None)["invo_professional_role_id"] = "CW"


def _unknown_professional(life: Life, episode: Row) -> None:
    _workers(life, episode, 20, None)["invo_professional_id"] = "nobody"


def _same_worker(life: Life, episode: Row) -> None:
    for _ in range(2):
        _workers(life, episode, 20, None)


def _registration_case(number: int, value: str | None) -> Case:
    def make(life: Life, episode: Row) -> None:
        row = _workers(life, episode, 0, None)
        row["invo_professional_id"] = f"PR{number}"

    return episode_case("7.5", make, f"registration number is {value!r}")
