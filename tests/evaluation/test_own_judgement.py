"""What users get of machines with own baselines is what is judged: by evaluation, gate, card and MLflow."""

import json
import shutil

import pytest
import yaml

from foretwin import gate
from foretwin.contract.twin import HEALTH
from foretwin.dataset.table import read_rows
from foretwin.evaluation import baselines
from foretwin.evaluation.candidates import FLEET_JUDGEMENT, candidates_among
from foretwin.evaluation.held_out import HeldOut, predict, read_baselines
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
    every = baselines.baselines
    made, root = shared("differing", lambda folder: save_differing_bundle(folder, TWIN)), tmp_path_factory.mktemp("own")
    found = Paths(root, "press")
    shutil.copytree(made / "windows", found.windows)
    for name in ("bundle", "candidates"):
        shutil.copytree(made / name, found.models / name)
    found.contract.write_text(yaml.safe_dump(TWIN.model_dump(mode="json"), sort_keys=False))
    params = Params(twins=["press"], prepare=PREPARE, tune=TUNE, train=TRAIN, promote=PromoteParams(allowed_loss=0.02))
    found.params.write_text(yaml.safe_dump(params.model_dump(mode="json")))
    with pytest.MonkeyPatch.context() as patch:  # the others take longer than all of this, and are tried elsewhere
        patch.setattr(baselines, "baselines", lambda *given: {"constant": every(*given)["constant"]})
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
    compared = metrics["comparison"][HEALTH]
    assert f"candidate {FLEET_JUDGEMENT}" in {compared["best"], *compared["chances"]}


def test_a_departed_copy_is_judged_by_the_baseline_of_its_run(paths):
    rows = read_rows(paths.windows / "test.parquet", TWIN)
    scores = Bundle.load(paths.models / "bundle").score(rows)
    last = rows.groupby("asset", sort=False)["time"].last().to_numpy()
    copy = scores["asset"].str.contains("~departed-").to_numpy()
    own = (scores["health_baseline"] == "own").to_numpy()
    assert own[copy & (last > 40)].all()
    assert not own[last <= 16].any(), "its first windows are not over"


def test_the_gate_tells_the_fleet_s_judgement_beside_the_answer_and_decides_nothing_by_it(paths):
    rows = read_rows(paths.windows / "test.parquet", TWIN)
    told = read_baselines(paths.models / "baselines.parquet", TWIN, rows)
    bundle = Bundle.load(paths.models / "bundle")
    said, fleet = predict(bundle, rows), told[f"candidate {FLEET_JUDGEMENT}"]
    assert (fleet.answers[HEALTH] != said.answers[HEALTH]).any()
    blend = json.loads((paths.models / "candidates" / "blend.json").read_text())
    assert set(candidates_among(told)) == set(blend["candidates"])
    candidate = gate.Candidate(TWIN, said, 1.0, 1.0, tuple(blend["candidates"]))
    rivals = {name.removeprefix("candidate "): one for name, one in told.items()}
    params = PromoteParams(allowed_loss=0.02, must_beat=("constant",))
    checks = gate.decide(candidate, HeldOut.of(rows, bundle), rivals, None, params).checks
    (sentence,) = [one.sentence for one in checks if one.sentence.startswith("fleet judgement has")]
    assert "would not replace the candidate" in sentence or "but does not decide" in sentence


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
