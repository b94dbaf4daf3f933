"""Registered versions as MLflow loads them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from foretwin import registry
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import Bundle
from foretwin.registry import tracking_store, versions
from support.registry_project import TWIN, Project
from support.tiny_bundle import random_rows

pytest_plugins = ["support.registry_project"]


def test_a_model_without_signature_is_not_registered(project, monkeypatch):
    project.train(1, 10)
    run = registry.publish_training(project.paths)
    monkeypatch.setattr(versions, "signature", lambda _: None)
    monkeypatch.setattr(versions, "_example", lambda *_: None)
    with pytest.raises(RegistryError, match="no signature"):
        registry.register(project.paths, run)
    assert project.versions() == {}


def test_the_signature_speaks_the_contract(project):
    signature = versions.signature(TWIN)
    columns = {spec.name: spec.type.name for spec in signature.inputs}
    assert columns == {"asset": "string", "run": "long", "time": "double"} | dict.fromkeys(TWIN.channels, "double")
    scores = Bundle.load(_saved(project)).score(random_rows(TWIN, {"a": 5}))
    assert [spec.name for spec in signature.outputs] == scores.columns.tolist()


LOAD = """
import importlib.util, sys
sys.path[:] = [place for place in sys.path if not place.endswith("/src")]
assert importlib.util.find_spec("foretwin") is None
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/foretwin-pump@champion")
rows = pandas.read_parquet(sys.argv[2])
model.predict(rows[rows.columns[::-1]]).to_json(sys.argv[3], orient="records", double_precision=15)
import foretwin.predictor.bundle
assert "mlartifacts" in foretwin.predictor.bundle.__file__, foretwin.predictor.bundle.__file__
"""


def test_the_champion_loads_without_foretwin_and_scores_as_the_bundle_does(promoted, tmp_path):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    rows.to_parquet(tmp_path / "rows.parquet")
    call = [sys.executable, "-I", "-W", "error::FutureWarning", "-c", LOAD, tracking_store.tracking_uri(promoted.root)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([*call, tmp_path / "rows.parquet", tmp_path / "out.json"], check=True, env=environment, cwd=tmp_path)

    got = pd.DataFrame(json.loads((tmp_path / "out.json").read_text()))
    bundle = Bundle.load(promoted.paths.models / "bundle")
    expected = bundle.score(rows)
    assert got.columns.tolist() == expected.columns.tolist()
    assert got["asset"].tolist() == ["a", "b"]
    assert got["warnings"].tolist() == expected["warnings"].tolist()
    columns = list(bundle.score_columns)
    np.testing.assert_allclose(got[columns].to_numpy(float), expected[columns].to_numpy(float), rtol=0, atol=1e-6)
    assert np.ptp(expected["rul"]) > 0.01


def test_nothing_is_pickled_and_requirements_are_pinned(promoted):
    files = [path for path in (promoted.root / "mlartifacts").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
    models = [path for path in files if path.name == "MLmodel"]
    assert len(models) == 1
    flavor = yaml.safe_load(models[0].read_text())["flavors"]["python_function"]
    assert Path(flavor["model_code_path"]).name == "pyfunc.py"
    assert "python_model" not in flavor, "that is where a pickled model would be named"
    requirements = (models[0].parent / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} == {"mlflow", *versions.REQUIREMENTS}
    example = json.loads((models[0].parent / "input_example.json").read_text())
    assert example["columns"] == ["asset", "run", "time", *TWIN.channel_names]
    assert not list((models[0].parent / "code").rglob("__pycache__"))


def test_an_altered_champion_is_not_handed_out(promoted):
    folder = registry.champion(promoted.root, "pump").folder
    (folder / "network.onnx").write_bytes(b"other")
    with pytest.raises(RegistryError, match=r"foretwin-pump version 1: .*network\.onnx"):
        registry.champion(promoted.root, "pump")


def _saved(project: Project) -> Path:
    project.train(1, 10)
    return project.paths.models / "bundle"
