"""Dashboard, alerts and their page against a real Prometheus that scrapes the real service."""

import json
import re
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from foretwin.champion.champion import ChampionRecord, keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.project.paths import Paths
from foretwin.serving.scoring.metrics import FAMILIES, FIELDS
from foretwin.twin.simulator.processes import wait_for
from support.grafana import lost_by_grafana
from support.prometheus_server import program, prometheus
from support.served import served
from support.tiny_bundle import REPOSITORY, call_of, random_rows, tiny_project, tiny_twin

RULES = REPOSITORY / "serving" / "prometheus" / "foretwin.rules.yml"
CONFIG = REPOSITORY / "serving" / "prometheus" / "prometheus.yml"
DASHBOARD = json.loads((REPOSITORY / "serving" / "grafana" / "foretwin.json").read_text())
PAGE = (REPOSITORY / "docs" / "watching.md").read_text()

PUMP, FAN = tiny_twin("pump"), tiny_twin("fan", rul=False)
VARIABLES = {"$__rate_interval": "15s", "$__range": "1m", "$twin": ".*"}

ALERTS = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}
EXPRESSIONS = [(p["title"], target["expr"]) for p in DASHBOARD["panels"] for target in p["targets"]]
NAMED = re.compile(r"\b(?:foretwin|process)_[a-z_]+")


def calls(client):
    """A little of everything that an operator would see."""
    pumps = {"P-1": 8, "P-2": 3}
    good = random_rows(PUMP, pumps)
    strange = good.assign(speed=900.0)
    for rows in (good, strange):
        assert client.post("/v1/score", json=call_of(PUMP, rows)).status_code == 200
    assert client.post("/v1/score", json=call_of(FAN, random_rows(FAN, {"F-1": 8}))).status_code == 200
    short = call_of(PUMP, good)
    short["assets"][0]["channels"].pop("c1")
    assert client.post("/v1/score", json=short).status_code == 422
    assert client.post("/v1/score", json={"twin": "nobody", "assets": []}).status_code in (404, 422)
    assert client.get("/nowhere").status_code == 404


def promote(project, client):
    """Version 4 is taken in the place of version 3; then its files are damaged, so that they are refused."""
    paths = Paths(project, "pump")
    identity = replace(ModelIdentity.read(paths.models / "champion" / "identity.json"), version="4")
    promoted = ChampionRecord(promoted_at=datetime.now(UTC) - timedelta(days=2))
    keep_champion(paths, project / "trained" / "pump", identity, promoted)
    wait_for(lambda: client.get("/readyz").json()["champions"]["pump"] == "4", "swap")
    network = paths.models / "champion" / "bundle" / "network.onnx"
    network.unlink()
    network.write_bytes(b"damaged")


def faster() -> str:
    """The rules with minutes as seconds, and what takes longer cut short; a refused swap is told as long as ever."""
    text = re.sub(r"\[(5|30)m\]", r"[\1s]", RULES.read_text())
    return re.sub(r"for: (30m|1h)", "for: 5s", re.sub(r"for: (2|5|10)m", r"for: \1s", text))


