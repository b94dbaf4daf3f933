"""What every test starts from: no store of the developer's own, and servers of the tests' own."""

import gc
import os
import re
import shutil
import signal
import uuid
from collections import Counter
from functools import cache
from pathlib import Path

import certifi
import pytest
from _pytest.mark.expression import Expression
from filelock import FileLock

# A shell that starts the suite in the background ignores Ctrl-C for it; the tests send it to their own processes.
signal.signal(signal.SIGINT, signal.default_int_handler)

OWN = ("BENTOML_HOME", "MLFLOW_TRACKING", "MLFLOW_REGISTRY", "FORETWIN_", "OTEL_")
for name in list(os.environ):
    if name.startswith(OWN) and name != "FORETWIN_DATASETS":
        os.environ.pop(name)
# As many workers as cores: threads of more than one core in each would wait for each other longer than they work, and
# processes for folds would each import for seconds what the worker has.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
# Each client of HTTP reads the authorities that it trusts, those of the world in 20 ms of CPU, though all tests are on
# loopback, and where they have TLS they name their own. Here it trusts one whose key was thrown away.
NOBODY = str(Path(__file__).parent / "support" / "nobody.pem")
os.environ["SSL_CERT_FILE"] = NOBODY
certifi.where = lambda: NOBODY  # of clients that look at no variable

# Files and folders of slow tests, those of minutes first: it is in this order that they begin. Those of the clone
# alternate with others, since a worker that needs the clone while another one builds it only waits.
SLOW = (
    "system/test_model_life.py",
    "twin/connectors/test_listening.py",
    "system/test_installed.py",
    "system/test_pipeline.py",
    "system/test_fleet.py",
    "system/test_repro_scope.py",
    "serving/scoring/test_swap.py",
    "system/test_lost_store.py",
    "system/test_dvc_remote.py",
    "system/test_upgrade.py",
    "system/test_health.py",
    "system/test_failure_chances.py",
    "benchmarks/test_censoring.py",
    "system/test_operators_walk.py",
    "system/test_outages.py",
    "system/test_plant_watched.py",
    "system/test_process_traces.py",
    "system/test_locks.py",
    "system/test_added_twin.py",
    "system/test_worked_examples.py",
    "system/test_soak.py",
    "system/test_faults.py",
    "system/test_partition_kills.py",
    "system/test_scale_walk.py",
    "twin/store/test_partitioning.py",
    "twin/newcomers/test_machine_types.py",
    "system/test_front_door.py",
    "system/test_doors.py",
    "system/test_observability.py",
    "system/test_parity.py",
    "system/test_leakage.py",
    "system/test_missing_values.py",
    "evaluation/test_own_judgement.py",
    "twin/scoring/test_lone_channels.py",
    "api/test_notebook.py",
    "api/test_training.py",
    "api/test_bundles.py",
    "api/test_public_names.py",
    "project/test_chain.py",
    "validation/test_validate_stage.py",
    "champion/test_challenger.py",
    "twin/connectors/test_mqtt_session.py",
    "twin/connectors/test_single_values_over_mqtt.py",
    "twin/connectors/test_topics_over_mqtt.py",
    "twin/connectors/test_opcua.py",
    "twin/connectors/test_jetstream.py",
    "twin/connectors/test_kafka.py",
    "twin/outbox/test_bus_targets.py",
    "twin/connectors/test_shipped_broker.py",
    "twin/connectors/test_sparkplug.py",
    "twin/outbox/routes",
    "cli/test_new_connection.py",
    "twin/ingest/test_live_waveforms.py",
    "operations/test_doctor.py",
    "physics/pump",
    "registry",
    "serving/packaging",
    "serving/plant",
    "predictor/health/test_own_baseline.py",
    "predictor/test_shapley.py",
    "system/test_categories.py",
    "twin/scoring/test_own_baselines.py",
    "serving/scoring/test_fuzz.py",
    "serving/scoring/test_many_champions.py",
    "serving/scoring/test_schemathesis.py",
    "serving/scoring/test_refusals.py",
    "serving/http/test_logs.py",
    "serving/http/test_protocol.py",
    "serving/http/test_requests.py",
    "serving/http/test_tracing.py",
    "training",
    "gate/test_refused_candidates.py",
    "validation/test_suite.py",
    "drift",
    "physics/test_pump_prognosis.py",
    "twin/test_retraining.py",
    "twin/erasure",
    "operations",
    "twin/retention/test_retain.py",
    "twin/retention/test_commands.py",
    "twin/store/test_partitions.py",
    "twin/simulator/test_sending.py",
    "twin/what_if",
    "twin/console/test_browser.py",
    "twin/console/test_provider_sign_in.py",
    "cli/test_twin.py",
    "cli/test_floods.py",
    "twin/kpis/test_counts.py",
    "twin/api/test_lanes.py",
    "cli/test_main.py",
    "cli/batch/test_remote_files.py",
    "cli/test_new_side_tables.py",
    "benchmarks",
    "champion/test_provenance.py",
    "evaluation",
    "lineage",
    "physics/test_degradation.py",
    "sources/test_hydraulic.py",
    "sources/test_download.py",
    "sources/files/test_owners_files.py",
)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for the whole session, in a zone whose clocks change."""
    from benchmarks.servers import Postgres

    # Many small databases; what a power cut would leave is not tried here.
    server = Postgres(settings=("fsync=off", "full_page_writes=off", "timezone=Europe/Berlin")).start()
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


@pytest.fixture(scope="session")
def sparkplug_modules(tmp_path_factory):
    """A folder with an edge node of Sparkplug B by the makers' client from npm."""
    from benchmarks.reliability.sparkplug_plant import installed_client
    from foretwin.errors import ForetwinError
    from support.archives import leave_out

    try:
        return installed_client(tmp_path_factory.mktemp("npm"))
    except ForetwinError as error:
        leave_out(str(error))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A function that gives the URL of a store, on this kind of database, in which the migrations made the tables.

    It is the same store each time, closed, and for copying.
    """
    from foretwin.twin.store import open_store

    made = {}

    def url_of(kind, server):
        if kind not in made:
            folder = tmp_path_factory.mktemp("migrated")
            made[kind] = f"sqlite:///{folder}/twins.db" if kind == "sqlite" else server.new_database("migrated")
            open_store(made[kind]).close()
        return made[kind]

    return url_of


@pytest.fixture(scope="session")
def databases(postgres, migrated):
    """A pool of databases of the server in which the migrations made the tables."""
    from support.database_pool import DatabasePool

    return DatabasePool(postgres, migrated("postgresql", postgres).rpartition("/")[2])


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path, migrated):
    """The URL of an empty store, once on each database; its tables are there where the test has it opened.

    Those are copied, or in PostgreSQL emptied after another test: to make them takes ten migrations and most of a
    second, more than many a test.
    """
    kind, opened = request.param, "store" in request.fixturenames
    if kind == "sqlite":
        if opened:
            shutil.copyfile(migrated(kind, None).removeprefix("sqlite:///"), tmp_path / "twins.db")
        yield f"sqlite:///{tmp_path}/twins.db"
        return
    if opened:
        databases = request.getfixturevalue("databases")
        url = databases.take()
        yield url
        databases.give_back(url)
        return
    server, name = request.getfixturevalue("postgres"), f"t{uuid.uuid4().hex}"
    yield server.new_database(name)
    server.drop_database(name)


@pytest.fixture
def store(store_url):
    """An empty, open store, once on each database."""
    from foretwin.twin.store import open_store

    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A function that gives a folder of this name for all workers; the first that needs it fills it by `make(folder)`.

    Whoever changes it makes a copy.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder_of(name, make):
        folder, done = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # half of what another one failed to make
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def built(shared):
    """A clone of the project with the default twin built by `dvc repro`; whoever changes it makes a copy."""
    from support.clone import build_clone

    return shared("clone", build_clone)


PLACE = {Path(__file__).parent / name: number for number, name in enumerate(SLOW)}
# What the text of each test's file has: the fixtures of both databases or the name of the one, and the marker.
ON_POSTGRESQL = re.compile(r"\bstore(_url)?\b|postgresql", re.IGNORECASE)
DATED, MARKED_SLOW = re.compile(r"\bmark\.dated\b"), re.compile(r"\bmark\.slow\b")


def place_of(path: Path) -> int | None:
    """The place of this file, or of the folder that it lies in, on the list SLOW."""
    return next((PLACE[one] for one in (path, *path.parents) if one in PLACE), None)


@cache
def text_of(path: Path) -> str:
    """What a test's file says."""
    return path.read_text(encoding="utf-8")


