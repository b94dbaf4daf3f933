"""The page of what is kept: terms, the archive by its records, and holds that are placed and lifted; a real server."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import event, select

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import ROLES, KeyRequest, make_key
from foretwin.twin.retention.retain import Retaining, retain_once
from foretwin.twin.store import open_store
from foretwin.twin.store.tables import audit
from support.aging_fleet import send_hours, write_contract
from support.live_project import live
from support.small_console import Visitor

pytestmark = pytest.mark.dated

HOURS = 240


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """URL, store and visitors of a project whose readings before the last month are in the archive."""
    root = tmp_path_factory.mktemp("kept")
    twin = write_contract(root, {"readings": 30, "scores": {"days": 400, "keep": "changed"}})
    store, now = open_store(f"sqlite:///{root}/twins.db"), datetime.now(UTC)
    send_hours(store, range(HOURS), first=now - timedelta(days=50))
    retain_once(Retaining(store, root, {twin.name: twin}), now)
    wanted = {"ann": KeyRequest("ann", ROLES["administrator"], 1e6), "eve": KeyRequest("eve", ROLES["engineer"], 1e6)}
    wanted["mill"] = KeyRequest("mill", ROLES["administrator"], 1e6, twins=["mill"])
    keys = {name: make_key(root / "keys.json", one, "root", now) for name, one in wanted.items()}
    with live(store, root, Guard(root / "keys.json")) as client:
        visitors = {name: Visitor(str(client.base_url)) for name in keys}
        for name, visitor in visitors.items():
            visitor.sign_in(keys[name])
        yield str(client.base_url), store, visitors, keys
    store.close()


def test_the_page_says_what_the_contract_says_and_what_was_archived(plant):
    url, _, visitors, keys = plant
    told = visitors["eve"].text("/retention")
    assert "readings, raw 30 days" in told
    assert "scores 400 days those that changed" in told
    assert "the audit for ever" in told
    stored = 3 * HOURS
    assert "In the store are, raw, those after" in told
    assert f"Readings stored since {datetime.now(UTC) - timedelta(days=50):%Y-%m}: {stored}." in told
    (kept,) = httpx.get(f"{url}/v1/retention", headers=bearer(keys["eve"]), trust_env=False).json()["items"]
    (archived,) = kept["archive"]
    assert (archived["kind"], archived["rows"], archived["dropped"]) == ("readings", stored, stored)
    assert kept["terms"]["events"] == 90
    assert kept["last_files"][0]["rows"] <= stored
    german = Visitor(url, "de")
    german.sign_in(keys["eve"])
    assert "Messungen, roh 30 Tage" in german.text("/retention")


def test_the_page_looks_at_no_reading(plant):
    _, store, visitors, _ = plant
    asked = []

    def note(_connection, _cursor, sql, *_rest):
        asked.append(sql)

    event.listen(store.engine, "before_cursor_execute", note)
    visitors["eve"].see("/retention")
    event.remove(store.engine, "before_cursor_execute", note)
    assert asked
    assert not [sql for sql in asked if "FROM readings" in sql or "JOIN readings" in sql or "FROM hours" in sql]


def test_a_machine_is_held_and_its_hold_lifted_with_reasons(plant):
    url, store, visitors, keys = plant
    ann = visitors["ann"]
    unknown = ann.send("/retention", "/holds", asset="P-9", because="claim 4711")
    assert (unknown.status_code, 'value="claim 4711"' in unknown.text) == (404, True)
    assert ann.send("/retention", "/holds", asset="P-1", because=" ").status_code == 422
    assert ann.send("/retention", "/holds", asset="P-1", because="claim 4711").status_code == 303
    again = ann.send("/retention", "/holds", asset="P-1", because="more")
    assert (again.status_code, "held already, by ann: claim 4711" in again.text) == (409, True)
    assert "P-1 pump claim 4711 ann" in ann.text("/retention")
    erased = httpx.delete(f"{url}/v1/twins/P-1", headers=bearer(keys["ann"]), trust_env=False)
    assert erased.status_code == 409, "what is held is not erased"
    assert ann.send("/retention", "/holds/P-1/lift").status_code == 422, "why is part of it"
    assert ann.send("/retention", "/holds/P-1/lift", because="it is settled").status_code == 303
    assert "No machine is held" in ann.text("/retention")
    with store.read() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.actor, audit.c.detail).order_by(audit.c.id)).all()
    placed, released = [row for row in rows if row.action.startswith("hold.")]
    assert (placed.action, placed.actor, placed.detail) == ("hold.placed", "ann", {"because": "claim 4711"})
    assert released.detail == {"because": "claim 4711", "released_because": "it is settled"}


def test_who_may_not_hold_sees_no_form_and_whose_key_is_bound_no_others_machines(plant):
    url, _, visitors, keys = plant
    held = {"asset": "P-2", "because": "claim 12"}
    httpx.post(f"{url}/v1/holds", json=held, headers=bearer(keys["ann"]), trust_env=False).raise_for_status()
    assert "claim 12" in visitors["eve"].text("/retention")
    told = visitors["mill"].see("/retention")
    assert "claim 12" not in told
    assert "pump" not in told
    for name in ("eve", "mill"):
        assert 'action="/holds' not in visitors[name].see("/retention")
        told = {"headers": bearer(keys[name]), "trust_env": False}
        refused = httpx.post(f"{url}/v1/holds/P-2/lift", json={"because": "x"}, **told)
        assert refused.status_code == 403


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