def slow_call(client) -> None:
    """A call whose body takes its time."""

    def body():
        content = json.dumps(call_of(PUMP, random_rows(PUMP, {"P-1": 8}))).encode()
        yield content[:10]
        time.sleep(0.7)
        yield content[10:]

    headers = {"Content-Type": "application/json"}
    assert client.post("/v1/score", content=body(), headers=headers).status_code == 200


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A service without any champion."""
    project = tmp_path_factory.mktemp("empty")
    tiny_project(project)
    with served(project, ready=False) as service:
        yield service


@pytest.fixture(scope="module")
def watched(tmp_path_factory, empty):
    """(client of the service, Prometheus that has watched it and the empty one for a while)."""
    project = tmp_path_factory.mktemp("project")
    tiny_project(project, PUMP, FAN)
    fan = Paths(project, "fan")
    identity = ModelIdentity.read(fan.models / "champion" / "identity.json")
    old = ChampionRecord(promoted_at=datetime.now(UTC) - timedelta(days=100))
    keep_champion(fan, project / "trained" / "fan", identity, old)
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / RULES.name).write_text(faster())
    with served(project) as service:
        both = '", "'.join(f"127.0.0.1:{one.client.base_url.port}" for one in (service, empty))
        config = CONFIG.read_text().replace("127.0.0.1:3000", both).replace("15s", "1s")
        (folder / "prometheus.yml").write_text(config)
        with prometheus(folder / "prometheus.yml") as server:
            wait_for(lambda: server.ask("foretwin_requests_total"), "first scrape")
            promote(project, service.client)
            wait_for(
                lambda: calls(service.client) or server.ask('foretwin_swaps_total{result="refused", twin="pump"} > 0'),
                "refused champion",
            )
            end = time.monotonic() + 4
            while time.monotonic() < end:
                calls(service.client)
                time.sleep(0.2)
            yield service.client, server


def asked(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda one: one[0])
def test_every_panel_shows_something(watched, expression):
    found = watched[1].ask(asked(expression[1]))
    assert found, expression
    assert any(series["value"][1] not in ("NaN", "+Inf") for series in found)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_can_be_computed(watched, alert):
    expression = ALERTS[alert]
    if alert == "ForetwinDown":
        assert watched[1].ask('up{job="foretwin"} == 1')
        assert watched[1].ask(expression) == []
        return
    if alert == "ForetwinErrors":  # the part that is there without any error
        expression = expression.replace('{status=~"5.."}', '{status=~"2.."}')
    measured = expression.rpartition(" > ")[0] if alert != "ForetwinSwapRefused" else expression
    assert watched[1].ask(measured), measured
    wait_for(lambda: rule_of(watched[1], alert)["health"] == "ok", f"evaluation of {alert}")


def rule_of(server, alert):
    (group,) = server.get("rules")["groups"]
    return next(rule for rule in group["rules"] if rule["name"] == alert)


def test_a_refused_champion_raises_the_alarm(watched):
    wait_for(lambda: rule_of(watched[1], "ForetwinSwapRefused")["state"] == "firing", "alarm")
    (alarm,) = rule_of(watched[1], "ForetwinSwapRefused")["alerts"]
    assert alarm["annotations"]["summary"].startswith("A new champion of pump was not taken")


def test_each_alarm_fires_for_real_services_and_that_of_a_dead_one_not_before(watched, empty):
    client, server = watched

    def go_wrong() -> None:
        calls(client)  # half of the windows show what no machine in training did
        slow_call(client)
        assert empty.client.get("/readyz").status_code == 503

    def firing() -> set[str]:
        return {alert for alert in ALERTS if rule_of(server, alert)["state"] == "firing"}

    others = set(ALERTS) - {"ForetwinDown"}
    wait_for(lambda: go_wrong() or firing() == others, "all alarms but one", 120)
    empty.process.kill()
    wait_for(lambda: "ForetwinDown" in firing(), "the alarm of the dead service", 60)


def test_what_the_service_counts_is_what_was_called(watched):
    client, server = watched
    body = client.get("/metrics").text
    for line in (
        'foretwin_refusals_total{field="assets.channels",route="/v1/score",status="422"}',
        'foretwin_requests_total{method="GET",route="unknown",status="404"}',
        'foretwin_out_of_training_range_total{channel="speed",twin="pump"}',
    ):
        (found,) = [float(one.rpartition(" ")[2]) for one in body.splitlines() if one.startswith(line)]
        assert found > 0
    assert "foretwin_requests_in_flight 1.0" in body, "the call that asks is under way itself"
    (info,) = server.ask('foretwin_model_info{twin="pump"}')
    assert info["metric"]["version"] == client.get("/readyz").json()["champions"]["pump"]


def test_every_metric_that_is_named_is_exposed(watched):
    exposed = set(re.findall(r"^([a-z_]+)", watched[0].get("/metrics").text, re.MULTILINE))
    for source in ([expression for _, expression in EXPRESSIONS], ALERTS.values()):
        named = {name for expression in source for name in NAMED.findall(expression)}
        assert named
        assert named <= exposed


def test_the_dashboard_offers_the_twins_that_are_served(watched):
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["name"] == "twin"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
    assert watched[1].get(f"label/{label}/values", **{"match[]": metric}) == ["fan", "pump"]


def test_the_dashboard_is_one_that_grafana_can_read():
    assert list(lost_by_grafana(DASHBOARD)) == []


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"]
        assert panel["description"]
        at = panel["gridPos"]
        covered = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not covered & cells, panel["title"]
        assert max(x for x, _ in covered) < 24
        cells |= covered


def test_promtool_takes_configuration_and_rules():
    for what, path in (("config", CONFIG), ("rules", RULES)):
        subprocess.run([program("promtool"), "check", what, str(path)], check=True, capture_output=True)


SERIES = {  # alert -> series that raise it, from where on, and series that do not
    "ForetwinDown": ({'up{job="foretwin"}': "0x20"}, {'up{job="foretwin"}': "1x20"}),
    "ForetwinErrors": (
        {'foretwin_requests_total{status="200"}': "0+97x20", 'foretwin_requests_total{status="500"}': "0+3x20"},
        {'foretwin_requests_total{status="200"}': "0+997x20", 'foretwin_requests_total{status="422"}': "0+300x20"},
    ),
    "ForetwinSlow": (
        {
            f'foretwin_request_seconds_bucket{{route="/v1/score",le="{le}"}}': f"0+{n}x30"
            for le, n in (("0.5", 90), ("1.0", 100), ("+Inf", 100))
        },
        {
            f'foretwin_request_seconds_bucket{{route="/v1/score",le="{le}"}}': f"0+{n}x30"
            for le, n in (("0.1", 100), ("1.0", 100), ("+Inf", 100))
        },
    ),
    "ForetwinSwapRefused": (
        {'foretwin_swaps_total{twin="pump",result="refused"}': "1x20"},
        {
            'foretwin_swaps_total{twin="pump",result="refused"}': "0x20",
            'foretwin_swaps_total{twin="pump",result="swapped"}': "0+1x20",
        },
    ),
    "ForetwinModelOld": (
        {'foretwin_model_age_seconds{twin="pump"}': "7800000+60x90"},
        {'foretwin_model_age_seconds{twin="pump"}': "7700000+60x90"},
    ),
    "ForetwinOutOfRange": (
        {
            'foretwin_windows_total{twin="pump"}': "0+100x90",
            'foretwin_out_of_training_range_total{twin="pump",channel="flow"}': "0+30x90",
        },
        {
            'foretwin_windows_total{twin="pump"}': "0+100x90",
            'foretwin_out_of_training_range_total{twin="pump",channel="flow"}': "0+10x90",
        },
    ),
}
MINUTES = {"ForetwinDown": 3, "ForetwinErrors": 12, "ForetwinSlow": 20, "ForetwinSwapRefused": 2}


def test_alerts_fire_when_they_should_and_only_then(tmp_path):
    assert SERIES.keys() == ALERTS.keys()
    tests = []
    for alert, cases in SERIES.items():
        for fires, series in zip((True, False), cases, strict=True):
            given = [{"series": name, "values": values} for name, values in series.items()]
            minutes = MINUTES.get(alert, 80)
            count = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
            wanted = [{"labels": "{}", "value": 1}] if fires else []
            asked = [{"expr": count, "eval_time": f"{minutes}m", "exp_samples": wanted}]
            tests.append(
                {"name": f"{alert} {fires}", "interval": "1m", "input_series": given, "promql_expr_test": asked}
            )
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_lists_the_metrics_as_the_code_has_them():
    rows = re.findall(r"^\| `(foretwin_\w+)` \| (.+?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (name, about, ", ".join(f"`{label}`" for label in labels)) for name, (about, labels) in FAMILIES.items()
    ]


def test_the_page_lists_the_alerts_and_the_fields_as_they_are():
    assert re.findall(r"^\| `(Foretwin\w+)` \|", PAGE, re.MULTILINE) == list(ALERTS)
    (listed,) = re.findall(r"<!-- fields -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert set(re.findall(r"`([\w.-]+)`", listed)) == FIELDS | {"other"}
