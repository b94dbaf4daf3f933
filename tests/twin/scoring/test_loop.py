"""The scoring loop on real stores, with a real if small champion."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import func, insert, select

from benchmarks.servers import Postgres
from foretwin.champion import loaded
from foretwin.champion.champion import keep_champion, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.loaded import LoadedChampions
from foretwin.contract.policy import CasePolicy
from foretwin.contract.twin import Twin
from foretwin.project.contracts import policy_of
from foretwin.project.paths import Paths
from foretwin.twin.retention import retain as retaining
from foretwin.twin.scoring import loop
from foretwin.twin.scoring.loop import score_once, watch
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets as registered
from foretwin.twin.store import open_store
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.tables import assets, cases, events, readings
from foretwin.twin.store.tables import scores as table
from foretwin.twin.store.telemetry import windows
from support.aging_fleet import write_contract
from support.store_costs import counted
from support.stored_readings import NOON, count, store_rows
from support.tiny_bundle import REMEDY, random_rows, save_tiny_bundle, tiny_project, tiny_twin

TWIN = tiny_twin()
TWO = timedelta(seconds=2)
ONE_ASSET = 8 * (4 * 3 + 8) + 320  # bytes of a window in memory


@pytest.fixture
def root(tmp_path):
    tiny_project(tmp_path / "project", TWIN)
    return tmp_path / "project"


@pytest.fixture
def watching(store, root):
    return Watching(store, root, WatchSettings())


def look(watching, now=NOON + TWO):
    return score_once(watching, lambda: now)


def kept(store):
    """(asset name, run, time) -> score."""
    with store.read() as connection:
        names = {row.id: row.name for row in connection.execute(select(assets.c.id, assets.c.name))}
        found = [one for number in names for one in scores.history(connection, number, None, None, 10_000)]
    return {(names[one.asset], one.run, one.time): one for one in found}


def assert_scored(store, root, rows):
    """That the score at the last of these rows is what `Bundle.score` says of them."""
    expected = load_champion(root, "pump").bundle.score(rows)
    for said in expected.to_dict("records"):
        score = kept(store)[said["asset"], said["run"], said["time"]]
        assert score.rows == said["rows"]
        np.testing.assert_allclose((score.rul, score.rul_low, score.rul_high), [said[n] for n in RUL], atol=1e-5)
        for axis in TWIN.axes:
            wanted = [said[f"p_{axis}_{name}"] for name in TWIN.classes(axis)]
            assert list(score.faults[axis]) == list(TWIN.classes(axis))
            np.testing.assert_allclose(list(score.faults[axis].values()), wanted, atol=1e-5)
            assert score.diagnosis[axis] == said[axis]
        assert score.warnings == said["warnings"]


RUL = ("rul", "rul_low", "rul_high")


def marks(store):
    with store.read() as connection:
        return connection.execute(select(assets.c.batch, assets.c.scored_batch)).all()


def test_scores_are_those_of_the_bundle_with_their_age_and_model(store, root, watching):
    rows = random_rows(TWIN, {"a": 12, "b": 5, "c": 8})
    store_rows(store, TWIN, rows)
    assert look(watching) == 3
    assert_scored(store, root, rows)
    score = kept(store)["b", 1, 5.0]
    assert (score.age, score.scored_at) == (2.0, NOON + TWO)
    with store.read() as connection:
        (model,) = scores.models(connection, [score.model]).values()
    assert (model.name, model.version, model.contract) == ("foretwin-pump", "3", TWIN.digest)
    assert look(watching) == 0
    assert count(store, table) == 3


def test_each_new_reading_gives_a_score_from_memory_alone(store, root, watching, monkeypatch):
    rows = random_rows(TWIN, {"a": 20, "b": 20})
    store_rows(store, TWIN, rows[rows["time"] <= 6])
    assert look(watching) == 2
    monkeypatch.setattr(windows, "newest_windows", None)  # what is loaded from the store again would fail
    for hour in range(7, 21):
        store_rows(store, TWIN, rows[rows["time"] == hour])
        assert look(watching) == 2
        assert_scored(store, root, rows[rows["time"] <= hour])


def test_several_readings_since_the_last_look_give_one_score(store, root, watching):
    rows = random_rows(TWIN, {"a": 30})
    store_rows(store, TWIN, rows[rows["time"] <= 6])
    look(watching)
    for hour in range(7, 31):
        store_rows(store, TWIN, rows[rows["time"] == hour])
    assert look(watching) == 1
    assert_scored(store, root, rows)
    assert list(kept(store)) == [("a", 1, 30.0), ("a", 1, 6.0)]


def test_a_late_reading_changes_the_score(store, root, watching):
    rows = random_rows(TWIN, {"a": 6})
    store_rows(store, TWIN, rows[rows["time"] != 4])
    look(watching)
    before = kept(store)["a", 1, 6.0]
    store_rows(store, TWIN, rows[rows["time"] == 4])
    assert look(watching) == 1
    assert_scored(store, root, rows)
    assert kept(store)["a", 1, 6.0].rul != before.rul
    assert kept(store)["a", 1, 6.0].rows == before.rows + 1


def test_a_new_run_starts_with_an_empty_window(store, root, watching):
    rows = random_rows(TWIN, {"a": 9})
    store_rows(store, TWIN, rows)
    look(watching)
    second = random_rows(TWIN, {"a": 3}, seed=2).assign(run=2)
    store_rows(store, TWIN, second[:1])
    assert look(watching) == 0
    store_rows(store, TWIN, second[1:])
    assert look(watching) == 1
    assert_scored(store, root, second)


def test_a_run_that_began_without_readings_has_no_score_and_late_ones_of_the_old_run_give_none(store, watching):
    rows = random_rows(TWIN, {"a": 9})
    ids = store_rows(store, TWIN, rows[:8])
    look(watching)
    with store.write() as connection:
        registered.begin_run(connection, registered.find_asset(connection, "a"), 2)
    store_rows(store, TWIN, rows[8:])
    assert look(watching) == 0
    assert count(store, table) == 1
    assert all(batch == scored for batch, scored in marks(store)), ids


def test_a_run_that_is_too_short_is_seen_and_not_scored(store, root, watching):
    rows = random_rows(TWIN, {"a": 2, "b": 3})
    store_rows(store, TWIN, rows[rows["time"] == 1])
    assert look(watching) == 0
    assert all(batch == scored for batch, scored in marks(store))
    store_rows(store, TWIN, rows[rows["time"] > 1])
    assert look(watching) == 2
    assert_scored(store, root, rows)


def test_readings_that_lack_a_channel_are_passed_over(store, root, watching):
    rows = random_rows(TWIN, {"a": 9})
    store_rows(store, TWIN, rows[:4], channels=["speed", "c1"])
    assert look(watching) == 0
    assert all(batch == scored for batch, scored in marks(store))
    store_rows(store, TWIN, rows[4:])
    assert look(watching) == 1
    assert_scored(store, root, rows[4:])


def test_an_asset_that_cannot_be_scored_does_not_stop_the_others(store, root, watching, caplog):
    rows = random_rows(TWIN, {f"a{i}": 9 for i in range(7)})
    rows.loc[(rows["asset"] == "a3") & (rows["time"] == 5), "c1"] = np.nan
    store_rows(store, TWIN, rows)
    assert look(watching) == 6
    assert_scored(store, root, rows[rows["asset"] != "a3"])
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("pump: 1 assets got no score, a3 first: c1: is not finite")
    assert "\n" not in line
    assert look(watching) == 0
    more = random_rows(TWIN, {"a3": 14})[-2:]
    store_rows(store, TWIN, more.assign(time=more["time"] + 9))
    assert look(watching) == 0
    even_more = random_rows(TWIN, {"a3": 8}, seed=3).assign(time=np.arange(50.0, 58.0))
    store_rows(store, TWIN, even_more)
    assert look(watching) == 1, "once the reading has left the window"


@pytest.mark.parametrize("memory", [0, 3 * ONE_ASSET, 7 * ONE_ASSET])
def test_a_memory_that_holds_a_fraction_of_the_assets_scores_them_all(store, root, memory):
    watching = Watching(store, root, WatchSettings(memory_bytes=memory, assets_per_call=4))
    rows = random_rows(TWIN, {f"a{i:02}": 20 for i in range(17)})
    store_rows(store, TWIN, rows[rows["time"] <= 15])
    for hour in range(16, 21):
        store_rows(store, TWIN, rows[(rows["time"] == hour)])
        assert look(watching) == 17
        assert_scored(store, root, rows[rows["time"] <= hour])
        assert len(watching.twins["pump"].recent) <= max(1, memory // ONE_ASSET)


@pytest.mark.parametrize("held", ["a", "b", "c"])
def test_an_asset_that_is_loaded_does_not_put_out_the_one_that_is_scored_with_it(store, root, held):
    watching = Watching(store, root, WatchSettings(memory_bytes=3 * ONE_ASSET))
    rows = random_rows(TWIN, {"a": 9, "b": 9, "c": 9, "d": 6})
    store_rows(store, TWIN, rows[(rows["asset"] != "d") & (rows["time"] < 9)])
    look(watching)
    store_rows(store, TWIN, rows[((rows["asset"] == held) & (rows["time"] == 9)) | (rows["asset"] == "d")])
    assert look(watching) == 2
    assert_scored(store, root, rows[rows["asset"].isin([held, "d"])])


def replace_champion(root, version, twin=TWIN, seed=1):
    folder = root / "trained" / version
    folder.mkdir(parents=True)
    digest = save_tiny_bundle(folder, twin, seed=seed)
    keep_champion(Paths(root, twin.name), folder, ModelIdentity("foretwin-pump", version, "run", digest))


def test_another_champion_scores_from_its_promotion_on(store, root, watching):
    rows = random_rows(TWIN, {"a": 12})
    store_rows(store, TWIN, rows[:10])
    look(watching)
    replace_champion(root, "4", seed=9)
    assert look(watching) == 0
    store_rows(store, TWIN, rows[10:])
    assert look(watching) == 1
    assert_scored(store, root, rows)
    models = {key[2]: score.model for key, score in kept(store).items()}
    assert models[10.0] != models[12.0]


def test_another_champion_may_have_other_channels_and_a_longer_window(store, root, watching):
    rows = random_rows(tiny_twin(channels=4), {"a": 14})
    store_rows(store, tiny_twin(channels=4), rows[:7])
    assert look(watching) == 1
    replace_champion(root, "4", tiny_twin(channels=4, length=12))
    store_rows(store, tiny_twin(channels=4), rows[7:])
    assert look(watching) == 1
    assert_scored(store, root, rows)
    assert kept(store)["a", 1, 14.0].rows == 12


def test_a_champion_that_is_damaged_leaves_the_one_before_in_place(store, root, watching, caplog):
    rows = random_rows(TWIN, {"a": 12})
    store_rows(store, TWIN, rows[:10])
    look(watching)
    good = root / "good"
    shutil.copytree(root / "models", good / "models")
    replace_champion(root, "4", seed=9)
    (root / "models/pump/champion/bundle/reference.json").write_text("{}")
    store_rows(store, TWIN, rows[10:])
    assert look(watching) == 1
    assert look(watching) == 0
    assert_scored(store, good, rows)
    assert [record.getMessage() for record in caplog.records if "altered" in record.getMessage()] != []
    assert len(caplog.records) == 1


def test_without_a_champion_nothing_is_scored_until_there_is_one(store, tmp_path, caplog):
    watching = Watching(store, tmp_path, WatchSettings(twins=("pump",)))
    rows = random_rows(TWIN, {"a": 12})
    store_rows(store, TWIN, rows)
    assert [look(watching), look(watching)] == [0, 0]
    assert [record.getMessage() for record in caplog.records if "no champion yet" in record.getMessage()] != []
    assert len(caplog.records) == 1
    tiny_project(tmp_path, TWIN)
    assert look(watching) == 1
    assert_scored(store, tmp_path, rows)


def test_each_twin_is_scored_by_its_own_champion_and_the_memory_is_shared(store, tmp_path):
    fan = tiny_twin("fan", channels=2, rul=False)
    tiny_project(tmp_path, TWIN, fan)
    watching = Watching(store, tmp_path, WatchSettings(memory_bytes=100_000))
    store_rows(store, TWIN, random_rows(TWIN, {"p": 9}))
    store_rows(store, fan, random_rows(fan, {"f": 9}))
    assert look(watching) == 2
    found = kept(store)
    assert found["f", 1, 9.0].rul is None
    assert found["p", 1, 9.0].rul is not None
    assert [one.recent.memory_bytes for one in watching.twins.values()] == [50_000, 50_000]


def test_networks_beyond_the_memory_are_loaded_when_their_twin_has_news(store, tmp_path):
    twins = [tiny_twin(name) for name in ("fan", "mill", "pump")]
    tiny_project(tmp_path, *twins)
    watching = Watching(store, tmp_path, WatchSettings(), loaded=LoadedChampions(1))
    look(watching)
    assert watching.loaded.loads == 0
    for length in (9, 10):
        for twin in twins:
            store_rows(store, twin, random_rows(twin, {twin.name: length}).tail(1 if length > 9 else length))
        assert look(watching) == 3
        assert len(watching.loaded) == 1
    assert watching.loaded.loads == 6
    look(watching)
    assert watching.loaded.loads == 6
    for twin in twins:
        want = load_champion(tmp_path, twin.name).bundle.score(random_rows(twin, {twin.name: 10}))
        assert kept(store)[twin.name, 1, 10.0].rul == pytest.approx(want["rul"].iat[0], abs=1e-3)


def test_a_network_that_cannot_be_loaded_is_told_once_and_its_readings_wait(store, root, watching, caplog, monkeypatch):
    look(watching)
    network = root / "models/pump/champion/bundle/network.onnx"
    content = network.read_bytes()
    network.write_bytes(b"")
    store_rows(store, TWIN, random_rows(TWIN, {"a": 12}))
    assert [look(watching), look(watching)] == [0, 0]
    (record,) = caplog.records
    assert record.getMessage().startswith("pump: its champion cannot be loaded, nothing is scored: ")
    network.write_bytes(content)
    monkeypatch.setattr(loaded, "verify", lambda folder: watching.twins["pump"].champion.bundle.digest)
    network.write_bytes(b"no network")
    assert look(watching) == 0
    assert "Protobuf parsing failed" in caplog.records[-1].getMessage()
    network.write_bytes(content)
    assert look(watching) == 1


def test_cases_open_in_the_transaction_of_their_scores(store, tmp_path, monkeypatch):
    ill = Twin.model_validate({**TWIN.model_dump(), "cases": {"open_below": 90, "close_above": 95}})
    tiny_project(tmp_path, ill)
    watching = Watching(store, tmp_path, WatchSettings())
    store_rows(store, ill, random_rows(ill, {"a": 9}))
    monkeypatch.setattr(windows, "mark_scored", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        look(watching)
    assert (count(store, table), count(store, cases), count(store, events)) == (0, 0, 0)
    monkeypatch.undo()
    assert look(watching) == 1
    assert count(store, table) == 1
    assert count(store, cases) >= 1


def test_an_asset_that_falls_silent_is_told_once(store, tmp_path):
    quiet = Twin.model_validate({**TWIN.model_dump(), "cases": {"stale_after": 6}})
    tiny_project(tmp_path, quiet)
    watching = Watching(store, tmp_path, WatchSettings())
    store_rows(store, quiet, random_rows(quiet, {"a": 9}))
    stale = select(func.count()).select_from(events).where(events.c.type == "foretwin.asset.stale.v1")
    for hours, told in ((0, 0), (6, 0), (7, 1), (8, 1)):
        look(watching, NOON + timedelta(hours=hours))
        with store.read() as connection:
            assert connection.execute(stale).scalar_one() == told


def test_a_pass_without_news_costs_the_same_for_ten_assets_and_for_thousands(tmp_path):
    contract = Twin.model_validate({**TWIN.model_dump(), "cases": {"stale_after": 6.0}})
    tiny_project(tmp_path / "project", contract)

    def cost_of_an_idle_pass(count: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{count}.db")
        known = {"twin": "pump", "tags": {}, "registered_at": NOON, "received_at": NOON, "time": 1.0}
        known["heard_in"] = registered.quarter_of(NOON)
        rows = [{**known, "name": str(i), "batch": 7, "scored_batch": 7, "is_silent": i % 3 == 0} for i in range(count)]
        with store.write() as connection:
            connection.execute(insert(assets), rows)
        watching = Watching(store, tmp_path / "project", WatchSettings())
        with counted(store) as cost:
            assert look(watching) == 0
        store.close()
        return cost.instructions

    assert cost_of_an_idle_pass(3000) <= cost_of_an_idle_pass(10) + 200


def test_two_loops_that_read_the_same_news_keep_one_score(store, root, monkeypatch):
    """The second commits everything between the first one's reading and its writing."""
    first, second = (Watching(store, root, WatchSettings()) for _ in range(2))
    rows = random_rows(TWIN, {"a": 12, "b": 12})
    store_rows(store, TWIN, rows[rows["time"] < 12])
    scoring = loop.score_assets

    def overtaken(*given):
        monkeypatch.setattr(loop, "score_assets", scoring)
        store_rows(store, TWIN, rows[(rows["time"] == 12) & (rows["asset"] == "a")])
        first.owner.close()  # as where its session is cut: what it owned is the second one's
        assert look(second) == 2
        return scoring(*given)

    monkeypatch.setattr(loop, "score_assets", overtaken)
    assert look(first) == 0
    assert sorted(kept(store)) == [("a", 1, 12.0), ("b", 1, 11.0)]
    assert all(batch <= scored for batch, scored in marks(store))
    assert look(first) == 0


