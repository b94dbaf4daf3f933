"""A candidate beside the champion on live traffic: what counts, what is only kept, and how the two compare."""

import io
import logging
import math
import uuid
import zipfile
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import insert, select

from foretwin.champion.challenger import PILOT, SHADOW, end_trial, keep_trial, load_trial
from foretwin.champion.champion import keep_champion, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Bundle
from foretwin.project.paths import Paths
from foretwin.twin.data_export import export_asset
from foretwin.twin.scoring import loop
from foretwin.twin.scoring import scores as scoring
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import assets as registered
from foretwin.twin.store import erasure, listing, open_store
from foretwin.twin.store.scoring import scores, shadow
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.tables import audit, cases, events, maintenance, models, shadow_scores
from foretwin.twin.store.tables import scores as table
from foretwin.twin.timeline import thread
from support.aging_fleet import write_contract
from support.small_history import ACTOR
from support.stored_readings import NOON, count, store_rows
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_project, tiny_twin

TWIN = tiny_twin()
ILL = Twin.model_validate({**TWIN.model_dump(), "cases": {"open_below": 90, "close_above": 95}})
EVERY_SCORE = {"scores": {"keep": "all"}}
MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(days=1)
SAID = ("rul", "rul_low", "rul_high", "diagnosis")


@pytest.fixture
def root(tmp_path):
    tiny_project(tmp_path / "project", TWIN)
    return tmp_path / "project"


@pytest.fixture
def watching(store, root):
    return Watching(store, root, WatchSettings())


def look(watching, now=NOON):
    return score_once(watching, lambda: now)


def try_candidate(root, *names, twin=TWIN, version="4", seed=9, bias=60):
    """Begin a trial, a pilot where assets are named; returns the candidate as a bundle."""
    folder = root / "trained" / version / "bundle"
    folder.mkdir(parents=True)
    identity = ModelIdentity("foretwin-pump", version, "run", save_tiny_bundle(folder, twin, seed, bias))
    keep_trial(Paths(root, "pump"), folder, identity, PILOT if names else SHADOW, names or None, NOON)
    return Bundle.load(folder)


def rows_of(store, kind, columns=SAID):
    """(asset name, time, version) -> what the row says."""
    with store.read() as connection:
        names = dict(connection.execute(select(registered.tables.assets.c.id, registered.tables.assets.c.name)).all())
        versions = dict(connection.execute(select(models.c.id, models.c.version)).all())
        found = connection.execute(select(kind)).all()
    return {(names[r.asset], r.time, versions[r.model]): tuple(getattr(r, name) for name in columns) for r in found}


def expected(bundle, rows, version, columns=SAID):
    """The same of `Bundle.score`."""
    said = {}
    for one in bundle.score(rows).to_dict("records"):
        one["diagnosis"] = {axis: one[axis] for axis in bundle.contract.axes}
        said[one["asset"], one["time"], version] = tuple(one[name] for name in columns)
    return said


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key][3] == values[3]
        np.testing.assert_allclose(found[key][:3], values[:3], atol=1e-5)


def everything(store):
    """What users and others see, as it lies in the store."""
    with store.read() as connection:
        seen = [
            connection.execute(select(one).order_by(*one.primary_key.columns)).all() for one in (table, cases, audit)
        ]
        told = connection.execute(select(events.c.type, events.c.subject, events.c.data).order_by(events.c.at)).all()
        known = registered.find_all(connection, ["a", "b", "c"])
        threads = [thread(connection, ILL, one, None, None, 100) for one in known.values()]
        page = listing.Page(10, 0, "name", descending=False)
        return repr((seen, told, threads, listing.list_fleet(connection, page, {}, None, {})))


# The loop.


def test_in_shadow_nothing_that_counts_changes_and_the_candidate_is_kept_beside_it(store_url, tmp_path, request):
    """Two stores get the same readings, one of them while a candidate is on trial."""
    rows, seen = random_rows(ILL, {"a": 9, "b": 12, "c": 3}), []
    for name in ("without", "beside"):
        project = tmp_path / name
        tiny_project(project, ILL)
        write_contract(project, EVERY_SCORE, ILL)
        bundle = try_candidate(project, twin=ILL) if name == "beside" else None
        url = f"sqlite:///{tmp_path}/{name}.db" if store_url.startswith("sqlite") else new_database(request)
        store = open_store(url)
        watching = Watching(store, project, WatchSettings(assets_per_call=2))
        for hour in (range(1, 9), range(9, 13)):
            store_rows(store, ILL, rows[rows["time"].isin(hour)])
            look(watching)
        seen.append(everything(store))
        if bundle:
            wanted = expected(bundle, rows, "4") | expected(bundle, rows[rows["time"] <= 8], "4")
            assert_same(rows_of(store, shadow_scores), wanted)
            assert count(store, cases) > 0, "or it is not seen that the candidate decides nothing"
        store.close()
    assert seen[0] == seen[1]


