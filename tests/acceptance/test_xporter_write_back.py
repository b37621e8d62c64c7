"""Write-back over real HTTP: lost answers, refusals, duplicates, and what reading again says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from api_pipeline.sandbox.simulator.xporter import Quirk, School, SchoolConditions, XporterServer, XporterSimulator
from tests.support.xporter import TODAY, day, make_school
from tests.support.xporter_council import Council

_DAY = TODAY.isoformat()
_LOST = Fault(FaultKind.DROP, "write", when=When.AFTER_ACCEPTING)


class Writer(Council):
    """A council with two schools, the second with Bromcom, that fills its outbox."""

    def pupils(self, which: int = 0) -> list[str]:
        return list(self.schools[which].pupils)

    def add(self, kind: str, body: object, which: int = 0) -> int:
        text = body if isinstance(body, str) else json.dumps(body)
        estab = self.schools[which].estab
        sql = "INSERT INTO xporter_outbox (estab, kind, body) VALUES (?, ?, ?) RETURNING id"
        return int(self.query(sql, estab, kind, text)[0][0])

    def mark(self, pupil: str, mark: str = "I", session: str = "AM", **more: object) -> int:
        return self.add("attendance", {"StudentId": pupil, "Date": _DAY, "Session": session, "Mark": mark, **more})

    def merit(self, pupils: list[str], which: int = 0, note: str = "Helped a friend", type_id: int = 4) -> int:
        conduct = {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": _DAY, "TypeId": type_id, "Note": note}
        participants = [{"StudentId": pupil, "Points": 5} for pupil in pupils]
        return self.add("conduct", {"Conduct": conduct, "Participants": participants}, which)

    def change(self, record: object, which: int = 0, **members: Any) -> int:
        conduct = {"UpdateId": record, "IncidentType": "Ach", "EntryDate": _DAY}
        if "note" in members:
            conduct["Note"] = members.pop("note")
        return self.add("conduct", {"Conduct": conduct, **members}, which)

    def detain(self, pupils: list[str], which: int = 0, start: str = "15:20") -> int:
        detention = {"DetentionTypeId": "24", "LocationId": "1", "DetentionDate": _DAY, "StartTime": start}
        students = [{"StudentId": pupil, "ReasonId": "2"} for pupil in pupils]
        body = {"Detention": detention, "DetentionStudents": students, "DetentionStaff": [{"StaffId": "17"}]}
        return self.add("detention", body, which)

    def detentions(self) -> list[dict[str, Any]]:
        return list(self.schools[0].data["Detentions"]["Detentions"].values())

    def points(self) -> dict[str, int]:
        links = self.schools[0].data["AchievementForDateRange"]["StudentAchievements"]
        return {str(link["StudentId"]): link["Points"] for link in links.values()}

    def states(self) -> list[str]:
        return [row[0] for row in self.query("SELECT status FROM xporter_outbox ORDER BY id")]

    def answers(self) -> str:
        return " ".join(str(row[0]) for row in self.query("SELECT answer FROM xporter_outbox ORDER BY id"))

    def in_school(self, pupil: str, session: str = "AM", which: int = 0) -> str | None:
        marks = self.schools[which].data["AttendanceForDateRange"]["AttendMarks"]
        return next(
            (
                row["Mark"]
                for row in marks.values()
                if (str(row["StudentId"]), row["Date"], row["Session"]) == (pupil, _DAY, session)
            ),
            None,
        )

    def achievements(self, which: int = 0) -> list[dict[str, Any]]:
        return list(self.schools[which].data["AchievementForDateRange"]["Achievements"].values())

    def posts(self) -> int:
        return sum(entry.target == "write" for entry in self.simulator.log)

    def let_hours_pass(self, hours: int) -> None:
        """Let what was sent have been sent earlier."""
        self.query("UPDATE xporter_outbox SET sent_at = datetime('now', ?)", f"-{hours} hours")

    def write_back(self, code: int, *arguments: str, **settings: str) -> str:
        done = self.run("write-back", *arguments, **settings)
        assert done.code == code, done.text
        return done.out


def _schools() -> list[School]:
    return [
        make_school(1, pupils=5, weeks=0, today=TODAY),
        make_school(2, pupils=3, weeks=0, today=TODAY, mis="bromcom"),
    ]


def _writer(server: XporterServer, folder: Path, schools: list[School]) -> Writer:
    writer = Writer(server, folder, schools)
    writer.settings |= {"XPORTER_WRITE_BACK": "attendance, lesson, conduct, detention", "XPORTER_ENDPOINTS": "Students"}
    return writer


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database into which both schools were collected once; every test works on a copy."""
    schools = _schools()
    with XporterServer(XporterSimulator(schools)) as server:
        council = _writer(server, tmp_path_factory.mktemp("collected"), schools)
        assert council.run("deploy-schema", "--apply").code == 0
        assert council.run("collect").code == 0
    return council.database


