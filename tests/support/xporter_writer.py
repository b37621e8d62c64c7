"""A council that writes back into its two schools, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api_pipeline.sandbox.simulator.xporter import School, XporterServer
from tests.support.xporter import TODAY, make_school
from tests.support.xporter_council import Council

DAY = TODAY.isoformat()


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
        return self.add("attendance", {"StudentId": pupil, "Date": DAY, "Session": session, "Mark": mark, **more})

    def merit(self, pupils: list[str], which: int = 0, note: str = "Helped a friend", type_id: int = 4) -> int:
        conduct = {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": DAY, "TypeId": type_id, "Note": note}
        participants = [{"StudentId": pupil, "Points": 5} for pupil in pupils]
        return self.add("conduct", {"Conduct": conduct, "Participants": participants}, which)

    def merit_there(self, pupils: list[str]) -> object:
        """Write a merit of pupils back to a school that has none, and return the Id that it has there."""
        self.merit(pupils)
        self.write_back(0)
        return self.achievements()[0]["Id"]

    def change(self, record: object, which: int = 0, **members: Any) -> int:
        conduct = {"UpdateId": record, "IncidentType": "Ach", "EntryDate": DAY}
        if "note" in members:
            conduct["Note"] = members.pop("note")
        return self.add("conduct", {"Conduct": conduct, **members}, which)

    def detain(self, pupils: list[str], which: int = 0, start: str = "15:20") -> int:
        detention = {"DetentionTypeId": "24", "LocationId": "1", "DetentionDate": DAY, "StartTime": start}
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
                if (str(row["StudentId"]), row["Date"], row["Session"]) == (pupil, DAY, session)
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


def two_schools() -> list[School]:
    return [
        make_school(1, pupils=5, weeks=0, today=TODAY),
        make_school(2, pupils=3, weeks=0, today=TODAY, mis="bromcom"),
    ]


def made_writer(server: XporterServer, folder: Path, schools: list[School]) -> Writer:
    writer = Writer(server, folder, schools)
    writer.settings |= {"XPORTER_WRITE_BACK": "attendance, lesson, conduct, detention", "XPORTER_ENDPOINTS": "Students"}
    return writer