def test_what_another_loop_has_scored_up_to_an_earlier_batch_is_not_scored_again(store, root, watching, monkeypatch):
    ids = store_rows(store, TWIN, random_rows(TWIN, {"a": 9}))
    ids |= store_rows(store, TWIN, random_rows(TWIN, {"b": 9}))
    scoring = loop.score_assets

    def overtaken(*given):
        with store.write() as connection:
            windows.mark_scored(connection, [ids["a"]], 1)  # whose loop had not seen the batch of b
        return scoring(*given)

    monkeypatch.setattr(loop, "score_assets", overtaken)
    assert look(watching) == 1
    assert list(kept(store)) == [("b", 1, 9.0)]


@pytest.mark.parametrize("meanwhile", ["new run", "erased"])
def test_what_happens_to_an_asset_while_it_is_scored_makes_its_score_void(
    store, root, watching, monkeypatch, meanwhile
):
    ids = store_rows(store, TWIN, random_rows(TWIN, {"a": 9, "b": 9}))
    scoring = loop.score_assets

    def overtaken(*given):
        with store.write() as connection:
            if meanwhile == "new run":
                registered.begin_run(connection, registered.find_asset(connection, "a"), 2)
            else:
                connection.execute(urgencies.delete().where(urgencies.c.asset == ids["a"]))
                connection.execute(readings.delete().where(readings.c.asset == ids["a"]))
                connection.execute(assets.delete().where(assets.c.id == ids["a"]))
        return scoring(*given)

    monkeypatch.setattr(loop, "score_assets", overtaken)
    assert look(watching) == 1
    assert list(kept(store)) == [("b", 1, 9.0)]


