"""An erased asset is gone: from the store's bytes, from every file of a real DVC project, and from what comes next."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from sqlalchemy import String, cast, func, insert, select
from sqlalchemy import event as sql_event

from foretwin.contract.twin import Twin
from foretwin.errors import NotFound
from foretwin.twin.erasure.erase import erase_asset
from foretwin.twin.erasure.file_copies import holds
from foretwin.twin.store import assets, database, erasure, open_store
from foretwin.twin.store.casework import audit
from foretwin.twin.store.casework.waiting import WaitingFault, list_waiting, replace_waiting
from foretwin.twin.store.summaries import exports
from foretwin.twin.store.tables import cases, metadata
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.store.telemetry import quarantine
from foretwin.twin.store.telemetry.packing import pack
from foretwin.twin.training_feedback.history import export_history
from foretwin.wire.readings import Rejected
from support.small_history import ACTOR, NOON, find_out, open_case, readings_of, remember, work_on
from support.tiny_bundle import shipped_params, tiny_twin

ROOT = Path(__file__).parents[3]
LATER = NOON + timedelta(days=1)
TWIN = Twin.model_validate(
    tiny_twin().model_dump() | {"source": {"kind": "table", "path": "own.csv", "asset": "machine", "time": "hour"}}
)
CONTRACTS = {"pump": TWIN}
NAME, NEIGHBOUR = "Q7-pümp", "Q7-pümp-not"
SPELT = "|".join(re.escape(spelt) for spelt in (NAME, json.dumps(NAME)[1:-1]))
NAMED = re.compile(f"(?:{SPELT})(?!-not)".encode())


def dvc(root: Path, *arguments: str) -> str:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_with_it(root: Path) -> list[str]:
    """Every file below the root that names the asset, or holds a row of it."""
    found = []
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if NAMED.search(content) or (content[:4] == b"PAR1" and has_rows(path)):
            found.append(path.relative_to(root).as_posix())
    return found


def has_rows(path: Path) -> bool:
    table = pq.read_table(path).to_pandas()
    return "asset" in table and table["asset"].str.contains(rf"(?:^|/){NAME}(?:@\d+)?$").any()


def fill(store) -> None:
    """Three assets with readings, cases and verdicts; the first two are in the fleet's digest and in quarantine too."""
    names = [NAME, NEIGHBOUR, "P-3"]
    remember(store, TWIN, readings_of(TWIN, names))
    with store.write() as connection:
        for name in names[:2]:
            asset = assets.find_asset(connection, name)
            assets.fit_part(connection, asset, "P-1", f"part of {name}", None, NOON)
            refused = Rejected("pump", name, "channels.c1", "range", f"{name} is 5e3", json.dumps({"asset": name}))
            unread = Rejected(None, None, "body", "undecodable", "no JSON", f'{{"asset": "{name}", ')
            quarantine.add_quarantined(connection, "mqtt", [refused, unread], NOON)
        listed = [WaitingFault(i + 1, 9, "mode.leak", "planned", NOON) for i in range(2)]
        replace_waiting(connection, "pump", [], listed)
        waiting = [{"asset": i + 1, "name": name, "fault": "mode.leak"} for i, name in enumerate(names[:2])]
        row = {"twin": "pump", "fault": "digest", "state": "open", "severity": "planned", "opened_at": NOON}
        connection.execute(insert(cases).values(**row, updated_at=NOON, evidence={"waiting": waiting}))
        audit.record(connection, "watch", "case.opened", {"waiting": waiting}, NOON, case=1)
    for name in names:
        find_out(store, TWIN, open_case(store, TWIN, name, "mode.wear", 30), "confirmed")
        work_on(store, TWIN, name, "run_ended")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project whose stages ran twice with DVC: with a first history, and with one that has an asset more."""
    root = tmp_path_factory.mktemp("built")
    (root / "data" / "pump").mkdir(parents=True)
    (root / "data" / "pump" / "twin.yaml").write_text(yaml.safe_dump(TWIN.model_dump(mode="json", exclude_none=True)))
    own = readings_of(TWIN, [f"m{i}" for i in range(8)], rows=20).rename(columns={"asset": "machine", "time": "hour"})
    own.drop(columns="run").to_csv(root / "data" / "pump" / "own.csv", index=False)
    (root / "params.yaml").write_text(shipped_params())
    (root / "reports" / "monitor" / "pump").mkdir(parents=True)  # a report of the monitor names assets that fell silent
    (root / "reports" / "monitor" / "pump" / "report.json").write_text(json.dumps({"signals": [{"assets": [NAME]}]}))
    outs = {"fetch": "raw", "adapt": "rows", "prepare": "windows"}
    deps = {"fetch": "data/pump/twin.yaml", "adapt": "data/pump/raw", "prepare": "data/pump/rows"}
    stages = {
        name: {"cmd": f"{sys.executable} {ROOT}/pipelines/{name}.py pump", "deps": [deps[name]]}
        | {"outs": [f"data/pump/{out}"], "always_changed": name == "fetch"}
        for name, out in outs.items()
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    dvc(root, "init", "--no-scm", "-q")
    store = open_store(f"sqlite:///{root}/twins.db")
    fill(store)
    export_history(store, root, TWIN, LATER)
    dvc(root, "repro", "-q")
    remember(store, TWIN, readings_of(TWIN, ["P-4"], seed=2))
    work_on(store, TWIN, "P-4", "run_ended")
    export_history(store, root, TWIN, LATER)
    dvc(root, "repro", "-q")
    leave_records(root, store)
    store.close()
    return root


def leave_records(root: Path, store) -> None:
    """What training, promotion, evaluation and MLflow leave: three models, of which two saw the asset."""
    windows, models = root / "data/pump/windows", root / "models/pump"
    (models / "champion").mkdir(parents=True)
    data = {path.name: sha256(path.read_bytes()).hexdigest() for path in windows.iterdir()}
    history = json.loads((windows / "history.json").read_text())["digest"]
    with store.read() as connection:
        older = stored.exports_with(connection, 1)[0]
    assert older != history
    common = {"twin": "pump", "members": []}
    training = {**common, "bundle": "b" * 64, "data": data, "history": history}
    (models / "training.json").write_text(json.dumps(training))
    verdict = {"name": "foretwin-pump", "version": "12", "promoted": True, "evidence": {"bundle": "b" * 64}}
    (models / "promotion.json").write_text(json.dumps(verdict))
    identity = {"name": "foretwin-pump", "version": "9", "run": "r", "digest": "a" * 64}
    (models / "champion" / "identity.json").write_text(json.dumps(identity))
    (models / "predictions.csv").write_text(f"asset,time\nstore/{NAME},4\n")
    (models / "curves.csv").write_text(f"asset,time\nstore/{NEIGHBOUR},4\n")
    lost = {"splits.json": "0" * 64}  # earlier trainings, in DVC's cache and in MLflow's artifacts
    cached = root / ".dvc/cache/files/md5/ab/cdef"
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_text(json.dumps({**common, "bundle": "a" * 64, "data": lost, "history": older}))
    logged = root / "mlartifacts/foretwin-pump/1/training.json"
    logged.parent.mkdir(parents=True)
    logged.write_text(json.dumps({**common, "bundle": "c" * 64, "data": lost}))
    (logged.parent / "input_example.json").write_text(json.dumps({"data": [[f"store/{NAME}@17", 1, 4.0]]}))


@pytest.fixture
def project(built, tmp_path):
    """A copy of that project, and its open store."""
    root = tmp_path / "project"
    shutil.copytree(built, root)
    store = open_store(f"sqlite:///{root}/twins.db")
    yield root, store
    store.close()


@pytest.fixture(scope="module")
def erased(built, tmp_path_factory):
    """A copy of that project from which the asset has been erased: its root, its open store and the certificate."""
    root = tmp_path_factory.mktemp("erased") / "project"
    shutil.copytree(built, root)
    dvc(root, "remote", "add", "-q", "far", str(root.parent / "far"))
    store = open_store(f"sqlite:///{root}/twins.db")
    yield root, store, erase_asset(store, root, CONTRACTS, NAME, ACTOR, LATER)
    store.close()


def test_nothing_of_an_erased_asset_is_left_in_any_file(built, erased):
    packed = pack(readings_of(TWIN, [NAME])[list(TWIN.channel_names)].to_numpy(np.float32))
    before = files_with_it(built)
    assert {"twins.db", "data/pump/history/history.parquet", "data/pump/windows/splits.json"} <= set(before)
    assert "reports/monitor/pump/report.json" in before
    assert sum(path.startswith(".dvc/cache/files/md5/") for path in before) >= 8
    assert any(packed[0] in path.read_bytes() for path in built.glob("twins.db*"))

    root, _, _ = erased
    assert files_with_it(root) == []
    assert not any(row in path.read_bytes() for path in root.glob("twins.db*") for row in packed)


def test_others_keep_what_is_theirs(erased):
    root, store, _ = erased
    history = pd.read_parquet(root / "data/pump/history/history.parquet")
    assert history["asset"].unique().tolist() == ["P-3", "P-4", NEIGHBOUR]
    assert (root / "models/pump/curves.csv").exists()
    assert (root / "models/pump/training.json").exists()
    with store.read() as connection:
        assert assets.find_asset(connection, NEIGHBOUR)
        assert connection.execute(select(func.count(metadata.tables["readings"].c.time))).scalar() == 120
        assert connection.execute(select(func.count(metadata.tables["quarantine"].c.id))).scalar() == 2


def test_the_next_repro_goes_on_without_it_and_takes_nothing_back_from_the_cache(erased, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(erased[0], root)
    dvc(root, "repro", "-q")
    assert files_with_it(root) == []
    folds = json.loads((root / "data/pump/windows/splits.json").read_text())
    assert {"m0", "store/P-3", "store/P-4", f"store/{NEIGHBOUR}"} <= set(folds)
    assert "up to date" in dvc(root, "status", "adapt", "prepare")


def test_the_certificate_says_what_was_removed_where_and_which_models_saw_the_asset(built, erased):
    root, _, certificate = erased
    folds = json.loads((built / "data/pump/windows/splits.json").read_text())
    text = (root / "erasures" / "1.json").read_text()
    assert json.loads(text) == certificate
    assert not NAMED.search(text.encode())
    assert certificate["asset_sha256"] == sha256(NAME.encode()).hexdigest()
    assert (certificate["actor"], certificate["at"]) == (ACTOR, "2026-11-22T12:00:00+00:00")
    assert certificate["store"]["overwritten"]
    rows = certificate["store"]["rows"]
    assert {rows[table] for table in ("assets", "cases", "verdicts", "maintenance", "parts", "scores")} == {1}
    assert (rows["readings"], rows["quarantine"]) == (40, 2)
    assert certificate["history"] == "exported again without the asset: 3 runs of 3 assets"
    assert certificate["files"]["folders"] == ["data/pump/raw/history", "data/pump/rows", "data/pump/windows"]
    logged = "mlartifacts/foretwin-pump/1/input_example.json"
    assert certificate["files"]["files"] == ["models/pump/predictions.csv", logged]
    assert certificate["files"]["dvc_objects"] >= 10
    how = "evaluation" if folds[f"store/{NAME}"] == -1 else "training"
    assert certificate["models"] == [
        {"bundle": "a" * 64, "seen_in": "training or evaluation", "versions": ["9"], "is_champion": True},
        {"bundle": "b" * 64, "seen_in": how, "versions": ["12"], "is_champion": False},
    ]
    assert "copies in the DVC remote far" in certificate["not_touched"]


def test_the_audit_keeps_that_a_number_was_erased_when_and_by_whom(erased):
    _, store, _ = erased
    with store.read() as connection:
        (entry,) = audit.of_asset(connection, 1, None, None, 10)
    assert (entry.action, entry.actor, entry.at) == ("asset.erased", ACTOR, LATER)
    assert entry.detail == {"number": 1}


def test_which_models_saw_another_asset_is_still_known_after_an_erasure(project):
    root, store = project
    erase_asset(store, root, CONTRACTS, NAME, ACTOR, LATER)
    certificate = erase_asset(store, root, CONTRACTS, NEIGHBOUR, ACTOR, LATER)
    assert [model["bundle"] for model in certificate["models"]] == ["a" * 64, "b" * 64]


def test_a_number_is_never_given_again(project):
    root, store = project
    with store.write() as connection:
        number = assets.register_assets(connection, "pump", ["last"], NOON)["last"].id
    erase_asset(store, root, CONTRACTS, "last", ACTOR, LATER)
    with store.write() as connection:
        assert assets.register_assets(connection, "pump", ["last"], NOON)["last"].id > number


def test_a_history_of_that_asset_alone_is_removed(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    remember(store, TWIN, readings_of(TWIN, [NAME, "P-3"]))
    work_on(store, TWIN, NAME, "run_ended")
    export_history(store, tmp_path, TWIN, LATER)
    certificate = erase_asset(store, tmp_path, CONTRACTS, NAME, ACTOR, LATER)
    store.close()
    assert certificate["history"] == "removed: there was no other asset in it"
    assert files_with_it(tmp_path) == []
    assert list((tmp_path / "data" / "pump").iterdir()) == []


def test_an_asset_that_no_history_held_leaves_the_project_as_it_was(project):
    root, store = project
    with store.write() as connection:
        assets.register_assets(connection, "pump", ["fresh"], NOON)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "twins.db" not in path.name}
    certificate = erase_asset(store, root, CONTRACTS, "fresh", ACTOR, LATER)
    assert {path: path.read_bytes() for path in before} == before
    assert certificate["files"] == {"folders": [], "files": [], "dvc_objects": 0}
    assert certificate["models"] == []


def test_an_unknown_asset_changes_nothing(project):
    root, store = project
    before = files_with_it(root)
    with pytest.raises(NotFound, match="'nobody' is not known"):
        erase_asset(store, root, CONTRACTS, "nobody", ACTOR, LATER)
    assert files_with_it(root) == before
    assert not (root / "erasures").exists()


def test_an_erasure_that_could_not_reach_its_end_can_be_asked_for_again(project):
    root, store = project
    (root / "erasures").write_text("in the way")
    with pytest.raises(FileExistsError):
        erase_asset(store, root, CONTRACTS, NAME, ACTOR, LATER)
    with store.read() as connection:
        assert assets.find_asset(connection, NAME)
    (root / "erasures").unlink()
    certificate = erase_asset(store, root, CONTRACTS, NAME, ACTOR, LATER)
    assert certificate["store"]["rows"]["readings"] == 40
    assert files_with_it(root) == []


def test_a_reader_that_keeps_the_log_from_being_emptied_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    remember(store, TWIN, readings_of(TWIN, [NAME]))
    with store.read() as connection:
        assets.find_asset(connection, NAME)
        certificate = erase_asset(store, tmp_path, CONTRACTS, NAME, ACTOR, LATER)
    store.close()
    assert not certificate["store"]["overwritten"]
    assert "another process reads it" in certificate["store"]["because"]


def test_a_long_history_is_erased_in_pieces_between_which_readings_are_stored(store, tmp_path, monkeypatch):
    monkeypatch.setattr(erasure, "PIECE", 10)
    remember(store, TWIN, readings_of(TWIN, [NAME, NEIGHBOUR], rows=60))
    deleted, pieces = [], []

    def see(connection, cursor, statement, *_):
        if statement.startswith("DELETE FROM readings"):
            deleted.append(cursor.rowcount)
        assert "VACUUM" not in statement.upper() or not store.is_sqlite or "INCREMENTAL" in statement.upper()

    sql_event.listen(store.engine, "after_cursor_execute", see)
    sql_event.listen(store.engine, "commit", lambda _: pieces.append(len(deleted)))
    certificate = erase_asset(store, tmp_path, CONTRACTS, NAME, ACTOR, LATER)
    assert certificate["store"]["rows"]["readings"] == 60
    assert max(deleted) <= 10
    assert len(set(pieces)) > 5  # each in a transaction of its own
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(metadata.tables["readings"])).scalar_one() == 60


def test_no_table_of_either_database_keeps_a_word_of_it(store, tmp_path):
    fill(store)
    export_history(store, tmp_path, TWIN, LATER)
    assert tables_with_it(store) >= {"assets", "cases", "audit", "events", "quarantine", "parts"}
    certificate = erase_asset(store, tmp_path, CONTRACTS, NAME, ACTOR, LATER)
    assert certificate["store"]["overwritten"]
    assert tables_with_it(store) == set()
    with store.read() as connection:
        number = certificate["number"]
        assert all(number not in row.assets for row in connection.execute(select(exports)))
        waiting = connection.execute(select(cases.c.evidence).where(cases.c.fault == "digest")).scalar_one()["waiting"]
        assert [one["name"] for one in list_waiting(connection, "pump")] == [NEIGHBOUR]
    assert [one["name"] for one in waiting] == [NEIGHBOUR]


def tables_with_it(store) -> set[str]:
    """The tables with a cell that names the asset."""
    found = set()
    with store.read() as connection:
        for table in metadata.tables.values():
            texts = [cast(column, String) for column in table.c if str(column.type) in ("VARCHAR", "JSON")]
            cells = (cell for row in connection.execute(select(*texts)) for cell in row) if texts else ()
            if any(cell and NAMED.search(cell.encode()) for cell in cells):
                found.add(table.name)
    return found


def test_every_table_that_refers_to_an_asset_is_emptied_of_it():
    from foretwin.twin.store.holdings import holdings

    asset = assets.Asset(*range(2), "n", None, None, {}, NOON, *[0] * 11)
    handled = {table.name for table in holdings(asset)}
    about = {table.name for table in metadata.tables.values() if "asset" in table.c}
    assert about <= handled


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"assets": ["P-1", "P-10"]}, {"assets": ["P-10"]}),
        ([{"name": "P-1", "fault": "x"}, {"name": "P-2"}], [{"name": "P-2"}]),
        ({"P-1": 3, "P-2": {"asset": "P-1", "a": 1}}, {"P-2": {"asset": "erased", "a": 1}}),
        ({"severity": "P-1", "n": 1.5, "x": None}, {"severity": "P-1", "n": 1.5, "x": None}),
    ],
)
def test_what_tells_of_several_assets_tells_of_the_others_as_before(value, left):
    assert erasure.without(value, "P-1") == left


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ('{"store/P-1": 2}', True),
        ("store/P-1,4", True),
        ('["store/P-1@17"]', True),
        ('["store\\/P-1"]', True),
        ("store/P-10", False),
        ("store/P-1.5", False),
        ("P-1", False),
        ("", False),
    ],
)
def test_a_text_holds_an_asset_that_it_names_whole(tmp_path, text, held):
    (tmp_path / "file").write_text(text)
    assert holds(tmp_path / "file", "P-1") == held
