"""A fleet's counts by health: kept whatever changes an asset, and asked at a cost that does not grow with the fleet."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import numpy as np
from sqlalchemy import event, insert, select

from foretwin.serving.access.bounds import UNBOUND, Bounds
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.kpis.counts import failures_since, keep_some_counts
from foretwin.twin.store import assets, health, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.erasure import erase
from foretwin.twin.store.scoring import fleet_counts, scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.usage import month_of, recent_owners
from foretwin.twin.store.summaries import health_changes, urgencies
from foretwin.twin.store.tables import assets as asset_table
from foretwin.twin.store.tables import batches
from foretwin.twin.store.telemetry import windows
from foretwin.wire.readings import Decoded, Readings
from support.store_costs import counted
from support.stored_case import MODEL
from support.stored_readings import NOON, count
from support.tiny_bundle import tiny_twin

TWINS = {name: tiny_twin(name) for name in ("pump", "fan")}
STEPS = 80


def send(store, name: str, time: float, at, run: int = 1) -> None:
    twin = TWINS["pump" if name.startswith("P") else "fan"]
    values = np.zeros((1, len(twin.channels)), np.float32)
    rows = Readings(twin.name, twin.channel_names, np.zeros(1, int), np.full(1, run), np.full(1, time), values, (name,))
    ingest(store, TWINS, [Decoded(rows, ())], "http", at, "any")


def say(store, asset, time: float, warnings, at) -> None:
    with store.write() as connection:
        model = scores.model_id(connection, asset.twin, MODEL, "c" * 64, at)
        made = Score(asset.id, asset.run, time, model, at, 1.0, 9, 60.0, 50.0, 70.0, {}, {}, list(warnings))
        scores.add_scores(connection, [made])


def open_case(connection, asset, severity: str):
    numbers = Numbers(1.0, NOON, 1, 9.0, 8.0, 10.0, None, NOON + timedelta(days=1))
    return cases.insert(
        connection, NewCase(asset.twin, asset.id, 1, "end_of_life", severity, numbers, {}), "watch", NOON
    )


def one_step(store, chance: random.Random, step: int) -> None:
    """One of the things that happen to machines."""
    at, name = NOON + timedelta(hours=step), f"{chance.choice('PF')}-{chance.randrange(6)}"
    with store.read() as connection:
        asset = assets.find_all(connection, [name]).get(name)
    what = chance.randrange(8)
    if asset is None or what == 0:
        send(store, name, float(step + 1), at)
    elif what == 1:
        say(store, asset, float(step), chance.choice(([], ["out_of_training_range: c1"], ["check_function: c1"])), at)
    elif what == 2:
        with store.write() as connection:
            windows.mark_silent(connection, [asset.id])
    elif what == 3:
        with store.write() as connection:
            open_case(connection, asset, chance.choice(("planned", "urgent")))
    elif what == 4:
        with store.write() as connection:
            for one in cases.open_of(connection, [asset.id]).get(asset.id, ()):
                cases.close(connection, one, "recovered", "watch", at)
    elif what == 5:
        send(store, name, 0.0, at, asset.run + 1)
    elif what == 6:
        with store.write() as connection:
            assets.register_assets(connection, "pump", [f"P-new-{step}"], at)
    elif chance.random() < 0.4:
        with store.write() as connection:
            erase(connection, asset)


def assert_counted(store, since) -> None:
    """What is kept says the same as every asset's own row."""
    for bounds in (UNBOUND, Bounds(twins=("f*",))):
        with store.read() as connection:
            found = health.count_health(connection, since, bounds)
            wanted = health._count_each(connection, since, bounds)
        assert found == sorted(wanted, key=lambda row: (row["twin"], row["health"]))


def test_the_counts_are_those_of_all_assets_whatever_happens_to_them(store, monkeypatch):
    monkeypatch.setattr(fleet_counts, "ADD_UP_AFTER", 20)
    chance, most = random.Random(7), 0
    for step in range(STEPS):
        one_step(store, chance, step)
        most = max(most, count(store, health_changes))
        if step % 5 == 0:
            silence = timedelta(hours=chance.choice((1, 20, 90)))
            assert_counted(store, {"pump": NOON + timedelta(hours=step) - silence})
    assert 5 < most < 60, "the changes are added up"
    with suppress(RuntimeError), store.write() as connection:
        assets.register_assets(connection, "pump", ["P-never"], NOON)
        raise RuntimeError
    assert_counted(store, {})


