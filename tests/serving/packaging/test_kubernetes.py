"""The Kubernetes manifest: its schema, and that it speaks of the service that there is."""

import asyncio
import re

import httpx
import kubernetes_validate
import pytest
import yaml

from foretwin.project.settings import SETTINGS
from foretwin.serving.packaging.bento import NAME
from foretwin.serving.scoring.app import create_scoring_app
from foretwin.serving.scoring.start import service_of
from support.tiny_bundle import REPOSITORY

TEXT = (REPOSITORY / "serving/kubernetes/foretwin.yaml").read_text()
OBJECTS = {entry["kind"]: entry for entry in yaml.safe_load_all(TEXT)}
POD = OBJECTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
TEMPLATE = (REPOSITORY / "serving/Dockerfile.template").read_text()


@pytest.mark.parametrize("version", ["1.30", "1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", OBJECTS)
def test_each_object_is_valid(kind, version):
    kubernetes_validate.validate(OBJECTS[kind], version, strict=True)


def test_a_misspelt_field_is_not():
    misspelt = OBJECTS["Deployment"] | {"spec": OBJECTS["Deployment"]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(misspelt, "1.30", strict=True)


def test_everything_is_there_and_means_the_same_pods():
    assert set(OBJECTS) == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }
    labels = POD["metadata"]["labels"]
    deployment = OBJECTS["Deployment"]["spec"]
    assert deployment["selector"]["matchLabels"] == labels
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    scaled = OBJECTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", OBJECTS["Deployment"]["metadata"]["name"])
    assert "replicas" not in deployment


def test_the_image_is_the_bento_s_and_its_port_is_the_one_that_is_probed_and_scraped():
    assert re.fullmatch(rf"registry\.example\.com/{NAME}:\S+", CONTAINER["image"])
    (port,) = CONTAINER["ports"]
    assert f"FORETWIN_PORT={port['containerPort']} " in TEMPLATE
    assert f"EXPOSE {port['containerPort']}\n" in TEMPLATE
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    probes = [CONTAINER[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["port"] for probe in probes} == {port["name"]}
    assert OBJECTS["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert OBJECTS["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]


async def asked(app, *paths):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://foretwin") as client:
        return [await client.get(path) for path in paths]


@pytest.mark.parametrize("name", ["startupProbe", "readinessProbe", "livenessProbe", "metrics"])
def test_what_is_probed_and_scraped_is_a_route_that_needs_no_key(name, tmp_path):
    annotated = POD["metadata"]["annotations"]["prometheus.io/path"]
    path = annotated if name == "metrics" else CONTAINER[name]["httpGet"]["path"]
    probed, models = asyncio.run(asked(create_scoring_app(service_of([], tmp_path, {})), path, "/v1/models"))
    # Without a champion it is not ready, which a probe shall see.
    assert probed.status_code == (503 if path == "/readyz" else 200)
    assert models.status_code == 401


def test_every_variable_is_one_that_the_code_reads():
    names = {entry["name"] for entry in CONTAINER["env"]} | set(re.findall(r"FORETWIN_\w+", TEMPLATE))
    assert names - SETTINGS.keys() == set()
    assert POD["spec"]["enableServiceLinks"] is False, "the Service's name would make variables that look like settings"


def test_the_keys_are_mounted_where_the_service_looks_for_them_and_it_may_read_them():
    (keys,) = (volume for volume in POD["spec"]["volumes"] if "secret" in volume)
    (mount,) = (mount for mount in CONTAINER["volumeMounts"] if mount["name"] == keys["name"])
    assert f"FORETWIN_KEYS={mount['mountPath']}/keys.json\n" in TEMPLATE
    assert CONTAINER["env"] == [{"name": "FORETWIN_KEYS", "value": f"{mount['mountPath']}/keys.json"}]
    assert keys["secret"]["defaultMode"] == 0o440
    assert "create secret generic " + keys["secret"]["secretName"] + " --from-file=keys.json" in TEXT


def test_the_pod_has_no_rights_and_a_root_file_system_that_cannot_be_written():
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["automountServiceAccountToken"] is False
