"""The registry on servers, by their addresses alone: PostgreSQL for runs and versions, S3 for artifacts."""

import sys
import uuid

import boto3
import mlflow
import numpy as np
import pytest

from foretwin import registry
from foretwin.champion.champion import load_champion
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import Bundle, verify
from foretwin.registry.sync import follow_registry
from foretwin.twin.simulator.processes import free_port, listens, started, wait_for
from support.registry_project import TWIN, Project
from support.tiny_bundle import random_rows

pytest_plugins = ["support.registry_project"]


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A server of S3's interface with one bucket; returns the place of artifacts in it."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = started(command, tmp_path / "s3.log")
    wait_for(lambda: listens(port), f"S3 on port {port}: see {tmp_path}/s3.log", 60)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "foretwin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-this-test-alone")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    region = {"LocationConstraint": "eu-central-1"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="models", CreateBucketConfiguration=region)
    yield "s3://models/of/foretwin/"
    process.terminate()
    process.wait(20)


@pytest.fixture
def servers(postgres, s3, monkeypatch):
    """The two addresses in the environment, as a user sets them."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.new_database(f"t{uuid.uuid4().hex}"))
    monkeypatch.setenv("FORETWIN_ARTIFACTS", s3)


def test_two_projects_share_a_registry_on_postgresql_and_s3(servers, tmp_path):
    project, other = (Project(tmp_path / name) for name in ("project", "other"))
    first = project.train(1, 10)
    assert project.promote()["promoted"]
    second = project.train(2, 8)
    assert project.promote()["champion"]["version"] == "2"

    there = registry.champion(other.root, "pump")
    assert (there.version, there.digest) == ("2", second)
    assert there.folder.is_relative_to(other.root)
    assert verify(there.folder) == second
    assert list(follow_registry(other.root)) == [{"twin": "pump", "version": "2", "before": None}]
    registry.set_champion(project.root, "pump", "1")
    assert list(follow_registry(other.root)) == [{"twin": "pump", "version": "1", "before": "2"}]
    champion = load_champion(other.root, "pump")
    assert champion.identity.digest == first
    assert champion.record.gate["promoted"]

    rows = random_rows(TWIN, {"a": 12, "b": 5})
    scores = mlflow.pyfunc.load_model("models:/foretwin-pump@champion").predict(rows)
    columns = list(champion.bundle.score_columns)
    np.testing.assert_array_equal(scores[columns], champion.bundle.score(rows)[columns])
    assert not np.allclose(scores["rul"], Bundle.load(there.folder).score(rows)["rul"])

    version = project.client.get_model_version("foretwin-pump", "2")
    assert version.source.startswith("s3://models/of/foretwin/foretwin-pump/")
    assert "in the place of version 1" in version.description
    counts = project.counts()
    registry.publish(project.root, ["pump"])
    assert project.counts() == counts
    assert not list(tmp_path.rglob("mlflow.db"))
    assert not [path for name in ("mlartifacts", "mlruns") for path in tmp_path.rglob(name)]


def test_a_bundle_that_was_damaged_on_its_way_is_fetched_again(servers, tmp_path):
    project = Project(tmp_path / "project")
    digest = project.train(1, 10)
    project.promote()
    folder = registry.champion(project.root, "pump").folder
    (folder / "network.onnx").write_bytes(b"half of it")
    assert verify(registry.champion(project.root, "pump").folder) == digest


def test_a_database_that_does_not_answer_is_named_at_once_and_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://me:secret@127.0.0.1:{free_port()}/runs")
    with pytest.raises(
        RegistryError, match=r"^postgresql://me:\*\*\*@127.*/runs: the tracking store does not answer: "
    ):
        registry.champion(tmp_path, "pump")


def test_a_bucket_that_is_not_there_is_one_line(servers, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_ARTIFACTS", "s3://nobodys")
    project = Project(tmp_path / "project")
    project.train(1, 10)
    with pytest.raises(RegistryError, match=r"MLflow: .*(NoSuchBucket|bucket does not exist)"):
        project.promote()
