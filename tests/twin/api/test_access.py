"""Keys in `foretwin live`: a real server, and callers of every kind."""

import json
import logging
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from foretwin.errors import BadInput
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key, revoke_key, sufficient
from foretwin.twin.api.app import WAYS
from foretwin.twin.api.server import serve_twins
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.live_project import assert_problem, live, living_project, message, score
from support.tiny_bundle import REPOSITORY, environment

FORETWIN = Path(sys.executable).with_name("foretwin")
KEYED = [way for way in WAYS if way.scope]
PAGE = (REPOSITORY / "docs" / "access.md").read_text()
FREE = re.findall(r"`(/\S*)`", re.search(r"^\| `foretwin live` \|(.*)\|$", PAGE, re.MULTILINE).group(1))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return living_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def client(root):
    """A server that wants keys, over a store with one pump that has a case."""
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(root / "keys.json")) as client:
        client.headers["authorization"] = bearer(root, "everything", *SCOPES)
        time.sleep(1)  # until the server has seen it
        client.post("/v1/twins/P-1/readings?twin=pump", json=message(count=4)).raise_for_status()
        score(store, root)
        yield client
    store.close()


def bearer(root, name, *scopes, rate=1e6, expires_at=None) -> str:
    return "Bearer " + make_key(
        root / "keys.json", KeyRequest(name, scopes, rate, expires_at), "ann", datetime.now(UTC)
    )


def with_key(root, name, *scopes, **more) -> dict[str, str]:
    """Headers with a new key, once the server has seen it."""
    headers = {"Authorization": bearer(root, name, *scopes, **more)}
    time.sleep(1.05)
    return headers


def url_of(way) -> str:
    return way.path.format(
        asset="P-1", case="1", photo="1", message="1", twin="pump", route="cmms", key="none", session="none"
    )


def without_key(client, method, url, **more):
    return httpx.request(method, f"{client.base_url}{url}", trust_env=False, **more)


@pytest.mark.parametrize("way", KEYED, ids=lambda way: f"{way.method} {way.path}")
def test_nobody_does_anything_without_a_key(client, way):
    refused = without_key(client, way.method, url_of(way))
    assert_problem(refused, 401, "Authorization", "is missing")
    assert refused.headers["www-authenticate"] == "Bearer"
    wrong = {"Authorization": f"Bearer ftw_0123456789ab_{'0' * 64}"}
    assert_problem(without_key(client, way.method, url_of(way), headers=wrong), 401, "Authorization", "unknown")


@pytest.fixture(scope="module")
def all_but(root, client):
    """Scopes that are enough for a call -> headers with a key that has every scope but these."""
    keys = {
        enough: {"Authorization": bearer(root, f"no-{enough[0]}", *(one for one in SCOPES if one not in enough))}
        for enough in map(sufficient, SCOPES)
    }
    time.sleep(1.05)
    return keys


@pytest.mark.parametrize("way", KEYED, ids=lambda way: f"{way.method} {way.path}")
def test_each_way_needs_its_scope(client, all_but, way):
    enough = sufficient(way.scope)
    refused = client.request(way.method, url_of(way), headers=all_but[enough])
    assert_problem(refused, 403, "Authorization", f"needs the scope {' or '.join(enough)}")
    assert client.get("/v1/twins/P-1").status_code == 200, "nothing was done"


def test_scopes_follow_what_a_call_does():
    scopes = {(way.method, way.path): way.scope for way in WAYS}
    readings = "/v1/twins/{asset}/readings"
    assert (scopes["GET", readings], scopes["POST", readings]) == ("read", "ingest")
    assert scopes["POST", "/v1/twins/{asset}/what-if"] == "score"
    assert {scope for (method, _), scope in scopes.items() if method == "GET"} == {"read", "admin", None}
    looked_at = [path for (method, path), scope in scopes.items() if (method, scope) == ("GET", "admin")]
    assert looked_at == ["/v1/keys", "/v1/sessions", "/v1/identity-provider"], "who may call is no reader's"
    assert [path for (_, path), scope in scopes.items() if scope is None] == ["/readyz"]
    assert [scopes[method, "/v1/twins/{asset}"] for method in ("PUT", "DELETE")] == ["operate", "admin"]
    assert scopes["POST", "/v1/twins/{asset}/maintenance"] == "work"
    for path in ("acknowledge", "verdict"):  # who may do the rest of the work may do these too
        assert scopes["POST", f"/v1/cases/{{case}}/{path}"] == "assist"
    assert sufficient("assist") == ("assist", "work", "admin")
    for path in ("move", "assign", "snooze"):
        assert scopes["POST", f"/v1/cases/{{case}}/{path}"] == "plan"


