"""The ablation changes one thing at a time, and judges it on development folds."""

import json
from pathlib import Path

from benchmarks.accuracy import ablation
from support.small_fleet import fleet_rows, fleet_twin, project
from support.small_network import BUDGET, choice_of

TWIN = fleet_twin(length=40)


def test_each_variant_differs_from_the_choice_in_one_thing() -> None:
    choice = choice_of(chance=0.1)
    changed = ablation.variants(TWIN, choice, BUDGET)
    assert changed.pop("as chosen") == (TWIN, choice, BUDGET)
    names = {"window of 30 rows instead of 40", "without the age", "one scaling for all regimes", "without jitter"}
    names |= {"without dropout", "twice the training", "batches of 512", "trunk: gru", "trunk: attention"}
    assert names <= changed.keys()
    for name, parts in changed.items():
        assert sum(part != own for part, own in zip(parts, (TWIN, choice, BUDGET), strict=True)) == 1, name
    assert changed["without the age"][0].clock.counts_from_start is False
    assert "window of 40 rows instead of 40" not in changed


def test_the_file_says_what_each_change_does_and_keeps_other_twins(tmp_path: Path) -> None:
    twin = fleet_twin(regimes=False, aged=False, whole=True)
    paths = project(tmp_path, twin, fleet_rows(twin))
    (paths.models / "tuning.json").write_text(json.dumps({"best": choice_of().model_dump()}))
    report = tmp_path / "reports" / "ablation.json"
    report.parent.mkdir()
    report.write_text(json.dumps({"press": {"as chosen": {"rmse": 1.0}}}))
    ablation.main([twin.name], tmp_path)
    content = json.loads(report.read_text())
    assert content["press"] == {"as chosen": {"rmse": 1.0}}
    found = content["fleet"]
    assert found["as chosen"].keys() == {"rmse", "mode", "bearing", "seconds"}
    assert not any("window" in name or "age" in name or "regimes" in name for name in found), "it has none of these"
    assert len({one["rmse"] for one in found.values()}) > len(found) / 2, "changes must change something"