def new_database(request):
    return request.getfixturevalue("postgres").new_database(f"t{uuid.uuid4().hex}")


def test_a_pilot_answers_for_its_assets_and_the_champion_to_the_byte_for_all_others(store, root, watching):
    rows = random_rows(TWIN, {f"a{i}": 9 for i in range(6)})
    candidate_bundle = try_candidate(root, "a1", "a4", "unknown")
    store_rows(store, TWIN, rows)
    assert look(watching) == 6
    champion = load_champion(root, "pump").bundle.score(rows)
    whole = ("rul", "rul_low", "rul_high", "probabilities", "diagnosis", "warnings", "rows")
    found = rows_of(store, table, whole)
    mine = rows["asset"].isin(["a1", "a4"])
    assert {key for key in found if key[2] == "4"} == {("a1", 9.0, "4"), ("a4", 9.0, "4")}
    for one in champion[~champion["asset"].isin(["a1", "a4"])].to_dict("records"):
        faults = [one[f"p_{axis}_{name}"] for axis in TWIN.axes for name in TWIN.classes(axis)]
        diagnosis = {axis: one[axis] for axis in TWIN.axes}
        answer = (
            one["rul"],
            one["rul_low"],
            one["rul_high"],
            np.array(faults).tobytes(),
            diagnosis,
            one["warnings"],
            one["rows"],
        )
        assert found[one["asset"], 9.0, "3"] == answer, "to the last bit"
    served = {key: values for key, values in rows_of(store, table).items() if key[2] == "4"}
    assert_same(served, expected(candidate_bundle, rows[mine], "4"))
    assert_same(rows_of(store, shadow_scores), expected(load_champion(root, "pump").bundle, rows[mine], "3"))


def test_cases_of_a_pilots_assets_are_decided_by_the_candidate(store, tmp_path):
    tiny_project(tmp_path, ILL, bias=500)
    try_candidate(tmp_path, "b", twin=ILL, bias=1)
    store_rows(store, ILL, random_rows(ILL, {"a": 9, "b": 9}))
    look(Watching(store, tmp_path, WatchSettings()))
    names = registered.tables.assets.c
    query = select(names.name, models.c.version).where(cases.c.fault == "end_of_life", names.id == cases.c.asset)
    with store.read() as connection:
        assert connection.execute(query.where(models.c.id == cases.c.model)).all() == [("b", "4")]


def test_a_trial_begins_changes_and_ends_while_the_loop_runs(store, root, watching, caplog):
    caplog.set_level(logging.INFO)
    write_contract(root, EVERY_SCORE)
    rows = random_rows(TWIN, {"a": 12})
    for hour in range(1, 13):
        if hour == 4:
            try_candidate(root)
        if hour == 7:
            try_candidate(root, "a", version="5", seed=10)
        if hour == 10:
            end_trial(Paths(root, "pump"))
        store_rows(store, TWIN, rows[rows["time"] == hour])
        look(watching)
    served = [key[2] for key in sorted(rows_of(store, table), key=lambda key: key[1])]
    beside = [key[1:] for key in sorted(rows_of(store, shadow_scores), key=lambda key: key[1])]
    assert served == ["3"] * 5 + ["5"] * 3 + ["3"] * 3, "the second reading is the first that is scored"
    assert beside == [(4, "4"), (5, "4"), (6, "4"), (7, "3"), (8, "3"), (9, "3")]
    said = [record.getMessage() for record in caplog.records if "no longer tried" in record.getMessage()]
    assert said == [f"pump: the candidate, version {version}, is no longer tried" for version in "45"]


