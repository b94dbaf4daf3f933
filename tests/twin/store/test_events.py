"""The outbox: what an event looks like to others, and that it is kept with what it tells of or not at all."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete

from foretwin.twin.outbox.cloud_events import as_cloud_event, source_of
from foretwin.twin.store import assets, listing, open_store
from foretwin.twin.store.casework import events as outbox
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.summaries import event_places
from support.store_costs import counted

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOOK = "http://127.0.0.1/hook"


def register(store, *names: str):
    with store.write() as connection:
        return assets.register_assets(connection, "pump", names, NOON)


def told(store, now: datetime = NOON) -> list[outbox.Event]:
    """What is due for a target that has had nothing yet."""
    with store.write() as connection:
        outbox.assign(connection, HOOK, now)
        return [delivery.event for delivery in outbox.due(connection, HOOK, now, 100)]


def test_an_event_is_a_cloud_event_in_structured_mode(store):
    asset = register(store, "P 17")["P 17"]
    with store.write() as connection:
        number = emit(connection, "case.opened", "pump", asset, "cases/12", {"fault": "mode.wear"}, NOON)

    (event,) = told(store)

    assert as_cloud_event(event) == {
        "specversion": "1.0",
        "id": number,
        "source": "/foretwin/pump/P%2017",
        "type": "foretwin.case.opened.v1",
        "subject": "cases/12",
        "time": "2026-11-21T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"fault": "mode.wear"},
    }
    assert uuid.UUID(number).version == 7


def test_an_event_of_the_fleet_has_the_twin_as_its_source(store):
    with store.write() as connection:
        emit(connection, "case.opened", "pump", None, "cases/13", {}, NOON)

    (event,) = told(store)

    assert as_cloud_event(event)["source"] == source_of("pump", None) == "/foretwin/pump"


def test_its_moment_is_told_in_utc(store):
    with store.write() as connection:
        emit(connection, "asset.stale", "pump", None, "x", {}, NOON.astimezone(timezone(timedelta(hours=5))))

    assert as_cloud_event(told(store)[0])["time"] == "2026-11-21T12:00:00Z"


def test_moments_and_numbers_that_json_lacks_can_be_told(store):
    with store.write() as connection:
        emit(connection, "case.opened", "pump", None, "x", {"at": NOON, "rul": float("nan")}, NOON)

    assert told(store)[0].data == {"at": "2026-11-21T12:00:00+00:00", "rul": None}


def test_an_event_is_not_kept_when_what_it_tells_of_is_not(store):
    def fail_halfway() -> None:
        with store.write() as connection:
            emit(connection, "case.opened", "pump", None, "x", {}, NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()

    assert told(store) == []


def test_events_of_one_moment_are_due_in_the_order_in_which_they_happened(store):
    """One asset each, since of one asset only the oldest is due."""
    known = register(store, *(f"P-{i:03}" for i in range(50)))
    with store.write() as connection:
        for i in range(50):
            emit(connection, "case.opened", "pump", known[f"P-{i:03}"], str(i), {}, NOON)

    assert [event.subject for event in told(store)] == [str(i) for i in range(50)]


def test_of_an_asset_only_the_oldest_waiting_event_is_due(store):
    known = register(store, "P-1", "P-2")
    with store.write() as connection:
        for name, subject in [("P-1", "a"), ("P-1", "b"), ("P-2", "c")]:
            emit(connection, "case.opened", "pump", known[name], subject, {}, NOON)
        outbox.assign(connection, HOOK, NOON)
        first, other = outbox.due(connection, HOOK, NOON, 100)
        later = outbox.Delivery(first.event, HOOK, "waiting", 1, NOON + timedelta(hours=1), None)
        assert outbox.claim(connection, first, later)

        assert (first.event.subject, other.event.subject) == ("a", "c")
        assert [one.event.subject for one in outbox.due(connection, HOOK, NOON, 100)] == ["c"]
        delivered = outbox.Delivery(first.event, HOOK, "delivered", 1, NOON, None)
        outbox.settle_delivery(connection, delivered)
        assert [one.event.subject for one in outbox.due(connection, HOOK, NOON, 100)] == ["b", "c"]


def test_only_one_process_claims_a_delivery(store):
    with store.write() as connection:
        emit(connection, "case.opened", "pump", None, "x", {}, NOON)
        outbox.assign(connection, HOOK, NOON)
        (found,) = outbox.due(connection, HOOK, NOON, 100)
        counted = outbox.Delivery(found.event, HOOK, "waiting", 1, NOON + timedelta(seconds=5), None)

        assert outbox.claim(connection, found, counted)
        assert not outbox.claim(connection, found, counted)


def test_each_target_is_given_each_event_once(store):
    with store.write() as connection:
        emit(connection, "case.opened", "pump", None, "x", {}, NOON)
        for target in (HOOK, HOOK, "mqtt://127.0.0.1"):
            outbox.assign(connection, target, NOON)

        assert len(outbox.due(connection, HOOK, NOON, 100)) == 1
        assert len(outbox.due(connection, "mqtt://127.0.0.1", NOON, 100)) == 1


def test_events_that_were_seen_are_not_looked_at_again_and_late_ones_are(store):
    with store.write() as connection:
        emit(connection, "case.opened", "pump", None, "first", {}, NOON)
        seen = outbox.assign(connection, HOOK, NOON)
        emit(connection, "case.opened", "fan", None, "long ago", {}, NOON - timedelta(days=400))
        seen = outbox.assign(connection, HOOK, NOON, seen)
        assert [one.event.subject for one in outbox.due(connection, HOOK, NOON, 100)] == ["long ago", "first"]

        late = outbox.Seen(seen.number + 1, ((seen.number + 1, NOON + timedelta(hours=1)),))
        emit(connection, "case.opened", "rig", None, "committed late", {}, NOON)
        after = outbox.assign(connection, HOOK, NOON, late)
        assert after == outbox.Seen(seen.number + 1)
        assert len(outbox.due(connection, HOOK, NOON, 100)) == 3
        assert outbox.assign(connection, HOOK, NOON).number == after.number  # as after a restart
        skipped = outbox.Seen(after.number - 1)
        emit(connection, "case.opened", "rig", None, "x", {}, NOON)
        connection.execute(delete(event_places).where(event_places.c.number == after.number))
        assert outbox.assign(connection, HOOK, NOON, skipped).missing == ((after.number, NOON + timedelta(hours=1)),)


def test_what_waits_costs_nothing_while_others_are_delivered(tmp_path):
    def cost_of_a_look(waiting: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{waiting}.db")
        known = list(register(store, *(f"P-{i}" for i in range(waiting // 2))).values())
        with store.write() as connection:
            for i in range(waiting):  # two of each asset
                emit(connection, "case.opened", "pump", known[i % len(known)], str(i), {}, NOON)
            seen = outbox.assign(connection, HOOK, NOON)
        with counted(store) as cost, store.write() as connection:
            emit(connection, "case.opened", "pump", known[0], "new", {}, NOON)
            outbox.assign(connection, HOOK, NOON, seen)
            (first,) = outbox.due(connection, HOOK, NOON, 1)
            outbox.settle_delivery(connection, outbox.Delivery(first.event, HOOK, "delivered", 1, NOON, None))
        store.close()
        return cost.instructions

    assert cost_of_a_look(4000) < 1.3 * cost_of_a_look(100)


def test_dead_deliveries_are_listed_and_revived(store):
    with store.write() as connection:
        for subject in ("a", "b"):
            emit(connection, "case.opened", subject, None, subject, {}, NOON)
        outbox.assign(connection, HOOK, NOON)
        for found in outbox.due(connection, HOOK, NOON, 100):
            outbox.settle_delivery(connection, outbox.Delivery(found.event, HOOK, "dead", 10, NOON, "answered 500"))

        given_up = listing.list_deliveries(
            connection, listing.Page(100, 0, "due_at", descending=False), {"state": "dead"}
        )
        assert [(one["subject"], one["error"]) for one in given_up] == [("a", "answered 500"), ("b", "answered 500")]
        assert outbox.due(connection, HOOK, NOON, 100) == []

        assert outbox.revive(connection, [given_up[0]["event"]], NOON) == 1
        (revived,) = outbox.due(connection, HOOK, NOON, 100)
        assert (revived.event.subject, revived.attempts) == ("a", 0)
        assert outbox.revive(connection, None, NOON) == 1
