"""The report on scale is measured part by part, and says how far each form of a plant reaches."""

import json
import re

import numpy as np
import pytest

from benchmarks.render.scale import reach, scale
from benchmarks.speed import held_windows, idle_pass
from benchmarks.speed import scale as measured
from benchmarks.speed.laptop import Scored, lag
from benchmarks.speed.laptop_pumps import Pumps, simulated
from benchmarks.speed.partition_workers import Found, quickest
from benchmarks.speed.partitions import compared
from foretwin.champion.champion import load_champion
from foretwin.contract.twin import load_twin
from foretwin.twin.scoring.scores import score_assets
from support.archives import ROOT
from support.tiny_bundle import keep_tiny_champion, tiny_twin

TWO = {"of_one": 1.4, "of_two_databases": 0.9, "two_databases_of_one": 1.6, "cpu_ratio": 1.05}
REPORT = {
    "machine": {"cores": "2"},
    "short": ["growth"],
    "partitions": {"cpu_ratio_ingest": 1.05, "cpu_ratio_score": 1.02},
    "two_workers": {"ingestion": TWO, "scoring": TWO | {"of_one": 1.5}, "load": [1.0, 2.0], "rounds": 3},
    "batch": {"rows": [10, 50], "ratio": [0.7, 0.8], "megabytes": [300, 310], "load": 1.0},
    "training_memory": {
        "rows": [5_000_000, 10_000_000],
        "megabytes": {"train": [900, 1100]},
        "resident_megabytes": {"train": [1500, 2500]},
        "bytes_per_row": {"train": 41.9},
        "gigabytes_at_50_million": {"train": 2.6},
    },
    "growth": {
        "assets": [1000, 1_000_000],
        "scored": [1000, 50_000],
        "cost_per_asset": [120.0, 125.5],
        "bytes_per_asset": [3500, 3400],
        "load": 2.0,
    },
    "idle_pass": {"twins": [10, 1000], "milliseconds": [2.5, 3.0], "postgresql_milliseconds": [4.0, 5.0], "load": 1.0},
    "sixteenth": {"assets": 625_000, "scored": 50_000, "gigabytes": 2.6},
    "laptop": {
        "assets": 10_000,
        "minutes": 30,
        "tick_s": 60,
        "store": "sqlite",
        "lag_ticks": 0.05,
        "median_lag_ticks": 0.02,
        "largest_lag_ticks": 0.1,
        "readings": 300_000,
        "without_a_score": 0,
        "behind_at_the_end": 40,
        "cpu_share": 0.31,
        "megabytes": 900,
        "processes": {"watch": {"cpu_share": 0.2, "megabytes": 400}},
        "visits_ms": {"fleet": 20},
        "load": 0.1,
    },
}


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Two parts that take no time, and a report of their own."""
    monkeypatch.setattr(measured, "REPORT", tmp_path / "scale.json")
    monkeypatch.setattr(measured, "PARTS", {name: lambda short, name=name: {name: short} for name in ("one", "other")})
    return lambda: json.loads((tmp_path / "scale.json").read_text())


def test_a_part_that_is_measured_anew_leaves_the_others_and_the_report_says_which_are_short(parts):
    measured.measure(["one", "other"], short=True)
    assert (parts()["one"], parts()["other"], parts()["short"]) == (True, True, ["one", "other"])
    measured.measure(["other"], short=False)
    assert (parts()["one"], parts()["other"], parts()["short"]) == (True, False, ["one"])


def test_the_page_shows_each_part_and_which_were_short():
    shown = scale(REPORT)
    assert "| ingestion | 1.05 | 1.40 " in re.sub(" +", " ", shown)
    assert "| 1,000,000 " in shown
    assert "3,400" in shown
    assert "| 1,000 | 3 | 5 |" in re.sub(" +", " ", shown)
    assert "625,000 pumps, a sixteenth of ten million, take 2.6 GB" in shown
    assert "half of the 300,000 readings took at most 1 s, 99 of 100 3 s, all 6 s; 0 got no score" in shown
    assert "| all | 31.0 | 900 |" in re.sub(" +", " ", shown)
    assert "| train | 900 | 1,100 | 41.9 | 2,500 | 2.6 |" in re.sub(" +", " ", shown)
    assert "the slope between 5,000,000 and 10,000,000" in shown
    assert "In their short form, some on a machine that others used too: growth." in shown
    assert "short form" not in scale(REPORT | {"short": []})
    assert "Not measured yet" not in shown
    assert "Not measured yet: batch." in scale({name: part for name, part in REPORT.items() if name != "batch"})


def test_what_workers_gain_is_not_told_of_a_machine_that_others_used():
    shown = scale(REPORT | {"two_workers": REPORT["two_workers"] | {"load": [7.6, 4.8]}})
    assert "ingestion 1.05, scoring 1.02 (3 rounds on 2 cores, at a load of 7.6 and 4.8)" in shown
    assert "1.40" not in shown


def test_of_two_workers_the_slowest_of_the_quickest_tick_counts():
    ticks = [[(4.0, 2.0), (2.0, 1.5)], [(1.0, 1.0), (2.5, 2.0)]]
    assert quickest(ticks, [0.2, 0.3], 10) == Found(rate=4.0, worker_seconds=0.35, database_seconds=0.03)
    found = {"one": Found(2.0, 0.3, 0.02), "one, two partitions": Found(2.0, 0.33, 0.03)}
    shown = compared([found | {"two": quickest(ticks, [0.2, 0.3], 10), "two databases": Found(5.0, 0.3, 0.02)}])
    assert (shown["of_one"], shown["of_two_databases"], shown["two_databases_of_one"]) == (2.0, 0.8, 2.5)
    assert (shown["cpu_ratio"], shown["database_cpu_ratio"], shown["cores_of_one"]) == (1.1, 1.5, 0.64)


def test_what_was_tried_and_what_is_designed_for_are_rows_of_their_own():
    works = {name: {"assets": [1000, 100_000]} for name in ("overview_sqlite", "overview_postgresql")}
    stored = {"messages_per_second": 16000, "postgresql_messages_per_second": 10000}
    reports = {"bench_twin": {"ingest": stored, "watch": {"steady_assets_per_second": 15000}}}
    shown = reach(reports | {"growth": {"works": works}, "scale": REPORT}).splitlines()
    tried = [line for line in shown if line.startswith("| tried: ")]
    designed = [line for line in shown if line.startswith("| not tried, but designed for ")]
    assert (len(tried), len(designed)) == (5, 1)
    assert "1.4 of one worker by two" in tried[1]
    assert "1.5 of one worker by two" in tried[2]
    busy = REPORT | {"two_workers": REPORT["two_workers"] | {"load": [7.6, 4.8]}}
    assert "of one worker" not in reach(reports | {"growth": {"works": works}, "scale": busy})
    assert "ten million" in designed[0]
    assert "10,000 machines, 99 of 100 readings scored within 3 s, 31 % of the processors, 900 MB" in tried[4]
    assert "everything on one machine" not in designed[0]
    shorter = reach(reports | {"growth": {"works": works}, "scale": REPORT | {"short": ["laptop"]}})
    assert "99 of 100" not in shorter
    assert "10,000 machines, a reading a minute, everything on one machine" in shorter


def test_a_pass_without_news_is_measured_in_projects_of_several_machine_types(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(idle_pass, "PASSES", 2)
    keep_tiny_champion(tmp_path, tiny_twin())
    found = idle_pass.passes(tmp_path, load_champion(tmp_path, "pump").bundle, postgres, (2,))
    assert found["twins"] == [2]
    assert all(found[name][0] > 0 for name in ("milliseconds", "postgresql_milliseconds"))


def test_every_asset_that_is_held_has_its_own_window(tmp_path):
    keep_tiny_champion(tmp_path, tiny_twin())
    champion = load_champion(tmp_path, "pump")
    values = np.random.default_rng(1).normal(size=(7, 9, 3)).astype(np.float32)
    recent = held_windows.held(champion, values, 20)
    assert len(recent) == recent.capacity == 20
    recent.append(held_windows.readings_of(champion, values, np.arange(20), range(8, 9)))
    (answers,) = score_assets(champion.bundle, recent, np.arange(20), {}).scored
    assert answers.time.tolist() == [8.0] * 20
    assert answers.columns["rul"][:7].tolist() == answers.columns["rul"][7:14].tolist()
    assert len(set(answers.columns["rul"][:7].tolist())) == 7


def test_a_reading_s_lag_ends_when_its_machine_has_no_reading_without_a_score():
    pumps = Pumps(tiny_twin(), ["one", "other"], np.array([4.0, 90.0]), np.zeros((2, 5, 3), np.float32), 3)
    scored = Scored(pumps, np.full((2, 2), np.nan))
    known = pumps.first + 2  # the last reading before the first tick
    scored.note(np.array([0, 1]), known, 5.0)
    assert np.isnan(scored.seen).all()
    scored.note(np.array([1]), known[1:] + 1, 10.0)
    scored.note(np.array([0, 1]), known + np.array([2, 1]), 16.0)
    np.testing.assert_array_equal(scored.seen, [[16.0, 10.0], [16.0, np.nan]])
    found = lag(scored.seen, np.array([[6.0, 6.0], [12.0, 12.0]]), 10.0)
    assert (found["median_lag_ticks"], found["largest_lag_ticks"]) == (0.4, 1.0)
    assert (found["readings"], found["without_a_score"]) == (4, 1)


def test_the_pumps_send_what_follows_on_their_history():
    pumps = simulated(load_twin(ROOT / "data" / "pump" / "twin.yaml"), 3, 4, 2)
    history = pumps.history()
    assert history["asset"].nunique() == 3
    assert history.groupby("asset")["time"].apply(np.ptp).tolist() == [3.0] * 3
    sent = json.loads(pumps.body(1, 4))
    assert sent["time"] == history[history["asset"] == pumps.names[1]]["time"].max() + 1
    assert set(sent["channels"]) == set(pumps.twin.channel_names)
