"""Promotion against a real MLflow store."""

import json
import math
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from foretwin import registry
from foretwin.champion.provenance import asset_digest
from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows, write_rows
from foretwin.dataset.windows import last_rows
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import Bundle, verify
from support.registry_project import HELD_OUT, PARAMS, TWIN
from support.tiny_bundle import REMEDY, save_tiny_bundle

pytest_plugins = ["support.registry_project"]


def test_the_first_good_candidate_becomes_champion(project):
    digest = project.train(1, 10)
    assert registry.champion(project.root, "pump") is None

    verdict = project.promote()

    champion = registry.champion(project.root, "pump")
    assert verdict["promoted"]
    assert verdict["champion_before"] is None
    assert (
        verdict["champion"]
        == champion.identity()
        == {
            "name": "foretwin-pump",
            "version": "1",
            "run": verdict["run"],
            "digest": digest,
        }
    )
    assert verify(champion.folder) == digest
    tags = project.versions()["1"]
    assert (tags["foretwin.bundle"], tags["foretwin.contract"]) == (digest, TWIN.digest)
    assert tags["foretwin.gate"] == "promoted"


def test_a_better_candidate_replaces_the_champion(promoted):
    digest = promoted.train(2, 8)
    verdict = promoted.promote()
    assert verdict["champion"]["digest"] == digest
    assert verdict["champion_before"]["figures"] == {"rul_rmse": pytest.approx(10), "fault_macro_f1": 1}
    assert registry.champion(promoted.root, "pump").version == "2"


def test_a_worse_candidate_is_refused_and_the_champion_stays(promoted):
    first = registry.champion(promoted.root, "pump").identity()
    promoted.train(2, 12)
    verdict = promoted.promote()
    assert not verdict["promoted"]
    assert verdict["champion"] == first == registry.champion(promoted.root, "pump").identity()
    assert verdict["version"] == "2"
    assert promoted.versions()["2"]["foretwin.gate"] == "refused"
    assert any("above the 2 % allowed" in reason for reason in verdict["reasons"])


def test_a_candidate_without_a_figure_is_refused_and_the_verdict_is_plain_json(project):
    project.train(1, 10)
    test = project.paths.windows / "test.parquet"
    write_rows(read_rows(test, TWIN).assign(rul=math.nan), TWIN, test)
    project.evaluate()
    verdict = project.promote()
    assert not verdict["promoted"]
    assert verdict["champion"] is None
    assert json.loads(json.dumps(verdict, allow_nan=False))["candidate"]["rul_rmse"] is None
    assert registry.champion(project.root, "pump") is None


@pytest.mark.parametrize("candidate", [None, (2, 8), (2, 12)])
def test_repeating_a_promotion_or_a_refusal_changes_no_byte_and_adds_nothing(promoted, candidate):
    if candidate:
        promoted.train(*candidate)
        promoted.promote()
    written, counts = (promoted.paths.models / "promotion.json").read_bytes(), promoted.counts()
    promoted.promote()
    registry.publish(promoted.root, ["pump"])
    assert (promoted.paths.models / "promotion.json").read_bytes() == written
    assert promoted.counts() == counts


def test_figures_whose_last_digits_another_processor_makes_get_the_verdict_that_stands(promoted):
    written = (promoted.paths.models / "promotion.json").read_bytes()
    promoted.measure_candidate(10.0000001)
    promoted.promote()
    assert (promoted.paths.models / "promotion.json").read_bytes() == written


def test_a_champion_that_is_judged_on_other_rows_stays_without_a_new_version(promoted):
    test = promoted.paths.windows / "test.parquet"
    rows = read_rows(test, TWIN)
    write_rows(rows[rows["asset"] != rows["asset"].iat[0]], TWIN, test)
    promoted.evaluate()
    verdict = promoted.promote()
    assert verdict["promoted"]
    assert "champion already" in verdict["reasons"][0]
    assert list(promoted.versions()) == ["1"]


