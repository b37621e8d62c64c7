"""What a school's consent does not cover is not landed, also where the API sends it and nobody says the scopes."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.xporter import school as simulated
from api_pipeline.sandbox.simulator.xporter.core import XporterSimulator
from tests.support.xporter import TODAY, Rehearsal, make_school, total

_PROVISION = "SEN_StudentSENProvisionHistory"
_TYPES = "SEN_StudentSENTypeHistory"


def _rehearsal(folder: Path, monkeypatch: pytest.MonkeyPatch, *, without: set[str]) -> Rehearsal:
    """Return a council and one school, whose API sends more than the school's scopes let out."""
    monkeypatch.setattr(simulated, "_allows", lambda _scopes, _given: True)
    school = make_school(1, pupils=6, weeks=0, today=TODAY)
    school.scopes -= without
    school.data["SEN"]["StudentSENTypeHistory"]["1"] = {"Id": 1, "StudentMis_Id": next(iter(school.pupils))}
    return Rehearsal(folder / "consent.db", [school], endpoints=("Students", "SEN"))


def _nobody_says_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XporterSimulator, "_of_token", lambda self, *_: self._no_token("no scopes here"))


def test_table_whose_columns_are_all_withheld_gets_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SENTypes"})
    assert rehearsal.collect().exit_code == 0
    assert total(rehearsal, _PROVISION, "9990001") > 0
    assert total(rehearsal, _TYPES, "9990001") == 0


def test_scopes_of_the_night_before_hold_where_nobody_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SEN", "SENTypes"})
    rehearsal.collect()
    _nobody_says_scopes(monkeypatch)
    rehearsal.collect(management_secret="")
    assert total(rehearsal, _PROVISION, "9990001") == 0


def test_what_was_landed_before_the_scopes_were_known_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SEN", "SENTypes"})
    with monkeypatch.context() as silent:
        _nobody_says_scopes(silent)
        rehearsal.collect(management_secret="")
    assert total(rehearsal, _TYPES, "9990001") > 0
    assert rehearsal.collect().exit_code == 0
    assert total(rehearsal, _TYPES, "9990001") == 0