def test_readings_that_come_while_it_scores_are_news_again(store, root, watching, monkeypatch):
    rows = random_rows(TWIN, {"a": 9})
    store_rows(store, TWIN, rows[:8])
    scoring = loop.score_assets

    def overtaken(*given):
        monkeypatch.setattr(loop, "score_assets", scoring)
        store_rows(store, TWIN, rows[8:])
        return scoring(*given)

    monkeypatch.setattr(loop, "score_assets", overtaken)
    assert look(watching) == 1
    assert [batch - scored for batch, scored in marks(store)] == [1]
    assert look(watching) == 1
    assert_scored(store, root, rows[:8])
    assert_scored(store, root, rows)


def start(store, root, **settings):
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(store, root, WatchSettings(pause=0.02, **settings), stop))
    thread.start()
    return stop, thread


def test_the_loop_scores_what_comes_until_it_is_stopped(store, root):
    stop, thread = start(store, root)
    try:
        rows = random_rows(TWIN, {"a": 12})
        for hour in range(9, 13):
            store_rows(store, TWIN, rows[rows["time"] <= hour] if hour == 9 else rows[rows["time"] == hour])
            wait_for(lambda hour=hour: ("a", 1, float(hour)) in kept(store), f"score at {hour}")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert_scored(store, root, rows)


