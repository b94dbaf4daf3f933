"""Keys that are bound, in `foretwin live`: every route, and what nobody of another owner may see, change or end."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from starlette.routing import Route

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key
from foretwin.twin.api.app import METHODS, OTHERS, WAYS, create_twin_app
from foretwin.twin.console.site import FILES_PATH, FREE_PAGES, PAGES
from foretwin.twin.monitoring.reports import report_of
from foretwin.twin.store import open_store
from support.commands import shown
from support.live_project import FAN, PUMP, assert_problem, live, live_process, living_project, message, score

pytestmark = pytest.mark.dated

OWN, NEIGHBOUR, FOREIGN, NOBODY = "P-own", "P-rival", "F-rival", "P-none"
BEGIN = "00000000-0000-7000-8000-000000000000"  # an id before all events
FOUND = {OWN: "pump", NEIGHBOUR: "pump", FOREIGN: "fan"}
BODIES = {
    "readings": message(count=1, start=5),
    "events": {"events": [{"code": "E1", "time": 3}]},
    "maintenance": {"kind": "inspection"},
    "verdict": {"verdict": "confirmed"},
    "what-if": {"options": []},
    "move": {"state": "planned", "planned_for": "2100-01-01"},
    "assign": {"person": "ann"},
    "snooze": {"until": "2100-01-01", "reason": "no crew"},
    "comments": {"text": "noisy"},
    "rollback": {},
}
# What binds a key that may see the asset of its own, and words that it must never be told.
BINDINGS = {
    "asset": ({"assets": [OWN]}, ["rival"]),
    "owner": ({"owners": ["acme"]}, ["rival"]),
    "all": ({"twins": ["pump"], "assets": ["*own"], "owners": ["owner=ac*"]}, ["rival", "fan"]),
    "twin": ({"twins": ["pump"]}, [FOREIGN, "fan"]),
}


def headers(root, name: str, **bounds) -> dict[str, str]:
    key = KeyRequest(name, list(SCOPES), 1e6, None, **bounds)
    return {"Authorization": "Bearer " + make_key(root / "keys.json", key, "ann", datetime.now(UTC))}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A client with a key that is bound to nothing, of three assets with cases and quarantine; and bound keys."""
    root = living_project(tmp_path_factory.mktemp("bounds") / "project")
    free = headers(root, "everything")
    bound = {name: headers(root, name, **bounds) for name, (bounds, _) in BINDINGS.items()}
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(root / "keys.json")) as client:
        client.headers.update(free)
        for name, twin in FOUND.items():
            owner = "acme" if name == OWN else "rival"
            told = {"twin": twin, "tags": {"owner": owner}, "location": f"hall of {owner}"}
            client.put(f"/v1/twins/{name}", json=told).raise_for_status()
            channels = (PUMP if twin == "pump" else FAN).channel_names
            rows = {"time": [1, 2, 3, 4], "channels": {channel: [0.0] * 3 + [9e9] for channel in channels}}
            assert client.post(f"/v1/twins/{name}/readings", json=rows).json()["quarantined"] == 1
        client.post(f"/v1/twins/{NOBODY}/readings?twin=fan", json=message(count=1, value=9e9))
        score(store, root)
        report_of(root, "fan").parent.mkdir(parents=True)
        report_of(root, "fan").write_text(json.dumps({"twin": "fan", "assets": [FOREIGN]}))
        assert len(client.get("/v1/cases").json()["items"]) >= 2
        yield client, bound, create_twin_app(store, root, Guard(None))
    store.close()


def ids_of(client, path: str) -> dict[int, str]:
    """Number -> asset of each case, or of each quarantined message."""
    return {one["id"]: one["asset"] for one in client.get(path).raise_for_status().json()["items"]}


def calls_of(client, way) -> list[tuple[str, str | None]]:
    """Each URL of a route with the asset that it is about, None for what is not there."""
    known = {"asset": dict.fromkeys([*FOUND, "P-nowhere"]), "case": {}, "message": {}, "twin": {}}
    known["asset"] = {name: name if name in FOUND else None for name in known["asset"]}
    known["case"] = ids_of(client, "/v1/cases") | {999: None}
    known["message"] = ids_of(client, "/v1/quarantine") | {999: None}
    known["twin"] = {"pump": NEIGHBOUR, "fan": FOREIGN, "mill": None}  # a report names a neighbour
    for name, values in known.items():
        if f"{{{name}}}" in way.path:
            path = way.path.replace("{photo}", "1")
            return [(path.replace(f"{{{name}}}", str(value)), asset) for value, asset in values.items()]
    return [(way.path, OWN)]


