"""Chances of a failure from a contract's horizons to the figures, the twin's store, its API and its page."""

import json

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset.table import read_rows
from foretwin.predictor.bundle import Bundle
from foretwin.twin.store import open_store
from pipelines import evaluate, train
from support.live_project import PUMP, live, living_project, message, score
from support.small_console import Visitor
from support.small_fleet import fleet_rows, fleet_twin, project
from support.small_network import choice_of
from support.tiny_bundle import asks_chances


def test_a_trained_twin_tells_them_and_its_figures_beside_kaplan_and_meier(tmp_path):
    twin = asks_chances(fleet_twin("rul"), 6, 20)
    rows = fleet_rows(twin, 48)
    number = rows["asset"].str[1:].astype(int)
    unended = number % 3 == 0
    seen = rows[~unended | (rows["time"] < 35)]
    paths = project(tmp_path, twin, seen.assign(rul=seen["rul"].mask(unended)).reset_index(drop=True))
    (paths.models / "tuning.json").write_text(json.dumps({"best": choice_of().model_dump(), "trials": []}))
    train.main(twin.name, tmp_path)
    evaluate.main(twin.name, tmp_path)
    found = json.loads((paths.models / "evaluation.json").read_text())["network"]["rul"]["failure"]
    floor = found["floors"]["kaplan_meier"]
    assert found["brier"].keys() == floor["brier"].keys() == {"6", "20"}
    assert found["integrated_brier"] < floor["integrated_brier"]
    assert found["concordance"] > floor["concordance"]
    told = Bundle.load(paths.models / "bundle").score(read_rows(paths.windows / "test.parquet", twin))
    assert (told["p_failure_6"] <= told["p_failure_20"]).all()
    assert np.corrcoef(told["rul"], told["p_failure_20"])[0, 1] < -0.8


@pytest.mark.dated
def test_the_twin_keeps_them_and_shows_them_to_callers_and_people(tmp_path):
    twin = asks_chances(PUMP, 24, 96)
    root = living_project(tmp_path / "project", twin)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with live(store, root) as client:
        client.post("/v1/twins/P-1/readings", json=message(8) | {"twin": twin.name}).raise_for_status()
        assert score(store, root) == 1
        said = client.get("/v1/twins/P-1").json()["last_score"]
        assert list(said["p_failure"]) == ["24", "96"]
        assert 0.5 < said["p_failure"]["24"] < said["p_failure"]["96"] < 1
        assert set(said["faults"]) == set(twin.axes)
        table = pd.json_normalize(client.get("/v1/twins/P-1/scores").json()["items"])
        assert table["p_failure.96"].tolist() == [said["p_failure"]["96"]]
        assert "Fails within 24 h:" in Visitor(str(client.base_url)).text("/machines/P-1")
        assert "Fällt aus innerhalb von 24 h:" in Visitor(str(client.base_url), "de").text("/machines/P-1")
    store.close()
