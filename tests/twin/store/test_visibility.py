"""What a key may see: the database matches as the key's bounds do, on both databases."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from foretwin.serving.access.bounds import Bounds
from foretwin.twin.store import listing, open_store, tables
from foretwin.twin.store.listing import Page
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.visibility import is_visible, visible_assets

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXTS = st.text("aB*?[]%_\\é'", min_size=1, max_size=4)


def keep(connection, *assets) -> None:
    rows = [{"twin": twin, "name": name, "tags": tags, "registered_at": NOW} for twin, name, tags in assets]
    connection.execute(insert(tables.assets), rows)
    note_urgency(connection, connection.execute(select(tables.assets.c.id)).scalars())


def seen(connection, bounds) -> set[str]:
    query = select(tables.assets.c.name).where(visible_assets(connection, bounds))
    return set(connection.execute(query).scalars())


def check(store, names, pattern) -> None:
    with store.write() as connection:
        connection.execute(delete(urgencies))
        connection.execute(delete(tables.assets))
        keep(connection, *(("pump", name, {"owner": name}) for name in names))
        wanted = {name for name in names if Bounds(assets=(pattern,)).admit_name(name)}
        assert seen(connection, Bounds(assets=(pattern,))) == wanted
        assert seen(connection, Bounds(owners=(f"owner={pattern}",))) == wanted


@pytest.fixture(scope="module")
def sqlite():
    store = open_store("sqlite://")
    yield store
    store.close()


@settings(deadline=None, max_examples=40)
@given(names=st.sets(TEXTS, min_size=1, max_size=6), pattern=TEXTS)
def test_the_database_matches_as_the_bounds_do(sqlite, names, pattern):
    check(sqlite, names, pattern)


def test_each_database_matches_alike(store):
    for pattern in ["P-1", "P-*", "p-*", "P-?", "*", "*_1", "100%", "[P]-1", "a\\b", "a\\*", "P*1"]:
        check(store, ["P-1", "P-12", "p-1", "P_1", "100%", "100 %", "[P]-1", "a\\b", "a*b", "P-*"], pattern)


def test_of_each_kind_one_pattern_must_match(store):
    with store.write() as connection:
        keep(connection, ("pump", "P-1", {"owner": "acme"}), ("pump", "P-2", {"site": "acme"}), ("fan", "P-3", {}))
        assert seen(connection, Bounds()) == {"P-1", "P-2", "P-3"}
        assert seen(connection, Bounds(twins=("pump", "mill"))) == {"P-1", "P-2"}
        assert seen(connection, Bounds(twins=("pump",), owners=("owner=a*",))) == {"P-1"}
        assert seen(connection, Bounds(owners=("owner=x", "site=acme"))) == {"P-2"}
        assert is_visible(connection, "P-1", Bounds(twins=("fan",))) is False
        assert is_visible(connection, "P-3", Bounds(owners=("owner=*",))) is False
        assert is_visible(connection, "P-3", Bounds(twins=("fan",))) is True
        assert is_visible(connection, "P-4", Bounds(twins=("fan",))) is None


def test_what_is_in_quarantine_follows_the_asset_that_it_was_sent_for(store):
    with store.write() as connection:
        keep(connection, ("pump", "P-1", {"owner": "acme"}))
        sent = [("pump", "P-1"), ("fan", "P-1"), ("pump", "P-9"), ("pump", None), (None, "P-8"), (None, None)]
        same = {"received_at": NOW, "via": "mqtt", "field": "run", "reason": "run", "detail": "", "content": ""}
        rows = [{**same, "twin": twin, "asset": asset, "digest": str(i)} for i, (twin, asset) in enumerate(sent)]
        connection.execute(insert(tables.quarantine), rows)

        def held(**bounds) -> list[tuple]:
            page = Page(100, 0, "id", descending=False)
            found = listing.list_quarantine(connection, page, {}, None, Bounds(**bounds))
            return [(row["twin"], row["asset"]) for row in found]

        assert held() == sent
        assert held(twins=("pump",)) == [("pump", "P-1"), ("fan", "P-1"), ("pump", "P-9")]
        assert held(twins=("fan",)) == []
        assert held(assets=("P-8",)) == [(None, "P-8")]
        assert held(owners=("owner=acme",)) == sent[:2]
        assert held(twins=("pump",), assets=("P-9",)) == [("pump", "P-9")]


def test_a_fleet_s_case_is_for_who_sees_the_whole_fleet(store):
    with store.write() as connection:
        keep(connection, ("pump", "P-1", {}), ("pump", "P-2", {}), ("fan", "F-1", {}))
        ids = dict(connection.execute(select(tables.assets.c.name, tables.assets.c.id)).all())
        same = {"run": 1, "state": "open", "severity": "urgent", "opened_at": NOW, "updated_at": NOW, "evidence": {}}
        for twin, asset in [("pump", "P-1"), ("pump", "P-2"), ("fan", "F-1"), ("pump", None), ("fan", None)]:
            row = {**same, "twin": twin, "asset": ids.get(asset), "fault": "digest"}
            connection.execute(insert(tables.cases).values(row))

        def shown(**bounds) -> list[tuple]:
            found = listing.list_cases(connection, Page(100, 0, "id", descending=False), {}, Bounds(**bounds))
            return [(row["twin"], row["asset_name"]) for row in found]

        assert len(shown()) == 5
        assert shown(twins=("fan",)) == [("fan", "F-1"), ("fan", None)]
        assert shown(assets=("P-1",)) == [("pump", "P-1")]
        assert shown(twins=("pump",), assets=("*",)) == [("pump", "P-1"), ("pump", "P-2")]
