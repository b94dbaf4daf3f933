"""Scores in the store: kept once, replaced where they say something else, read back as they were."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from foretwin.champion.identity import ModelIdentity
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.monitoring import recent_scores
from foretwin.twin.store.scoring.scores import Score, ScoringModel
from foretwin.twin.store.tables import scores as table
from support.stored_readings import NOON, count, store_rows
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
FIRST = ModelIdentity("foretwin-pump", "1", "run-1", "digest-1")
SAID = {
    "rul": 61.5,
    "rul_low": 60.25,
    "rul_high": 63.0,
    "faults": {"mode": {"healthy": 0.1, "wear": 0.7, "leak": 0.2}, "bearing": {"good": 0.9, "worn": 0.1}},
    "diagnosis": {"mode": "unknown", "bearing": "good"},
    "warnings": ["short_history: 3 of 8 rows"],
}


@pytest.fixture
def score(store):
    """A score that is not kept yet, for the third of four readings of an asset."""
    ids = store_rows(store, TWIN, random_rows(TWIN, {"a": 4}))
    with store.write() as connection:
        model = scores.model_id(connection, "pump", FIRST, "contract-1", NOON)
    return Score(ids["a"], 1, 3.0, model, NOON, 0.125, 3, **SAID)


def add(store, *found):
    with store.write() as connection:
        scores.add_scores(connection, found)


def history(store, score, since=None, until=None, limit=100):
    with store.read() as connection:
        return scores.history(connection, score.asset, since, until, limit)


def test_a_score_is_read_back_as_it_was(store, score):
    add(store, score)
    assert history(store, score) == [score]


def test_chances_of_a_failure_are_kept_beside_the_faults_and_replace_a_score_where_they_differ(store, score):
    told = replace(score, p_failure={"24": 0.25, "96": 0.75})
    add(store, score, told)
    assert history(store, score) == [told]
    assert "p_failure" not in told.faults
    add(store, replace(told, p_failure={"24": 0.5, "96": 0.75}))
    assert history(store, score)[0].p_failure["24"] == 0.5


def test_a_twin_without_rul_or_faults_has_none(store, score):
    bare = replace(score, rul=None, rul_low=None, rul_high=None, faults={}, diagnosis={}, warnings=[])
    add(store, bare)
    assert history(store, score) == [bare]
    with store.read() as connection:
        assert connection.execute(select(table.c.rul).where(table.c.rul.is_(None))).all() == [(None,)]


def test_the_same_score_again_changes_nothing_its_moment_included(store, score):
    add(store, score)
    add(store, replace(score, scored_at=NOON + timedelta(minutes=1), age=60.1))
    assert history(store, score) == [score]


@pytest.mark.parametrize(
    "other",
    [
        {"rows": 4},
        {"rul": 61.0},
        {"rul": None},
        {"rul_low": 1.0},
        {"rul_high": 99.0},
        {"faults": {"mode": {"healthy": 0.2, "wear": 0.6, "leak": 0.2}}},
        {"diagnosis": {"mode": "wear", "bearing": "good"}},
        {"warnings": []},
    ],
    ids=str,
)
def test_what_a_late_reading_changes_replaces_the_score(store, score, other):
    add(store, score)
    changed = replace(score, scored_at=NOON + timedelta(minutes=1), age=0.5, **other)
    add(store, changed, changed)
    assert history(store, score) == [changed]


def test_two_models_score_the_same_reading(store, score):
    with store.write() as connection:
        second = scores.model_id(connection, "pump", replace(FIRST, version="2"), "contract-1", NOON)
    add(store, score, replace(score, model=second))
    assert count(store, table) == 2


def test_history_gives_the_newest_first_within_its_limits_and_those_belong_to_it(store, score):
    made = [replace(score, time=float(i), scored_at=NOON + timedelta(minutes=i)) for i in range(1, 5)]
    add(store, *made)
    assert history(store, score) == made[::-1]
    assert history(store, score, limit=2) == [made[3], made[2]]
    assert history(store, score, since=made[1].scored_at, until=made[2].scored_at) == [made[2], made[1]]


def test_the_last_score_is_that_of_the_moment_asked_about(store, score):
    made = [replace(score, time=float(i), scored_at=NOON + timedelta(minutes=i)) for i in (1, 2)]
    add(store, *made)
    with store.read() as connection:
        assert scores.last(connection, score.asset) == made[1]
        assert scores.last(connection, score.asset, NOON + timedelta(seconds=90)) == made[0]
        assert scores.last(connection, score.asset, NOON) is None
        assert scores.last(connection, score.asset + 1) is None


def test_a_clock_that_ran_ahead_hides_no_newer_score(store, score):
    """The first was made while the clock stood a year ahead, the second after it was set right."""
    early = replace(score, time=1.0, scored_at=NOON + timedelta(days=365))
    late = replace(score, time=2.0, scored_at=NOON + timedelta(hours=1))
    add(store, early, late)
    with store.read() as connection:
        assert scores.last(connection, score.asset) == late
        assert history(store, score) == [late, early]
        ((_, seen),) = recent_scores(connection, [score.asset], None, 1)
    assert seen.time.tolist() == [2.0]


def test_a_model_keeps_its_number(store):
    with store.write() as connection:
        first = scores.model_id(connection, "pump", FIRST, "contract-1", NOON, 0.9)
        assert scores.model_id(connection, "pump", FIRST, "contract-1", NOON + timedelta(days=1)) == first
        others = [replace(FIRST, version="2"), replace(FIRST, digest="digest-2")]
        numbers = [scores.model_id(connection, "pump", other, "contract-1", NOON) for other in others]
        numbers.append(scores.model_id(connection, "fan", FIRST, "contract-1", NOON))
        assert len({first, *numbers}) == 4
        assert scores.models(connection, [first, first, 99]) == {
            first: ScoringModel("foretwin-pump", "1", "run-1", "digest-1", "contract-1", 0.9)
        }
