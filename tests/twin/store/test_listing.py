"""Pages of lists: each row once whatever the order, and the last page at the cost of the first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from foretwin.errors import BadInput
from foretwin.twin.api.paging import read_cursor, write_cursor
from foretwin.twin.store import listing, open_store
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.tables import assets, cases
from support.store_costs import counted
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
FIRST = listing.Page(7, 0, "name", descending=False)


def fill(store, count: int) -> None:
    """Assets of which every third was never heard and some share a moment; a case of every second."""
    rows = [
        {"twin": "pump", "name": f"P-{i:05}", "tags": {}, "registered_at": NOON, "late": i % 4}
        | {"received_at": None if i % 3 == 0 else NOON + timedelta(seconds=i % 5)}
        for i in range(count)
    ]
    known = {"twin": "pump", "state": "closed", "severity": "planned", "updated_at": NOON, "evidence": {}, "fault": "x"}
    opened = [
        known | {"asset": i + 1 if i else None, "opened_at": NOON + timedelta(seconds=i % 3), "rul_low": i % 3 or None}
        for i in range(0, count, 2)
    ]
    with store.write() as connection:
        connection.execute(insert(assets), rows)
        connection.execute(insert(cases), opened)
        note_urgency(connection, range(1, count + 1))


def walk(store, pages, page):
    """All rows, page by page, each cursor sent to the caller and back."""
    found = []
    while True:
        with store.read() as connection:
            rows = pages(connection, page)
        found += rows
        if len(rows) < page.limit:
            return found
        page = replace(page, after=read_cursor("after", write_cursor(rows.cursors[-1])))


@pytest.mark.parametrize("descending", [False, True])
def test_pages_show_each_row_once_in_the_order_of_one_large_page(store, descending):
    fill(store, 40)
    lists = {
        lambda connection, page: listing.list_fleet(connection, page, {}, None, {}): listing.FLEET_SORTS,
        lambda connection, page: listing.list_cases(connection, page, {}): listing.CASE_SORTS,
    }
    for pages, sorts in lists.items():
        for sort in sorts:
            page = replace(FIRST, sort=sort, descending=descending)
            with store.read() as connection:
                whole = pages(connection, replace(page, limit=100))
            assert len(whole) in {40, 20}
            assert [row["id"] for row in walk(store, pages, page)] == [row["id"] for row in whole]


@pytest.mark.parametrize("after", [("x", "y"), (5,), (2**63,), ("\0",), (None,), ()])
def test_a_place_of_another_list_is_refused(store, after):
    with store.read() as connection, pytest.raises(BadInput, match="after: is no place"):
        listing.list_fleet(connection, replace(FIRST, after=after), {}, None, {})
    with pytest.raises(BadInput, match="after: is no place"):
        read_cursor("after", write_cursor(("P-1",))[:-1])


def test_the_last_page_of_a_fleet_costs_as_much_as_the_first(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    fill(store, 5000)

    def cost(page) -> int:
        with counted(store) as found, store.read() as connection:
            assert len(listing.list_fleet(connection, page, {"twin": "pump"}, None, {})) == 7
        return found.instructions

    first = cost(FIRST)
    assert cost(replace(FIRST, after=("P-04990",))) < 1.3 * first
    store.close()


def test_the_newest_readings_cost_the_same_after_a_long_life(tmp_path):
    def cost(count: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{count}.db")
        (number,) = store_rows(store, TWIN, random_rows(TWIN, {"a": count})).values()
        with counted(store) as found, store.read() as connection:
            page = listing.Page(50, 0, "time", descending=True)
            assert len(listing.list_readings(connection, number, page, None, (None, None))) == 50
        store.close()
        return found.instructions

    assert cost(20_000) < 1.3 * cost(200)
