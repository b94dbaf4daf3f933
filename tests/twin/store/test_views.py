"""The views that dashboards ask, and the fleet's dashboard against them, on a real PostgreSQL."""

import json
import re
from pathlib import Path

import pytest
from sqlalchemy import text

from foretwin.twin.store import assets
from support.grafana import lost_by_grafana
from support.stored_case import store_case
from support.tiny_bundle import tiny_twin

DASHBOARD = json.loads((Path(__file__).parents[3] / "serving" / "grafana" / "foretwin-fleet.json").read_text())
TWIN = tiny_twin()
CHOSEN = {"$twin": "'pump'", "$owner": "no%", "$asset": "'P-017', 'P-018'"}


ON_POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
def fleet(store):
    """Two machines, one with an urgent case, in PostgreSQL: the views are there alone."""
    store_case(store, TWIN, "mode.wear", name="P-017", severity="urgent")
    store_case(store, TWIN, "mode.leak", name="P-018")
    with store.write() as connection:
        for name in ("P-017", "P-018"):
            assets.describe_asset(connection, assets.find_asset(connection, name), {"tags": {"owner": "north"}})
    return store


def ask(store, query: str) -> list[dict]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


@ON_POSTGRESQL
def test_each_view_has_a_row_for_each_of_its_kind(fleet):
    first, second = ask(fleet, "SELECT * FROM v_assets ORDER BY asset")
    assert (first["asset"], first["owner"], first["open_cases"], first["urgent_cases"]) == ("P-017", "north", 1, 1)
    assert (first["rul"], first["rul_low"], first["rul_high"]) == (100.0, 60.0, 130.0)
    assert (second["open_cases"], second["urgent_cases"]) == (1, 0)
    (case, _) = ask(fleet, "SELECT * FROM v_cases ORDER BY id")
    assert (case["asset"], case["fault"], case["severity"], case["verdict"]) == ("P-017", "mode.wear", "urgent", None)
    (score, _) = ask(fleet, "SELECT * FROM v_scores ORDER BY asset")
    assert (score["asset"], score["time"], score["model"], score["version"]) == ("P-017", 412.0, "foretwin-pump", "3")


@ON_POSTGRESQL
def test_every_query_of_the_dashboard_is_answered_with_its_machines(fleet):
    queries = [target["rawSql"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    queries += [one["query"] for one in DASHBOARD["templating"]["list"] if "SELECT" in one["query"]]
    found = []
    for query in queries:
        shown = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > '2000-01-01'", query)
        for name, value in CHOSEN.items():
            shown = shown.replace(name, value)
        assert "$" not in shown
        found.append(ask(fleet, shown))
    counts = [rows[0]["count"] for rows in found[:5]]
    assert counts == [2, 1, 1, 0, 0]
    assert [row["asset"] for row in found[5]] == ["P-017", "P-018"]
    assert all(found[5:])


def test_the_dashboard_is_one_that_grafana_can_read():
    assert list(lost_by_grafana(DASHBOARD)) == []
