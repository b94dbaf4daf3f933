"""Every route of the router - pages, files, calls, streams - as each role, and as another owner's people."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import ROLES, KeyRequest, make_key, sufficient
from foretwin.twin.api.app import WAYS
from foretwin.twin.console.site import FILES, FREE_PAGES, PAGES
from foretwin.twin.store import open_store
from support.live_project import live, living_project, message, score
from support.small_console import Visitor
from support.tiny_bundle import REPOSITORY

pytestmark = pytest.mark.dated

PAGE = (REPOSITORY / "docs" / "access.md").read_text()
NOTHING = {"asset": "A-none", "case": "999", "message": "999", "twin": "mill", "name": "cases", "photo": "999"}
NOTHING |= {"route": "none", "key": "none", "session": "none"}
OWN = {"asset": "A-1", "case": "1", "message": "1", "twin": "pump", "name": "cases", "photo": "1"}
OWN |= {"key": "viewer", "session": "none"}
ADMINISTRATORS = ("/administration",)  # pages that nobody else may look at
BEGIN = "00000000-0000-7000-8000-000000000000"  # an id before all events
TO_NOW = dict.fromkeys(("/events", "/v1/events"), f"?wait=false&after={BEGIN}")  # streams, as far as they are
API = {"machines": "twins"}  # what the API calls the folder of a page


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """The URL of a server of a machine of acme and one of rival, each with a case; and a key of each role."""
    root = living_project(tmp_path_factory.mktemp("roles") / "project")
    path, now = root / "keys.json", datetime.now(UTC)
    keys = {role: make_key(path, KeyRequest(role, scopes, 1e6), "ann", now) for role, scopes in ROLES.items()}
    keys["rival"] = make_key(path, KeyRequest("rival", ROLES["administrator"], 1e6, owners=["rival"]), "ann", now)
    sender = make_key(path, KeyRequest("sender", ["ingest", "operate"], 1e6), "ann", now)
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(path)) as client:
        client.headers["authorization"] = f"Bearer {sender}"
        for name, owner in {"A-1": "acme", "A-2": "rival"}.items():
            told = {"twin": "pump", "tags": {"owner": owner}, "location": f"hall of {owner}"}
            client.put(f"/v1/twins/{name}", json=told).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
        client.post("/v1/twins/P-1/readings", json=message(count=1, start=9, value=9e9))
        score(store, root)
        yield str(client.base_url), keys
    store.close()


def scope_of_page(method: str, path: str) -> str | None:
    """The scope of the call that a form's page makes; looking needs `read`, mostly, and signing out none."""
    if method == "GET":
        return "admin" if path in ADMINISTRATORS else "read"
    folder, _, rest = path.removeprefix("/").partition("/")
    called = f"/v1/{API.get(folder, folder)}/{rest}".rstrip("/")
    return next((way.scope for way in WAYS if (way.method, way.path) == (method, called)), None)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_call_what_its_scopes_say_and_nothing_else(plant, role):
    url, keys = plant
    with httpx.Client(base_url=url, trust_env=False, headers={"authorization": f"Bearer {keys[role]}"}) as client:
        for way in WAYS:
            query = TO_NOW.get(way.path, "")
            body = {} if way.accepts else None
            answer = client.request(way.method, way.path.format(**NOTHING) + query, json=body)
            may = way.scope is None or not set(sufficient(way.scope)).isdisjoint(ROLES[role])
            assert (answer.status_code != 403) == may, f"{way.method} {way.path}: {answer.text}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_every_page_and_sends_the_forms_of_its_scopes(plant, role):
    url, keys = plant
    visitor = Visitor(url)
    visitor.sign_in(keys[role])
    token = re.search(r'name="token" value="(\w+)"', visitor.see("/")).group(1)
    for method, path in PAGES:
        if path == "/sign-out":
            continue
        where, scope = path.format(**NOTHING), scope_of_page(method, path)
        assert scope, f"{path} makes no call of its own"
        where += TO_NOW.get(path, "")
        answer = visitor.client.get(where) if method == "GET" else visitor.post(where, token=token)
        may = not set(sufficient(scope)).isdisjoint(ROLES[role])
        assert (answer.status_code != 403) == may, f"{method} {path}: {answer.status_code}"
        assert answer.status_code < 500
    forms = set(re.findall(r'<form[^>]* action="(/cases/1/\w+)"', visitor.see("/cases/1")))
    allowed = {
        path.format(**OWN)
        for method, path in PAGES
        if path.startswith("/cases/") and method == "POST"
        if not set(sufficient(scope_of_page(method, path))).isdisjoint(ROLES[role])
    }
    assert forms <= allowed, "no form is shown that would be refused"
    assert bool(forms) == (role != "viewer")


def test_another_owner_is_told_nothing_anywhere(plant):
    url, keys = plant
    rival = Visitor(url)
    rival.sign_in(keys["rival"])
    token = re.search(r'name="token" value="(\w+)"', rival.see("/")).group(1)
    for method, path in [("GET", "/"), *PAGES, *FREE_PAGES, *(("GET", f"/static/{name}") for name in FILES)]:
        if path in ("/sign-out", "/sign-in"):
            continue
        where = path.format(**OWN) + TO_NOW.get(path, "")
        answer = rival.client.get(where) if method == "GET" else rival.post(where, token=token)
        told = answer.text.replace(path.format(**OWN), "")
        assert "acme" not in told, f"{method} {path}"
        if "{" in path and "{name}" not in path:  # a list shows what is his
            assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
    stream = {"authorization": f"Bearer {keys['rival']}"}
    as_program = httpx.get(f"{url}/v1/events{TO_NOW['/v1/events']}", headers=stream, trust_env=False).text
    for events in (as_program, rival.client.get(f"/events{TO_NOW['/events']}").text):
        assert "A-2" in events
        assert "A-1" not in events


def test_the_page_has_the_matrix_of_roles():
    head = re.search(r"^\| action \|(.*)\|$", PAGE, re.MULTILINE).group(1)
    assert [one.strip() for one in head.split("|")] == ["scope", *ROLES]
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \|(.*)\|$", PAGE[PAGE.index("| action |") :], re.MULTILINE)
    assert {scope for scope, _ in rows} == {way.scope for way in WAYS if way.scope} - {"ingest"}
    for scope, cells in rows:
        may = [not set(sufficient(scope)).isdisjoint(scopes) for scopes in ROLES.values()]
        assert [one.strip() == "yes" for one in cells.split("|")] == may, scope
