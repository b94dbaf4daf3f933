"""How far the scoring is behind, and what waits for its delivery."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from foretwin.dataset.machine_names import slot_of
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.store import assets
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.delivery_queue import delivery_queues
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.ownership.partitioning import rebalance
from foretwin.twin.store.scoring.backlog import Backlog, partition_backlogs, scoring_backlogs
from foretwin.twin.store.tables import assets as asset_rows
from foretwin.twin.store.tables import deliveries
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

PUMP = tiny_twin("pump")
EVEN, EVEN_TOO, ODD = "P-1", "P-5", "P-2"  # of two partitions


def send(store, asset: str, minute: int) -> int:
    """One reading of an asset, which came that many minutes after noon; returns the batch."""
    rows = random_rows(PUMP, {asset: 1}).assign(time=float(minute))
    ids = store_rows(store, PUMP, rows, NOON + timedelta(minutes=minute))
    with store.read() as connection:
        return assets.by_id(connection, [ids[asset]])[ids[asset]].batch


def mark(store, batch: int, *names: str) -> None:
    with store.write() as connection:
        connection.execute(update(asset_rows).where(asset_rows.c.name.in_(names)).values(scored_batch=batch))


def backlog(store) -> Backlog:
    with store.read() as connection:
        return scoring_backlogs(connection, ["pump", "fan"])["pump"]


def test_an_asset_that_goes_on_sending_does_not_hide_when_scoring_stopped(store):
    assert backlog(store) == Backlog(0, None)
    mark(store, send(store, "P-1", 0), "P-1")
    assert backlog(store) == Backlog(0, None)
    for minute in (1, 2, 30):
        send(store, "P-1", minute)
    assert backlog(store) == Backlog(1, NOON + timedelta(minutes=1))


def test_an_asset_that_reports_rarely_is_no_backlog_of_its_whole_silence(store):
    mark(store, send(store, "rare", 0), "rare")
    for minute in range(1, 20):
        mark(store, send(store, "often", minute), "often")
    send(store, "rare", 60)
    assert backlog(store) == Backlog(1, NOON + timedelta(minutes=60))


def test_assets_that_were_never_scored_and_those_scored_last_are_both_looked_at(store):
    upto = max(send(store, f"P-{number}", 0) for number in range(8))
    mark(store, upto, *(f"P-{number}" for number in range(8)))
    send(store, "P-7", 5)
    for number in range(8):
        send(store, f"new-{number}", 10 + number)
    assert backlog(store) == Backlog(9, NOON + timedelta(minutes=5))


def hear(store, name: str, minute: int) -> None:
    """One reading of an asset by the real ingestion, which numbers batches by partition; it came after noon."""
    cells = ",".join(f'"{channel}":1.0' for channel in PUMP.channel_names)
    body = f'{{"asset":"{name}","time":{minute}.0,"channels":{{{cells}}}}}'.encode()
    contracts = {PUMP.name: PUMP}
    one = decode(body, JSON, contracts, PUMP.name, None)
    assert ingest(store, contracts, [one], "http", NOON + timedelta(minutes=minute)).stored == 1


def score(store, *names: str) -> None:
    """Note that all readings of these assets have a score."""
    chosen = asset_rows.c.name.in_(names)
    with store.write() as connection:
        connection.execute(update(asset_rows).where(chosen).values(scored_batch=asset_rows.c.batch))


def by_partition(store, *twins: str) -> dict[int, int | None]:
    """Minutes after noon at which the oldest reading of each partition came."""
    with store.read() as connection:
        found = partition_backlogs(connection, twins or ["pump", "fan"])
    return {number: None if at is None else round((at - NOON) / timedelta(minutes=1)) for number, at in found.items()}


def test_of_one_partition_nothing_is_said_that_the_twin_s_backlog_does_not_say(store):
    hear(store, EVEN, 1)
    assert backlog(store) == Backlog(1, NOON + timedelta(minutes=1))
    assert by_partition(store) == {}


@pytest.fixture
def divided(store):
    """A store of two partitions, of which each has a machine whose readings were scored."""
    with store.write() as connection:
        rebalance(connection, 2)
    for name in (EVEN, EVEN_TOO, ODD):
        hear(store, name, 0)
        score(store, name)
    return store


on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # SQLite has one partition


@on_postgresql
def test_a_partition_that_stands_is_told_from_one_that_is_scored(divided):
    assert [slot_of(name) % 2 for name in (EVEN, EVEN_TOO, ODD)] == [0, 0, 1]
    assert by_partition(divided) == {0: None, 1: None}
    for minute in (3, 7, 9):
        for name in (EVEN, ODD):
            hear(divided, name, minute)
    assert by_partition(divided) == {0: 3, 1: 3}
    assert by_partition(divided, "fan") == {0: None, 1: None}, "a twin without a champion is not scored at all"
    score(divided, ODD)
    hear(divided, ODD, 12)
    assert by_partition(divided) == {0: 3, 1: 12}
    assert backlog(divided) == Backlog(2, NOON + timedelta(minutes=3))


@on_postgresql
def test_in_a_partition_too_neither_who_sends_nor_who_was_never_scored_hides_the_age(divided):
    hear(divided, EVEN_TOO, 20)
    score(divided, EVEN_TOO)
    for minute in (21, 30):
        hear(divided, EVEN_TOO, minute)  # was scored last, and goes on sending
    hear(divided, EVEN, 30)  # reports rarely: no backlog of its whole silence
    hear(divided, ODD, 40)
    assert by_partition(divided) == {0: 21, 1: 40}
    hear(divided, "P-6", 41)  # of the odd partition, and never scored
    score(divided, ODD)
    for minute in (45, 50):
        hear(divided, "P-6", minute)
    assert slot_of("P-6") % 2 == 1
    assert by_partition(divided) == {0: 21, 1: 41}
    score(divided, EVEN_TOO)
    assert by_partition(divided) == {0: 30, 1: 41}


@on_postgresql
def test_in_a_long_pass_the_age_is_that_of_the_machines_whose_turn_it_is_not_yet(divided):
    hear(divided, EVEN, 1)
    hear(divided, EVEN_TOO, 2)
    score(divided, EVEN_TOO)
    for name in (EVEN_TOO, EVEN):
        hear(divided, name, 5)
    assert by_partition(divided)[0] == 1


@on_postgresql
def test_who_was_scored_neither_last_nor_first_and_is_silent_since_counts_by_its_receipt(divided):
    silent = "P-7"
    hear(divided, silent, 5)
    score(divided, silent)
    hear(divided, silent, 20)
    hear(divided, EVEN_TOO, 30)
    score(divided, EVEN_TOO)
    for name in (EVEN_TOO, EVEN):
        hear(divided, name, 35)
    assert slot_of(silent) % 2 == 0
    assert by_partition(divided)[0] == 20


def test_the_queue_of_a_target_has_what_waits_and_what_was_given_up(store):
    with store.write() as connection:
        known = assets.register_assets(connection, "pump", ["P-1"], NOON)["P-1"]
        for minute in (3, 1, 2):
            at = NOON + timedelta(minutes=minute)
            emit(connection, "case.opened", "pump", known, "cases/1", {"minute": minute}, at)
        outbox.assign(connection, "http://erp/hook", NOON)
    with store.write() as connection:
        first = outbox.due(connection, "http://erp/hook", NOON, 1)[0].event.id
        connection.execute(update(deliveries).where(deliveries.c.event == first).values(state="dead"))
    with store.read() as connection:
        (queue,) = delivery_queues(connection)
    assert (queue.target, queue.waiting, queue.dead) == ("http://erp/hook", 2, 1)
    assert queue.since in (NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))