@pytest.mark.parametrize("url", FREE)
def test_what_the_page_says_needs_no_key(client, url):
    assert without_key(client, "GET", url).status_code == 200


def test_everything_else_needs_one(client):
    routes = {route.partition(" ")[2] for route in without_key(client, "GET", "/").json()["routes"]}
    assert routes - {way.path for way in KEYED} == set(FREE)
    assert_problem(without_key(client, "GET", "/metrics"), 401, "Authorization")


def test_a_head_call_needs_a_key_too(client):
    assert without_key(client, "HEAD", "/v1/twins").status_code == 401
    assert client.head("/v1/twins").status_code == 200


def test_a_key_with_the_scope_is_let_through_and_no_further(client, root):
    gateway = with_key(root, "gateway", "ingest")
    sent = {"json": message(count=1, start=50), "headers": gateway}
    assert client.post("/v1/twins/P-1/readings", **sent).json()["stored"] == 1
    assert_problem(client.get("/v1/twins/P-1/readings", headers=gateway), 403, "Authorization", "has ingest")


@pytest.mark.dated
def test_a_key_ends_while_the_server_runs(client, root):
    soon = datetime.now(UTC) + timedelta(seconds=2.5)
    short = with_key(root, "short", "read", expires_at=soon)
    revoked = with_key(root, "fired", "read")
    assert [client.get("/v1/twins", headers=headers).status_code for headers in (short, revoked)] == [200, 200]
    revoke_key(root / "keys.json", "fired", "ann", datetime.now(UTC))
    time.sleep(max(1.05, (soon - datetime.now(UTC)).total_seconds()))
    assert_problem(client.get("/v1/twins", headers=short), 401, "Authorization", "key short expired on")
    assert_problem(client.get("/v1/twins", headers=revoked), 401, "Authorization", "unknown, or was revoked")


def test_a_key_calls_as_often_as_it_may(client, root):
    slow = with_key(root, "slow", "read", rate=2)
    answers = [client.get("/v1/twins", headers=slow) for _ in range(20)]
    assert [one.status_code for one in answers[:2]] == [200, 200]
    refused = next(one for one in answers if one.status_code != 200)  # the third, unless the machine is busy
    assert_problem(refused, 429, "Authorization", "2 calls a second")
    assert refused.headers["retry-after"] == "1"
    assert client.get("/v1/twins").status_code == 200
    time.sleep(0.6)
    assert client.get("/v1/twins", headers=slow).status_code == 200


def test_a_large_body_without_a_key_is_refused_readably(client):
    body = b" " * 4_000_000
    headers = {"Content-Type": "application/json"}
    refused = without_key(client, "POST", "/v1/twins/P-1/readings", content=body, headers=headers)
    assert_problem(refused, 401, "Authorization")


def test_the_audit_names_the_key_and_whom_the_caller_names(client, root, caplog):
    caplog.set_level(logging.INFO)
    key = with_key(root, "desk", "admin", "ingest")
    client.put("/v1/twins/P-1", json={"location": "hall 4"}, headers=key).raise_for_status()
    client.post("/v1/cases/1/acknowledge", headers=key | {"X-Actor": "ann"}).raise_for_status()
    spoilt = message(count=1, start=5000)
    client.post("/v1/twins/P-1/readings", json=spoilt, headers=key | {"X-Actor": "bob"})
    (held,) = client.get("/v1/quarantine?asset=P-1&released=false").json()["items"]
    client.post(f"/v1/quarantine/{held['id']}/release", headers=key).raise_for_status()
    entries = client.get("/v1/twins/P-1/thread").json()["entries"]
    done = {(one.get("action"), one.get("actor")) for one in entries}
    assert {
        ("asset.described", "desk"),
        ("acknowledged", "desk/ann"),
        ("reading.released", "desk"),
    } <= done
    assert "readings of P-1 by desk/bob: 1 quarantined" in caplog.text
    odd = client.put("/v1/twins/P-1", json={"location": "hall 5"}, headers=key | {"X-Actor": "x" * 201})
    assert_problem(odd, 422, "X-Actor")


