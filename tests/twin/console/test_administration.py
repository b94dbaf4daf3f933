"""The page of administrators: keys made, shown once and revoked, and who is signed in; a real server."""

import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import ROLES, KeyRequest, make_key, read_keys
from foretwin.twin.console.sessions import SESSION
from foretwin.twin.store import open_store
from foretwin.twin.store.tables import audit
from support.live_project import assert_problem, live, living_project
from support.small_console import Visitor

pytestmark = pytest.mark.dated

MADE = re.compile(r"ftw_[0-9a-f]{12}_[0-9a-f]{64}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return living_project(tmp_path_factory.mktemp("administration") / "project")


@pytest.fixture(scope="module")
def plant(root):
    """URL, store, and keys: of two administrators, of one who is bound, and of a planner."""
    wanted = {name: KeyRequest(name, ROLES["administrator"], 1e6) for name in ("ann", "bob")}
    wanted["acme"] = KeyRequest("acme", ROLES["administrator"], 1e6, owners=["acme"])
    wanted["paul"] = KeyRequest("paul", ROLES["planner"], 1e6)
    keys = {name: make_key(root / "keys.json", one, "root", datetime.now(UTC)) for name, one in wanted.items()}
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(root / "keys.json")) as client:
        yield str(client.base_url), store, keys
    store.close()


@pytest.fixture
def ann(plant):
    return signed_in(plant, "ann")


def signed_in(plant, name: str) -> Visitor:
    visitor = Visitor(plant[0])
    visitor.sign_in(plant[2][name])
    return visitor


def entries(store, action: str) -> list[tuple[str, dict]]:
    """Actor and detail of the entries of the audit with this action."""
    with store.read() as connection:
        found = connection.execute(select(audit.c.actor, audit.c.detail).where(audit.c.action == action))
        return [(actor, detail) for actor, detail in found]


def test_a_key_is_made_shown_once_and_counts(plant, root, ann, caplog):
    url, store, _ = plant
    caplog.set_level(logging.DEBUG)
    form = {"name": "hall-3", "role": "sender", "days": "30", "assets": "H3-*\r\nH4-1\r\n", "twins": "pump"}
    answer = ann.send("/administration", "/keys", **form)
    (key,) = MADE.findall(answer.text)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "shown this once" in answer.text
    kept = read_keys(root / "keys.json")[-1]
    assert (kept.name, kept.scopes, kept.created_by) == ("hall-3", ("ingest",), "ann")
    assert (kept.bounds.twins, kept.bounds.assets) == (("pump",), ("H3-*", "H4-1"))
    assert abs(kept.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    page = ann.see("/administration")
    assert "H3-*" in page
    seen = httpx.get(f"{url}/v1/keys", headers=bearer(plant, "ann"), trust_env=False).json()["items"]
    used = {one["name"]: one["last_used_at"] is not None for one in seen}
    assert (used["ann"], used["hall-3"]) == (True, False)
    told = page + json.dumps(httpx.get(f"{url}/v1/keys", headers=bearer(plant, "ann"), trust_env=False).json())
    secret = key.rpartition("_")[2]
    for hidden in (secret, kept.digest):
        assert hidden not in told, "neither the key nor its digest is told again"
    time.sleep(1.05)
    refused = httpx.get(f"{url}/v1/twins", headers={"authorization": f"Bearer {key}"}, trust_env=False)
    assert_problem(refused, 403, "Authorization", "key hall-3 has ingest")
    ((actor, detail),) = [one for one in entries(store, "key.made") if one[1]["name"] == "hall-3"]
    assert (actor, detail["scopes"], detail["assets"]) == ("ann", ["ingest"], ["H3-*", "H4-1"])
    said = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith(("foretwin", "uvicorn")))
    assert "key hall-3" in said
    for hidden in (secret, kept.digest, ann.client.cookies[SESSION]):
        assert hidden not in said + json.dumps(detail)


def test_what_can_be_no_key_is_said_at_its_field_and_the_form_keeps_the_rest(ann):
    good = {"name": "gate", "role": "viewer", "days": "", "owners": ""}
    for field, value, said in [
        ("name", "no name", "name</b>: needs 1 to 64 letters"),
        ("name", "ann", "name</b>: there is a key ann already"),
        ("days", "soon", "days</b>: a number is needed"),
        ("days", "-1", "days</b>: "),
        ("assets", "a/b", "assets</b>: "),
        ("role", "", "content</b>: a key needs a role or scopes"),
        ("role", "king", "role</b>: there is viewer"),
    ]:
        answer = ann.send("/administration", "/keys", **(good | {field: value}))
        assert said in answer.text, (field, value)
        assert answer.status_code in (409, 422)
        assert 'value="gate"' in answer.text or field == "name"
        assert not MADE.search(answer.text)