@pytest.fixture
def server():
    """A PostgreSQL of this test's own: one with few databases stops and starts at once."""
    started = Postgres().start()
    yield started
    started.remove()


@pytest.mark.slow
def test_a_store_that_goes_away_is_waited_for_and_told_in_one_line(server, root, caplog):
    store = open_store(server.new_database("watched"))
    stop, thread = start(store, root)
    try:
        rows = random_rows(TWIN, {"a": 12})
        store_rows(store, TWIN, rows[:9])
        wait_for(lambda: len(kept(store)) == 1, "the first score")
        server.stop()
        wait_for(lambda: caplog.records, "line in the log")
        time.sleep(0.5)
        server.start()
        store_rows(store, TWIN, rows[9:])
        wait_for(lambda: len(kept(store)) == 2, "the score of what came after")
    finally:
        stop.set()
        thread.join(40)
    assert_scored(store, root, rows)
    lines = {record.getMessage() for record in caplog.records}
    assert len(caplog.records) == len(lines)
    assert all("scoring goes on" in line and "\n" not in line for line in lines)
    store.close()


PROCESS = """
import sys, threading
from pathlib import Path
from foretwin.twin.store import open_store
from foretwin.twin.scoring.loop import watch
from foretwin.twin.scoring.watched import WatchSettings
settings = WatchSettings(assets_per_call=16, pause=0.01)
watch(open_store(sys.argv[1]), Path(sys.argv[2]), settings, threading.Event())
"""


