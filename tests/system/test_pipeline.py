"""The whole product as its users meet it: a clone, the README's commands, real DVC, MLflow and BentoML on loopback."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pandas as pd
import pytest
import yaml

from support.clone import BIN, ROOT, own_machine, run

README = (ROOT / "README.md").read_text()
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session")
def project(built, tmp_path_factory):
    """A copy of the built clone that all these tests work on."""
    folder = tmp_path_factory.mktemp("pipeline") / "clone"
    shutil.copytree(built, folder, symlinks=True)
    run("dvc repro", folder)  # DVC looks at each file anew where a project was copied
    return folder


@contextmanager
def serving(project):
    """The base address of the service on a free loopback port, started by the README's own means."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BENTOML")}
    log = (project / "service.log").open("w")
    command = [str(BIN / "foretwin"), "serve", "--open", "--port", str(port)]
    process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        assert process.poll() is None, (project / "service.log").read_text()[-2000:]
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=1)
            break
        except OSError:
            time.sleep(0.25)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def served(project):
    """The service of the default twin."""
    with serving(project) as address:
        yield address


def post(address, call):
    """The answer to a scoring call."""
    body = json.dumps(call).encode()
    request = urllib.request.Request(f"{address}/v1/score", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def metrics_of(project, twin):
    return json.loads((project / "models" / twin / "evaluation.json").read_text())


def test_the_default_twin_beats_the_constant_and_the_linear_baseline_and_becomes_champion(project):
    metrics = metrics_of(project, "pump")
    rivals = metrics["baselines"] | metrics.get("candidates", {})
    for name in ("constant", "linear"):
        assert metrics["network"]["rul"]["clipped"]["rmse"] < rivals[name]["rul"]["clipped"]["rmse"]
        assert metrics["network"]["fault"]["mode"]["macro_f1"] > rivals[name]["fault"]["mode"]["macro_f1"]
    assert 0.8 < metrics["network"]["rul"]["interval"]["coverage"] < 0.99
    promotion = json.loads((project / "models/pump/promotion.json").read_text())
    assert promotion["promoted"]
    assert "foretwin" in run("BENTOML_HOME=.bentoml bentoml list", project)


def test_the_summary_shows_network_baselines_champion_and_what_to_try_next(project):
    shown = run("foretwin summary", project)
    for word in ("network", "random fourier", "linear", "champion", "report.html", "foretwin serve --open"):
        assert word in shown


def test_dvc_shows_metrics_plots_and_changed_parameters(project):
    assert "network.rul.clipped.rmse" in run("dvc metrics show --md", project)
    assert "index.html" in run("dvc plots show", project)
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("cuts: 10", "cuts: 11"))
    assert "prepare.cuts" in run("dvc params diff", project)
    run("git checkout params.yaml", project)


def test_mlflow_shows_the_runs_the_trials_and_the_champion_with_its_signature(project):
    code = """
import mlflow
client = mlflow.MlflowClient("sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("foretwin-pump")
runs = client.search_runs([experiment.experiment_id], max_results=500)
trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
version = client.get_model_version_by_alias("foretwin-pump", "champion")
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/foretwin-pump@champion")
print(len(trials), len(runs) - len(trials), version.version, model.metadata.signature is not None)
"""
    trials, others, version, signed = run(f"python -W ignore -c '{code}'", project).split("\n")[-2].split()
    assert int(trials) == yaml.safe_load((project / "params.yaml").read_text())["tune"]["trials"]
    assert int(others) == 1, "one run per training, with its trials inside"
    assert version == "1"
    assert signed == "True"


def python_example():
    """The README's Python example, as it stands there."""
    return next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "urlopen" in code)


def test_the_readme_s_python_and_curl_examples_return_finite_scores(project, served):
    (project / "example.py").write_text(python_example().replace("http://127.0.0.1:3000", served))
    answer = json.loads(run("python example.py", project))
    (score,) = answer["scores"]
    assert answer["model"]["name"] == "foretwin-pump"
    assert score["rul"]["low"] <= score["rul"]["value"] <= score["rul"]["high"]
    assert sum(score["faults"]["mode"].values()) == pytest.approx(1, abs=1e-5)
    (command,) = re.findall(r"^curl .*@call.json.*$", README, re.MULTILINE)
    again = json.loads(run(command.replace("http://127.0.0.1:3000", served), project))
    assert again["scores"] == answer["scores"]


def test_the_service_scores_as_the_batch_command_does(project, served):
    run("foretwin score data/pump/windows/test.parquet --twin pump --out scores.parquet", project)
    batch = pd.read_parquet(project / "scores.parquet").set_index("asset")
    call = json.loads((project / "call.json").read_text())
    (score,) = post(served, call)["scores"]
    assert score["rul"]["value"] == pytest.approx(batch.loc[score["asset"], "rul"], abs=1e-5)
    assert len(batch) == metrics_of(project, "pump")["cuts"]


@pytest.mark.parametrize(
    ("spoil", "status", "field"),
    [
        (lambda call: call["assets"][0]["channels"].pop("flow"), 422, "assets[0].channels.flow"),
        (lambda call: call["assets"][0]["channels"]["flow"].__setitem__(3, "high"), 422, "assets[0].channels.flow[3]"),
        (lambda call: call["assets"][0]["channels"]["flow"].__setitem__(3, float("nan")), 422, "flow[3]"),
        (lambda call: call["assets"][0]["channels"].update(colour=[1.0] * 60), 422, "assets[0].channels.colour"),
        (lambda call: call.update(twin="submarine"), 404, "twin"),
    ],
    ids=["missing channel", "text", "NaN", "unknown channel", "unknown twin"],
)
def test_bad_calls_are_refused_with_the_field(project, served, spoil, status, field):
    call = json.loads((project / "call.json").read_text())
    spoil(call)
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(served, call)
    assert refused.value.code == status
    assert refused.value.headers["Content-Type"] == "application/problem+json"
    assert field in json.load(refused.value)["field"]


def test_an_experiment_runs_with_other_parameters(project):
    run("dvc exp run -S train.windows=3456 -S 'train.candidates=[network]' data/pump/dvc.yaml:train", project)
    assert yaml.safe_load((project / "params.yaml").read_text())["train"]["windows"] == 3456
    assert "3456" in run("dvc exp show --no-pager --md", project)
    run("git checkout -q . && dvc checkout -q", project)


def test_a_changed_file_is_noticed_and_broken_data_stops_the_pipeline_with_the_rule(project, tmp_path):
    source = own_machine(tmp_path / "press.csv")
    before = (project / "data/pump/dvc.lock").read_text()
    run(f"foretwin new press {source} && foretwin add press", project)
    run("dvc repro data/press/dvc.yaml:validate", project)
    assert (project / "data/pump/dvc.lock").read_text() == before, "the other twins' records stay as they are"
    table = pd.read_csv(source)
    table.loc[3, "hour"] = 1
    table.to_csv(source, index=False)
    shown = run("dvc repro data/press/dvc.yaml:validate", project, code=255)
    assert "time" in shown
    assert "press-00" in shown
    assert "Traceback" not in shown