def test_with_keys_a_caller_may_come_from_anywhere(client):
    assert client.get("/v1/twins", headers={"Host": "pumps.example"}).status_code == 200


def test_the_description_says_which_key_each_operation_needs(client):
    described = client.get("/openapi.json").json()
    scheme = described["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for way in WAYS:
        operation = described["paths"][way.path][way.method.lower()]
        assert operation["security"] == ([{"key": [way.scope]}] if way.scope else [])


# without keys


def test_an_open_server_is_for_this_machine_alone(root):
    store = open_store(f"sqlite:///{root}/open.db")
    with live(store, root, Guard(None)) as client:
        assert client.put("/v1/twins/P-9", json={"twin": "pump"}).status_code == 200
        assert_problem(client.get("/v1/twins", headers={"Host": "pumps.example"}), 403, "Host")
        assert_problem(client.get("/v1/twins", headers={"Origin": "https://pumps.example"}), 403, "Origin")
        entries = client.get("/v1/twins/P-9/thread").json()["entries"]
        assert {one.get("actor") for one in entries} == {"http"}
    with pytest.raises(BadInput, match="--host"):
        serve_twins(store, root, Guard(None), ("0.0.0.0", 0), threading.Event(), print)  # noqa: S104 - it must be refused
    store.close()


# from outside


@pytest.fixture
def start(tmp_path):
    """`foretwin live` in a process of its own: its URL, and the process, which is ended."""
    folder, running = living_project(tmp_path / "project"), []

    def run(*arguments, **more):
        said = folder / "said.txt"
        command = [FORETWIN, "live", "--port", "0", *arguments]
        with said.open("wb") as out:
            env = environment(folder, PYTHONUNBUFFERED="1", **more)
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=env)
        running.append(process)
        wait_for(lambda: "Ctrl-C" in said.read_text() or process.poll() is not None, "line of the command", 40)
        return process, said.read_text()

    yield run
    for process in running:
        process.kill()
        process.wait()


def url_in(said: str) -> str:
    return re.search(r"http://\S+:\d+", said).group()


@pytest.mark.slow
def test_the_command_wants_keys_and_may_listen_on_every_address(start):
    process, said = start("--host", "0.0.0.0")  # noqa: S104 - with keys it may
    assert "holds no key" in said
    url = url_in(said).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    assert httpx.get(f"{url}/v1/twins", trust_env=False).status_code == 401
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "more"), [(["--open"], {}), ([], {"FORETWIN_ACCESS": "open"})])
def test_the_command_is_open_only_on_loopback(start, arguments, more):
    process, said = start(*arguments, "--host", "0.0.0.0", **more)  # noqa: S104 - it must be refused
    assert process.wait(20) == 1
    assert said.startswith("error: --host: 0.0.0.0 ")
    process, said = start(*arguments, **more)
    assert "anybody on this machine" in said
    assert httpx.get(f"{url_in(said)}/v1/twins", trust_env=False).json()["items"] == []
    assert "pages for people" in said
    page = httpx.get(url_in(said), headers={"Accept": "text/html"}, trust_env=False)
    assert "No machine has sent anything yet" in page.text


@pytest.mark.slow
def test_a_damaged_file_of_keys_stops_the_command(start, tmp_path):
    (tmp_path / "project" / "keys.json").write_text(json.dumps({"keys": [{"name": "x"}]}))
    process, said = start()
    assert process.wait(20) == 1
    assert said.startswith("error: keys.json: keys.0.id")
    assert said.count("\n") == 1