@pytest.mark.slow
def test_loops_that_are_killed_under_load_leave_everything_scored_once(store, store_url, tmp_path):
    ill = Twin.model_validate({**TWIN.model_dump(), "cases": {"open_probability": 0.6, "new_per_hour": 1000}})
    tiny_project(tmp_path, ill)
    rows = random_rows(ill, {f"a{i:03}": 40 for i in range(60)})
    rows[["speed", "c1", "c2"]] *= 3
    command = [sys.executable, "-c", PROCESS, store_url, str(tmp_path)]
    store_rows(store, ill, rows[rows["time"] <= 5])
    for kill in range(3):  # `make kill` kills 50 times on each database
        first = 6 + 5 * kill
        store_rows(store, ill, rows[rows["time"] == first])
        begin = count(store, table)
        loops = [subprocess.Popen(command) for _ in range(1 + kill % 2)]  # one, or two at once
        wait_for(lambda begin=begin: count(store, table) > begin, "score by a loop that was started anew", 60)
        for hour in range(first + 1, first + 5):
            store_rows(store, ill, rows[rows["time"] == hour])
            time.sleep(0.02 * kill)
        for process in loops:
            process.send_signal(signal.SIGKILL)
            process.wait()
    watching = Watching(store, tmp_path, WatchSettings())
    wait_for(watching.own, "the partition of the killed")
    store_rows(store, ill, rows[(rows["time"] > 20) & (rows["time"] < 23)])
    look(watching)
    assert look(watching) == 0
    assert all(batch == scored for batch, scored in marks(store))
    assert_scored(store, tmp_path, rows[rows["time"] < 23])
    assert_consistent(store)


