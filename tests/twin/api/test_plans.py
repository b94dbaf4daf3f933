"""What is due over HTTP: the calendar and its feed, lists as CSV, models and the way back to the one before."""

import csv
import io
import logging
from datetime import UTC, datetime

import httpx
import icalendar
import pytest

from foretwin.champion import ledger
from foretwin.champion.ledger import LedgerEntry
from foretwin.project.paths import Paths
from foretwin.project.redaction import redact
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, feed_token, make_key
from foretwin.twin.api.openapi import LISTS
from foretwin.twin.api.plant import models
from foretwin.twin.store import open_store
from support.live_project import assert_problem, live, living_project, message, score

pytestmark = pytest.mark.dated

SERVER = ("foretwin", "uvicorn")  # whose lines are logged, each through `redact`


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """The URL of a server of two machines with cases, one of acme; and a key for each wish."""
    root = living_project(tmp_path_factory.mktemp("plans") / "project")
    path, now = root / "keys.json", datetime.now(UTC)
    wanted = {
        "boss": KeyRequest("boss", ["read", "operate", "ingest", "admin"], 1e6),
        "acme": KeyRequest("acme", ["read"], 1e6, owners=["acme"]),
        "mute": KeyRequest("mute", ["score"], 1e6),
    }
    keys = {name: make_key(path, key, "ann", now) for name, key in wanted.items()}
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(path)) as client:
        client.headers["authorization"] = f"Bearer {keys['boss']}"
        for name, owner in {"A-1": "acme", "=cmd": "rival"}.items():
            told = {"twin": "pump", "tags": {"owner": owner, "site": "Ulm"}}
            client.put(f"/v1/twins/{name}", json=told).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
        score(store, root)
        yield client, keys, root
    store.close()


def events(answer: httpx.Response) -> list[str]:
    return sorted(str(one["SUMMARY"]) for one in icalendar.Calendar.from_ical(answer.content).walk("VEVENT"))


def test_a_feed_shows_what_its_key_may_see_and_opens_nothing_else(plant, caplog):
    client, keys, _ = plant
    caplog.set_level(logging.DEBUG)
    url = f"{client.base_url}/v1/calendar.ics"

    def asked(**query) -> httpx.Response:
        return httpx.get(url, params=query, trust_env=False)

    assert events(client.get("/v1/calendar.ics")) == ["=cmd: end of life", "A-1: end of life"]
    assert events(asked(feed=feed_token(keys["acme"]))) == ["A-1: end of life"]
    assert asked(feed=keys["acme"]).status_code == 401, "a key is no feed's token"
    assert asked(feed="ftw_0_0").status_code == 401
    assert asked(feed=feed_token(keys["mute"])).status_code == 403
    as_key = {"authorization": f"Bearer {feed_token(keys['acme'])}"}
    assert httpx.get(f"{client.base_url}/v1/cases", headers=as_key, trust_env=False).status_code == 401
    assert httpx.get(f"{client.base_url}/v1/cases?feed={feed_token(keys['acme'])}", trust_env=False).status_code == 401
    secrets = [token.rpartition("_")[2] for key in keys.values() for token in (key, feed_token(key))]
    logged = redact(" ".join(one.getMessage() for one in caplog.records if one.name.partition(".")[0] in SERVER))
    assert "calendar.ics" in logged
    assert not [one for one in secrets if one in logged]


def test_what_is_due_names_site_and_part(plant):
    client, _, _ = plant
    found = client.get("/v1/calendar?days=1&tag=owner=acme").raise_for_status().json()
    assert [(one["asset"], one["site"], one["part"]) for one in found["items"]] == [("A-1", "Ulm", "P-1")]
    (need,) = client.get("/v1/parts").raise_for_status().json()["items"]
    assert (need["site"], need["part"], need["in_30_days"]) == ("Ulm", "P-1", {"least": 2, "expected": 2, "most": 2})
    assert_problem(client.get("/v1/calendar?days=0"), 422, "days")


@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_csv_by_its_suffix(plant, path):
    client, keys, _ = plant
    url = path.format(asset="A-1", twin="pump")
    answer = client.get(f"{url}.csv").raise_for_status()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == len(client.get(url).json()["items"])
    assert httpx.get(f"{client.base_url}{url}.csv", trust_env=False).status_code == 401
    bound = {"authorization": f"Bearer {keys['acme']}"}
    assert "cmd" not in httpx.get(f"{client.base_url}{url}.csv", headers=bound, trust_env=False).text


def test_a_csv_is_paged_flat_and_calculates_nothing(plant):
    client, _, _ = plant
    answer = client.get("/v1/twins.csv?limit=1&sort=-name")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["asset"], row["tags.site"], row["stale"]) == ("A-1", "Ulm", "false")
    following = answer.headers["link"].partition(">")[0].removeprefix("<")
    (row,) = csv.DictReader(io.StringIO(client.get(following).text))
    assert row["asset"] == "'=cmd", "a spreadsheet takes it for text"


def test_a_model_is_shown_with_its_decisions(plant):
    client, _, root = plant
    (fan, pump) = client.get("/v1/models").raise_for_status().json()["items"]
    assert (fan["twin"], pump["name"], pump["version"]) == ("fan", "foretwin-pump", "3")
    entry = LedgerEntry(datetime.now(UTC), "promoted", "3", pump["digest"], "r", None, "3", ("it is better",), "ann")
    ledger.append(Paths(root, "pump").ledger, entry)
    (told,) = client.get("/v1/models/pump/ledger").raise_for_status().json()["items"]
    assert (told["action"], told["reasons"]) == ("promoted", ["it is better"])
    assert client.get("/v1/models/pump").json()["digest"] == pump["digest"]
    assert_problem(client.get("/v1/models/mill"), 404, "twin")
    assert_problem(client.get("/v1/models/pump/card"), 404, "twin")


@pytest.mark.slow
def test_a_roll_back_that_is_refused_says_why_and_changes_nothing(plant, monkeypatch):
    client, keys, _ = plant
    before = client.get("/v1/models/pump").json()
    refused = client.post("/v1/models/pump/rollback", json={"reason": "false alarms"})
    assert_problem(refused, 422, "reason", "foretwin-pump")
    assert_problem(client.post("/v1/models/pump/rollback", json={}), 422, "reason")
    assert_problem(client.post("/v1/models/pump/rollback", json={"reason": "x", "to": "--help"}), 422, "to")
    mine = {"authorization": f"Bearer {keys['acme']}"}
    answer = httpx.post(
        f"{client.base_url}/v1/models/pump/rollback", json={"reason": "x"}, headers=mine, trust_env=False
    )
    assert answer.status_code == 403
    assert client.get("/v1/models/pump").json() == before
    monkeypatch.setattr(models, "LONGEST", 0.01)
    assert client.post("/v1/models/pump/rollback", json={"reason": "too slow"}).status_code >= 500
