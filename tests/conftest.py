"""What every test starts from: no store of the developer's own, and servers of the tests' own."""

import os
import uuid

import pytest

OWN = ("BENTOML_HOME", "MLFLOW_TRACKING", "MLFLOW_REGISTRY", "FORETWIN_", "OTEL_")
for name in list(os.environ):
    if name.startswith(OWN) and name != "FORETWIN_DATASETS":
        os.environ.pop(name)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for the whole session."""
    from benchmarks.servers import Postgres

    # Many small databases; what a power cut would leave is not tried here.
    server = Postgres(settings=("fsync=off", "full_page_writes=off")).start()
    yield server
    server.remove()


@pytest.fixture
def broker(tmp_path):
    """A Mosquitto broker of this test's own."""
    from foretwin.twin.simulator.broker import Broker

    (tmp_path / "broker").mkdir()
    server = Broker(tmp_path / "broker").start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The URL of an empty store, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/twins.db"
    return request.getfixturevalue("postgres").new_database(f"t{uuid.uuid4().hex}")


@pytest.fixture
def store(store_url):
    """An empty, open store, once on each database."""
    from foretwin.twin.store import open_store

    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A clone of the project with the default twin built by `dvc repro`; whoever changes it makes a copy."""
    from support.clone import build_clone

    folder = tmp_path_factory.mktemp("clone")
    build_clone(folder)
    return folder