@pytest.mark.parametrize("length", [4, 12])
def test_a_candidate_with_another_window_sees_its_own_and_the_champion_none_of_it(store, root, watching, length):
    """A reading that no model may see has left the champion's window; the longer one still holds it."""
    rows = random_rows(TWIN, {"a": 20, "b": 20})
    store_rows(store, TWIN, rows[rows["time"] <= 10])
    look(watching)
    bundle = try_candidate(root, twin=tiny_twin(length=length))
    for hour in range(11, 21):
        store_rows(store, TWIN, rows[rows["time"] == hour])
        assert look(watching) == 2
    wanted = {}
    for hour in range(11, 21):
        wanted |= expected(bundle, rows[rows["time"] <= hour], "4")
    assert_same(rows_of(store, shadow_scores), wanted)
    champion = load_champion(root, "pump").bundle
    served = rows_of(store, table, ("rul", "rul_low", "rul_high", "diagnosis", "rows"))
    assert {values[4] for key, values in served.items() if key[1] > 10} == {8}
    assert_same({key: v[:4] for key, v in served.items() if key[1] == 20}, expected(champion, rows, "3"))
    assert watching.twins["pump"].recent.length == max(8, length)
    end_trial(Paths(root, "pump"))
    look(watching)
    assert watching.twins["pump"].recent.length == 8


def test_a_reading_that_only_the_longer_window_holds_stops_the_candidate_alone(store, root, watching):
    rows = random_rows(TWIN, {"a": 12, "b": 12})
    rows.loc[(rows["asset"] == "a") & (rows["time"] == 2), "c1"] = np.nan
    try_candidate(root, twin=tiny_twin(length=12))
    store_rows(store, TWIN, rows)
    assert look(watching) == 2
    assert [key[0] for key in rows_of(store, shadow_scores)] == ["b"]


class Broken(Exception):
    """What onnxruntime may raise."""


@pytest.mark.parametrize("mode", ["shadow", "pilot"])
@pytest.mark.parametrize("how", ["raises", "not finite"])
def test_a_candidate_that_fails_leaves_everything_to_the_champion(store, watching, how, mode, monkeypatch, caplog):
    """It is told of once, and counted; the trial goes on once it answers again."""
    bundle = try_candidate(watching.root, *(["a", "b"] if mode == "pilot" else []))
    rows, answer, asked = random_rows(TWIN, dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 9)), Bundle.answer, []

    def failing(self, tracks):
        if self.digest != bundle.digest:
            return answer(self, tracks)
        asked.append(len(tracks))
        if how == "raises":
            raise Broken("out of order\nand more")
        said = answer(self, tracks)
        said.columns["rul"][:] = math.nan
        self._check_finite(said.assets, said.columns)
        return said

    monkeypatch.setattr(Bundle, "answer", failing)
    for hours in (range(1, 5), range(5, 7), range(7, 9)):
        store_rows(store, TWIN, rows[rows["time"].isin(hours)])
        assert look(watching) == 26
    assert {key[2] for key in rows_of(store, table)} == {"3"}
    assert count(store, shadow_scores) == 0
    asked_for = 2 if mode == "pilot" else 26
    assert watching.twins["pump"].beside.silent == 3 * asked_for
    if how == "not finite" and mode == "shadow":
        assert len(asked) <= 3 * 30, "each failure is not looked for among all of them"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("pump: the candidate, version 4, gave no score, the champion answers: ")
    assert "\n" not in line
    monkeypatch.undo()
    store_rows(store, TWIN, rows[rows["time"] == 9])
    assert look(watching) == 26
    assert count(store, shadow_scores) == asked_for


def test_one_asset_that_the_candidate_cannot_score_does_not_stop_the_others(store, root, watching, monkeypatch):
    bundle, answer = try_candidate(root), Bundle.answer
    rows = random_rows(TWIN, {f"a{i}": 9 for i in range(7)})
    ids = store_rows(store, TWIN, rows)

    def failing(self, tracks):
        if self.digest == bundle.digest and (tracks.assets == ids["a3"]).any():
            raise scoring.BadInput("c1", "is odd")
        return answer(self, tracks)

    monkeypatch.setattr(Bundle, "answer", failing)
    assert look(watching) == 7
    assert {key[0] for key in rows_of(store, shadow_scores)} == set(ids) - {"a3"}


def test_a_candidate_that_becomes_the_champion_ends_its_own_trial(store, root, watching):
    try_candidate(root, "a")
    rows = random_rows(TWIN, {"a": 9})
    store_rows(store, TWIN, rows[:8])
    look(watching)
    trial = load_trial(root, "pump")
    keep_champion(Paths(root, "pump"), Paths(root, "pump").models / "candidate" / "bundle", trial.identity)
    store_rows(store, TWIN, rows[8:])
    look(watching)
    assert not (root / "models" / "pump" / "candidate").exists()
    assert watching.twins["pump"].beside is None
    assert sorted(key[1:] for key in rows_of(store, table)) == [(8.0, "4"), (9.0, "4")]
    assert sorted(key[1:] for key in rows_of(store, shadow_scores)) == [(8.0, "3")]


