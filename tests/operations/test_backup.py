"""A project is backed up while it runs, restored elsewhere, and answers the same; what is damaged is refused."""

import json
import threading
import uuid
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from foretwin.champion.champion import load_champion
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.twin.store.copying import file_content
from foretwin.twin.store.tables import assets, batches, metadata, readings
from support.commands import foretwin, refusal, shown
from support.live_project import PUMP, live, living_project, score
from support.stored_readings import store_rows
from support.tiny_bundle import random_rows

pytestmark = pytest.mark.dated
LISTS = ("/v1/twins", "/v1/cases", "/v1/twins/P-1/thread", "/v1/twins/P-1/readings", "/v1/twins/P-1/scores")
CLOCK = ("age_seconds",)


@pytest.fixture
def project(tmp_path, monkeypatch, store_url) -> Path:
    """The current folder: a project with cases, a verdict, an erased machine and a key; its store on each database."""
    root = living_project(tmp_path / "plant")
    monkeypatch.chdir(root)
    monkeypatch.setenv("FORETWIN_STORE", store_url)
    rows = random_rows(PUMP, {"P-1": 4, "P-2": 5, "P-3": 4})
    rows[list(PUMP.channel_names)] = 0.0
    rows.to_csv("rows.csv", index=False)
    shown("ingest", "rows.csv", "--twin", "pump")
    store = open_store(store_url)
    score(store, root)
    store.close()
    shown("erase", "P-3", "--yes")
    shown("keys", "new", "ann", "--scope", "read")
    return root


