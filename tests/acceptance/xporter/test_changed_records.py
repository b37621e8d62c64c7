"""Changes of conduct records that are there: what a later change replaces of an earlier one."""

from __future__ import annotations

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from tests.support.xporter_writer import DAY, Writer


def test_a_record_is_changed_and_a_pupil_taken_out_of_it(writer: Writer) -> None:
    first, second, third, *_ = writer.pupils()
    record = writer.merit_there([first, second])
    people = [{"StudentId": first, "Points": 11}, {"StudentId": f"-{second}"}, {"StudentId": third, "Points": 2}]

    writer.change(record, note="Helped two friends", Participants=people, Staff=[{"StaffId": "17"}])
    assert "1 row confirmed" in writer.write_back(0)

    assert writer.states() == ["confirmed"] * 2
    assert writer.points() == {first: 11, third: 2}
    assert [entry["Description"] for entry in writer.achievements()] == ["Helped two friends"]


def test_a_later_change_of_the_same_people_replaces_the_earlier_one(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    record = writer.merit_there([first, second])
    writer.change(record, Participants=[{"StudentId": first, "Points": 7}])
    writer.change(record, Participants=[{"StudentId": f"-{first}"}])
    writer.change(record, Participants=[{"StudentId": second, "Points": 1}])
    writer.write_back(1)
    assert writer.states() == ["confirmed", "refused", "confirmed", "confirmed"]
    assert writer.points() == {second: 1}


def test_note_of_a_change_stays_where_a_later_one_names_the_same_people(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    record = writer.merit_there([first, second])
    writer.change(record, note="Helped two friends", Participants=[{"StudentId": first, "Points": 7}])
    writer.change(record, Participants=[{"StudentId": first, "Points": 9}])

    writer.write_back(0)

    assert writer.states() == ["confirmed"] * 3
    assert writer.points() == {first: 9, second: 5}
    assert [entry["Description"] for entry in writer.achievements()] == ["Helped two friends"]


def test_change_that_is_sent_again_takes_nothing_back_of_a_later_one(writer: Writer) -> None:
    first, second, *_ = writer.pupils()
    record = writer.merit_there([first, second])
    people = [{"StudentId": first, "Points": 7}, {"StudentId": second, "Points": 8}]
    writer.change(record, note="Helped two friends", Participants=people)
    writer.change(record, Participants=[{"StudentId": first, "Points": 9}])
    writer.simulator.add_fault(Fault(FaultKind.DROP, "write", when=When.BEFORE_ACCEPTING))
    writer.write_back(5)
    assert writer.states() == ["confirmed", "unknown", "confirmed"]

    writer.let_hours_pass(2)
    writer.write_back(0)

    assert writer.states() == ["confirmed"] * 3
    assert writer.points() == {first: 9, second: 8}
    assert [entry["Description"] for entry in writer.achievements()] == ["Helped two friends"]


def test_change_of_which_only_what_cannot_be_read_is_left_is_done_once_taken(writer: Writer) -> None:
    record = writer.merit_there([writer.pupils()[0]])
    conduct = {"UpdateId": record, "IncidentType": "Ach", "EntryDate": DAY, "Note": "First", "LocationId": 2}
    writer.add("conduct", {"Conduct": conduct})
    writer.change(record, note="Second")

    writer.write_back(0)

    assert writer.states() == ["confirmed"] * 3
    assert [entry["Description"] for entry in writer.achievements()] == ["Second"]


def test_change_of_an_incident_replaces_none_of_an_achievement_with_the_same_id(writer: Writer) -> None:
    record = writer.merit_there([writer.pupils()[0]])
    writer.change(record, note="Helped two friends")
    other = {"UpdateId": record, "IncidentType": "Beh", "EntryDate": DAY, "Note": "Late"}
    writer.add("conduct", {"Conduct": other})

    writer.write_back(0)

    assert writer.states() == ["confirmed", "confirmed", "submitted"]
    assert [entry["Description"] for entry in writer.achievements()] == ["Helped two friends"]


def test_a_system_that_takes_nobody_out_of_a_record_refuses_it(writer: Writer) -> None:
    writer.merit([writer.pupils(1)[0]], 1)
    writer.write_back(0)
    record = writer.achievements(1)[0]["Id"]
    writer.change(record, 1, Participants=[{"StudentId": f"-{writer.pupils(1)[0]}"}])
    writer.write_back(1)
    assert writer.states() == ["confirmed", "refused"]
    assert "deletion of conduct records is not supported" in writer.answers()
