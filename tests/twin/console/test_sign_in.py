"""Sign-in with a key: sessions, forms of others, what a key may see and do; a real server."""

import logging
import re
import time
from datetime import UTC, datetime

import pytest

from foretwin.serving.access.authentication import Caller, Guard
from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key, revoke_key
from foretwin.twin.console.sessions import LIFETIME, SESSION, VISITOR, Sessions
from foretwin.twin.console.site import FREE_PAGES, PAGES
from foretwin.twin.store import open_store
from support.live_project import live, living_project, message, score
from support.small_console import Visitor

pytestmark = pytest.mark.dated


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return living_project(tmp_path_factory.mktemp("console") / "project")


@pytest.fixture(scope="module")
def keys(root):
    """Name -> key."""
    now, path = datetime.now(UTC), root / "keys.json"
    wanted = {"ann": KeyRequest("ann", list(SCOPES), 1e6), "eve": KeyRequest("eve", ["read"], 1e6)}
    wanted["gateway"] = KeyRequest("gateway", ["ingest"], 1e6)
    wanted["fired"] = KeyRequest("fired", ["read"], 1e6)
    wanted["acme"] = KeyRequest("acme", list(SCOPES), 1e6, owners=["acme"])
    return {name: make_key(path, key, "ann", now) for name, key in wanted.items()}


@pytest.fixture(scope="module")
def url(root, keys):
    """A server that wants keys, of two machines with a case each; one is of acme."""
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(root / "keys.json")) as client:
        client.headers["authorization"] = f"Bearer {keys['ann']}"
        for name, owner in {"P-1": "acme", "P-2": "rival"}.items():
            client.put(f"/v1/twins/{name}", json={"twin": "pump", "tags": {"owner": owner}}).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
        score(store, root)
        yield str(client.base_url)
    store.close()


@pytest.fixture
def guest(url):
    return Visitor(url)


@pytest.fixture
def ann(url, keys):
    visitor = Visitor(url)
    visitor.sign_in(keys["ann"])
    return visitor


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), *PAGES], ids=" ".join)
def test_every_page_wants_a_sign_in(guest, method, path):
    named = {"asset": "P-1", "case": "1", "message": "1", "twin": "pump", "name": "cases", "photo": "1"}
    named |= {"key": "none", "session": "none"}
    answer = guest.client.request(method, path.format(**named))
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_a_program_still_gets_the_routes_at_the_root(guest):
    assert "GET /v1/twins" in guest.client.get("/", headers={"accept": "*/*"}).json()["routes"]


def test_a_key_opens_the_pages_and_sign_out_closes_them(guest, keys):
    answer = guest.sign_in(keys["ann"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert keys["ann"] not in cookie
    assert "P-1" in guest.see("/")
    old = guest.client.cookies[SESSION]
    guest.send("/", "/sign-out")
    guest.client.cookies.set(SESSION, old)
    assert guest.client.get("/").status_code == 303, "the cookie of an ended session opens nothing"


@pytest.mark.parametrize(("name", "said"), [("gateway", "scope read"), (None, "does not count")])
def test_other_keys_open_nothing(guest, keys, name, said):
    answer = guest.sign_in(keys[name] if name else "ftw_0123_ü" + "0" * 64)
    assert answer.status_code in (401, 403)
    assert said in answer.text
    assert SESSION not in guest.client.cookies


def test_a_session_that_somebody_else_chose_is_never_taken(guest, keys):
    guest.client.cookies.set(SESSION, "chosen-by-somebody-else")
    assert guest.client.get("/").status_code == 303
    guest.sign_in(keys["ann"])
    first = guest.client.cookies.get(SESSION, domain="127.0.0.1") or ""
    assert first != "chosen-by-somebody-else"
    other = Visitor(str(guest.client.base_url))
    other.client.cookies.set(SESSION, "chosen-by-somebody-else")
    assert other.client.get("/").status_code == 303


def test_each_sign_in_has_a_session_of_its_own(url, keys):
    first, second = Visitor(url), Visitor(url)
    first.sign_in(keys["ann"])
    second.sign_in(keys["ann"])
    assert first.client.cookies[SESSION] != second.client.cookies[SESSION]


def test_a_form_of_another_page_is_refused(ann, guest, url, keys):
    action = "/cases/1/acknowledge"
    for token in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "ü"}):
        assert ann.post(action, **token).status_code == 403
    other = Visitor(url)
    other.sign_in(keys["ann"])
    theirs = re.search(r'name="token" value="(\w+)"', other.see("/")).group(1)
    assert ann.post(action, token=theirs).status_code == 403, "a token counts for its own session alone"
    guest.see("/sign-in")
    assert guest.post("/sign-in", key=keys["ann"]).status_code == 403
    assert ann.client.get("/v1/cases/1", headers={"authorization": f"Bearer {keys['ann']}"}).json()["state"] == "open"