def test_a_revoked_key_is_refused_and_who_is_signed_in_with_it_too(plant, ann):
    url, store, _ = plant
    ann.send("/administration", "/keys", name="leaver", role="technician", days="")
    answer = ann.send("/administration", "/keys", name="leaver-2", role="technician", days="")
    time.sleep(1.05)
    leaver = Visitor(url)
    leaver.sign_in(MADE.findall(answer.text)[0])
    leaver.see("/")
    assert ann.send("/administration", "/keys/leaver-2/revoke").status_code == 303
    time.sleep(1.05)
    assert leaver.client.get("/").headers["location"] == "/sign-in"
    assert ("ann", "leaver-2") in [(actor, told["name"]) for actor, told in entries(store, "key.revoked")]
    assert "revoked by ann" in ann.text("/administration")
    again = ann.post("/keys/leaver-2/revoke", token=token_of(ann))
    assert (again.status_code, "there is no key leaver-2 to revoke" in again.text) == (404, True)


def test_nobody_revokes_his_own_key_or_the_last_that_administers(plant, root):
    url = plant[0]
    ann, bob = signed_in(plant, "ann"), signed_in(plant, "bob")
    assert 'action="/keys/ann/revoke"' not in ann.see("/administration")
    own = ann.post("/keys/ann/revoke", token=token_of(ann))
    assert (own.status_code, "ann is your own" in own.text) == (409, True)
    assert bob.send("/administration", "/keys/ann/revoke").status_code == 303
    made = bob.post("/keys", token=token_of(bob), name="eve", role="administrator", days="0.00001")
    eve = MADE.findall(made.text)[0]
    time.sleep(1.05)  # it has expired: of the others one is bound, so that bob is the last who administers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foretwin.serving.access.authentication.time.time", lambda: 0.0)
        last = httpx.post(f"{url}/v1/keys/bob/revoke", headers={"authorization": f"Bearer {eve}"}, trust_env=False)
    assert_problem(last, 409, "name", "bob is the last key that administers the plant")
    assert [key.name for key in read_keys(root / "keys.json") if key.administers(datetime.now(UTC))] == ["bob"]


def test_who_is_signed_in_is_listed_and_signed_out(plant):
    url, store, _ = plant
    bob, paul = signed_in(plant, "bob"), signed_in(plant, "paul")
    listed = httpx.get(f"{url}/v1/sessions", headers=bearer(plant, "bob"), trust_env=False).json()["items"]
    assert [(one["name"], one["role"], one["at_provider"]) for one in listed[:2]] == [
        ("paul", "planner", False),
        ("bob", "administrator", False),
    ]
    began, ends = (datetime.fromisoformat(listed[0][name]) for name in ("began_at", "ends_at"))
    assert (ends - began, abs(datetime.now(UTC) - began) < timedelta(minutes=1)) == (timedelta(hours=12), True)
    page = bob.see("/administration")
    assert f'/sessions/{listed[1]["id"]}/end"' not in page, "one's own is ended by Sign out"
    assert paul.client.cookies[SESSION] not in page
    assert bob.send("/administration", f"/sessions/{listed[0]['id']}/end").status_code == 303
    assert paul.client.get("/").status_code == 303
    assert ("bob", "paul") in [(actor, told["name"]) for actor, told in entries(store, "session.ended")]
    assert bob.post(f"/sessions/{listed[0]['id']}/end", token=token_of(bob)).status_code == 404


@pytest.mark.parametrize("name", ["acme", "paul"])
def test_who_is_bound_or_no_administrator_sees_and_makes_no_keys(plant, root, name):
    visitor = signed_in(plant, name)
    before = (root / "keys.json").read_bytes()
    assert "paul" not in visitor.see("/administration", 403).replace(name, "")
    for path, told in [("/keys", {"name": "own", "role": "administrator"}), ("/keys/bob/revoke", {})]:
        assert visitor.post(path, token=token_of(visitor), **told).status_code == 403
    assert 'href="/administration"' not in visitor.see("/models" if name == "paul" else "/usage")
    assert (root / "keys.json").read_bytes() == before


def test_an_open_server_has_no_keys_to_administer(root):
    store = open_store(f"sqlite:///{root}/open.db")
    with live(store, root) as client:
        visitor = Visitor(str(client.base_url))
        assert "Nobody needs a key here" in visitor.text("/administration")
        assert client.get("/v1/keys").json() == {"items": [], "is_open": True}
        assert_problem(client.post("/v1/keys", json={"name": "x", "role": "viewer"}), 409, "keys", "without --open")
    store.close()


def test_a_file_of_keys_that_cannot_be_written_or_is_damaged_is_said(plant, root, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foretwin.serving.access.keys._write", full)
    told = {"name": "late", "role": "viewer"}
    bob, path = bearer(plant, "bob"), root / "keys.json"
    refused = httpx.post(f"{plant[0]}/v1/keys", json=told, headers=bob, trust_env=False)
    assert_problem(refused, 409, "keys", "cannot be read or written: No space left on device")
    whole = path.read_bytes()
    path.write_text("{}{")
    for method, more in (("GET", {}), ("POST", {"json": told})):
        answer = httpx.request(method, f"{plant[0]}/v1/keys", headers=bob, trust_env=False, **more)
        assert_problem(answer, 409, "keys", "repair it")
    path.write_bytes(whole)


def bearer(plant, name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {plant[2][name]}"}


def token_of(visitor: Visitor) -> str:
    return re.search(r'name="token" value="(\w+)"', visitor.see("/")).group(1)
