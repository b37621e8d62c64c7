"""While a request is under way, the one before it is written down and the one after it is prepared."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.sandbox.simulator.tec import TecConditions
from api_pipeline.sdr.baseline import Baseline
from api_pipeline.sdr.nouns import Collection, OnNewToken, Rules
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.session import Session
from tests.support.tec import PERIOD, Killed, TecWorld, record, tec_world


def _seen(folder: Path, rows: int, condition: str = "1 = 1") -> bool:
    """Return whether somebody else sees so many records in the baseline within five seconds."""
    with sqlite3.connect(folder / "sdr.db") as other:
        for _ in range(500):
            if other.execute(f"SELECT COUNT(*) FROM sdr_held WHERE {condition}").fetchone()[0] >= rows:
                return True
            time.sleep(0.01)
    return False


def _looking(world: TecWorld, look: Callable[[int], None], *, is_behind: bool = False) -> None:
    """Call `look` with the number of each PUT, before it leaves, or behind its answer."""
    calls = 0

    def adapt(receiver: TecReceiver) -> None:
        put = receiver.put

        def looked(*call: object) -> object:
            nonlocal calls
            calls += 1
            if not is_behind:
                look(calls)
            answer = put(*call)  # type: ignore[arg-type] # as it was called
            if is_behind:
                look(calls)
            return answer

        receiver.put = looked  # type: ignore[method-assign,assignment] # looked at

    world.adapt = adapt


def test_next_batch_is_prepared_while_a_request_is_under_way(tmp_path: Path) -> None:
    seen: list[bool] = []
    with tec_world(tmp_path, TecConditions(batch_limit=2)) as world:
        for number in range(6):
            world.stage(Collection.LEARNERS, f"s{number}")

        def look(call: int) -> None:
            if call < 3:
                seen.append(_seen(tmp_path, 2 * call + 2))
            if call == 2:
                seen.append(_seen(tmp_path, 2, "payload_hash IS NOT NULL"))

        _looking(world, look)
        assert world.submit().exit_code == 0
        assert seen == [True, True, True]
        assert world.simulator.batch_sizes == [2, 2, 2]
        assert world.simulator.most_at_once == 1
        assert world.held() == world.staged


def test_database_that_fails_beside_a_request_leaves_its_records_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=2)) as world:
        for number in range(6):
            world.stage(Collection.LEARNERS, f"s{number}")
        put_in_doubt = Baseline.put_in_doubt
        arrived: list[int] = []

        def fail(*call: object) -> None:
            if len(arrived) == 1:
                raise DatabaseError("The connection to the database was lost.")
            arrived.append(1)
            put_in_doubt(*call)  # type: ignore[arg-type] # as it was called

        with monkeypatch.context() as patch:
            patch.setattr(Baseline, "put_in_doubt", fail)
            assert world.submit().exit_code == 3
        assert len(world.held()) == 2, "the request that was under way ended before the run did"
        world.check_baseline()
        assert world.submit().exit_code == 0
        assert world.held() == world.staged


@pytest.mark.parametrize("told", [1, 2])
def test_batch_prepared_for_a_larger_limit_is_sent_in_parts(tmp_path: Path, told: int) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=4, taken_limit=told)) as world:
        for number in range(12):
            world.stage(Collection.LEARNERS, f"s{number}")
        assert world.submit().exit_code == 0
        assert world.held() == world.staged
        sizes = world.simulator.batch_sizes
        assert sizes[0] == 4
        assert max(sizes[-6:]) == told


@pytest.mark.parametrize("dies_after", [False, True])
@pytest.mark.parametrize("dies_at", [3, 4, 5, 6])
def test_refused_and_withheld_rows_are_marked_by_the_run_after_one_that_was_killed(
    tmp_path: Path, dies_at: int, *, dies_after: bool
) -> None:
    withheld = frozenset({(Collection.LEARNERS, "s1"), (Collection.LEARNERS, "s6")})
    with tec_world(tmp_path, TecConditions(batch_limit=2, refused=("BAD",))) as world:
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}")
        world.submit()
        for number in range(2, 9):
            world.stage(Collection.LEARNERS, f"s{number}", record(f"s{number}", "BAD" if number % 3 else "two"))
        world.unstage(Collection.LEARNERS, "s0")
        world.dies_at, world.dies_after = dies_at, dies_after
        with pytest.raises(Killed):
            world.submit(withheld=withheld)
        world.dies_at = None
        world.check_baseline()

        assert world.submit(withheld=withheld).exit_code == 1

        world.check_baseline()
        rows = world.store.connection.query("SELECT local_id, submission_status FROM sdr_staging ORDER BY local_id")
        assert [key for key, status in rows if status == "sent"] == ["s3"]
        assert [key for key, status in rows if status == "error"] == ["s1", "s2", "s4", "s5", "s6", "s7", "s8"]
        assert "s0" not in world.simulator.held(PERIOD)["learners"]


def test_staging_table_emptied_in_mid_run_deletes_nothing(tmp_path: Path) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=2)) as world:
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}")
        assert world.submit().exit_code == 0
        for number in range(4):
            world.stage(Collection.LEARNERS, f"s{number}", record(f"s{number}", "changed"))

        def look(call: int) -> None:
            if call == 1:
                world.store.connection.execute("DELETE FROM sdr_staging")

        _looking(world, look)
        summary = world.submit(allow_deletes=False)
        assert (summary.exit_code, summary.total("accepted"), summary.total("deleted")) == (1, 4, 0)
        assert "TEC holds for the return (8), the staging table lacks 8" in str(summary.error)
        assert "No more was deleted." in str(summary.error)
        assert world.held() == world.staged


@pytest.mark.parametrize("keeps_data", [True, False])
@pytest.mark.parametrize("rule", [OnNewToken.REUPLOAD, OnNewToken.RESET])
def test_token_renewed_on_the_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_data: bool, rule: OnNewToken
) -> None:
    conditions = TecConditions(batch_limit=2, keeps_data=keeps_data, same_token=False)
    with tec_world(tmp_path, conditions) as world:
        world.rules = Rules(rule, first_wait_s=1.0)
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}")
        due: list[bool] = []
        # Looked at by the run, and by the session when it is asked for the token.
        monkeypatch.setattr(Session, "is_about_to_renew", property(lambda _: due.pop() if due else False))
        _looking(world, lambda call: due.extend([True, True]) if call == 2 else None)
        assert world.submit().exit_code == 0
        assert world.held() == world.staged
        assert None not in world.baseline().values()


def test_kill_after_a_token_that_means_reset_leaves_nothing_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=2, same_token=True)) as world:
        world.rules = Rules(OnNewToken.RESET, first_wait_s=1.0)
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}")
        assert world.submit().exit_code == 0
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}", record(f"s{number}", "changed"))
        due: list[bool] = []
        monkeypatch.setattr(Session, "is_about_to_renew", property(lambda _: due.pop() if due else False))

        def look(call: int) -> None:
            if call == 2:
                world.simulator.change(same_token=False)
                due.extend([True, True])
            if call == 3:
                world.dies_at, world.dies_after = 0, True

        _looking(world, look)
        with pytest.raises(Killed):
            world.submit()
        assert world.held()
        world.check_baseline()


def test_token_renewed_again_and_again_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=2, same_token=False)) as world:
        for number in range(4):
            world.stage(Collection.LEARNERS, f"s{number}")
        monkeypatch.setattr(Session, "is_about_to_renew", property(lambda _: True))
        summary = world.submit()
        assert summary.exit_code == 5
        assert "set SDR_ON_NEW_TOKEN=continue" in str(summary.error)


def test_token_that_tec_forgets_again_and_again_ends_the_run(tmp_path: Path) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=1, token_uses=3)) as world:
        for number in range(8):
            world.stage(Collection.LEARNERS, f"s{number}")
        summary = world.submit()
        assert summary.exit_code == 5
        assert "another submission token again and again" in str(summary.error), "each of them was found for a while"


def test_tokens_of_short_life_end_no_run_that_tec_keeps_the_data_of(tmp_path: Path) -> None:
    with tec_world(tmp_path, TecConditions(batch_limit=1, token_uses=3, same_token=False, keeps_data=True)) as world:
        world.rules = Rules(OnNewToken.CONTINUE, first_wait_s=1.0)
        for number in range(24):
            world.stage(Collection.LEARNERS, f"s{number}")
        assert world.submit().exit_code == 0
        assert world.held() == world.staged


def test_portal_reset_before_a_renewal_is_seen_where_tec_keeps_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[bool] = []
    monkeypatch.setattr(Session, "is_about_to_renew", property(lambda _: due.pop() if due else False))
    with tec_world(tmp_path, TecConditions(batch_limit=2)) as world:
        world.rules = Rules(OnNewToken.CONTINUE, first_wait_s=1.0)
        for number in range(6):
            world.stage(Collection.LEARNERS, f"s{number}")

        def reset_after_the_first(call: int) -> None:
            if call == 1:
                world.simulator.reset_by_another(PERIOD)
                due.extend([True, True])

        _looking(world, reset_after_the_first, is_behind=True)
        assert world.submit().exit_code == 0
        assert world.held() == world.staged


def test_rows_are_marked_by_their_ids_and_not_pair_by_pair(tmp_path: Path) -> None:
    with tec_world(tmp_path) as world:
        sql = world.store.sql("mark_staged")
        values = ["sent", "2026-08-20", None, 202608, [1, 2], "learners", ["s1", "s2"]]
        plan = world.store.connection.query(f"EXPLAIN QUERY PLAN {sql}", values)
        assert "USING INTEGER PRIMARY KEY (rowid=?)" in plan[0][-1]
