"""Write-back over real HTTP: what is confirmed, refused or replaced, and where nothing is sent."""

from __future__ import annotations

import json

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from api_pipeline.sandbox.simulator.xporter import Quirk
from tests.support.xporter import TODAY, day
from tests.support.xporter_writer import DAY, Writer

_LOST = Fault(FaultKind.DROP, "write", when=When.AFTER_ACCEPTING)


def test_marks_and_conduct_are_confirmed_once_they_were_read_again(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    writer.mark(first)
    writer.mark(second, "L", Mins=5)
    writer.add("lesson", {"StudentId": first, "Date": DAY, "InstanceId": "44905", "Mark": "L"})
    writer.merit([first, second])

    out = writer.write_back(0)

    assert "4 rows confirmed" in out
    assert writer.states() == ["confirmed"] * 4
    assert (writer.in_school(first), writer.in_school(second)) == ("I", "L")
    assert writer.posts() == 3
    writer.write_back(0)
    assert writer.posts() == 3


def test_one_refused_row_is_found_and_the_others_of_its_batch_are_written(writer: Writer) -> None:
    pupils = writer.pupils()
    for pupil in pupils:
        writer.mark(pupil)
    writer.mark("77001")
    writer.mark("77002", "I", "PM")
    writer.query("UPDATE xporter_outbox SET body = replace(body, '\"I\"', '\"?\"') WHERE id = 2")

    out = writer.write_back(1)

    assert "4 rows confirmed" in out
    assert "3 refused" in out
    assert writer.states() == ["confirmed", "refused", "confirmed", "confirmed", "confirmed", "refused", "refused"]
    assert "invalid studentid" in writer.answers()
    assert "invalid mark" in writer.answers()
    assert "77001" not in writer.answers()


def test_conduct_that_is_refused_is_halved_until_the_cause_is_alone(writer: Writer) -> None:
    pupils = writer.pupils()
    for place, pupil in enumerate(pupils):
        writer.merit([pupil], note=f"Note {place}", type_id=0 if place == 3 else 4)

    writer.write_back(1)

    assert writer.states() == ["confirmed"] * 3 + ["refused"] + ["confirmed"]
    assert len(writer.achievements()) == 4


def test_detentions_are_confirmed_once_they_were_read_again(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    writer.detain([first, second])
    writer.detain([first], start="16:00")
    assert "2 rows confirmed" in writer.write_back(0)
    assert writer.states() == ["confirmed"] * 2
    assert [entry["StartTime"] for entry in writer.detentions()] == ["15:20", "16:00"]
    ids = writer.query("SELECT actual_ids FROM xporter_outbox ORDER BY id")
    assert [json.loads(text) for (text,) in ids] == [[str(entry["Id"])] for entry in writer.detentions()]


def test_detentions_go_where_the_setting_says(writer: Writer) -> None:
    writer.detain([writer.pupils()[0]])
    writer.write_back(0, XPORTER_PATHS="Detention=/api/v1/Writeback/{estab}/Detention?id=other.name")
    sent = [entry.path for entry in writer.simulator.log if entry.target == "write"]
    assert sent == ["/api/v1/Writeback/9990001/Detention"]
    assert writer.states() == ["confirmed"]


def test_one_refused_detention_is_found_and_the_others_are_written(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    writer.detain([first])
    writer.detain(["404"])
    writer.detain([second])
    writer.write_back(1)
    assert writer.states() == ["confirmed", "refused", "confirmed"]
    assert len(writer.detentions()) == 2


def test_bromcom_makes_a_record_for_each_pupil_and_refuses_attendance(writer: Writer) -> None:
    pupils = writer.pupils(1)
    writer.merit(pupils, which=1)
    writer.write_back(0)
    assert writer.states() == ["confirmed"]
    assert len(json.loads(writer.query("SELECT actual_ids FROM xporter_outbox")[0][0])) == 3
    writer.add("attendance", {"StudentId": pupils[0], "Date": DAY, "Session": "AM", "Mark": "I"}, which=1)
    assert "does not support this" in writer.write_back(1)


def test_row_with_blanks_around_its_school_is_no_other_schools_and_not_passed_over(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.mark(writer.pupils()[1])
    writer.query("UPDATE xporter_outbox SET estab = ' ' || estab WHERE id = 2")
    assert "to be written back: 2 pending\n" in writer.run("status").out
    assert "1 school, 2 rows confirmed" in writer.write_back(0)


def test_rows_of_a_kind_that_is_not_switched_on_wait_and_are_named(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.mark(pupil)
    writer.merit([pupil])
    writer.add("lesson", {"StudentId": pupil, "Date": DAY, "InstanceId": "44905", "Mark": "L"})
    out = writer.write_back(0, XPORTER_WRITE_BACK="attendance")
    assert "School 9990001: 2 rows wait: XPORTER_WRITE_BACK does not name conduct, lesson.\n" in out
    assert "1 row confirmed" in out
    assert "2 waiting" in out
    assert writer.states() == ["confirmed", "pending", "pending"]


def test_n_never_replaces_a_mark_of_the_schools_own(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    writer.schools[0].mark(first, TODAY, "AM", "/")
    writer.mark(first, "N")
    writer.mark(second, "N")

    writer.write_back(0)
    assert writer.states() == ["submitted", "confirmed"]
    writer.write_back(1)
    assert writer.states() == ["refused", "confirmed"]
    assert writer.in_school(first) == "/"


def test_a_later_row_of_the_same_session_replaces_the_earlier_one(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.mark(pupil, "I")
    later = writer.mark(pupil, "L")
    writer.write_back(1)
    assert writer.states() == ["refused", "confirmed"]
    assert f"Replaced by row {later}" in writer.answers()
    assert writer.in_school(pupil) == "L"


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("attendance", "no json", "not JSON"),
        ("attendance", {"StudentId": "1", "Date": DAY, "Session": "EVE", "Mark": "I"}, "AM or PM"),
        ("attendance", {"StudentId": "1", "Date": "26/11/2025", "Session": "AM", "Mark": "I"}, "YYYY-MM-DD"),
        ("attendance", {"StudentId": "1", "Date": DAY, "Session": "AM", "Mark": "B"}, "StatutoryComment"),
        ("attendance", {"StudentId": "1", "Date": DAY, "Session": "AM", "Mark": "I", "Name": "x"}, "1 other."),
        ("lesson", {"StudentId": "1", "Date": DAY, "Mark": "I"}, "InstanceId"),
        ("conduct", {"Conduct": {"IncidentType": "Odd"}, "Participants": []}, "RecordedById"),
        (
            "conduct",
            {
                "Conduct": {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": DAY, "TypeId": 4},
                "Participants": [{"StudentId": "-1", "Points": 5}],
            },
            "no UpdateId to take it out of",
        ),
        ("conduct", {"Conduct": {"UpdateId": 1, "IncidentType": "Ach", "EntryDate": DAY}}, "can be read again"),
        ("conduct", {"Conduct": {"UpdateId": 1, "IncidentType": "Ach", "Note": "x"}}, "EntryDate"),
        ("detention", {"Detention": {"LocationId": "1"}, "DetentionStudents": [{"StudentId": "1"}]}, "DetentionTypeId"),
        ("detention", {"DetentionStudents": [{"StudentId": "1"}]}, "body: expected Detention"),
        ("photo", {}, "attendance, lesson, conduct or detention"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_before_it_is_sent(
    writer: Writer, kind: str, body: object, said: str
) -> None:
    writer.add(kind, body)
    writer.write_back(1)
    assert writer.states() == ["refused"]
    assert said in writer.answers()
    assert writer.posts() == 0


def test_nothing_is_sent_without_consent_or_permission_or_in_a_dry_run(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    assert "expected what may be written" in writer.run("write-back", XPORTER_WRITE_BACK="").text
    assert "1 waiting" in writer.write_back(0, "--dry-run")
    writer.schools[0].scopes = writer.schools[0].scopes - {"WritebackAttendance"}
    writer.run("collect")
    assert "lacks WritebackAttendance" in writer.write_back(1)
    assert writer.posts() == 0
    assert writer.states() == ["pending"]


def test_in_testing_mode_nothing_leaves_for_a_school_elsewhere(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    out = writer.write_back(0, TESTING_MODE="true", XPORTER_BASE_URL="https://schools.invalid")
    assert "TESTING mode: nothing was sent" in out
    assert writer.states() == ["pending"]


def test_a_school_that_revokes_takes_its_rows_out_of_the_outbox(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.schools[0].revoke(day(20))
    writer.run("collect")
    assert writer.states() == []


def test_without_the_outbox_the_command_says_how_to_make_it(writer: Writer) -> None:
    writer.query("DROP TABLE xporter_outbox")
    done = writer.run("write-back")
    assert done.code == 3
    assert "deploy-schema --apply" in done.err
    assert writer.run("collect").code == 0


def test_rows_of_a_status_that_is_no_word_of_ours_are_named(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.query("UPDATE xporter_outbox SET status = 'pendng'")
    out = writer.write_back(1)
    assert "School 9990001: 1 row has a status that is none of pending, unknown" in out
    assert "1 to look at" in out
    assert writer.states() == ["pendng"]


def test_a_status_in_other_letters_is_known(writer: Writer) -> None:
    writer.mark(writer.pupils()[0])
    writer.query("UPDATE xporter_outbox SET status = 'PENDING ', kind = ' Attendance'")
    writer.write_back(0)
    assert writer.states() == ["confirmed"]


def test_what_the_api_does_not_take_keeps_no_row_of_another_kind_waiting(writer: Writer) -> None:
    pupil = writer.pupils(1)[0]
    writer.add("attendance", {"StudentId": pupil, "Date": DAY, "Session": "AM", "Mark": "I"}, which=1)
    writer.merit([pupil], which=1)
    first = writer.pupils()[0]
    writer.detain([first])
    writer.mark(first)

    out = writer.write_back(1, XPORTER_PATHS="Detention=/api/v1/NotThere")

    assert "its rows of the kind attendance wait for the next write-back" in out
    assert "its rows of the kind detention wait for the next write-back" in out
    assert "2 waiting" in out
    assert writer.states() == ["pending", "confirmed", "pending", "confirmed"]


def test_what_cannot_be_read_again_keeps_no_row_of_another_kind_waiting(writer: Writer) -> None:
    pupil = writer.pupils()[0]
    writer.detain([pupil])
    writer.simulator.add_quirk(Quirk("write_lost", endpoint="write"))
    writer.write_back(0)
    writer.simulator.add_quirk(Quirk("scope", endpoint="Detentions", times=None))
    writer.detain([pupil], start="16:00")
    writer.mark(pupil)

    out = writer.write_back(1)

    assert "its rows of the kind detention wait for the next write-back" in out
    assert "1 submitted and not yet read again" in out
    assert writer.states() == ["submitted", "pending", "confirmed"]
