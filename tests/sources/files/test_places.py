"""Where files lie: folders, globs, archives, partitions, S3, and databases with a watermark."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import boto3
import pandas as pd
import pytest
import sqlalchemy
import yaml

from foretwin.errors import SourceError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch, origin, table
from foretwin.twin.simulator.processes import free_port, listens, started, wait_for
from pipelines.fetch import main as fetch_stage
from support.written_table import CHANNELS, Writing, adapted, contract

PATTERN = "{asset}/{run}.csv"
SOURCE = {"pattern": PATTERN, "columns": CHANNELS}


def fleet() -> dict[str, bytes]:
    """Return files by path: two machines, one with runs 2 and 10, and others that are no tables."""
    files = {}
    for name in ("M-1/2.csv", "M-1/10.csv", "M-2/1.csv"):
        hours = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC") + pd.Timedelta(days=len(name))
        frame = pd.DataFrame({"asset": "?", "time": hours, "force": [1.0, 2, 3], "heat": float(len(name))})
        files[name] = Writing().write(frame)
    return files | {"readme.txt": b"see the wiki\n", ".hidden/x.csv": b"1", "M-1/__MACOSX/_1.csv": b"1"}


def checked(rows: pd.DataFrame) -> None:
    lives = rows[["asset", "run"]].drop_duplicates().to_numpy().tolist()
    assert lives == [["M-1", 2], ["M-1", 10], ["M-2", 1]]
    assert rows["time"].tolist() == [0, 1, 2] * 3


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"export/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("place", ["exports", "exports/*/*", "exports.zip", "exports.tgz"])
def test_machine_and_run_are_read_from_the_paths_wherever_the_files_are(tmp_path, place, caplog):
    put(tmp_path / "exports", fleet())
    (tmp_path / "exports.zip").write_bytes(zipped(fleet()))
    (tmp_path / "exports.tgz").write_bytes(tarred(fleet()))
    checked(adapted(contract(place, **SOURCE), tmp_path, tmp_path / "raw"))
    assert ("left out: readme.txt" in caplog.text) == (place in ("exports", "exports.zip"))


def test_a_member_of_an_archive_stays_within_the_folder(tmp_path):
    (tmp_path / "bad.zip").write_bytes(zipped({"../../out.csv": b"x", "/abs.csv": b"x", "a\\..\\b.csv": b"x"}))
    with pytest.raises(SourceError, match="no file is there"):
        adapted(contract("bad.zip", single_asset="a"), tmp_path, tmp_path / "deep" / "raw")
    assert not list(tmp_path.rglob("*.csv"))


def test_a_cut_off_archive_is_refused(tmp_path):
    (tmp_path / "cut.zip").write_bytes(zipped({"a.csv": b"x" * 99})[:60])
    with pytest.raises(SourceError, match="archive"):
        adapted(contract("cut.zip", single_asset="a"), tmp_path, tmp_path / "raw")


def test_the_partitions_of_a_parquet_data_set_are_columns(tmp_path):
    frame = pd.DataFrame({"Zeit": [0.0, 1, 0, 1], "Kraft": 1.0, "Öl °C": 2.0, "plant": "x"})
    frame.assign(Maschine=["A", "A", "B", "B"]).to_parquet(tmp_path / "set", partition_cols=["plant", "Maschine"])
    rows = adapted(contract("set"), tmp_path, tmp_path / "raw")
    assert rows["asset"].tolist() == ["A", "A", "B", "B"]
    file = sorted((tmp_path / "set").rglob("*.parquet"))[0]
    frame.assign(Maschine="own").to_parquet(file)
    again = adapted(contract("set"), tmp_path, tmp_path / "again")
    assert sorted(set(again["asset"])) == ["B", "own"], "a column of the file counts more than its path"


def test_an_error_in_one_of_many_files_names_it_and_its_line(tmp_path):
    put(tmp_path / "exports", fleet() | {"M-2/1.csv": "Zeit,Kraft,Öl °C\n2024-05-31T00:00:00,x,1\n".encode()})
    with pytest.raises(SourceError, match=r"exports: M-2/1\.csv: line 2: column 'Kraft': 'x' is not a number"):
        adapted(contract("exports", **SOURCE), tmp_path, tmp_path / "raw")


def test_a_new_file_in_a_folder_or_glob_is_a_change_of_the_source(tmp_path):
    paths = Paths(tmp_path, "press")
    put(paths.data / "exports", fleet())
    for place in ("exports", "exports/*/*.csv"):
        before = {path: path.stat().st_mtime_ns for path in origin(contract(place, **SOURCE), paths)}
        put(paths.data / "exports", {f"M-{len(place)}/1.csv": b"new"})
        after = {path: path.stat().st_mtime_ns for path in before}
        assert after != before, "the folder tells"


def test_the_stage_fetches_again_what_has_changed_in_a_folder_and_behind_a_url(tmp_path, capsys):
    paths = Paths(tmp_path, "press")
    put(paths.data / "exports", fleet())
    url = f"sqlite:///{tmp_path}/plant.db"
    store(url, readings(0, 2))
    for source in (contract("exports", **SOURCE), contract(url, query=QUERY)):
        paths.contract.write_text(yaml.safe_dump(source.model_dump(mode="json")))
        fetch_stage("press", tmp_path)
        before = len(adapt(source, paths.raw))
        fetch_stage("press", tmp_path)
        assert ("has not changed" in capsys.readouterr().out) == (source.source.query is None)
        put(paths.data / "exports", {"M-3/1.csv": fleet()["M-2/1.csv"]})
        store(url, readings(2, 3))
        fetch_stage("press", tmp_path)
        assert len(adapt(source, paths.raw)) == before + 3


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A server of S3's interface with the fleet's files in the bucket `plant`."""
    port, log = free_port(), tmp_path_factory.mktemp("s3") / "s3.log"
    process = started([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log)
    wait_for(lambda: listens(port), f"S3 on port {port}: see {log}", 60)
    patch = pytest.MonkeyPatch()
    address = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "foretwin", "AWS_SECRET_ACCESS_KEY": "of-this-test-alone"}
    for name, value in {**address, **keys}.items():
        patch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="plant")
    for name, content in {**fleet(), "all.zip": zipped(fleet())}.items():
        client.put_object(Bucket="plant", Key=f"exports/{name}", Body=content)
    yield
    patch.undo()
    process.terminate()
    process.wait(20)


