"""The overlay for several workers, as far as it can be tried without a cluster: what it builds, by what it scales."""

import json
import re
import shlex
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from foretwin.operations.health.families import FAMILIES
from support.commands import check_command
from support.prometheus_server import program
from support.tiny_bundle import REPOSITORY

FOLDER = REPOSITORY / "serving" / "kustomize-workers"
SCALER, BUDGET = yaml.safe_load_all((FOLDER / "scaling.yaml").read_text())
(RULE,) = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["externalRules"]
(METRIC,) = SCALER["spec"]["metrics"]
PAGES = [FOLDER / "kustomization.yaml", REPOSITORY / "docs" / "operations.md"]


@pytest.fixture(scope="module")
def built():
    """(kind, name) -> object, of the base and of the overlay."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    return [objects(folder) for folder in (FOLDER.with_name("kustomize"), FOLDER)]


def objects(folder):
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}


def test_the_overlay_changes_how_many_watch_and_nothing_else(built):
    base, several = built
    assert several.keys() - base.keys() == {(one["kind"], one["metadata"]["name"]) for one in (SCALER, BUDGET)}
    changed = [key for key, one in base.items() if several[key] != one]
    assert changed == [("Deployment", "foretwin-watch")], "one `ingest` at a time: its session is its own"
    before, after = (one["Deployment", "foretwin-watch"]["spec"] for one in built)
    assert (before["replicas"], before["strategy"]["type"]) == (1, "Recreate")
    assert "replicas" not in after, "else each `kubectl apply` would undo what the autoscaler did"
    assert after["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    pod = after["template"]["spec"]
    assert {key: one for key, one in pod.items() if key != "topologySpreadConstraints"} == before["template"]["spec"]


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_each_object_is_valid(built, version):
    for one in (SCALER, BUDGET, *built[1].values()):
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(SCALER | {"spec": SCALER["spec"] | {"maxReplica": 9}}, version, strict=True)


def test_what_is_scaled_and_kept_running_are_the_pods_of_watch(built):
    watch = built[1]["Deployment", "foretwin-watch"]
    target = {key: watch[key] for key in ("apiVersion", "kind")} | {"name": watch["metadata"]["name"]}
    assert SCALER["spec"]["scaleTargetRef"] == target
    pods = watch["spec"]["selector"]
    assert BUDGET["spec"]["selector"] == pods
    (spread,) = watch["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"] == pods
    assert BUDGET["spec"]["maxUnavailable"] < SCALER["spec"]["minReplicas"], "one goes on while another is moved"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_there_are_as_many_partitions_as_there_may_be_workers(page):
    (command,) = re.findall(r"kubectl exec deployment/foretwin-watch -- (foretwin rebalance \d+)", page.read_text())
    _, *words = shlex.split(command)
    check_command(words)
    assert int(words[-1]) == SCALER["spec"]["maxReplicas"]


def test_the_one_signal_is_a_metric_that_the_processes_tell_and_the_alert_comes_after_it():
    name = METRIC["external"]["metric"]["name"]
    assert METRIC["type"] == "External"
    assert RULE["seriesQuery"].startswith(f"{name}{{")
    assert FAMILIES[name][2] == ("live", "watch", "ingest")
    alerts = (REPOSITORY / "serving/prometheus/foretwin-twin.rules.yml").read_text()
    (limit,) = re.findall(rf"\({name}\) > (\d+)", alerts)
    assert METRIC["external"]["target"] == {"type": "Value", "value": "60"}
    assert int(METRIC["external"]["target"]["value"]) < int(limit)


def test_the_adapter_gives_the_oldest_age_once_whoever_tells_it(tmp_path):
    """The autoscaler adds up the series that it gets, and three processes tell the age of each twin."""
    series = METRIC["external"]["metric"]["name"]
    told = [("live", "pump", 40), ("watch", "pump", 41), ("ingest", "pump", 40), ("live", "fan", 7)]
    given = [
        {"series": f'{series}{{namespace="plant", job="{job}", twin="{twin}"}}', "values": f"{age}x3"}
        for job, twin, age in told
    ]
    given.append({"series": f'{series}{{namespace="other", job="live", twin="pump"}}', "values": "900x3"})
    query = RULE["metricsQuery"].replace("<<.Series>>", series).replace("<<.LabelMatchers>>", 'namespace="plant"')
    asked = [
        {"expr": query, "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 41}]},
        {"expr": f"count({RULE['seriesQuery']})", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 5}]},
    ]
    tests = [{"name": "age", "interval": "1m", "input_series": given, "promql_expr_test": asked}]
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": tests}))
    command = [program("promtool"), "test", "rules", str(tmp_path / "tests.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
