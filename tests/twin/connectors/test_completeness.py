"""When a machine's silence is a silence: not while a connection that speaks of it is lost or behind."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from foretwin.twin.connectors import completeness
from foretwin.twin.connectors import sink as sink_module
from foretwin.twin.connectors.completeness import Completeness, lagging_machines, silent_machines
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.connectors.sink import Sink
from foretwin.twin.ingest.single_values.due import settle_due
from foretwin.twin.ingest.single_values.settling import LONGEST_HOLD
from foretwin.wire.readings import Decoded, SingleValues
from support.plant_connections import set_aside, stored_rows, tagged_twin

pytestmark = pytest.mark.dated
TWIN = tagged_twin("flow", "speed", wait=2)
CONTRACTS = {"pump": TWIN}
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)


def value(channel: str, second: float, number: float = 1.0, asset: str = "P-1") -> Decoded:
    moment = (LONG_AGO + timedelta(seconds=second)).timestamp() * 1e6
    arrays = np.zeros(1, np.int64), np.array([moment]), np.array([True]), np.array([TWIN.channel_names.index(channel)])
    return Decoded(None, (), SingleValues("pump", TWIN.channel_names, *arrays, np.array([number]), (asset,)))


@pytest.fixture
def clock(monkeypatch):
    """The moment that `time.monotonic` tells, in a list; the sink's calendar goes with it."""
    begin = time.monotonic()
    now, begun = [begin], datetime.now(UTC)
    monkeypatch.setattr(completeness.time, "monotonic", lambda: now[0])
    moments = SimpleNamespace(now=lambda _: begun + timedelta(seconds=now[0] - begin))
    monkeypatch.setattr(sink_module, "datetime", moments)
    return now


def sink_of(store, *names: str) -> tuple[Sink, list[ConnectionState]]:
    states = [ConnectionState(name) for name in names]
    sink = Sink(store, CONTRACTS, threading.Event())
    sink.states = states
    return sink, states


def test_values_wait_for_a_connection_that_is_lost_and_no_longer_than_their_wait_once_it_has_told_all(
    small_store, clock
):
    sink, (hall,) = sink_of(small_store, "hall")
    for channel, second in (("flow", 0), ("speed", 0), ("flow", 5)):
        sink.take([value(channel, second)], "opcua", hall)
    clock[0] += 60  # lost meanwhile: nothing was heard of it
    sink.settle()
    settle_due(small_store, CONTRACTS, datetime.now(UTC) + timedelta(seconds=60))  # as `foretwin watch` asks
    assert stored_rows(small_store, TWIN, "P-1")["time"].tolist() == [0]
    sink.take([value("speed", 5, 7.0)], "opcua", hall)  # what the history tells of the step
    clock[0] += 1.5
    hall.completeness.mark_complete(clock[0])
    sink.settle()
    assert len(stored_rows(small_store, TWIN, "P-1")) == 1
    sink.take([value("flow", 6)], "opcua", hall)
    clock[0] += 1.9
    hall.completeness.mark_complete(clock[0])
    sink.settle()
    assert len(stored_rows(small_store, TWIN, "P-1")) == 2
    clock[0] += 0.2
    hall.completeness.mark_complete(clock[0])
    sink.settle()
    rows = stored_rows(small_store, TWIN, "P-1")
    assert (rows["time"].tolist(), rows["speed"].tolist()[-2:]) == ([0, 5, 6], [7.0, 7.0])
    assert set_aside(small_store) == []


def test_after_an_hour_without_a_connection_readings_are_made_and_that_is_told_once(small_store, clock, caplog):
    sink, (hall,) = sink_of(small_store, "hall")
    sink.take([value("flow", 0), value("speed", 0), value("flow", 1)], "opcua", hall)
    hall.completeness.mark_complete(clock[0])
    later = datetime.now(UTC) + LONGEST_HOLD
    assert settle_due(small_store, CONTRACTS, later).stored == 0
    assert settle_due(small_store, CONTRACTS, later + timedelta(seconds=3)).stored == 2
    with caplog.at_level(logging.WARNING):
        clock[0] += LONGEST_HOLD.total_seconds() - 1
        sink.settle()
        assert caplog.text == ""
        clock[0] += 10
        sink.settle()
        sink.settle()
    assert caplog.text.count("hall: lost, or behind, for 60 minutes: readings are made") == 1


def test_values_of_one_connection_make_no_reading_that_another_one_has_values_of(small_store, clock):
    sink, (hall, broker) = sink_of(small_store, "hall", "broker")
    sink.take([value("flow", 0)], "opcua", hall)
    sink.take([value("speed", 0)], "mqtt", broker)
    for state in (hall, broker):
        state.completeness.mark_complete(clock[0])
    clock[0] += 30  # hall is lost
    sink.take([value("speed", second) for second in (1, 2, 3, 20)], "mqtt", broker)
    broker.completeness.mark_complete(clock[0] + 10)
    sink.settle()
    assert len(stored_rows(small_store, TWIN, "P-1")) == 0
    sink.take([value("flow", second) for second in (1, 2, 3)], "opcua", hall)  # its history, in two pieces
    sink.take([value("flow", second) for second in (4, 20)], "opcua", hall)
    hall.completeness.mark_complete(clock[0] + 10)
    clock[0] += 10
    sink.settle()
    assert stored_rows(small_store, TWIN, "P-1")["time"].tolist() == [0, 1, 2, 3, 4, 20]
    assert set_aside(small_store) == []


def test_what_a_machine_left_from_before_this_process_began_waits_until_its_connection_has_told_all(clock):
    one = Completeness()
    one.expect("pump", ["P-1"])
    assert silent_machines([one], CONTRACTS) == {}
    one.mark_complete(clock[0])
    assert silent_machines([one], CONTRACTS) == {"pump": ["P-1"]}
    assert lagging_machines([one, Completeness()], CONTRACTS, [value("flow", 0)]) == frozenset()


def test_a_history_that_has_more_of_one_tag_than_of_another_makes_no_reading_of_what_it_lacks(small_store, clock):
    sink, (hall,) = sink_of(small_store, "hall")
    sink.expect(hall, "pump", ["P-1"])
    hall.completeness.is_filling = True
    told = [value("flow", second) for second in range(4)] + [value("speed", second) for second in range(9)]
    sink.take(told, "opcua", hall)
    assert len(stored_rows(small_store, TWIN, "P-1")) == 0
    sink.take([value("flow", second) for second in range(4, 9)], "opcua", hall)  # by the subscription
    hall.completeness.mark_complete(clock[0])
    sink.take([value(channel, 9) for channel in TWIN.channel_names], "opcua", hall)
    assert stored_rows(small_store, TWIN, "P-1")["time"].tolist() == list(range(10))
    assert set_aside(small_store) == []


def test_full_batches_are_a_backlog_of_the_broker(clock):
    state = ConnectionState("broker")
    state.mark_batch(clock[0], is_full=False)
    assert state.completeness.until < 0, "it does not stand"
    state.mark_connected()
    state.mark_batch(clock[0], is_full=False)
    clock[0] += 1.5
    state.mark_batch(clock[0], is_full=True)
    clock[0] += 0.5
    state.mark_batch(clock[0], is_full=False)
    assert state.completeness.until < 0
    clock[0] += 0.6
    state.mark_batch(clock[0] - 0.1, is_full=False)
    assert state.completeness.until == clock[0] - 0.1
    state.mark_lost("gone")
    state.mark_batch(clock[0], is_full=False)
    assert state.completeness.until == clock[0] - 0.1
