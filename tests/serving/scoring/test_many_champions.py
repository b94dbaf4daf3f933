"""Sixty twins in a service that has memory for a few: every one is answered by its own network."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper, numpy_helper

from foretwin.champion.identity import ModelIdentity
from foretwin.champion.loaded import MEBIBYTE, PER_NETWORK_BYTE, PER_SESSION
from foretwin.predictor.bundle import save_bundle
from foretwin.predictor.rul_intervals import RulIntervals
from support.served import served
from support.tiny_bundle import call_of, random_rows, tiny_network, tiny_reference, tiny_twin

TWINS, WEIGHTS, BOUND = 60, 400_000, 24  # BOUND: MiB
HEALTHY = dict.fromkeys(("speed", "c1", "c2"), 0.0)


def heavy_network(twin, bias: float) -> bytes:
    """The tiny network's RUL, with a megabyte and a half of weights on the way that add nothing to it."""
    model = onnx.load_from_string(tiny_network(twin, bias=bias))
    weights = np.zeros((len(twin.channels), WEIGHTS // len(twin.channels)), np.float32)
    weights[:, 0] = 1e-30  # not all alike, else they would be folded
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    (spent,) = (node for node in model.graph.node if "rul" in node.output)
    spent.output[0] = "rul_alone"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "over"))
    model.graph.node.append(helper.make_node("MatMul", ["mean", "weights"], ["products"]))
    model.graph.node.append(helper.make_node("ReduceSum", ["products", "over"], ["nothing"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["rul_alone", "nothing"], ["rul"]))
    return model.SerializeToString()


def keep_heavy(root: Path, number: int) -> None:
    """The champion of one twin, whose RUL for zeros is that much more than 20."""
    twin = tiny_twin(f"twin-{number:02d}", faults=False)
    bundle = root / "models" / twin.name / "champion" / "bundle"
    bundle.mkdir(parents=True)
    reference = tiny_reference(twin)
    intervals = RulIntervals(0.9, (0.0, 100.0), (1.0, 5.0), (2.0, 6.0), None)
    digest = save_bundle(bundle, twin, heavy_network(twin, 20.0 + number), intervals, reference, {})
    identity = ModelIdentity(f"foretwin-{twin.name}", "1", "run", digest)
    (bundle.parent / "identity.json").write_text(json.dumps(asdict(identity)))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plant")
    for number in range(TWINS):
        keep_heavy(folder, number)
    return folder


def gauge(client, name: str) -> float:
    return float(re.search(rf"^{name} (\S+)$", client.get("/metrics").text, re.MULTILINE)[1])


def test_memory_stays_within_the_bound_and_each_twin_is_answered_by_its_own_network(root):
    calls = {}
    for number in range(TWINS):
        twin = tiny_twin(f"twin-{number:02d}", faults=False)
        rows = random_rows(twin, {"M-1": 2})
        calls[twin.name] = call_of(twin, rows.assign(**HEALTHY))
    one = PER_SESSION + PER_NETWORK_BYTE * 4 * WEIGHTS
    few = int(BOUND * MEBIBYTE / one)
    with served(root, FORETWIN_CHAMPION_MEMORY=str(BOUND)) as service:
        memory, answers = psutil.Process(service.process.pid).memory_info, []
        before = memory().rss
        assert gauge(service.client, "foretwin_champions_loaded") == few
        for _ in range(2):
            for name, call in calls.items():
                answer = service.client.post("/v1/score", json=call).raise_for_status().json()
                assert answer["model"]["name"] == f"foretwin-{name}"
                answers.append(answer["scores"][0]["rul"]["value"])
        assert len(service.client.get("/readyz").json()["champions"]) == TWINS
        assert len(service.client.get("/v1/models").json()["models"]) == TWINS
        assert gauge(service.client, "foretwin_champions_loaded") <= few
        assert gauge(service.client, "foretwin_champion_loads_total") > TWINS
        grown = memory().rss - before
    assert grown < TWINS * one / 3, f"{grown / MEBIBYTE:.0f} MiB more"
    assert np.diff(answers[:TWINS]).tolist() == pytest.approx([1.0] * (TWINS - 1), abs=1e-4)
    assert answers[:TWINS] == answers[TWINS:]
