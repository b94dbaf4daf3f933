"""Keys that are bound, in the scoring service: every route, and twins and assets that are not theirs."""

from datetime import UTC, datetime

import httpx
import pyarrow as pa
import pytest

from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.wire.tables import ARROW, write_table
from support.small_service import FAN, PUMP, running, service_over, tiny_champion

pytestmark = pytest.mark.dated

PUBLIC = {"/", "/openapi.json", "/livez", "/readyz", "/metrics"}  # the same for everybody, without a key
KEYED = {"/v1/score": "POST", "/v1/explain": "POST", "/v1/models": "GET"}
BOUNDS = {"pumps": {"twins": ["pu*"]}, "P-1": {"assets": ["P-1"]}, "acme": {"owners": ["acme"]}}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A client of a service of a pump and a fan; and the headers of bound keys."""
    folder = tmp_path_factory.mktemp("bounds")
    champions = [tiny_champion(folder, twin) for twin in (PUMP, FAN)]
    keys = {
        name: {"Authorization": "Bearer " + make_key(folder / "keys.json", request, "ann", datetime.now(UTC))}
        for name, request in ((name, KeyRequest(name, ("score", "read"), 1e6, **more)) for name, more in BOUNDS.items())
    }
    over = service_over(*champions, keys=folder / "keys.json")
    with running(over) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client, keys


def call(twin=PUMP, *assets: str) -> dict:
    rows = {"time": [1, 2, 3], "channels": {name: [0.0] * 3 for name in twin.channel_names}}
    return {"twin": twin.name, "assets": [{"asset": name, **rows} for name in assets or ("P-1",)]}


def test_every_route_is_public_or_keeps_to_the_bounds(service):
    client, keys = service
    assert set(client.get("/openapi.json").json()["paths"]) == PUBLIC | set(KEYED)
    for path, method in KEYED.items():
        answer = client.request(method, path, headers=keys["pumps"], json=call(FAN) if method == "POST" else None)
        assert answer.status_code == (403 if method == "POST" else 200)
        assert "fan" not in answer.text
    for path in PUBLIC:
        bound, nobody = (client.get(path, headers=headers).text for headers in (keys["pumps"], {}))
        assert path == "/metrics" or bound == nobody


@pytest.mark.parametrize("path", ["/v1/score", "/v1/explain"])
def test_a_twin_outside_is_refused_whether_it_is_served_or_not(service, path):
    client, keys = service
    assert client.post(path, json=call(PUMP), headers=keys["pumps"]).status_code == 200
    refused = [client.post(path, json=call(FAN) | {"twin": twin}, headers=keys["pumps"]) for twin in ("fan", "mill")]
    assert [one.status_code for one in refused] == [403, 403]
    assert refused[0].json() == refused[1].json()
    assert "key pumps is bound to twin pu*" in refused[0].json()["detail"]


def test_a_table_s_twin_is_bound_too(service):
    client, keys = service
    headers = keys["pumps"] | {"Content-Type": ARROW}
    assert client.post("/v1/score?twin=fan", content=b"", headers=headers).status_code == 403
    table = pa.table({"asset": ["P-2"] * 3, "time": [1.0, 2, 3], **{name: [0.0] * 3 for name in PUMP.channel_names}})
    body = write_table(table, ARROW)
    assert client.post("/v1/score?twin=pump", content=body, headers=headers).status_code == 200
    other = keys["P-1"] | {"Content-Type": ARROW}
    assert client.post("/v1/score?twin=pump", content=body, headers=other).status_code == 403


def test_a_machine_asks_about_itself_alone(service):
    client, keys = service
    assert client.post("/v1/score", json=call(PUMP, "P-1"), headers=keys["P-1"]).status_code == 200
    refused = client.post("/v1/score", json=call(PUMP, "P-1", "P-2"), headers=keys["P-1"])
    assert (refused.status_code, refused.json()["field"]) == (403, "Authorization")
    assert "P-2" not in refused.text


def test_an_owner_s_key_scores_what_it_brings(service):
    client, keys = service
    assert client.post("/v1/score", json=call(PUMP, "P-9"), headers=keys["acme"]).status_code == 200