def test_every_form_is_refused_without_the_token_of_its_session(ann, url, keys):
    named = {"asset": "P-1", "case": "1", "message": "1", "twin": "pump", "key": "none", "session": "none"}
    forms = [path.format(**named) for method, path in (*PAGES, *FREE_PAGES) if method == "POST"]
    assert len(forms) > 15
    other = Visitor(url)
    other.sign_in(keys["ann"])
    foreign = re.search(r'name="token" value="(\w+)"', other.see("/")).group(1)
    for path in forms:
        for token in ({}, {"token": foreign}):
            assert ann.post(path, **token, key=keys["eve"]).status_code == 403, path
            answer = ann.client.post(path, data=token, files={"file": ("a.csv", b"a", "text/csv")})
            assert answer.status_code == 403, path
    assert ann.see("/"), "nobody was signed out"


def test_a_key_that_may_only_read_changes_nothing(url, keys):
    eve = Visitor(url)
    eve.sign_in(keys["eve"])
    assert "Acknowledge" not in eve.text("/cases/1")
    assert "Record work" not in eve.text("/machines/P-1")
    token = re.search(r'name="token" value="(\w+)"', eve.see("/")).group(1)
    refused = [
        eve.post("/cases/1/acknowledge", token=token),
        eve.post("/cases/1/verdict", token=token, verdict="confirmed"),
        eve.post("/machines/P-1/maintenance", token=token, kind="inspection"),
        eve.post("/quarantine/1/release", token=token),
    ]
    assert [one.status_code for one in refused] == [403] * 4
    assert "needs the scope assist or work or admin" in refused[0].text


def test_an_owner_sees_his_own_machines_alone(url, keys):
    owner = Visitor(url)
    owner.sign_in(keys["acme"])
    told = owner.see("/") + owner.see("/cases") + owner.see("/quarantine") + owner.see("/monitor")
    assert "P-1" in told
    assert "P-2" not in told
    assert "Machines: 1" in owner.text("/")
    owner.see("/machines/P-2", 403)
    owner.see("/machines/P-2/series", 403)
    owner.see("/cases/2", 403)
    owner.see("/key-figures", 403)


def test_a_revoked_key_ends_its_sessions(url, root, keys):
    fired = Visitor(url)
    fired.sign_in(keys["fired"])
    assert fired.client.get("/").status_code == 200
    revoke_key(root / "keys.json", "fired", "ann", datetime.now(UTC))
    time.sleep(1.1)  # until the server has looked at the file
    answer = fired.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "API key" in fired.text("/sign-in"), "he may sign in with another one"


def test_no_page_lets_others_in(ann):
    for path in ("/", "/machines/P-1", "/cases/1", "/sign-in", "/static/charts.js"):
        headers = ann.client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_keys_and_cookies_reach_no_log(url, keys, caplog):
    caplog.set_level(logging.DEBUG)
    visitor = Visitor(url)
    visitor.sign_in(keys["ann"])
    visitor.see("/")
    Visitor(url).sign_in("ftw_0123456789ab_secretsecret")
    own = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("foretwin", "uvicorn")))
    for secret in (keys["ann"], "secretsecret", visitor.client.cookies[VISITOR], visitor.client.cookies[SESSION]):
        assert secret not in own


def test_what_tells_a_page_of_events_ends_with_the_session(ann, monkeypatch):
    monkeypatch.setattr("foretwin.twin.console.inner_calls.LOOK", 0.1)
    token = re.search(r'name="token" value="(\w+)"', ann.see("/")).group(1)
    with ann.client.stream("GET", "/events") as told:
        assert told.headers["content-type"].startswith("text/event-stream")
        pieces = told.iter_text()
        assert next(pieces).startswith("retry:")
        ann.post("/sign-out", token=token)
        assert not any("data:" in piece for piece in pieces), "it ends, without another word"


def test_a_session_ends_by_itself():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    cookie = sessions.begin("key", Caller("ann", frozenset({"read"})))
    now[0] = LIFETIME - 1
    assert sessions.find(cookie).name == "ann"
    now[0] = LIFETIME
    assert sessions.find(cookie) is None
    sessions.begin("key", Caller("bob", frozenset()))
    assert len(sessions._open) == 1, "what has ended is forgotten"


def test_the_oldest_session_ends_for_one_more(monkeypatch):
    monkeypatch.setattr("foretwin.twin.console.sessions.MOST", 2)
    sessions = Sessions(lambda: 0.0)
    first, second, third = (sessions.begin("key", Caller(name, frozenset())) for name in "abc")
    assert sessions.find(first) is None
    assert [sessions.find(one).name for one in (second, third)] == ["b", "c"]