def other(kind: str, tmp_path: Path, request) -> str:
    """The URL of an empty store of that kind."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/other.db"
    return request.getfixturevalue("postgres").new_database(f"t{uuid.uuid4().hex}")


def answers(url: str, root: Path) -> list:
    store = open_store(url)
    with live(store, root) as client:
        found = [without_clock(client.get(path).json()) for path in LISTS]
    store.close()
    return found


def without_clock(value):
    """An answer without what goes on with the clock: how long ago the last reading was."""
    if isinstance(value, dict):
        return {key: without_clock(one) for key, one in value.items() if key not in CLOCK}
    return [without_clock(one) for one in value] if isinstance(value, list) else value


def test_a_restored_project_answers_as_the_one_that_was_backed_up(project, tmp_path, monkeypatch, store_url, request):
    """From each database to the other one."""
    kind = "postgresql" if store_url.startswith("sqlite") else "sqlite"
    told = shown("backup", "../plant.zip")
    assert "read back" in told
    assert "champions of fan, pump" in told
    before = answers(store_url, project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    there = other(kind, tmp_path, request)
    monkeypatch.setenv("FORETWIN_STORE", there)
    assert "read back and equal" in shown("restore", "../plant.zip")
    assert answers(there, elsewhere) == before
    assert len(before[0]["items"]) == 2
    assert before[4]["items"]
    assert load_champion(elsewhere, "pump").identity == load_champion(project, "pump").identity
    assert "ann" in shown("keys")
    assert (elsewhere / "keys.json").stat().st_mode & 0o777 == 0o600
    store = open_store(there)
    rows = random_rows(PUMP, {"P-9": 4})
    assert store_rows(store, PUMP, rows, datetime.now(UTC))["P-9"] == 4, "the number of an erased asset comes twice"
    store.close()


def send(store, stop: threading.Event, sent: list) -> None:
    """Readings, batch after batch, until `stop` is set."""
    while not stop.is_set():
        rows = random_rows(PUMP, {"L-1": 3, "L-2": 3})
        rows["time"] += 10.0 * len(sent)
        sent.append(store_rows(store, PUMP, rows, datetime.now(UTC)))


def keep_scoring(store, root, stop: threading.Event) -> None:
    watching = Watching(store, root, WatchSettings())
    with closing(watching.owner):
        while not stop.is_set():
            score_once(watching, lambda: datetime.now(UTC))


def rows_of(store) -> list:
    with store.read() as connection:
        return connection.execute(select(readings).order_by(*readings.primary_key.columns)).all()


def test_a_backup_under_load_holds_one_state_of_the_store(project, tmp_path, monkeypatch, store_url):
    store, stop, sent = open_store(store_url), threading.Event(), []
    workers = [
        threading.Thread(target=send, args=(store, stop, sent)),
        threading.Thread(target=keep_scoring, args=(store, project, stop)),
    ]
    for worker in workers:
        worker.start()
    try:
        wait_for(lambda: sent, "the first readings", 20)
        shown("backup", "../early.zip")
        for late in (f"late-{number}" for number in range(20)):
            before = len(sent)
            shown("backup", f"../{late}.zip")
            if len(sent) > before:
                break
        else:
            pytest.fail("nobody wrote while a backup was taken")
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    everything, counts = rows_of(store), []
    store.close()
    for name in ("early", late):
        url = f"sqlite:///{tmp_path}/{name}.db"
        monkeypatch.setenv("FORETWIN_STORE", url)
        shown("restore", f"../{name}.zip")
        restored = open_store(url)
        with restored.read() as connection:
            newest = connection.execute(select(func.max(batches.c.id))).scalar()
            told = connection.execute(select(func.max(assets.c.batch))).scalar()
        found = rows_of(restored)
        restored.close()
        assert found == [row for row in everything if row.batch <= newest], "a transaction is in it in part"
        assert told == newest
        counts.append(len(found))
    assert counts[0] < counts[1] <= len(everything)


def test_a_store_that_is_not_empty_is_refused_and_stays_as_it_was(project, store_url):
    shown("backup", "../plant.zip")
    store = open_store(store_url)
    store_rows(store, PUMP, random_rows(PUMP, {"P-9": 2}), datetime.now(UTC))
    said = refusal("restore", "../plant.zip")
    assert "is not empty; nothing was restored" in said
    with store.read() as connection:
        assert "P-9" in connection.execute(select(assets.c.name)).scalars().all()
    store.close()


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """The current folder: a project whose SQLite store has two machines."""
    root = living_project(tmp_path / "plant")
    monkeypatch.chdir(root)
    with closing(open_store("sqlite:///twins.db")) as store:
        store_rows(store, PUMP, random_rows(PUMP, {"P-1": 4, "P-2": 5}), datetime.now(UTC))
    return root


def empty_folder(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def altered(source: Path, name: str, content: bytes | None) -> Path:
    """A copy of a backup in which one file has this content, or is missing."""
    target = source.with_name(f"altered-{uuid.uuid4().hex}.zip")
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
        if content is not None:
            new.writestr(name, content)
    return target


def test_a_backup_is_its_owner_s_alone_and_is_never_written_over(small, tmp_path):
    shown("backup", "../plant.zip")
    assert (tmp_path / "plant.zip").stat().st_mode & 0o777 == 0o600
    assert "exists" in refusal("backup", "../plant.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plant", "plant.zip"], "nothing else is left behind"


def test_a_project_without_a_store_is_not_backed_up(small, tmp_path):
    (small / "twins.db").unlink()
    assert "there is no such file" in refusal("backup", "../plant.zip")
    assert not (small / "twins.db").exists()
    assert not (tmp_path / "plant.zip").exists()


@pytest.mark.parametrize("name", ["store.db", "project/models/pump/champion/bundle/network.onnx"])
def test_a_damaged_backup_is_refused_before_anything_is_written(small, tmp_path, monkeypatch, name):
    shown("backup", "../plant.zip")
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        changed = bytearray(archive.read(name))
    changed[-1] ^= 1
    folder = empty_folder(tmp_path, monkeypatch)
    for content, words in ((bytes(changed), "altered since it was written"), (None, "missing or unknown")):
        said = refusal("restore", str(altered(tmp_path / "plant.zip", name, content)))
        assert f"{name}: {words}" in said
    assert "missing or unknown" in refusal("restore", str(altered(tmp_path / "plant.zip", "more.txt", b"")))
    (tmp_path / "half.zip").write_bytes((tmp_path / "plant.zip").read_bytes()[:-100])
    assert "is damaged" in refusal("restore", "../half.zip")
    assert list(folder.iterdir()) == []


def test_a_backup_writes_nowhere_else(small, tmp_path, monkeypatch):
    shown("backup", "../plant.zip")
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    for name in ("project/../../evil", "/etc/evil", "evil"):
        manifest["files"] = {name: "0" * 64}
        wrong = altered(tmp_path / "plant.zip", "manifest.json", json.dumps(manifest).encode())
        assert "is no file of a backup" in refusal("restore", str(wrong))


def test_a_file_that_differs_is_not_written_over(small, tmp_path, monkeypatch):
    shown("backup", "../plant.zip")
    folder = empty_folder(tmp_path, monkeypatch)
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text("name: mine")
    assert "data/pump/twin.yaml: differs from the backup's" in refusal("restore", "../plant.zip")
    assert not (folder / "twins.db").exists()
    shown("restore", "../plant.zip", "--store-only")
    assert (folder / "data/pump/twin.yaml").read_text() == "name: mine"
    assert file_content(folder / "twins.db") == file_content(small / "twins.db")


def test_an_asset_that_was_erased_since_is_told(small, tmp_path):
    shown("backup", "../plant.zip")
    shown("erase", "P-2", "--yes")
    for path in small.glob("twins.db*"):
        path.unlink()
    result = foretwin("restore", "../plant.zip")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == ["P-2 was erased since that backup: `foretwin erase P-2` erases it again"]


def test_a_store_moves_to_postgresql_and_goes_on_there(small, monkeypatch, postgres):
    shown("erase", "P-2", "--yes")
    before = answers("sqlite:///twins.db", small)
    url = postgres.new_database(f"t{uuid.uuid4().hex}")
    assert "read back and equal" in shown("migrate-store", url)
    assert answers(url, small) == before
    assert "is not empty" in refusal("migrate-store", url)
    with closing(open_store(url)) as store:
        assert store_rows(store, PUMP, random_rows(PUMP, {"P-9": 2}), datetime.now(UTC))["P-9"] == 3
    monkeypatch.setenv("FORETWIN_STORE", url)
    assert "is no SQLite file" in refusal("migrate-store", url)


def test_every_table_is_copied():
    """`copy_rows` takes the tables of the metadata: those of the newest schema, which the migrations make."""
    with closing(open_store("sqlite:///:memory:")) as store, store.read() as connection:
        made = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    assert made - {"alembic_version", "sqlite_sequence"} == set(metadata.tables)
