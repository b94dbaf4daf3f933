"""No skew: what the service answers over HTTP is what the training code's networks say of the same rows."""

import numpy as np
import pytest
import torch

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import Histories, last_rows
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.project.paths import Paths
from foretwin.training.ensemble import out_of_fold_faults, save_ensemble, train_members
from support.served import served
from support.small_fleet import TRAIN, fleet_rows, fleet_twin, prepared
from support.small_network import choice_of
from support.tiny_bundle import call_of, tiny_project


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Members as training left them, a project whose champion they are, and held-out rows."""
    root = tmp_path_factory.mktemp("parity")
    twin = fleet_twin()
    development = prepared(root / "windows", twin, fleet_rows(twin))
    members = list(train_members(development, twin, choice_of(), TRAIN, root / "work"))
    (root / "bundle").mkdir()
    record = save_ensemble(members, development, twin, TRAIN, root / "bundle")
    tiny_project(root)
    identity = ModelIdentity("foretwin-fleet", "1", "run", record["bundle"])
    keep_champion(Paths(root, "fleet"), root / "bundle", identity)
    return root, twin, members, read_rows(root / "windows" / "test.parquet", twin)


def test_served_scores_equal_the_training_networks(trained):
    root, twin, members, rows = trained
    windows = Histories.from_rows(rows, twin).cut(last_rows(rows), twin.window.length)
    inputs = [torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age)]
    with torch.inference_mode():
        outputs = [member.network(*inputs) for member in members]
    rul = twin.rul.cap * torch.stack([out.rul for out in outputs]).mean(0).numpy()
    mean = torch.stack([out.logits[0].softmax(1) for out in outputs]).mean(0).numpy()
    mode = FaultCalibration.fit(*out_of_fold_faults(members, "mode"), TRAIN.confidence).apply(mean)

    with served(root) as running:
        response = running.client.post("/v1/score", json=call_of(twin, rows))

    scores = response.json()["scores"]
    assert [score["asset"] for score in scores] == rows["asset"].iloc[last_rows(rows)].tolist()
    got = np.array([[score["faults"]["mode"][name] for name in twin.classes("mode")] for score in scores])
    # Probabilities, not RUL alone: a clamped RUL can agree by accident.
    np.testing.assert_allclose(got, mode, rtol=0, atol=1e-5)
    assert np.ptp(got[:, 0]) > 0.01, "the assets must differ, or agreement proves nothing"
    answered = np.array([score["rul"]["value"] for score in scores])
    inside = (rul > 0) & (rul < twin.rul.cap)
    assert inside.any()
    np.testing.assert_allclose(answered[inside] / twin.rul.cap, rul[inside] / twin.rul.cap, rtol=0, atol=1e-5)
