"""How far the scoring is behind, and what waits for its delivery."""

from datetime import timedelta

from sqlalchemy import update

from foretwin.twin.store import assets
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.delivery_queue import delivery_queues
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.scoring.backlog import Backlog, scoring_backlogs
from foretwin.twin.store.tables import assets as asset_rows
from foretwin.twin.store.tables import deliveries
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

PUMP = tiny_twin("pump")


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