def asked(client, way, url: str, key) -> httpx.Response:
    body = BODIES.get(url.rpartition("/")[2], {}) if "application/json" in way.accepts else None
    more = {"content-type": way.accepts[0]} if way.accepts and body is None else {}
    url += f"?wait=false&after={BEGIN}" if way.path == "/v1/events" else ""
    return client.request(way.method, url, headers={**key, **more}, json=body)


def state(client) -> list:
    """Everything of the foreign assets that a call could change."""
    seen = [client.get(f"/v1/twins/{name}").json() for name in (NEIGHBOUR, FOREIGN)]
    for one in seen:
        one.pop("age_seconds")
    return [seen, client.get("/v1/quarantine?released=true").json()]


@pytest.mark.parametrize("name", BINDINGS)
def test_no_route_tells_or_changes_anything_of_others(fleet, name):
    client, bound, _ = fleet
    visible = {OWN, NEIGHBOUR} if name == "twin" else {OWN}
    before = state(client)
    for way in WAYS:
        answers = set()
        for url, asset in calls_of(client, way):
            if asset in visible and "{" in way.path and way.method != "GET":
                continue  # what it may do, it does
            answer = asked(client, way, url, bound[name])
            said = answer.text.replace(url.split("/")[3], "") if "{asset}" in url else answer.text
            assert not [word for word in BINDINGS[name][1] if word in said], f"{way.method} {url}: {answer.text}"
            if "{" in way.path and asset not in visible and not (asset is None and name == "asset"):
                answers.add((answer.status_code, answer.text))
                if way.about != "newcomer":
                    assert answer.status_code == 403, f"{way.method} {url}: {answer.text}"
            elif asset in visible and way.about in ("asset", "case", "quarantined", "list"):
                found = 404 if "{photo}" in way.path else 200  # its case has none
                if way.path.startswith("/v1/usage") and name in ("asset", "all"):
                    found = 403  # what is used is counted by owner
                assert answer.status_code == found, f"{way.method} {url}: {answer.text}"
        if way.about not in ("newcomer", "twin", "nothing"):
            assert len(answers) <= 1, f"{way.path}: what is there is told apart from what is not: {answers}"
    assert state(client) == before


def test_every_route_says_what_it_is_about(fleet):
    _, _, app = fleet
    paths = {(method, route.path) for route in app.routes if isinstance(route, Route) for method in route.methods}
    listed = {(way.method, way.path) for way in WAYS} | {tuple(other.split()) for other in OTHERS}
    listed |= {*PAGES, *FREE_PAGES, ("GET", FILES_PATH)}  # made of calls of the ways, with the key of who looks
    assert {one for one in paths if one[0] != "HEAD"} == listed
    assert set(METHODS) == {way.path for way in WAYS}
    named = {
        "{asset}": {"asset", "newcomer", "plant"},
        "{case}": {"case"},
        "{message}": {"quarantined"},
        "{twin}": {"twin"},
    }
    for way in WAYS:
        kinds = next((kinds for part, kinds in named.items() if part in way.path), {"list", "fleets", "plant"})
        assert way.about in (kinds if way.scope else {"nothing"}), way.path


def test_lists_show_what_is_within_the_bounds(fleet):
    client, bound, _ = fleet
    for name, wanted in {"asset": {OWN}, "owner": {OWN}, "all": {OWN}, "twin": {OWN, NEIGHBOUR}}.items():
        for path in ("/v1/twins", "/v1/cases", "/v1/quarantine"):
            first = client.get(f"{path}?limit=1", headers=bound[name]).json()
            found = [one["asset"] for one in first["items"]]
            while first["next"]:
                first = client.get(first["next"], headers=bound[name]).json()
                found += [one["asset"] for one in first["items"]]
            assert set(found) == wanted, (name, path)
    assert [one["twin"] for one in client.get("/v1/kpis", headers=bound["twin"]).json()["twins"]] == ["pump"]


def test_a_refusal_names_the_bounds_that_are_in_the_way(fleet):
    client, bound, _ = fleet
    own = "key all is bound to twin pump, asset *own, owner=ac*"
    assert_problem(client.get(f"/v1/twins/{FOREIGN}", headers=bound["all"]), 403, "Authorization", own)
    assert_problem(client.get("/v1/kpis", headers=bound["owner"]), 403, "Authorization", "whole fleets", "--owner")
    assert_problem(client.get("/v1/deliveries", headers=bound["twin"]), 403, "Authorization", "whole plant", "--twin")
    assert_problem(client.get("/metrics", headers=bound["asset"]), 403, "Authorization", "whole fleets")


