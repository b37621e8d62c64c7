"""A share of the randomised campaign with fixed seeds, and the proof that its law can be broken at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import Maker, maker_of, tell_story
from tests.faults.story import Figures, LawBroken, Story
from tests.support.databases import EXTERNAL, EXTERNAL_KIND, external_database, sqlite_database
from tests.support.effort import IS_LONG
from tests.support.postgres import PostgresServer
from tests.support.staging import change


@pytest.mark.parametrize("seed", [11, 23, 35] if IS_LONG else [11])
def test_law_holds_through_nights_of_random_faults(seed: int) -> None:
    check_story(seed, maker_of(None))


@pytest.mark.parametrize("seed", [59, 61] if IS_LONG else [59])
def test_law_holds_through_nights_of_random_faults_on_postgresql(seed: int, postgres_server: PostgresServer) -> None:
    check_story(seed, maker_of(postgres_server))


if EXTERNAL_KIND:

    @pytest.mark.parametrize("seed", [11, 59])
    def test_law_holds_through_random_faults_on_the_external_database(seed: int) -> None:
        check_story(seed, lambda _folder: external_database(os.environ[EXTERNAL]))


def check_story(seed: int, maker: Maker) -> None:
    figures = Figures()
    tell_story(seed, maker, figures, nights=5)
    assert figures.runs >= 5
    assert figures.faults.total() > 5, "the faults of this seed did not befall"
    assert set(figures.exits) - {0}, "every run of this seed went through as if nothing had happened"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with sqlite_database(tmp_path) as database:
        story = Story(1, database.deploy(), tmp_path, Figures())
        story.council.join(5)
        assert story.world.run().code == 0
        story.check_law()
        yield story
        story.server.stop()


def forget_receipt(story: Story, child: str) -> None:
    change(story.world.database, story.world.database.table, child, api_response=None)


def invent_receipt(story: Story, child: str) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    change(story.world.database, story.world.database.table, child, api_response=other)


def stage_unnoticed(story: Story, child: str) -> None:
    story.council.living[child] = {**story.council.living[child], "mis_child_id": "newer"}


def stage_and_call_sent(story: Story, child: str) -> None:
    change(story.world.database, story.world.database.table, child, json_payload=f'{{"la_child_id": "{child}"}}')


def delete_unnoticed(story: Story, child: str) -> None:
    story.council.gone[child] = story.council.living.pop(child)


def forget_holding(story: Story, child: str) -> None:
    story.world.database.execute("DELETE FROM ssd_api_held WHERE la_child_id = ?", [child])


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (forget_receipt, "is sent without a receipt"),
        (invent_receipt, "is sent without a receipt"),
        (stage_unnoticed, "is not held in its newest version"),
        (stage_and_call_sent, "is sent, but the receiver holds something else"),
        (delete_unnoticed, "was deleted and is held"),
        (forget_holding, "says something else than the receiver"),
    ],
)
def test_law_detects_planted_damage(story: Story, harm: Callable[[Story, str], None], sentence: str) -> None:
    harm(story, sorted(story.council.living)[0])
    with pytest.raises(LawBroken, match=sentence):
        story.check_law()