@pytest.mark.parametrize("place", ["s3://plant/exports", "s3://plant/exports/M-*/*.csv", "s3://plant/exports/all.zip"])
def test_files_in_s3_are_read_like_those_of_a_folder(bucket, tmp_path, place):
    checked(adapted(contract(place, **SOURCE), tmp_path, tmp_path / "raw"))
    assert origin(contract(place, **SOURCE), Paths(tmp_path, "press")) is None


def test_an_object_that_is_not_there_is_named(bucket, tmp_path):
    with pytest.raises(SourceError, match=r"s3://plant/none\.csv: no such file"):
        adapted(contract("s3://plant/none.csv"), tmp_path, tmp_path / "raw")


QUERY = 'SELECT id, machine AS "Maschine", at AS "Zeit", force AS "Kraft", heat AS "Öl °C" FROM readings ORDER BY id'


def readings(first: int, count: int) -> list[dict]:
    return [
        {"id": i, "machine": "M-1", "at": float(i), "force": i / 2, "heat": 1.0} for i in range(first, first + count)
    ]


def store(url: str, rows: list[dict]) -> None:
    """Insert rows into the plant's own table, which is made where it is not there."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    columns = "id INTEGER, machine TEXT, at FLOAT, force NUMERIC(9, 2), heat FLOAT"
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE TABLE IF NOT EXISTS readings ({columns})"))
        connection.execute(sqlalchemy.text("INSERT INTO readings VALUES (:id, :machine, :at, :force, :heat)"), rows)


def test_a_query_is_read_and_later_fetches_read_what_is_beyond_the_watermark(store_url, tmp_path):
    paths = Paths(tmp_path, "press")
    store(store_url, readings(0, 5))
    twin = contract(store_url, query=QUERY, watermark="id")
    paths.raw.mkdir(parents=True)
    fetch(twin, paths, paths.raw)
    assert adapt(twin, paths.raw)["force"].tolist() == [0, 0.5, 1, 1.5, 2]

    store(store_url, [*readings(5, 3), readings(2, 1)[0] | {"heat": 9.0}])
    (tmp_path / "next").mkdir()
    fetch(twin, paths, tmp_path / "next")
    rows = adapt(twin, tmp_path / "next")
    assert rows["time"].tolist() == list(range(8)), "the row below the watermark is not read again"
    assert len(list((tmp_path / "next" / "table").iterdir())) == 2


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("DELETE FROM readings", "only reads, such as SELECT, are run"),
        ("WITH gone AS (SELECT 1) DELETE FROM readings", "cannot be read"),
        ("SELECT * FROM nothing", "cannot be read"),
    ],
)
def test_a_query_that_fails_or_writes_is_refused_and_changes_nothing(store_url, tmp_path, query, reason):
    store(store_url, readings(0, 2))
    with pytest.raises(SourceError, match=reason) as caught:
        table.fetch_table(contract(store_url, query=query).source, tmp_path, tmp_path)
    assert "@" not in str(caught.value), "no user and no password in a message"
    with sqlalchemy.create_engine(store_url, poolclass=sqlalchemy.NullPool).connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM readings")).scalar() == 2