def test_a_former_champion_is_judged_again_against_the_present_one(promoted):
    promoted.train(2, 8)
    promoted.promote()
    promoted.train(1, 10)
    verdict = promoted.promote()
    assert not verdict["promoted"]
    assert (verdict["version"], verdict["champion"]["version"]) == ("1", "2")


def test_a_champion_of_another_cap_is_named_and_only_the_baselines_count(project):
    project.train(1, 5)
    project.promote()
    project.train(2, 15, Twin.model_validate(TWIN.model_dump() | {"rul": {"cap": 110, "remedy": REMEDY}}))
    verdict = project.promote()
    assert verdict["promoted"]
    assert verdict["champion_before"]["figures"] is None
    assert any("cannot be compared: its rul.cap is 100 and now 110" in reason for reason in verdict["reasons"])


def test_a_champion_is_not_compared_on_assets_that_it_was_trained_on(promoted):
    """Its lineage says which: of the held-out machines it knows all but six by heart."""
    champion = registry.champion(promoted.root, "pump")
    trained = [asset_digest(f"a{i}") for i in range(HELD_OUT - 6)]
    lineage = {"bundle": champion.digest, "assets": {"trained": trained, "held_out": []}}
    promoted.client.log_text(champion.run, json.dumps(lineage), "lineage.json")
    shutil.rmtree(promoted.paths.models / "champion")  # as before a champion's lineage was kept beside it
    promoted.train(2, 8)
    verdict = promoted.promote()
    left_out = [check for check in verdict["checks"] if "are left out" in check["sentence"]]
    assert [check["sentence"][:2] for check in left_out] == ["14"]
    assert verdict["slices"][0]["assets"] == 6
    kept = promoted.paths.models / "champion" / "lineage.json"
    kept.parent.mkdir(exist_ok=True)
    present = registry.champion(promoted.root, "pump")
    trained = [asset_digest(f"a{i}") for i in range(HELD_OUT - 4)]
    kept.write_text(json.dumps({"bundle": present.digest, "assets": {"trained": trained}}))
    promoted.train(3, 12)
    verdict = promoted.promote()
    assert any("it was trained on all but 4 of the held-out assets" in reason for reason in verdict["reasons"])


def test_records_of_another_bundle_are_refused(project):
    project.train(1, 10)
    metrics = (project.paths.models / "evaluation.json").read_text()
    project.train(2, 10)
    (project.paths.models / "evaluation.json").write_text(metrics)
    with pytest.raises(
        RegistryError, match=r"evaluation\.json: is of another bundle; run `dvc repro data/.*:evaluate`"
    ):
        project.promote()
    shutil.rmtree(project.paths.models / "bundle")
    (project.paths.models / "bundle").mkdir()
    save_tiny_bundle(project.paths.models / "bundle", TWIN, 3)
    with pytest.raises(RegistryError, match=r"training\.json: is of another bundle"):
        project.promote()


def test_the_stage_measures_the_champion_writes_the_verdict_and_prints_each_reason(project, capsys):
    stage = runpy.run_path(str(Path(__file__).parents[2] / "pipelines" / "promote.py"))["main"]
    (project.root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    project.train(1, 10)
    stage("pump", project.root)
    champion = Bundle.load(project.paths.models / "bundle")
    project.train(2, 9.5)
    stage("pump", project.root)

    written = (project.paths.models / "promotion.json").read_bytes()
    verdict = json.loads(written)
    rows = read_rows(project.paths.windows / "test.parquet", TWIN)
    truth = rows["rul"].to_numpy()[last_rows(rows)]
    rmse = np.sqrt(np.mean((champion.score(rows)["rul"] - truth) ** 2))
    assert verdict["champion_before"]["figures"]["rul_rmse"] == pytest.approx(rmse)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1 - len(verdict["reasons"])].startswith("promote pump: version 2 promoted; the champion is foretwin-")
    assert lines[-len(verdict["reasons"]) :] == [f"promote pump: {reason}" for reason in verdict["reasons"]]
    (project.paths.models / "promotion.json").unlink()
    stage("pump", project.root)
    assert (project.paths.models / "promotion.json").read_bytes() == written
