"""GET /v1/models: what it says of each champion is what the champion, its record and its contract say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from foretwin.champion.champion import ChampionRecord
from foretwin.serving.access.keys import KeyRequest, make_key
from support.small_service import FAN, PUMP, running, service_over, tiny_champion

pytestmark = pytest.mark.dated

PROMOTED = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORD = ChampionRecord(
    PROMOTED, "abc123", {"rul": {"clipped": {"rmse": 17.2}}}, {"promoted": True, "reasons": ["better"]}
)


@pytest.fixture(scope="module")
def champions(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    fan = tiny_champion(root, FAN)
    return replace(tiny_champion(root, PUMP), record=RECORD), replace(fan, record=ChampionRecord())


@pytest.fixture(scope="module")
def models(champions):
    with running(service_over(*champions)) as url:
        answer = httpx.get(f"{url}/v1/models")
    assert answer.status_code == 200
    return {model["twin"]: model for model in answer.json()["models"]}


def test_a_model_is_told_with_its_identity_and_its_proof(models, champions):
    pump, identity = models["pump"], champions[0].identity
    assert (pump["name"], pump["version"], pump["run"], pump["digest"]) == (
        identity.name,
        identity.version,
        identity.run,
        identity.digest,
    )
    assert pump["contract"] == PUMP.digest
    assert pump["commit"] == "abc123"
    assert pump["metrics"] == {"rul": {"clipped": {"rmse": 17.2}}}
    assert pump["gate"] == {"promoted": True, "reasons": ["better"]}
    assert datetime.fromisoformat(pump["promoted_at"]) == PROMOTED
    age = (datetime.now(UTC) - PROMOTED) / timedelta(seconds=1)
    assert pump["age_seconds"] == pytest.approx(age, abs=60)


def test_a_model_says_what_it_wants_to_know_and_what_it_answers(models):
    pump = models["pump"]
    assert list(pump["channels"]) == ["speed", "c1", "c2", "c3"]
    told = {"unit": "bar", "role": "sensor", "description": "", "min": -1000, "max": 1000}
    assert pump["channels"]["c1"] == told | {"trained": {"min": -3, "max": 3}}
    assert pump["window"] == {"length": 8, "shortest": 2}
    assert pump["clock"] == {"unit": "h", "step": 1}
    assert pump["rul"] == {"unit": "h", "cap": 100, "level": 0.9}
    assert pump["faults"]["mode"] == {"title": "Mode", "classes": ["healthy", "wear", "leak"]}


def test_what_a_record_does_not_know_is_null(models):
    fan = models["fan"]
    assert (fan["promoted_at"], fan["age_seconds"], fan["gate"], fan["commit"]) == (None,) * 4
    assert (fan["metrics"], fan["rul"]) == ({}, None)


def test_a_key_may_ask_with_one_of_two_scopes(champions, tmp_path):
    path, now = tmp_path / "keys.json", datetime.now(UTC)
    tokens = {
        scope: make_key(path, KeyRequest(scope, (scope,), 100), "test", now) for scope in ("read", "score", "ingest")
    }
    with running(service_over(*champions, keys=path)) as url:
        statuses = {
            scope: httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {token}"}).status_code
            for scope, token in tokens.items()
        }
        assert httpx.get(f"{url}/v1/models").status_code == 401
    assert statuses == {"read": 200, "score": 200, "ingest": 403}
