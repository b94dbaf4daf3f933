"""Compose file, images, units and manifests of the living twin, as far as they can be tried without an engine."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import check_jsonschema
import click
import jsonschema
import kubernetes_validate
import pytest
import yaml

from benchmarks.render import requirements
from foretwin.errors import ForetwinError
from foretwin.operations.env_file import read_env_file
from foretwin.project.settings import SETTINGS, check_names
from foretwin.serving.packaging.libraries import REQUIREMENTS
from support.commands import check_command
from support.prometheus_server import program
from support.tiny_bundle import REPOSITORY, environment

SERVING = REPOSITORY / "serving"
COMPOSE = yaml.safe_load((SERVING / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("live", "watch", "ingest")
UNITS = sorted((SERVING / "systemd").glob("*.service"))
MANIFESTS = [
    document
    for path in sorted((SERVING / "kustomize").glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
PODS = {one["metadata"]["name"]: one["spec"]["template"] for one in MANIFESTS if one["kind"] == "Deployment"}


# compose


def schema() -> dict:
    folder = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
    return json.loads((folder / "compose-spec.json").read_text())


def test_the_compose_file_has_the_form_of_the_specification():
    jsonschema.validate(COMPOSE, schema())
    misspelt = COMPOSE | {"services": SERVICES | {"live": SERVICES["live"] | {"comand": ["live"]}}}
    with pytest.raises(jsonschema.ValidationError, match="comand"):
        jsonschema.validate(misspelt, schema())


def test_the_plant_is_whole_and_each_process_runs_a_command_that_there_is():
    assert set(SERVICES) == {"broker", "database", *OURS, "serve", "prometheus", "grafana"}
    for name in OURS:
        assert SERVICES[name]["command"][0] == name
        check_command(SERVICES[name]["command"])
    with pytest.raises(click.UsageError):
        check_command(["watch", "--memroy", "512"])


def test_what_is_mounted_is_there_and_volumes_are_declared():
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if volume["type"] == "volume":
                assert volume["source"] in COMPOSE["volumes"]
            elif "${" not in volume["source"] and volume["source"] != "./compose/mosquitto.users":
                assert (SERVING / volume["source"]).exists(), volume["source"]
                assert volume["read_only"]


def test_nothing_but_the_broker_and_the_doors_is_published_and_all_on_loopback():
    published = {name: port for name, service in SERVICES.items() for port in service.get("ports", ())}
    assert {name: port.rpartition(":")[2] for name, port in published.items()} == {
        "broker": "1883",
        "live": "3100",
        "serve": "3000",
        "grafana": "3000",
    }
    assert all(port.startswith(("127.0.0.1:", "${PLANT_BROKER_ADDRESS:-127.0.0.1}:")) for port in published.values())


def test_our_containers_have_no_rights():
    for name in (*OURS, "serve"):
        service = SERVICES[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


def test_every_setting_of_the_files_is_one():
    for name in OURS:
        check_names(SERVICES[name]["environment"])
    example = read_env_file(SERVING / "compose/foretwin.env.example")
    assert example.keys() <= SETTINGS.keys()
    commented = re.findall(r"^#(FORETWIN_\w+)=", (SERVING / "compose/foretwin.env.example").read_text(), re.MULTILINE)
    assert set(commented) <= SETTINGS.keys()
    database = read_env_file(SERVING / "compose/database.env.example")
    assert example["FORETWIN_STORE"].split("//")[1].split("@")[0] == (
        f"{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}"
    )


def test_prometheus_scrapes_each_process_by_the_rules(tmp_path):
    config = (SERVING / "compose/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(config)
    for rules in (SERVING / "prometheus").glob("*.rules.yml"):
        shutil.copy(rules, tmp_path)
    subprocess.run(
        [program("promtool"), "check", "config", tmp_path / "prometheus.yml"], check=True, capture_output=True
    )
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in yaml.safe_load(config)["scrape_configs"]}
    port = SERVICES["live"]["environment"]["FORETWIN_HEALTH_PORT"]
    assert jobs == {"foretwin": ["serve:3000"]} | {f"foretwin-{name}": [f"{name}:{port}"] for name in OURS}
    mounted = {volume["target"] for volume in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in yaml.safe_load(config)["rule_files"]} <= mounted


def test_grafana_finds_its_source_and_its_dashboards():
    (source,) = yaml.safe_load((SERVING / "grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (found,) = yaml.safe_load((SERVING / "grafana/provisioning/dashboards/foretwin.yaml").read_text())["providers"]
    mounted = {volume["target"] for volume in SERVICES["grafana"]["volumes"]}
    shown = {f"{found['options']['path']}/{path.name}" for path in (SERVING / "grafana").glob("*.json")}
    assert shown <= mounted


# the image


def test_the_image_of_the_twin_has_no_fault_that_a_linter_knows_and_is_not_root(tmp_path):
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, SERVING / "twin/Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    text = (SERVING / "twin/Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1034:1034"]
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim"] * 2
    (arguments,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    check_command(json.loads(arguments))
    (tmp_path / "Dockerfile").write_text(text.replace("USER 1034:1034", "USER root"))
    assert subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0


def test_the_image_installs_what_the_processes_import_in_the_pinned_versions(tmp_path):
    requirements.main(check=True, root=REPOSITORY)
    with pytest.raises(ForetwinError, match="make docs"):
        requirements.main(check=True, root=tmp_path)
    installed = {line.partition("==")[0] for line in (SERVING / "twin/requirements.txt").read_text().splitlines()}
    assert installed.isdisjoint({"torch", "mlflow", "dvc", "bentoml", "lightning", "optuna"})
    assert loaded_distributions(tmp_path) - {"foretwin"} <= installed
    assert {*REQUIREMENTS, *requirements.TWIN} <= installed


def loaded_distributions(folder: Path) -> set[str]:
    """Which libraries live, watch, ingest and doctor load, as far as nothing else here asks for them."""
    code = """
