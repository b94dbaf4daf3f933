"""What users get of machines with own baselines is what is judged: by evaluation, gate, card and MLflow."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from foretwin.contract.twin import HEALTH
from foretwin.dataset.table import read_rows
from foretwin.evaluation.candidates import FLEET_JUDGEMENT, candidates_among
from foretwin.evaluation.held_out import read_baselines
from foretwin.evaluation.model_card import write_card
from foretwin.evaluation.report import figures_table
from foretwin.predictor.bundle import Bundle
from foretwin.project.params import Params, PromoteParams
from foretwin.project.paths import Paths
from pipelines import evaluate
from support.differing_fleet import PREPARE, differing_twin, save_differing_bundle
from support.small_fleet import TRAIN, TUNE

TWIN = differing_twin()
FLOORS = ("always", "three_sigma", "normal_space")


@pytest.fixture(scope="module")
def paths(shared, tmp_path_factory) -> Paths:
    """A project in which the differing machines' bundle was evaluated."""
    made, root = shared("differing", lambda folder: save_differing_bundle(folder, TWIN)), tmp_path_factory.mktemp("own")
    found = Paths(root, "press")
    shutil.copytree(made / "windows", found.windows)
    for name in ("bundle", "candidates"):
        shutil.copytree(made / name, found.models / name)
    found.contract.write_text(yaml.safe_dump(TWIN.model_dump(mode="json"), sort_keys=False))
    params = Params(twins=["press"], prepare=PREPARE, tune=TUNE, train=TRAIN, promote=PromoteParams(allowed_loss=0.02))
    found.params.write_text(yaml.safe_dump(params.model_dump(mode="json")))
    evaluate.main("press", root)
    return found


@pytest.fixture(scope="module")
def metrics(paths) -> dict:
    return json.loads(paths.evaluation.read_text())


def test_the_figures_are_of_the_answer_that_users_get_with_the_fleet_s_and_floors_beside_it(metrics):
    told = metrics["network"]["fault"][HEALTH]
    by = told["by_baseline"]
    assert by["own"]["windows"] > 0.3 * metrics["cuts"]
    assert by["own"]["windows"] + by.get("fleet", {"windows": 0})["windows"] == metrics["cuts"]
    fleet = metrics["candidates"][FLEET_JUDGEMENT]["fault"][HEALTH]
    assert "by_baseline" not in fleet
    assert {name: told[name] for name in fleet} != fleet
    assert told["normal_windows"] == fleet["normal_windows"]
    assert sum(one["normal_windows"] for one in by.values()) == told["normal_windows"]
    floors = {name: metrics["baselines"][name]["fault"][HEALTH] for name in FLOORS}
    assert (floors["always"]["detected"], floors["always"]["alarm_share"]) == (1, 1)
    assert floors["three_sigma"]["detected"] < 1, "machines differ by more than they depart"
    assert FLEET_JUDGEMENT in {metrics["comparison"][HEALTH]["best"], *metrics["comparison"][HEALTH]["chances"]}


def test_a_departed_copy_is_judged_by_the_baseline_of_its_run(paths):
    rows = read_rows(paths.windows / "test.parquet", TWIN)
    scores = Bundle.load(paths.models / "bundle").score(rows)
    last = rows.groupby("asset", sort=False)["time"].last().to_numpy()
    copy = scores["asset"].str.contains("~departed-").to_numpy()
    own = (scores["health_baseline"] == "own").to_numpy()
    assert own[copy & (last > 40)].all()
    assert not own[last <= 16].any(), "its first windows are not over"


def test_the_gate_reads_the_fleet_s_judgement_as_a_candidate_that_must_not_be_surely_better(paths):
    rows = read_rows(paths.windows / "test.parquet", TWIN)
    told = candidates_among(read_baselines(paths.models / "baselines.parquet", TWIN, rows))
    served = pd.Index(["normal", "departed"]).get_indexer(Bundle.load(paths.models / "bundle").score(rows)[HEALTH])
    assert (told[FLEET_JUDGEMENT].answers[HEALTH] != served).any()
    assert set(told) == {
        FLEET_JUDGEMENT,
        *json.loads((paths.models / "candidates" / "blend.json").read_text())["candidates"],
    }


def test_table_and_card_say_both_with_the_floors(paths, metrics):
    header, *rows = figures_table(metrics, TWIN)
    assert header[-2:] == ["departures told", "normal windows told"]
    shown = {row[0]: row[-2:] for row in rows}
    assert shown["always"] == ["100.0%", "100.0%"]
    assert shown["blend"] != shown["fleet judgement"]
    verdict = {"promoted": True, "forced": None, "reasons": [], "checks": [], "slices": [], "name": "foretwin-press"}
    verdict |= {"version": "1", "run": "r", "champion": None, "evidence": {"bundle": "b"}, "decided_at": "now"}
    write_card(TWIN, {}, metrics, verdict, None, paths.models / "card.html")
    page = " ".join((paths.models / "card.html").read_text().split())
    own, cuts = metrics["network"]["fault"][HEALTH]["by_baseline"]["own"]["windows"], metrics["cuts"]
    assert f"{own} of {cuts} windows were judged by their machines" in page
    assert "Fleet judgement would tell" in page
    assert "Always would tell 100 % of the departures, 100 % of the normal windows" in page
