"""POST /v1/explain: the explanation of the library, of the model that says it, and refusals by field."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pandas as pd
import pytest

from foretwin.predictor.shapley import explain
from foretwin.serving.scoring import explain as explaining
from support.small_service import FAN, PUMP, running, service_over, tiny_champion
from support.tiny_bundle import call_of, random_rows

ROWS = random_rows(PUMP, {"a": 12})


@pytest.fixture(scope="module")
def champion(tmp_path_factory):
    return tiny_champion(tmp_path_factory.mktemp("project"), PUMP)


@pytest.fixture(scope="module")
def url(champion, tmp_path_factory):
    with running(service_over(champion, tiny_champion(tmp_path_factory.mktemp("project"), FAN))) as running_at:
        yield running_at


def test_the_answer_is_the_explanation_of_the_served_score(url, champion):
    answer = httpx.post(f"{url}/v1/explain", json=call_of(PUMP, ROWS))
    assert answer.status_code == 200
    found = answer.json()
    assert found.pop("model") == {
        "name": champion.identity.name,
        "version": champion.identity.version,
        "run": champion.identity.run,
        "digest": champion.identity.digest,
        "contract": PUMP.digest,
    }
    assert found == explain(champion.bundle, ROWS).to_dict()
    score = httpx.post(f"{url}/v1/score", json=call_of(PUMP, ROWS)).json()["scores"][0]
    life = found["questions"]["rul"]
    assert life["prediction"] == score["rul"]["value"]
    assert life["base"] + sum(life["contributions"].values()) == pytest.approx(life["prediction"], abs=1e-4)
    mode = found["questions"]["mode"]
    assert mode["prediction"] == max(score["faults"]["mode"].values())


def test_a_twin_without_an_rul_has_its_faults_explained(url):
    answer = httpx.post(f"{url}/v1/explain", json=call_of(FAN, random_rows(FAN, {"f": 3}))).json()
    assert list(answer["questions"]) == ["mode", "bearing"]


@pytest.mark.parametrize(
    ("call", "status", "field"),
    [
        (call_of(PUMP, random_rows(PUMP, {"a": 3, "b": 3})), 422, "assets"),
        (call_of(PUMP, ROWS.head(1)), 422, "assets[0].time"),
        (call_of(PUMP, ROWS) | {"twin": "boat"}, 404, "twin"),
        ([], 400, "body"),
    ],
)
def test_a_call_that_breaks_the_contract_is_refused_by_its_field(url, call, status, field):
    answer = httpx.post(f"{url}/v1/explain", json=call)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


def test_only_json_is_read_and_written(url):
    kind = {"Content-Type": "application/vnd.apache.parquet"}
    assert httpx.post(f"{url}/v1/explain", content=b"PAR1", headers=kind).status_code == 415
    wanted = {"Accept": "application/vnd.apache.parquet"}
    assert httpx.post(f"{url}/v1/explain", json=call_of(PUMP, ROWS), headers=wanted).status_code == 406


def test_many_at_once_are_all_explained_alike(url):
    call = call_of(PUMP, ROWS)
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: httpx.post(f"{url}/v1/explain", json=call).text, range(24)))
    assert len(answers) == 1
    assert "contributions" in answers.pop()


def test_who_would_wait_too_long_hears_it(url, monkeypatch):
    monkeypatch.setattr(explaining, "PATIENCE", 0.2)
    blocked = explaining.ONE_AT_A_TIME.submit(time.sleep, 1)
    answer = httpx.post(f"{url}/v1/explain", json=call_of(PUMP, ROWS))
    assert (answer.status_code, answer.json()["field"]) == (503, "service")
    assert int(answer.headers["Retry-After"]) > 0
    assert httpx.post(f"{url}/v1/score", json=call_of(PUMP, ROWS)).status_code == 200, "scores go on meanwhile"
    blocked.result()
    assert httpx.post(f"{url}/v1/explain", json=call_of(PUMP, ROWS)).status_code == 200


def test_rows_are_explained_up_to_the_last_run(url):
    """As `Bundle.score`: a window never reaches back into another run."""
    later = pd.concat([ROWS, ROWS.assign(time=ROWS["time"] + 100)]).tail(12)
    answer = httpx.post(f"{url}/v1/explain", json=call_of(PUMP, later)).json()
    assert (answer["run"], answer["time"]) == (1, 112)