def test_a_trial_that_cannot_be_loaded_is_told_of_once_and_the_champion_goes_on(store, root, watching, caplog):
    try_candidate(root)
    (root / "models/pump/candidate/bundle/reference.json").write_text("{}")
    rows = random_rows(TWIN, {"a": 9})
    for hour in (8, 9):
        store_rows(store, TWIN, rows[(rows["time"] <= hour) & (rows["time"] > hour - 1 if hour > 8 else True)])
        assert look(watching) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("pump: its candidate is not tried: ")
    assert "reference.json" in line
    assert count(store, shadow_scores) == 0


def test_scores_and_what_is_kept_beside_them_are_one_transaction(store, root, watching, monkeypatch):
    try_candidate(root)
    store_rows(store, TWIN, random_rows(TWIN, {"a": 9}))
    monkeypatch.setattr(loop.windows, "mark_scored", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        look(watching)
    assert (count(store, table), count(store, shadow_scores)) == (0, 0)
    monkeypatch.undo()
    look(watching)
    assert (count(store, table), count(store, shadow_scores)) == (1, 1)


def test_a_late_reading_changes_what_both_say(store, root, watching):
    rows = random_rows(TWIN, {"a": 6})
    bundle = try_candidate(root)
    store_rows(store, TWIN, rows[rows["time"] != 4])
    look(watching)
    store_rows(store, TWIN, rows[rows["time"] == 4])
    look(watching, NOON + MINUTE)
    assert_same(rows_of(store, shadow_scores), expected(bundle, rows, "4"))


# What is kept of an asset.


def test_an_export_holds_what_was_kept_beside_and_an_erasure_removes_it(store, root, watching, tmp_path):
    bundle = try_candidate(root)
    rows = random_rows(TWIN, {"a": 9, "b": 9})
    store_rows(store, TWIN, rows)
    look(watching)
    path = export_asset(store, tmp_path, {"pump": TWIN}, "a", tmp_path / "a.zip", LATER)
    with zipfile.ZipFile(path) as archive:
        found = pd.read_parquet(io.BytesIO(archive.read("shadow_scores.parquet")))
        scored = pd.read_parquet(io.BytesIO(archive.read("scores.parquet")))
    assert found["model_version"].tolist() == ["4"]
    assert scored["model_version"].tolist() == ["3"]
    (wanted,) = bundle.score(rows[rows["asset"] == "a"])["rul"]
    assert found["rul"].iloc[0] == pytest.approx(wanted, abs=1e-5)
    with store.write() as connection:
        counts = erasure.erase(connection, registered.find_asset(connection, "a"))
    assert counts["shadow_scores"] == 1
    assert [key[0] for key in rows_of(store, shadow_scores)] == ["b"]


# The comparison.


@pytest.fixture
def pairs(store):
    """Answers of models 3 and 4 about two runs of three assets; one run has ended in a failure, one by an exchange."""
    rows = random_rows(TWIN, {"a": 5, "b": 5, "c": 5})
    ids = store_rows(store, TWIN, rows)
    with store.write() as connection:
        numbers = [
            scores.model_id(connection, "pump", ModelIdentity("foretwin-pump", version, "r", version), "c", NOON)
            for version in ("3", "4")
        ]
        made = [
            Score(ids[name], 1, float(time), model, NOON + time * MINUTE, 0, 3, rul, rul - 1, rul + 1, {}, said, [])
            for model in numbers
            for name in "abc"
            for time in range(1, 6)
            for rul, said in [answer_of(name, time, model == numbers[1])]
        ]
        scores.add_scores(connection, [one for one in made if one.model == numbers[0]])
        shadow.add_shadow_scores(connection, [one for one in made if one.model == numbers[1]])
        for name, kind, time in (("a", "run_ended", 4.5), ("b", "part_replaced", 5.0), ("b", "run_ended", 5.0)):
            row = {"asset": ids[name], "run": 1, "time": time, "at": NOON, "kind": kind, "actor": ACTOR}
            connection.execute(insert(maintenance).values(row | {"time": time - (kind == "part_replaced")}))
    return made


def answer_of(name, time, beside):
    """RUL and diagnosis: of `a` the candidate says 10 less, of `b` 1 more, of `c` the same but for one diagnosis."""
    rul = 30.0 - time + (beside and {"a": -10, "b": 1, "c": 0}[name])
    wear = beside and name == "c" and time == 5
    return rul, {"mode": "wear" if wear else "healthy", "bearing": "good"}


def compared(store, since=NOON, until=LATER, cap=None):
    with store.read() as connection:
        return shadow.comparison(connection, "pump", since, until, cap)


def test_two_models_are_compared_by_what_both_said_of_the_same_reading(store, pairs):
    (found,) = compared(store)
    assert (found.served.version, found.beside.version, found.scores, found.assets) == ("3", "4", 15, 3)
    assert found.rul_mean == pytest.approx(-3)
    assert found.rul_mean_absolute == pytest.approx(11 / 3)
    differences = sorted([-10.0] * 5 + [1.0] * 5 + [0.0] * 5)
    assert found.rul_percentiles == {
        percent: np.percentile(differences, percent, method="lower") for percent in (5, 25, 50, 75, 95)
    }
    assert found.diagnoses_differ == pytest.approx(1 / 15)
    largest = [(one.asset, one.scores, one.rul, one.diagnosis) for one in found.largest]
    assert largest == [("a", 5, 10, 0), ("b", 5, 1, 0), ("c", 5, 0, pytest.approx(0.2))]


def test_percentiles_are_differences_that_occurred(store, pairs):
    differences = np.random.default_rng(1).normal(size=15)
    key = [shadow_scores.c[name] for name in ("asset", "run", "time")]
    with store.write() as connection:
        served = connection.execute(select(table.c.asset, table.c.run, table.c.time, table.c.rul)).all()
        for (*place, rul), more in zip(served, differences, strict=True):
            mine = [column == value for column, value in zip(key, place, strict=True)]
            connection.execute(shadow_scores.update().where(*mine).values(rul=rul + more))
    (found,) = compared(store)
    assert list(found.rul_percentiles) == [5, 25, 50, 75, 95]
    wanted = np.percentile(differences, [5, 25, 50, 75, 95], method="lower")
    np.testing.assert_allclose(list(found.rul_percentiles.values()), wanted, atol=1e-9)


def test_errors_are_those_of_runs_that_ended_in_a_failure(store, pairs):
    (found,) = compared(store)
    assert (found.realised.runs, found.realised.scores) == (1, 4), "the fifth reading came after the failure"
    true = np.array([3.0, 2, 1, 0])  # to the last reading before it
    served, beside = 30.0 - np.arange(1, 5), 20.0 - np.arange(1, 5)
    assert found.realised.served == pytest.approx(np.sqrt(np.mean((served - true) ** 2)))
    assert found.realised.beside == pytest.approx(np.sqrt(np.mean((beside - true) ** 2)))
    (capped,) = compared(store, cap=1.5)
    assert capped.realised.served == pytest.approx(np.sqrt(np.mean((served - np.minimum(true, 1.5)) ** 2)))


def test_only_what_was_said_in_the_period_is_compared(store, pairs):
    (found,) = compared(store, NOON + 2 * MINUTE, NOON + 3 * MINUTE)
    assert (found.scores, found.realised.scores) == (6, 2)
    assert compared(store, LATER) == []
    with store.read() as connection:
        assert shadow.comparison(connection, "fan", NOON, LATER) == []


def test_the_same_again_replaces_and_a_model_is_not_compared_with_itself(store, pairs):
    second = [one for one in pairs if one.model != pairs[0].model]
    with store.write() as connection:
        shadow.add_shadow_scores(connection, [])
        shadow.add_shadow_scores(connection, [second[0], *second])
        scores.add_scores(connection, second[:1])
    assert count(store, shadow_scores) == 15
    (found,) = compared(store)
    assert found.scores == 15


def test_a_twin_that_predicts_no_life_is_compared_by_its_diagnoses(store, pairs):
    with store.write() as connection:
        for one in (table, shadow_scores):
            connection.execute(one.update().values(rul=None, rul_low=None, rul_high=None))
    (found,) = compared(store)
    assert (found.rul_mean, found.rul_mean_absolute, found.rul_percentiles, found.realised) == (None, None, {}, None)
    assert found.largest[0].asset == "c"
