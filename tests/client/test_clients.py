"""The clients against both services on loopback: frames there and back, refusals as errors, pages to the end."""

import asyncio
import zipfile

import httpx
import pandas as pd
import pytest

import foretwin
from foretwin.client import plans
from foretwin.errors import BadInput, Conflict, NotFound, ServiceError, Unauthorized
from foretwin.serving.access.authentication import Guard
from foretwin.twin.store import open_store
from support.live_project import PUMP as LIVING_PUMP
from support.live_project import live, living_project, score
from support.small_service import PUMP, running, service_over, tiny_champion
from support.tiny_bundle import random_rows

pytestmark = pytest.mark.dated
ROWS = random_rows(PUMP, {"B": 5, "A": 3, "C": 9})
READINGS = random_rows(LIVING_PUMP, {"P-1": 4, "P 2": 4})


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    return tiny_champion(tmp_path_factory.mktemp("models"), PUMP)


@pytest.fixture(scope="module")
def scoring(champion):
    with running(service_over(champion)) as url:
        yield url


@pytest.fixture
def living(tmp_path):
    store, root = open_store(f"sqlite:///{tmp_path}/twins.db"), living_project(tmp_path / "project")
    with live(store, root) as there, foretwin.Client(str(there.base_url)) as client:
        yield client, lambda: score(store, root)
    store.close()


def test_scores_are_those_of_the_bundle_whatever_the_order_of_the_rows(scoring, champion):
    with foretwin.Client(scoring) as client:
        got = client.score(ROWS.sample(frac=1, random_state=1), "pump")
        several = client._table(plans.scoring(ROWS, "pump", rows_per_call=6))
    expected = champion.bundle.score(ROWS).sort_values("asset").reset_index(drop=True)
    pd.testing.assert_frame_equal(got.drop(columns="warnings"), expected.drop(columns="warnings"), check_dtype=False)
    pd.testing.assert_frame_equal(got, several)
    assert [list(told) for told in got["warnings"]] == expected["warnings"].tolist()
    assert got.attrs["model"]["digest"] == champion.identity.digest


def test_both_clients_answer_alike(scoring):
    async def asked():
        async with foretwin.AsyncClient(scoring) as client:
            return await asyncio.gather(client.score(ROWS, "pump"), client.models())

    scores, models = asyncio.run(asked())
    with foretwin.Client(scoring) as client:
        pd.testing.assert_frame_equal(scores, client.score(ROWS, "pump"))
        assert models.equals(client.models())
    assert models["twin"].tolist() == ["pump"]


def test_a_refusal_is_the_error_that_the_service_raised(scoring):
    with foretwin.Client(scoring) as client:
        with pytest.raises(BadInput, match="c1: is missing") as refused:
            client.score(ROWS.drop(columns="c1"), "pump")
        assert refused.value.field == "c1"
        with pytest.raises(NotFound, match="twin: "):
            client.score(ROWS, "fan")
        with pytest.raises(BadInput, match=r"^asset: is missing"):
            client.score(ROWS.drop(columns="asset"), "pump")
        with pytest.raises(BadInput, match=r"^rows: is empty"):
            client.score(ROWS[:0], "pump")


def test_a_wrong_key_and_an_address_without_a_service(tmp_path, champion):
    assert Guard(None).is_open
    (tmp_path / "keys.json").write_text('{"keys": []}')
    with running(service_over(champion, keys=tmp_path / "keys.json")) as url, foretwin.Client(url, "ftw_no") as client:
        assert "ftw_no" not in repr(client)
        with pytest.raises(Unauthorized):
            client.models()
    with foretwin.Client(url, timeout=2) as client, pytest.raises(ServiceError, match="is the service running there"):
        client.models()
    with pytest.raises(BadInput, match=r"^url: "):
        foretwin.Client("localhost:3000")


def test_readings_go_in_and_come_back(living, monkeypatch):
    client, _ = living
    monkeypatch.setattr(plans, "PER_PAGE", 3)
    told = client.send(READINGS, twin="pump")
    assert told.drop(columns="rejected").to_dict("list") == {
        "asset": ["P-1", "P 2"],
        "stored": [4, 4],
        "duplicates": [0, 0],
        "late": [0, 0],
        "gaps": [0, 0],
        "quarantined": [0, 0],
    }
    assert client.send(READINGS)["duplicates"].tolist() == [4, 4]
    back = client.readings("P 2")
    sent = READINGS[READINGS["asset"] == "P 2"]
    assert back["time"].tolist() == sent["time"].tolist()
    assert back["channels.c1"].tolist() == sent["c1"].tolist()
    assert str(back["received_at"].dtype).endswith("UTC]")
    assert len(client.readings("P 2", most=2)) == 2
    assert client.assets(twin="pump", sort="name")["asset"].tolist() == ["P 2", "P-1"]


def test_one_asset_s_bad_readings_do_not_stop_the_others(living):
    client, _ = living
    broken = READINGS.copy()
    broken.loc[broken["asset"] == "P-1", "c1"] = 5000.0
    told = client.send(broken, twin="pump").set_index("asset")
    assert told["stored"].to_dict() == {"P-1": 0, "P 2": 4}
    assert told["quarantined"].to_dict() == {"P-1": 4, "P 2": 0}
    assert "c1" in told.loc["P-1", "rejected"][0]["field"]
    with pytest.raises(NotFound):
        client.send(READINGS.assign(asset="new"))


def test_a_case_from_its_opening_to_its_verdict(living, tmp_path):
    client, score_all = living
    client.send(READINGS, twin="pump")
    score_all()
    assert set(client.scores("P-1")["rul.unit"]) == {"h"}
    number = int(client.cases(asset="P-1", state="open")["id"].iloc[0])
    assert client.service_request(number)["part"]["name"] == "P-1"
    assert client.acknowledge(number)["state"] == "acknowledged"
    client.give_verdict(number, "confirmed", note="worn")
    with pytest.raises(Conflict):
        client.give_verdict(number, "no_fault_found")
    client.record_maintenance("P-1", "inspection", note="dry")
    assert client.case(number)["state"] == "closed"
    assert client.describe("P-1", location="hall 3")["location"] == "hall 3"
    assert set(client.explain("P-1")["questions"]) >= {"rul"}
    assert client.key_figures(twin="pump")["twin"].tolist() == ["pump"]
    path = client.export("P-1", tmp_path / "copy.zip")
    assert zipfile.ZipFile(path).testzip() is None
    with pytest.raises(NotFound):
        client.export("nobody", tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()


def test_what_is_written_about_calls_is_what_goes_out():
    ask = plans.exporting("P/1 ä")
    sent = httpx.Client(base_url="http://h:1").build_request(**ask.arguments())
    assert str(sent.url) == "http://h:1/v1/twins/P%2F1%20%C3%A4/export"