import sys, importlib.metadata as metadata
import foretwin.cli.main, foretwin.cli.tables, foretwin.twin.api.server, foretwin.twin.scoring.loop
import foretwin.twin.outbox.dispatcher, foretwin.twin.retention.retain, foretwin.twin.connectors.listening
import foretwin.operations.health.each_process, foretwin.operations.health.endpoints
import foretwin.operations.doctor.examination, foretwin.twin.monitoring.run, foretwin.twin.kpis.page
tops = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
of = metadata.packages_distributions()
of["google"] = ["protobuf"]  # a namespace, of which other libraries have parts that nobody imports
print(*{name.lower().replace("_", "-") for top in tops for name in of.get(top, ())})
"""
    env = environment(folder)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    # taken by others where they are installed; setuptools by Python itself, from a .pth file
    optional = {"cloudpickle", "watchfiles", "a2wsgi", "python-multipart", "setuptools", "pytz"}
    return set(done.stdout.split()) - optional


# systemd


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_that_there_is_with_settings_that_are_some(unit):
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(unit)
    service = parser["Service"]
    installed, *arguments = shlex.split(service["ExecStart"])
    assert (installed, arguments[0]) == ("/srv/foretwin/.venv/bin/foretwin", unit.stem.removeprefix("foretwin-"))
    check_command(arguments)
    settings = dict(pair.split("=", 1) for pair in service["Environment"].split())
    check_names(settings)
    assert (service["Restart"], service["UMask"], service["User"]) == ("always", "0077", "foretwin")


def test_each_unit_has_a_port_of_its_own_which_prometheus_scrapes():
    ports = {
        f"foretwin-{unit.stem.removeprefix('foretwin-')}": re.search(r"HEALTH_PORT=(\d+)", unit.read_text()).group(1)
        for unit in UNITS
    }
    jobs = yaml.safe_load((SERVING / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    scraped = {job["job_name"]: job["static_configs"][0]["targets"][0].split(":")[1] for job in jobs}
    assert scraped == ports | {"foretwin": "3000"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_reads_the_units(tmp_path):
    for unit in UNITS:
        text = unit.read_text().replace("/srv/foretwin/.venv/bin/foretwin", sys.executable)
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "foretwin-" in line] == []


# Kubernetes


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_each_object_is_valid(version):
    for one in MANIFESTS:
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(MANIFESTS[0] | {"spce": {}}, version, strict=True)


def test_the_base_names_each_file_and_our_image():
    base = yaml.safe_load((SERVING / "kustomize/kustomization.yaml").read_text())
    files = {path.name for path in (SERVING / "kustomize").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(base["resources"]) == files
    (image,) = base["images"]
    assert {pod["spec"]["containers"][0]["image"] for pod in PODS.values()} == {image["name"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kustomize_builds_the_base():
    command = ["kubectl", "kustomize", str(SERVING / "kustomize")]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(list(yaml.safe_load_all(built))) == len(MANIFESTS)
    assert "registry.example.com/foretwin-twin:latest" in built


@pytest.mark.parametrize("name", OURS)
def test_a_pod_runs_what_compose_runs_and_is_probed_where_it_tells(name):
    pod = PODS[f"foretwin-{name}"]
    (container,) = pod["spec"]["containers"]
    assert container["args"] == SERVICES[name]["command"]
    env = {one["name"]: one["value"] for one in container["env"]}
    check_names(env)
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports["health"] == env["FORETWIN_HEALTH_PORT"] == pod["metadata"]["annotations"]["prometheus.io/port"]
    probes = {key: container[key]["httpGet"] for key in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {key: (one["path"], one["port"]) for key, one in probes.items()} == {
        "startupProbe": ("/livez", "health"),
        "readinessProbe": ("/readyz", "health"),
        "livenessProbe": ("/livez", "health"),
    }
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