def possible_marks(path: Path) -> list[set[str]]:
    """The sets of markers that tests of this file may have, as far as its text tells without importing it."""
    found = [set() if place_of(path) is None else {"slow"}]
    for marker, sign in {"dated": DATED, "slow": MARKED_SLOW, "postgresql": ON_POSTGRESQL}.items():
        if sign.search(text_of(path)):
            found += [{*marks, marker} for marks in found]
    return [marks or {"any_day"} for marks in found]


def pytest_ignore_collect(collection_path, config):
    """Leave out the files of which -m can select no test: to import them all takes longer than many tests."""
    if not (collection_path.match("test_*.py") and config.option.markexpr):
        return None
    selects = Expression.compile(config.option.markexpr).evaluate
    some = any(selects(lambda name, marks=marks, **_: name in marks) for marks in possible_marks(collection_path))
    return None if some else True


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect no garbage while modules are imported, nor ever look again at what they leave, which all stays.

    It is a million objects: to look through them takes a third of the time of the collection.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marker
def pytest_collection_modifyitems(items):
    """Mark the slow tests, and begin with them, so that no worker is left alone with a long file at the end.

    So are those on PostgreSQL, and what is neither of them nor asks what time it is: `any_day`.
    """
    if gone := [str(path) for path in PLACE if not path.exists()]:
        raise pytest.UsageError(f"SLOW in {__file__}: no such file: {', '.join(gone)}; correct the list")
    numbers = {}
    for item in items:
        found = place_of(item.path)
        numbers[item] = len(SLOW) if found is None else found
        kinds = ["slow"] if found is not None else []
        if "postgresql" in item.nodeid.lower() and ON_POSTGRESQL.search(text_of(item.path)):
            kinds.append("postgresql")
        if not kinds and not any(map(item.get_closest_marker, ("dated", "slow"))):
            kinds.append("any_day")
        for kind in kinds:
            item.add_marker(kind)
    items.sort(key=numbers.__getitem__)


def pytest_terminal_summary(terminalreporter):
    """One line of what this machine left out."""
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    if skipped:
        reasons = Counter(reason.removeprefix("Skipped: ") for reason in skipped)
        left_out = "; ".join(f"{count} ({reason})" for reason, count in reasons.items())
        terminalreporter.write_line(f"tests that were not run here: {left_out}")