@pytest.fixture
def council(tmp_path: Path, collected: Path) -> Iterator[Writer]:
    schools = _schools()
    with XporterServer(XporterSimulator(schools, SchoolConditions(is_fresh=True))) as server:
        council = _writer(server, tmp_path, schools)
        shutil.copy(collected, council.database)
        yield council


def test_marks_and_conduct_are_confirmed_once_they_were_read_again(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.mark(first)
    council.mark(second, "L", Mins=5)
    council.add("lesson", {"StudentId": first, "Date": _DAY, "InstanceId": "44905", "Mark": "L"})
    council.merit([first, second])

    out = council.write_back(0)

    assert "4 rows confirmed" in out
    assert council.states() == ["confirmed"] * 4
    assert (council.in_school(first), council.in_school(second)) == ("I", "L")
    assert council.posts() == 3
    council.write_back(0)
    assert council.posts() == 3


def test_submitted_rows_are_done_only_when_the_school_shows_them(council: Writer) -> None:
    council.simulator.change(queues_writes=True)
    pupil = council.pupils()[0]
    council.mark(pupil)
    council.merit([pupil])

    assert "2 submitted" in council.write_back(0)
    assert council.states() == ["submitted", "submitted"]
    council.simulator.take_queues()

    council.write_back(0)
    assert council.states() == ["confirmed", "confirmed"]
    assert council.posts() == 2


def test_what_was_taken_and_is_not_seen_in_time_is_to_be_looked_at(council: Writer) -> None:
    council.simulator.add_quirk(Quirk("write_lost", endpoint="write"))
    council.mark(council.pupils()[0])
    council.write_back(0)
    council.let_hours_pass(49)

    council.write_back(1)

    assert council.states() == ["error"]
    assert "after 48 hours the school's data do not show it" in council.answers()


def test_a_lost_answer_is_read_before_anything_is_sent_again(council: Writer) -> None:
    pupil = council.pupils()[0]
    council.mark(pupil)
    council.merit([pupil])
    council.simulator.add_fault(_LOST, _LOST)

    council.write_back(0)

    assert council.states() == ["confirmed", "confirmed"]
    assert council.posts() == 2
    assert len(council.achievements()) == 1


def test_a_lost_request_is_sent_again_once_it_cannot_be_in_flight(council: Writer) -> None:
    pupil = council.pupils()[0]
    council.mark(pupil)
    council.merit([pupil])
    lost = Fault(FaultKind.DROP, "write", when=When.BEFORE_ACCEPTING)
    council.simulator.add_fault(lost, lost)

    assert "2 without a clear answer" in council.write_back(5)
    assert council.states() == ["unknown", "unknown"]
    council.write_back(5)
    assert council.posts() == 2

    council.let_hours_pass(2)
    council.write_back(0)
    assert council.states() == ["confirmed", "confirmed"]
    assert len(council.achievements()) == 1


def test_conduct_without_a_clear_answer_is_never_sent_twice_on_old_data(council: Writer) -> None:
    council.simulator.change(queues_writes=True, is_fresh=False)
    council.merit(council.pupils()[:1])
    council.simulator.add_fault(_LOST)
    council.write_back(5)

    council.let_hours_pass(2)
    council.write_back(5)

    assert council.posts() == 1
    council.simulator.take_queues()
    council.write_back(0)
    assert council.states() == ["confirmed"]
    assert len(council.achievements()) == 1


def test_an_equal_record_that_was_there_before_is_not_taken_for_ours(council: Writer) -> None:
    pupil = council.pupils()[0]
    council.merit([pupil])
    council.write_back(0)
    council.simulator.add_fault(Fault(FaultKind.DROP, "write", when=When.BEFORE_ACCEPTING))
    council.merit([pupil])

    council.write_back(5)
    assert council.states() == ["confirmed", "unknown"]
    council.let_hours_pass(2)
    council.write_back(0)

    assert council.states() == ["confirmed", "confirmed"]
    assert len(council.achievements()) == 2


def test_one_refused_row_is_found_and_the_others_of_its_batch_are_written(council: Writer) -> None:
    pupils = council.pupils()
    for pupil in pupils:
        council.mark(pupil)
    council.mark("77001")
    council.mark("77002", "I", "PM")
    council.query("UPDATE xporter_outbox SET body = replace(body, '\"I\"', '\"?\"') WHERE id = 2")

    out = council.write_back(1)

    assert "4 rows confirmed" in out
    assert "3 refused" in out
    assert council.states() == ["confirmed", "refused", "confirmed", "confirmed", "confirmed", "refused", "refused"]
    assert "invalid studentid" in council.answers()
    assert "invalid mark" in council.answers()
    assert "77001" not in council.answers()


def test_conduct_that_is_refused_is_halved_until_the_cause_is_alone(council: Writer) -> None:
    pupils = council.pupils()
    for place, pupil in enumerate(pupils):
        council.merit([pupil], note=f"Note {place}", type_id=0 if place == 3 else 4)

    council.write_back(1)

    assert council.states() == ["confirmed"] * 3 + ["refused"] + ["confirmed"]
    assert len(council.achievements()) == 4


def test_detentions_are_confirmed_once_they_were_read_again(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.detain([first, second])
    council.detain([first], start="16:00")
    assert "2 rows confirmed" in council.write_back(0)
    assert council.states() == ["confirmed"] * 2
    assert [entry["StartTime"] for entry in council.detentions()] == ["15:20", "16:00"]
    ids = council.query("SELECT actual_ids FROM xporter_outbox ORDER BY id")
    assert [json.loads(text) for (text,) in ids] == [[str(entry["Id"])] for entry in council.detentions()]


def test_detentions_go_where_the_setting_says(council: Writer) -> None:
    council.detain([council.pupils()[0]])
    council.write_back(0, XPORTER_PATHS="Detention=/api/v1/Writeback/{estab}/Detention?id=other.name")
    sent = [entry.path for entry in council.simulator.log if entry.target == "write"]
    assert sent == ["/api/v1/Writeback/9990001/Detention"]
    assert council.states() == ["confirmed"]


def test_a_detention_without_a_clear_answer_is_never_entered_twice(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.simulator.add_fault(_LOST)
    council.detain([first])
    council.write_back(0)
    assert (council.states(), len(council.detentions())) == (["confirmed"], 1)

    council.schools[0].age_days = 5
    council.simulator.add_quirk(Quirk("drop", endpoint="write"))
    council.detain([second])
    council.write_back(5)
    council.let_hours_pass(49)
    council.write_back(1)
    assert (council.states(), len(council.detentions())) == (["confirmed", "error"], 1)


def test_one_refused_detention_is_found_and_the_others_are_written(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.detain([first])
    council.detain(["404"])
    council.detain([second])
    council.write_back(1)
    assert council.states() == ["confirmed", "refused", "confirmed"]
    assert len(council.detentions()) == 2


def test_a_record_is_changed_and_a_pupil_taken_out_of_it(council: Writer) -> None:
    first, second, third, *_ = council.pupils()
    council.merit([first, second])
    council.write_back(0)
    record = council.achievements()[0]["Id"]
    people = [{"StudentId": first, "Points": 11}, {"StudentId": f"-{second}"}, {"StudentId": third, "Points": 2}]

    council.change(record, note="Helped two friends", Participants=people, Staff=[{"StaffId": "17"}])
    assert "1 rows confirmed" in council.write_back(0)

    assert council.states() == ["confirmed"] * 2
    assert council.points() == {first: 11, third: 2}
    assert [entry["Description"] for entry in council.achievements()] == ["Helped two friends"]


def test_a_change_without_an_answer_is_read_first_and_may_be_sent_again(council: Writer) -> None:
    first = council.pupils()[0]
    council.merit([first])
    council.write_back(0)
    record = council.achievements()[0]["Id"]
    council.simulator.add_fault(_LOST)
    council.change(record, Participants=[{"StudentId": first, "Points": 7}])
    council.write_back(0, MAX_ATTEMPTS="1")
    assert (council.states()[-1], council.posts()) == ("confirmed", 2)

    council.simulator.add_quirk(Quirk("drop", endpoint="write"))
    council.change(record, Participants=[{"StudentId": first, "Points": 9}])
    council.write_back(5)
    assert council.states()[-1] == "unknown"
    council.let_hours_pass(2)
    council.write_back(0)
    assert council.states()[-1] == "confirmed"
    assert council.points() == {first: 9}
    assert len(council.achievements()) == 1


def test_a_later_change_of_the_same_people_replaces_the_earlier_one(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.merit([first, second])
    council.write_back(0)
    record = council.achievements()[0]["Id"]
    council.change(record, Participants=[{"StudentId": first, "Points": 7}])
    council.change(record, Participants=[{"StudentId": f"-{first}"}])
    council.change(record, Participants=[{"StudentId": second, "Points": 1}])
    council.write_back(1)
    assert council.states() == ["confirmed", "refused", "confirmed", "confirmed"]
    assert council.points() == {second: 1}


def test_a_system_that_takes_nobody_out_of_a_record_refuses_it(council: Writer) -> None:
    council.merit([council.pupils(1)[0]], 1)
    council.write_back(0)
    record = council.achievements(1)[0]["Id"]
    council.change(record, 1, Participants=[{"StudentId": f"-{council.pupils(1)[0]}"}])
    council.write_back(1)
    assert council.states() == ["confirmed", "refused"]
    assert "deletion of conduct records is not supported" in council.answers()


def test_bromcom_makes_a_record_for_each_pupil_and_refuses_attendance(council: Writer) -> None:
    pupils = council.pupils(1)
    council.merit(pupils, which=1)
    council.write_back(0)
    assert council.states() == ["confirmed"]
    assert len(json.loads(council.query("SELECT actual_ids FROM xporter_outbox")[0][0])) == 3
    council.add("attendance", {"StudentId": pupils[0], "Date": _DAY, "Session": "AM", "Mark": "I"}, which=1)
    assert "does not support this" in council.write_back(1)


def test_n_never_replaces_a_mark_of_the_schools_own(council: Writer) -> None:
    first, second, *_ = council.pupils()
    council.schools[0].mark(first, TODAY, "AM", "/")
    council.mark(first, "N")
    council.mark(second, "N")

    council.write_back(0)
    assert council.states() == ["submitted", "confirmed"]
    council.write_back(1)
    assert council.states() == ["refused", "confirmed"]
    assert council.in_school(first) == "/"


def test_a_later_row_of_the_same_session_replaces_the_earlier_one(council: Writer) -> None:
    pupil = council.pupils()[0]
    council.mark(pupil, "I")
    later = council.mark(pupil, "L")
    council.write_back(1)
    assert council.states() == ["refused", "confirmed"]
    assert f"Replaced by row {later}" in council.answers()
    assert council.in_school(pupil) == "L"


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("attendance", "no json", "not JSON"),
        ("attendance", {"StudentId": "1", "Date": _DAY, "Session": "EVE", "Mark": "I"}, "AM or PM"),
        ("attendance", {"StudentId": "1", "Date": "26/11/2025", "Session": "AM", "Mark": "I"}, "YYYY-MM-DD"),
        ("attendance", {"StudentId": "1", "Date": _DAY, "Session": "AM", "Mark": "B"}, "StatutoryComment"),
        ("attendance", {"StudentId": "1", "Date": _DAY, "Session": "AM", "Mark": "I", "Name": "x"}, "1 others"),
        ("lesson", {"StudentId": "1", "Date": _DAY, "Mark": "I"}, "InstanceId"),
        ("conduct", {"Conduct": {"IncidentType": "Odd"}, "Participants": []}, "RecordedById"),
        (
            "conduct",
            {
                "Conduct": {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": _DAY, "TypeId": 4},
                "Participants": [{"StudentId": "-1", "Points": 5}],
            },
            "no UpdateId to take it out of",
        ),
        ("conduct", {"Conduct": {"UpdateId": 1, "IncidentType": "Ach", "EntryDate": _DAY}}, "can be read again"),
        ("conduct", {"Conduct": {"UpdateId": 1, "IncidentType": "Ach", "Note": "x"}}, "EntryDate"),
        ("detention", {"Detention": {"LocationId": "1"}, "DetentionStudents": [{"StudentId": "1"}]}, "DetentionTypeId"),
        ("detention", {"DetentionStudents": [{"StudentId": "1"}]}, "body: expected Detention"),
        ("photo", {}, "attendance, lesson, conduct or detention"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_before_it_is_sent(
    council: Writer, kind: str, body: object, said: str
) -> None:
    council.add(kind, body)
    council.write_back(1)
    assert council.states() == ["refused"]
    assert said in council.answers()
    assert council.posts() == 0


@pytest.mark.parametrize(
    ("quirk", "code", "state"),
    [
        ("error_body", 5, "unknown"),
        ("html", 5, "unknown"),
        ("unavailable", 5, "pending"),
        ("scope", 1, "pending"),
        ("token_refused", 4, "pending"),
        ("drop", 5, "unknown"),
    ],
)
def test_what_an_answer_does_not_say_clearly_stays_open(council: Writer, quirk: str, code: int, state: str) -> None:
    council.mark(council.pupils()[0])
    council.simulator.add_quirk(Quirk(quirk, endpoint="write", times=None))
    out = council.write_back(code)
    assert council.states() == [state]
    assert "Ada Nobody" not in out + council.answers()


def test_with_a_callback_url_the_asynchronous_calls_are_used(council: Writer) -> None:
    council.simulator.change(queues_writes=True)
    council.mark(council.pupils()[0])
    council.write_back(0, XPORTER_CALLBACK_URL="https://council.example/callback")
    assert council.query("SELECT tracking_id FROM xporter_outbox")[0][0].startswith("20250101000000.")
    assert [entry.path for entry in council.simulator.log if entry.target == "write"] == [
        "/api/v1/AttendanceAsync/9990001/"
    ]


def test_nothing_is_sent_without_consent_or_permission_or_in_a_dry_run(council: Writer) -> None:
    council.mark(council.pupils()[0])
    assert "expected what may be written" in council.run("write-back", XPORTER_WRITE_BACK="").text
    assert "1 waiting" in council.write_back(0, "--dry-run")
    council.schools[0].scopes = council.schools[0].scopes - {"WritebackAttendance"}
    council.run("collect")
    assert "lacks WritebackAttendance" in council.write_back(1)
    assert council.posts() == 0
    assert council.states() == ["pending"]


def test_in_testing_mode_nothing_leaves_for_a_school_elsewhere(council: Writer) -> None:
    council.mark(council.pupils()[0])
    out = council.write_back(0, TESTING_MODE="true", XPORTER_BASE_URL="https://schools.invalid")
    assert "TESTING mode: nothing was sent" in out
    assert council.states() == ["pending"]


def test_a_school_that_revokes_takes_its_rows_out_of_the_outbox(council: Writer) -> None:
    council.mark(council.pupils()[0])
    council.schools[0].revoke(day(20))
    council.run("collect")
    assert council.states() == []


def test_without_the_outbox_the_command_says_how_to_make_it(council: Writer) -> None:
    council.query("DROP TABLE xporter_outbox")
    done = council.run("write-back")
    assert done.code == 3
    assert "deploy-schema --apply" in done.err
    assert council.run("collect").code == 0