def test_a_new_asset_is_taken_only_within_the_bounds(fleet):
    client, bound, _ = fleet
    for name, url, twin, status in [
        ("twin", "P-new", "pump", 200),
        ("twin", "P-other", "fan", 403),
        ("owner", "P-other", "pump", 403),
        ("asset", "P-other", "pump", 403),
        ("all", "P-other", "pump", 403),
    ]:
        sent = client.post(f"/v1/twins/{url}/readings?twin={twin}", json=message(), headers=bound[name])
        assert sent.status_code == status, sent.text
        told = client.put(f"/v1/twins/{url}", json={"twin": twin}, headers=bound[name])
        assert told.status_code == status, told.text
    inside = message(asset="F-new", twin="fan")
    assert_problem(client.post("/v1/twins/F-new/readings", json=inside, headers=bound["twin"]), 403, "Authorization")
    assert client.get("/v1/twins/P-other").status_code == client.get("/v1/twins/F-new").status_code == 404


def test_a_body_speaks_for_no_other_asset(fleet):
    client, bound, _ = fleet
    for other in (NEIGHBOUR, "P-nowhere"):
        sent = message(asset=other, start=7)
        assert_problem(client.post(f"/v1/twins/{OWN}/readings", json=sent, headers=bound["asset"]), 422, "asset")


def test_nobody_gives_an_asset_away(fleet):
    client, bound, _ = fleet
    tags = {"tags": {"owner": "rival"}}
    assert_problem(client.put(f"/v1/twins/{OWN}", json=tags, headers=bound["owner"]), 403, "Authorization", "own asset")
    assert client.get(f"/v1/twins/{OWN}").json()["tags"] == {"owner": "acme"}
    assert client.put(f"/v1/twins/{OWN}", json=tags | {"location": "x"}, headers=bound["asset"]).status_code == 200
    client.put(f"/v1/twins/{OWN}", json={"tags": {"owner": "acme"}}).raise_for_status()


# whose messages end a run


@pytest.mark.slow
def test_one_message_ends_nobody_s_run(tmp_path, monkeypatch):
    root = living_project(tmp_path / "project")
    monkeypatch.chdir(root)
    bounds = {"gateway": [], "P-1": ["--asset", "P-1"], "P-2": ["--twin", "pump", "--asset", "P-2"], "reader": []}
    scope = {"reader": "read"}
    keys = {name: shown("keys", "new", name, "--scope", scope.get(name, "ingest"), *of) for name, of in bounds.items()}
    with live_process(root) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {keys['reader']}"

        def send(name: str, asset: str, **more) -> httpx.Response:
            key = {"Authorization": f"Bearer {keys[name]}"}
            return client.post(f"/v1/twins/{asset}/readings?twin=pump", json=message(**more), headers=key)

        for name in ("P-1", "P-2"):
            assert send(name, name).json()["stored"] == 3
        assert_problem(send("P-2", "P-1", start=4, run=2_000_000_000), 403, "Authorization", "asset P-2")
        for name, run in [("gateway", 2_000_000_000), ("gateway", 2), ("P-1", 3), ("P-1", 2)]:
            refused = send(name, "P-1", start=4, count=1, run=run)
            assert_problem(refused, 422, "run", f"is {run}, but P-1 is in run 1", "`foretwin quarantine --release`")
        told = send("P-1", "P-1", start=4, run=1).json()
        assert (told["stored"], told["late"]) == (3, 0)
        held = client.get("/v1/quarantine?asset=P-1&reason=run&sort=-id").json()["items"]
        assert len(held) == 3, "the same reading again is there once"
        number = next(one["id"] for one in held if json.loads(one["content"])["run"] == 2)
        assert f"released {number}: 1 stored" in shown("quarantine", "--release", str(number))
        assert client.get("/v1/twins/P-1").json()["run"] == 2
        assert send("P-1", "P-1", start=5, run=2).json()["stored"] == 3


def test_a_machine_s_own_key_begins_its_next_run_where_the_contract_lets_it(tmp_path):
    root = living_project(tmp_path / "project")
    contract = root / "data" / "pump" / "twin.yaml"
    contract.write_text(contract.read_text().removesuffix("}") + ', "runs": {"begin_by": "readings"}}')
    gateway, own = headers(root, "gateway"), headers(root, "own", assets=["P-?"])
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(root / "keys.json")) as client:
        url = "/v1/twins/P-1/readings?twin=pump"
        assert client.post(url, json=message(), headers=own).json()["stored"] == 3
        assert_problem(client.post(url, json=message(run=2), headers=gateway), 422, "run", "P-1 is in run 1")
        assert_problem(client.post(url, json=message(run=3), headers=own), 422, "run", "P-1 is in run 1")
        assert client.post(url, json=message(run=2), headers=own).json()["stored"] == 3
        assert client.get("/v1/twins/P-1", headers=gateway).json()["run"] == 2
    store.close()
