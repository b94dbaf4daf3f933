"""The life of a model, once around, as `benchmarks/model_life/circle.py` drives it in a clone with real parts.

In small: half of the fleets and budgets of `make circle`, whose figures docs/model-life.md shows. Of so little, a
network learns no more than ridge regression does, which this gate therefore does not ask it to beat.
"""

import json
import shutil

import pytest

from foretwin.champion.ledger import read
from support.clone import run

pytestmark = pytest.mark.timeout(900)
MOVED, TRAINED = "moved sensors", "as trained"
BEATEN = "must_beat: [constant, linear]"


@pytest.fixture(scope="module")
def circled(built, tmp_path_factory):
    """A built clone after the circle, and what was measured on the way."""
    folder = tmp_path_factory.mktemp("circle") / "clone"
    shutil.copytree(built, folder, symlinks=True)
    params = (folder / "params.yaml").read_text()
    assert BEATEN in params
    (folder / "params.yaml").write_text(params.replace(BEATEN, "must_beat: [constant]"))
    run("python -m benchmarks.model_life.circle --pumps 30", folder)
    return folder, json.loads((folder / "reports" / "circle.json").read_text())


def test_the_monitor_opens_the_drift_case_and_names_a_moved_sensor(circled):
    _, report = circled
    moved = ("thrust_temperature", "radial_temperature", "oil_temperature", "vibration")
    assert any(name in sentence for sentence in report["drift"]["limits_broken"] for name in moved)


def test_the_error_on_the_shifted_fleet_falls_and_on_the_old_one_it_does_not_rise_by_much(circled):
    _, report = circled
    before, after = report["error"]["before"], report["error"]["after"]
    assert after[MOVED]["rmse"] < 0.85 * before[MOVED]["rmse"]
    assert after[TRAINED]["rmse"] < 1.05 * before[TRAINED]["rmse"]


def test_the_gate_promoted_because_the_candidate_is_better(circled):
    _, report = circled
    assert report["gate"]["promoted"]
    assert all(check["passed"] for check in report["gate"]["checks"])


def test_roll_back_restores_the_former_champion_and_its_answers(circled):
    folder, report = circled
    first, second, third = report["versions"]
    assert report["restored"]
    assert first == third != second
    assert report["error"]["rolled back"] == report["error"]["before"]
    shipped, *since = [entry.action for entry in read(folder / "models/pump/ledger.jsonl")]
    assert shipped == "promoted"
    assert since == [
        "promoted",
        "promoted",
        "rolled_back",
    ]


def test_it_takes_less_than_ten_minutes(circled):
    _, report = circled
    assert report["seconds"]["all"] < 600
