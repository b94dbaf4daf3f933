"""Silence: when it is too long, and one event for it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from foretwin.contract.twin import Twin
from foretwin.twin.scoring.staleness import emit_stale, is_stale
from foretwin.twin.store.tables import events
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

HOUR = timedelta(hours=1)


def twin(stale_after=6.0, unit="h"):
    content = tiny_twin().model_dump()
    return Twin.model_validate({**content, "clock": {"unit": unit, "step": 1}, "cases": {"stale_after": stale_after}})


def told(store):
    with store.read() as connection:
        rows = connection.execute(select(events).where(events.c.type == "foretwin.asset.stale.v1")).all()
    return [(row.subject, row.at) for row in rows]


@pytest.mark.parametrize(("unit", "seconds"), [("s", 6), ("min", 360), ("h", 21600), ("d", 518400)])
def test_an_asset_is_stale_after_longer_than_its_contract_allows_in_the_clocks_unit(unit, seconds):
    contract, allowed = twin(unit=unit), timedelta(seconds=seconds)
    assert not is_stale(contract, NOON, NOON + allowed)
    assert is_stale(contract, NOON, NOON + allowed + timedelta(milliseconds=1))


def test_without_a_limit_a_reading_or_a_unit_of_time_nothing_is_stale():
    later = NOON + timedelta(days=9999)
    assert not is_stale(twin(stale_after=None), NOON, later)
    assert not is_stale(twin(unit="cycle"), NOON, later)
    assert not is_stale(twin(), None, later)


def test_an_asset_that_becomes_stale_is_told_once_and_again_after_it_spoke(store):
    contract = twin()
    store_rows(store, contract, random_rows(contract, {"a": 3, "b": 3}), NOON)
    store_rows(store, contract, random_rows(contract, {"c": 3}), NOON + HOUR)
    late, later = NOON + 6.5 * HOUR, NOON + 20 * HOUR
    assert emit_stale(store, contract, lambda: NOON + 6 * HOUR) == 0
    assert emit_stale(store, contract, lambda: late) == 2
    assert emit_stale(store, contract, lambda: late + HOUR / 10) == 0
    store_rows(store, contract, random_rows(contract, {"a": 9}).tail(6), late)
    assert emit_stale(store, contract, lambda: later) == 2
    assert told(store) == [("assets/a", late), ("assets/b", late), ("assets/a", later), ("assets/c", later)]


def test_nobody_is_told_of_where_silence_is_no_matter(store):
    contract = twin(stale_after=None)
    store_rows(store, contract, random_rows(contract, {"a": 3}), NOON)
    assert emit_stale(store, contract, lambda: NOON + 9999 * HOUR) == 0
    assert told(store) == []
