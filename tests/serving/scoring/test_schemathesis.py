"""The published OpenAPI document held against the running service, by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability.soak.project import make_project, served
from support.tiny_bundle import save_tiny_bundle, tiny_twin

PUMP = tiny_twin("pump", channels=4)
FAN = tiny_twin("fan", rul=False)
# Lists of one length, and times that increase, are nothing that JSON Schema can ask for.
BEYOND_JSON_SCHEMA = "positive_data_acceptance"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    make_project(root, [PUMP, FAN], save_tiny_bundle)
    with served(root) as running:
        yield running


def examined(service, folder: Path, *options: str) -> str:
    """What schemathesis says; AssertionError with it where it found something."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [f"http://127.0.0.1:{service.port}/openapi.json", "--no-color", "--seed", "1"]
    command += ["--exclude-checks", BEYOND_JSON_SCHEMA, "--generation-database", "none", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_service_does_what_its_document_says(service, tmp_path):
    header = f"Authorization: {service.headers['Authorization']}"
    said = examined(service, tmp_path, "--header", header, "--max-examples", "60")
    for phase in ("Examples", "Coverage", "Fuzzing"):
        assert f"✅ {phase}" in said


def test_without_a_key_it_refuses_as_its_document_says(service, tmp_path):
    examined(service, tmp_path, "--max-examples", "20")
