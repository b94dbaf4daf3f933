"""How pressing each asset is: kept whatever changes it, and a page in that order by an index."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import numpy as np
from sqlalchemy import event, insert, select

from foretwin.champion.identity import ModelIdentity
from foretwin.serving.access.bounds import UNBOUND
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets, listing, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.erasure import erase
from foretwin.twin.store.health import _count_each, count_health
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.urgency import NEVER, UNKNOWN, keep_urgencies, note_urgency
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.tables import assets as asset_table
from foretwin.twin.store.telemetry.contradicted import beyond, take_out
from foretwin.wire.readings import Decoded, Readings
from support.store_costs import counted
from support.stored_case import store_readings
from support.stored_readings import NOON, count
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
NAMES = ("none", "scored", "short", "planned", "urgent-later", "urgent")


def said(store, asset, rul_low, run=1, time=1.0, warnings=()):
    with store.write() as connection:
        identity = ModelIdentity("foretwin-pump", "1", "run", "d" * 64)
        model = scores.model_id(connection, TWIN.name, identity, "c" * 64, NOON)
        end = (None, None, None) if rul_low is None else (rul_low + 5, rul_low, rul_low + 9)
        made = Score(asset.id, run, time, model, NOON + timedelta(hours=time), 1.0, 9, *end, {}, {}, list(warnings))
        scores.add_scores(connection, [made])


def opened(store, asset, severity, days, fault="end_of_life"):
    with store.write() as connection:
        at = NOON + timedelta(days=days)
        numbers = Numbers(1.0, NOON, 1, 9.0, 8.0, 10.0, None, at)
        return cases.insert(connection, NewCase("pump", asset.id, 1, fault, severity, numbers, {}), "watch", NOON)


def fleet_of(store):
    with store.write() as connection:
        found = assets.register_assets(connection, TWIN.name, NAMES, NOON)
    for name, rul_low in zip(NAMES[1:], (50.0, 20.0, 30.0, 40.0, 60.0), strict=True):
        said(store, found[name], rul_low)
    return found


def kept(store, asset):
    with store.read() as connection:
        row = connection.execute(select(urgencies).where(urgencies.c.asset == asset.id)).one()
    return tuple(row)[1:6]


def assert_counted(store, **silent_since):
    """The counts that are kept are those of all assets; what they are."""
    with store.read() as connection:
        found = count_health(connection, silent_since, UNBOUND)
        wanted = _count_each(connection, silent_since, UNBOUND)
    assert found == sorted(wanted, key=lambda row: (row["twin"], row["health"]))
    return {row["health"]: (row["assets"], row["silent"], row["unheard"]) for row in found}


def listed(store, sort="urgency", descending=False, **filters):
    with store.read() as connection:
        found = listing.list_fleet(connection, listing.Page(10, 0, sort, descending), filters, None, {})
    return [row["name"] for row in found]


def test_the_fleet_is_listed_by_severity_then_safe_date_then_remaining_life(store):
    fleet = fleet_of(store)
    opened(store, fleet["planned"], "planned", 1)
    opened(store, fleet["urgent-later"], "urgent", 9)
    opened(store, fleet["urgent"], "urgent", 2)
    assert listed(store) == ["urgent", "urgent-later", "planned", "short", "scored", "none"]
    assert listed(store, descending=True) == listed(store)[::-1]
    assert listed(store, "rul_low") == ["short", "planned", "urgent-later", "scored", "urgent", "none"]
    assert listed(store, "rul_low", True) == ["urgent", "scored", "urgent-later", "planned", "short", "none"]
    assert listed(store, "open_cases", True)[:3] == ["urgent-later", "urgent", "planned"]
    assert listed(store, health="failure") == ["urgent", "urgent-later"]


def test_cases_and_scores_keep_it_and_what_a_transaction_rolls_back_does_not(store):
    fleet = fleet_of(store)
    asset = fleet["scored"]
    assert kept(store, fleet["none"]) == (2, NEVER, UNKNOWN, 0, None)
    assert kept(store, asset) == (2, NEVER, 50.0, 0, "good")
    case, other = opened(store, asset, "planned", 3), opened(store, asset, "planned", 5, "mode.wear")
    assert kept(store, asset) == (1, NOON + timedelta(days=3), 50.0, 2, "good")
    with store.write() as connection:
        cases.escalate(connection, other, None, "watch", NOON)
    assert kept(store, asset)[:2] == (0, NOON + timedelta(days=3))
    with suppress(RuntimeError), store.write() as connection:
        cases.close(connection, other, "recovered", "watch", NOON)
        raise RuntimeError
    said(store, fleet["short"], 1.0, time=2.0)  # another transaction, perhaps of the same connection
    assert kept(store, asset)[3] == 2
    with store.write() as connection:
        cases.close(connection, case, "verdict", "ann", NOON)
        cases.close(connection, other, "recovered", "watch", NOON)
    said(store, asset, 45.0, time=3.0, warnings=["out_of_training_range: speed"])
    said(store, asset, 12.0, time=2.0)  # a late reading's is not the newest
    assert kept(store, asset) == (2, NEVER, 45.0, 0, "off_specification")


def test_another_run_begins_without_a_score_however_it_begins(store):
    fleet = fleet_of(store)
    with store.write() as connection:
        assets.begin_run(connection, fleet["short"], 2)
    assert kept(store, fleet["short"]) == (2, NEVER, UNKNOWN, 0, None)
    values = random_rows(TWIN, {"scored": 1})[list(TWIN.channel_names)].to_numpy(np.float32)
    first = Readings(TWIN.name, TWIN.channel_names, np.zeros(1, int), np.full(1, 2), np.zeros(1), values, ("scored",))
    assert ingest(store, {TWIN.name: TWIN}, [Decoded(first, ())], "http", NOON, "any").stored == 1
    assert kept(store, fleet["scored"]) == (2, NEVER, UNKNOWN, 0, None)
    said(store, fleet["scored"], 70.0, run=2)
    assert kept(store, fleet["scored"])[2] == 70.0


def test_a_score_that_is_taken_out_with_its_reading_no_longer_counts_and_an_erased_asset_leaves_nothing(store):
    fleet = fleet_of(store)
    asset = fleet["scored"]
    store_readings(store, TWIN, asset.id, 1, [1.0, 99.0])
    said(store, asset, 3.0, time=99.0)
    assert kept(store, asset)[2] == 3.0
    with store.write() as connection:
        take_out(connection, asset.id, 1, beyond(connection, asset.id, 1, 1.0, 9), 0)
    assert kept(store, asset)[2] == 50.0
    with store.write() as connection:
        note_urgency(connection, [asset.id])
        erase(connection, asset)
    assert count(store, urgencies) == len(NAMES) - 1
    assert_counted(store)


def test_health_is_counted_as_it_is_listed(store):
    fleet = fleet_of(store)
    opened(store, fleet["planned"], "planned", 1)
    opened(store, fleet["urgent"], "urgent", 1)
    said(store, fleet["short"], 20.0, time=2.0, warnings=["out_of_training_range: speed"])
    with store.read() as connection:
        found = {row["health"]: row["assets"] for row in count_health(connection, {}, UNBOUND)}
    assert found == {"failure": 1, "maintenance_required": 1, "check_function": 1, "off_specification": 1, "good": 2}


def grown(url, size):
    """A fleet of which every tenth has a case, filled by the tables themselves."""
    store = open_store(url)
    rows = [{"twin": "pump", "name": f"P-{i:05}", "tags": {}, "registered_at": NOON} for i in range(size)]
    with store.write() as connection:
        connection.execute(insert(asset_table), rows)
        fixed = {"open_cases": 0, "word": "good"}
        standing = [
            {"asset": i + 1, "severity": 2 if i % 10 else i % 3 % 2, "due": NEVER, "rul_low": float(i * 7919 % size)}
            | fixed
            for i in range(size)
        ]
        connection.execute(insert(urgencies), standing)
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    return store


def test_any_page_by_urgency_costs_the_same_in_a_large_fleet(tmp_path):
    def costs(size: int) -> list[int]:
        store, page, found = grown(f"sqlite:///{tmp_path}/{size}.db", size), listing.Page(50, 0, "urgency", False), []
        for _ in range(3):
            with counted(store) as cost, store.read() as connection:
                rows = listing.list_fleet(connection, page, {}, None, {})
            assert len(rows) == page.limit
            found.append(cost.instructions)
            page = replace(page, after=rows.cursors[-1])
        store.close()
        return found

    assert all(large < 1.1 * small for large, small in zip(costs(3_000), costs(200), strict=True))


def test_postgresql_reads_a_page_by_urgency_in_the_order_of_its_index(postgres):
    store = grown(postgres.new_database("urgent"), 3_000)
    seen = []
    event.listen(store.engine, "before_cursor_execute", lambda _c, _u, *told: seen.append(told[:2]))
    with store.read() as connection:
        rows = listing.list_fleet(connection, listing.Page(50, 0, "urgency", False), {}, None, {})
        listing.list_fleet(connection, listing.Page(50, 0, "urgency", False, rows.cursors[-1]), {}, None, {})
        asked = [one for one in seen if "urgencies" in one[0]]
        for statement, values in asked:
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())
            assert "urgencies_in_order" in plan
            assert "Seq Scan" not in plan
            assert "Sort" not in plan
    assert len(asked) == 2
    store.close()


def test_two_that_close_the_cases_of_one_asset_at_once_leave_none_behind(postgres):
    """Each sees the other's case open, until it waits for the row that both keep."""
    store = open_store(postgres.new_database("closing"))
    asset = fleet_of(store)["scored"]
    one, other = opened(store, asset, "urgent", 1), opened(store, asset, "planned", 2, "mode.wear")

    def recover() -> None:
        with store.write() as second:
            cases.close(second, other, "recovered", "watch", NOON)

    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    def does_wait() -> bool:  # asked outside, since a transaction goes on seeing what it saw first
        with store.engine.connect() as third:
            return bool(third.exec_driver_sql(waits).scalar())

    with ThreadPoolExecutor(1) as pool, store.write() as first:
        cases.close(first, one, "verdict", "ann", NOON)
        keep_urgencies(first)
        done = pool.submit(recover)
        wait_for(does_wait, "who waits", 20)
    done.result()
    assert kept(store, asset)[:2] == (2, NEVER)
    store.close()
