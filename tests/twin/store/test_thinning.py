"""Scores where they changed: what is kept, what the next one takes the place of, and that the newest is whole."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.retention import Retention
from foretwin.twin.store import listing
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.thinning import ThinningRule, keep_score, rule_of, thick_assets, thin_out
from foretwin.twin.store.tables import scores as table
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
RULE = ThinningRule(rul=5, probability=0.2, longest_gap=timedelta(hours=1))
FAULTS = {"mode": {"healthy": 0.7, "wear": 0.2, "leak": 0.1}, "bearing": {"good": 0.9, "worn": 0.1}}
WORN = {"mode": {"healthy": 0.45, "wear": 0.45, "leak": 0.1}, "bearing": {"good": 0.9, "worn": 0.1}}


@pytest.fixture
def first(store):
    ids = store_rows(store, TWIN, random_rows(TWIN, {"a": 1, "b": 1}))
    with store.write() as connection:
        model = scores.model_id(connection, "pump", ModelIdentity("m", "1", "r", "d"), "c", NOON)
    diagnosis = {"mode": "healthy", "bearing": "good"}
    return Score(ids["a"], 1, 0.0, model, NOON, 0.1, 8, 50.0, 40.0, 60.0, FAULTS, diagnosis, [])


def say(store, first, *changes, rule=RULE):
    """One score a minute, each as the first but for its changes; then they are thinned out."""
    made = [
        replace(first, **({"time": float(i), "scored_at": NOON + timedelta(minutes=i)} | change))
        for i, change in enumerate(changes)
    ]
    for score in made:
        with store.write() as connection:
            scores.add_scores(connection, [score], for_good=rule is None)
    thin(store, first.asset, rule=rule or RULE)
    with store.read() as connection:
        assert scores.last(connection, first.asset) == made[-1], "the newest is there as it was made"
        assert listing.last_scores(connection, [first.asset])[first.asset]["faults"] == made[-1].faults
    return made


def thin(store, *asset_ids, rule=RULE):
    with store.write() as connection:
        return thin_out(connection, asset_ids, rule)


def kept(store, first):
    with store.read() as connection:
        return scores.history(connection, first.asset, None, None, 1000)[::-1]


def test_of_scores_that_say_the_same_the_first_and_the_newest_two_are_there(store, first):
    made = say(store, first, *[{"rul": 50.0 + 0.1 * i} for i in range(20)])
    assert kept(store, first) == [made[0], made[-2], made[-1]]


@pytest.mark.parametrize(
    "change",
    [
        {"rul": 44.9},
        {"rul_low": 34.9},
        {"rul_high": 65.1},
        {"rul": None, "rul_low": None, "rul_high": None},
        {"faults": WORN},
        {"faults": {"mode": FAULTS["mode"]}},
        {"diagnosis": {"mode": "wear", "bearing": "good"}},
        {"warnings": ["out_of_training_range: c1"]},
        {"scored_at": NOON + timedelta(hours=1)},
    ],
    ids=str,
)
def test_what_tells_something_new_is_kept(store, first, change):
    later = [{**change, "time": float(i)} for i in range(3, 7)]
    made = say(store, first, {}, {}, change, *later)
    assert kept(store, first) == [made[0], made[2], made[5], made[6]]


def test_a_count_that_goes_on_tells_nothing_new(store, first):
    made = say(store, first, *[{"warnings": [f"short_history: {i} of 8 rows"]} for i in range(2, 8)], {})
    assert kept(store, first) == [made[0], made[5], made[6]]


def test_another_model_s_score_is_kept(store, first):
    with store.write() as connection:
        second = scores.model_id(connection, "pump", ModelIdentity("m", "2", "r", "e"), "c", NOON)
    made = say(store, first, {}, {}, *[{"model": second}] * 4)
    assert kept(store, first) == [made[0], made[2], made[4], made[5]]


def test_small_steps_add_up_since_they_are_measured_from_the_last_one_kept(store, first):
    made = say(store, first, *[{"rul": 50.0 - i} for i in range(13)])
    assert [score.rul for score in kept(store, first)] == [50, 44, 39, 38]
    assert kept(store, first)[-1] == made[-1]


def test_the_last_score_of_a_run_stays_when_the_next_run_begins(store, first):
    made = say(store, first, {}, {}, {}, {"rul": 49.0}, *[{"run": 2}] * 5)
    assert kept(store, first) == [made[0], made[3], made[4], made[7], made[8]]


def test_a_late_reading_that_changes_the_newest_score_makes_it_kept(store, first):
    say(store, first, {}, {"rul": 49.0})
    again = replace(first, time=1.0, scored_at=NOON + timedelta(minutes=2), rul=20.0)
    after = replace(again, time=2.0, scored_at=NOON + timedelta(minutes=3))
    later = [replace(after, time=3.0 + i, scored_at=NOON + timedelta(minutes=4 + i)) for i in range(3)]
    for score in (again, again, after, *later):
        with store.write() as connection:
            scores.add_scores(connection, [score], for_good=False)
    assert thin(store, first.asset) == 2
    assert thin(store, first.asset) == 0
    assert [(score.time, score.rul) for score in kept(store, first)] == [(0, 50), (1, 20), (4, 20), (5, 20)]


def test_what_a_case_refers_to_is_kept(store, first):
    made = [replace(first, time=float(i), scored_at=NOON + timedelta(minutes=i)) for i in range(8)]
    with store.write() as connection:
        scores.add_scores(connection, made, for_good=False)
        keep_score(connection, first.asset, 1, 3.0)
    thin(store, first.asset)
    assert kept(store, first) == [made[0], made[3], made[6], made[7]]


def test_assets_are_thinned_out_once_they_have_many(store, first):
    with store.write() as connection:
        scores.add_scores(connection, [replace(first, time=float(i)) for i in range(10)], for_good=False)
    with store.read() as connection:
        assert thick_assets(connection, "pump", 5, 11) == []
        assert thick_assets(connection, "fan", 5, 10) == []
        assert thick_assets(connection, "pump", 5, 10) == [first.asset]


def test_assets_do_not_disturb_each_other_and_one_call_may_bring_several_scores_of_one(store, first):
    other = replace(first, asset=first.asset + 1, rul=10.0)
    several = [replace(first, time=float(i), scored_at=NOON + timedelta(minutes=i)) for i in range(5)]
    with store.write() as connection:
        scores.add_scores(connection, [*several, other], for_good=False)
    thin(store, first.asset, other.asset)
    assert kept(store, first) == [several[0], several[3], several[4]]
    assert kept(store, other) == [other]


def test_without_a_rule_all_are_kept_and_a_contract_may_want_that(store, first):
    say(store, first, *[{}] * 5, rule=None)
    assert len(kept(store, first)) == 5
    with store.read() as connection:
        assert all(connection.execute(select(table.c.kept)).scalars())
    everything = Retention.model_validate({"scores": {"keep": "all"}})
    assert rule_of(TWIN.model_copy(update={"retention": everything})) is None
    assert rule_of(TWIN) == ThinningRule(10, 0.3, timedelta(hours=1))