def test_those_who_change_a_fleet_at_once_wait_for_nobody_and_lose_nothing(postgres, monkeypatch):
    monkeypatch.setattr(fleet_counts, "ADD_UP_AFTER", 10)
    store = open_store(postgres.new_database("counted"))

    def work(worker: int) -> None:
        for number in range(15):
            with store.write() as connection:
                assets.register_assets(connection, "pump", [f"P-{worker}-{number}"], NOON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert_counted(store, {})
    with store.read() as connection:
        assert health.count_health(connection, {}, UNBOUND)[0]["assets"] == 60
    store.close()


def grown(url: str, size: int):
    """A fleet of which all but ten are heard of and scored lately, filled by the tables themselves."""
    store = open_store(url)
    heard = {"received_at": NOON, "heard_in": assets.quarter_of(NOON), "batch": 1, "scored_batch": 1}
    rows = [{"twin": "pump", "name": f"P-{i:05}", "tags": {}, "registered_at": NOON, **heard} for i in range(size)]
    with store.write() as connection:
        connection.execute(insert(batches), {"received_at": NOON, "via": "http"})
        connection.execute(insert(asset_table), rows)
        fixed = {"severity": 2, "due": NOON, "open_cases": 0, "word": "good", "rul_low": 9.0}
        standing = [{"asset": i + 1, "was_silent": False, "was_heard": True, **fixed} for i in range(size)]
        connection.execute(insert(urgencies), standing)
        states = {fleet_counts.AssetState("pump", 2, "good", False, True): size}
        fleet_counts.add_changes(connection, states)
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    return store


def overview(store) -> int:
    """Ask all that the fleet's page asks; how many machines there are."""
    since = {"pump": NOON - timedelta(hours=1)}
    with store.read() as connection:
        (found,) = health.count_health(connection, since, UNBOUND)
        health.count_open_cases(connection, UNBOUND)
        health.scoring_backlog(connection, NOON, UNBOUND)
        assert health.newest_receipt(connection, UNBOUND) == NOON
        failures_since(connection, "pump", NOON.date())
        recent_owners(connection, month_of(NOON), UNBOUND, 51)
    assert keep_some_counts(store, "pump", 20)
    return found["assets"]


def test_the_counts_of_a_large_fleet_cost_what_those_of_a_small_one_do(tmp_path):
    def cost(size: int) -> int:
        store = grown(f"sqlite:///{tmp_path}/{size}.db", size)
        with counted(store) as cost:
            assert overview(store) == size
        store.close()
        return cost.instructions

    assert cost(3_000) < 1.1 * cost(200)


def test_postgresql_counts_a_fleet_without_reading_it(postgres):
    store = grown(postgres.new_database("counts"), 3_000)
    seen = []
    event.listen(store.engine, "before_cursor_execute", lambda _c, _u, *told: seen.append(told[:2]))
    overview(store)
    plans = []
    with store.engine.connect() as connection:
        for statement, values in [one for one in seen if one[0].startswith("SELECT") and "FROM" in one[0]]:
            plans.append("\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars()))
    assert len(plans) >= 5
    assert not [plan for plan in plans if "Seq Scan on assets" in plan or "Seq Scan on urgencies" in plan]
    store.close()


def test_who_is_bound_to_owners_counts_their_own(store):
    with store.write() as connection:
        known = assets.register_assets(connection, "pump", ["P-1", "P-2"], NOON)
        assets.describe_asset(connection, known["P-1"], {"tags": {"owner": "acme"}})
    with store.read() as connection:
        (found,) = health.count_health(connection, {}, Bounds(owners=("owner=acme",)))
        rows = connection.execute(select(health_changes)).all()
    assert (found["assets"], found["unheard"], len(rows)) == (1, 1, 1)