def assert_consistent(store):
    """Every score has its reading, every open case the score that speaks for it, and every opening one event."""
    with store.read() as connection:
        key = (table.c.asset == readings.c.asset) & (table.c.run == readings.c.run) & (table.c.time == readings.c.time)
        known = select(func.count()).select_from(table.join(readings, key))
        assert connection.execute(known).scalar_one() == count(store, table)
        found = connection.execute(select(cases)).all()
        assert len({(case.asset, case.fault) for case in found if case.state == "open"}) == len(
            [case for case in found if case.state == "open"]
        )
        spoken = select(table.c.asset, table.c.time, table.c.scored_at)
        said = {tuple(row) for row in connection.execute(spoken)}
        assert {(case.asset, case.time, case.scored_at) for case in found if case.asset} <= said
        opened = select(events.c.subject).where(events.c.type == "foretwin.case.opened.v1")
        subjects = list(connection.execute(opened).scalars())
    assert sorted(subjects) == sorted(f"cases/{case.id}" for case in found)
    assert len(found) > 5, "the load must open cases, or nothing is shown"


def test_a_changed_case_policy_counts_without_training_anew(store, tmp_path):
    twin = tiny_twin()
    tiny_project(tmp_path, twin)
    contract = tmp_path / "data" / "pump" / "twin.yaml"
    contract.parent.mkdir(parents=True)
    assert policy_of(tmp_path, twin) == twin
    lenient = twin.model_copy(update={"cases": CasePolicy(open_probability=0.99, close_probability=0.5)})
    contract.write_text(lenient.model_dump_json())
    watching = Watching(store, tmp_path, WatchSettings())
    score_once(watching, lambda: NOON)
    assert watching.twins["pump"].policy.cases.open_probability == 0.99
    asks_more = Twin.model_validate(lenient.model_dump() | {"health": {"remedy": REMEDY}})
    contract.write_text(asks_more.model_dump_json())
    assert policy_of(tmp_path, twin) == lenient, "what the model does not answer is left out"
    contract.write_text("name: pump")
    score_once(watching, lambda: NOON)
    assert watching.twins["pump"].policy.cases.open_probability == 0.99, "a wrong file leaves the policy as it was"
    other = tiny_twin(channels=4)
    contract.write_text(other.model_dump_json())
    score_once(watching, lambda: NOON)
    assert watching.twins["pump"].policy == twin, "what the champion does not answer is not decided by"


def test_without_thinning_every_score_is_kept_and_with_it_those_that_changed(store, root, watching, monkeypatch):
    monkeypatch.setattr(retaining, "FEWEST_SCORES", 20)
    rows = random_rows(TWIN, {"a": 40})
    rows[["speed", "c1", "c2"]] *= 0.01
    contract = write_contract(root, {"scores": {"keep": "all"}})
    for hours in (range(1, 21), range(21, 41)):
        before = count(store, table)
        for hour in hours:
            store_rows(store, TWIN, rows[rows["time"] == hour])
            look(watching, NOON + timedelta(minutes=hour))
        retaining.retain_once(retaining.Retaining(store, root, {"pump": contract}), NOON)
        assert_scored(store, root, rows[rows["time"] <= hours.stop - 1])
        if hours.start == 1:
            assert count(store, table) - before == 19, "the second reading is the first that is scored"
            contract = write_contract(root, {"scores": {"longest_gap": 1e6}})
    assert 2 <= count(store, table) - before < 6, "the newest two, and what changed"
