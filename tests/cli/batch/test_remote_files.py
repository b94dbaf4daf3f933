"""Scoring from and to an object store, by the commands as typed, and what is said of a place that fails."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import pytest

from benchmarks.servers import ObjectStore
from foretwin.cli.batch import scored_folder
from foretwin.cli.batch.remote_files import sent
from support.commands import refusal, shown
from support.tiny_bundle import keep_tiny_champion, random_rows, tiny_twin

TWIN = tiny_twin()
ROWS = random_rows(TWIN, {f"M-{i:02d}": 10 + i for i in range(12)})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A server of S3's interface with the rows in one CSV file, and by time in three Parquet files."""
    folder = tmp_path_factory.mktemp("s3")
    server = ObjectStore(folder / "s3.log").start()
    parts = np.array_split(np.argsort(ROWS["time"].to_numpy(), kind="stable"), 3)
    client = client_of(server)
    for name, part in zip(("a", "deeper/b", "deeper/c"), parts, strict=True):
        ROWS.iloc[part].to_parquet(folder / "part.parquet", index=False)
        client.upload_file(folder / "part.parquet", "plant", f"readings/{name}.parquet")
    ROWS.to_csv(folder / "rows.csv", index=False)
    client.upload_file(folder / "rows.csv", "plant", "rows.csv")
    yield server
    server.stop()


def client_of(server):
    url, region, key, secret = server.settings.values()
    return boto3.client("s3", region, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret)


@pytest.fixture
def place(store, tmp_path, monkeypatch):
    """A project with a champion as the current folder, an own folder for temporary files, and the store's settings."""
    keep_tiny_champion(tmp_path / "project", TWIN)
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(scored_folder, "PART", 40)
    for name, value in store.settings.items():
        monkeypatch.setenv(name, value)
    yield store
    assert list((tmp_path / "temporary").iterdir()) == [], "something was left"


def objects(server, prefix):
    return [one["Key"] for one in client_of(server).list_objects_v2(Bucket="plant", Prefix=prefix).get("Contents", [])]


def brought_back(server, key, folder):
    client_of(server).download_file("plant", key, folder / Path(key).name)
    return folder / Path(key).name


def same_scores(found, expected):
    columns = ["asset", "time", "rul", "rul_low", "rul_high"]
    both = [one[columns].sort_values(["asset", "time"], ignore_index=True) for one in (found, expected)]
    pd.testing.assert_frame_equal(*both, check_dtype=False, atol=1e-5)


def test_a_folder_in_the_store_is_scored_into_the_store(place, tmp_path):
    said = shown("score", "s3://plant/readings", "--twin", "pump", "--every", "--out", "s3://plant/out/scores.parquet")
    local = tmp_path / "local"
    local.mkdir()
    ROWS.to_parquet(local / "rows.parquet", index=False)
    shown("score", str(local), "--twin", "pump", "--every", "--out", str(tmp_path / "expected.parquet"))
    expected = pd.read_parquet(tmp_path / "expected.parquet")
    assert said == f"wrote s3://plant/out/scores.parquet: {len(expected)} scores"
    assert objects(place, "out/") == ["out/scores.parquet"]
    same_scores(pd.read_parquet(brought_back(place, "out/scores.parquet", tmp_path)), expected)


def test_single_files_are_scored_from_the_store_and_into_it(place, tmp_path):
    (tmp_path / "rows.csv").write_bytes(ROWS.to_csv(index=False).encode())
    shown("score", str(tmp_path / "rows.csv"), "--twin", "pump", "--out", "here.csv")
    said = shown("score", "s3://plant/rows.csv", "--twin", "pump", "--out", "s3://plant/one/scores.csv")
    assert said == "wrote s3://plant/one/scores.csv: 12 assets"
    assert brought_back(place, "one/scores.csv", tmp_path).read_bytes() == Path("here.csv").read_bytes()
    assert shown("score", "s3://plant/readings/a.parquet", "--twin", "pump", "--out", "a.csv").startswith("wrote a.csv")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("s3://plant/none.csv", r"FILE: s3://plant/none\.csv: no such file, folder or bucket; correct the URL"),
        ("s3://nobody/readings", r"FILE: s3://nobody/readings: no such file, folder or bucket; correct the URL"),
        ("nowhere://plant/rows.csv", r"FILE: nowhere://plant/rows\.csv: cannot be read \(.*\); correct the URL, .*"),
    ],
)
def test_a_file_that_is_not_there_is_one_line(place, file, told):
    assert re.fullmatch(told, refusal("score", file, "--twin", "pump"))


def test_scores_for_a_bucket_that_is_not_there_stay_here(place, tmp_path):
    found = refusal("score", "s3://plant/rows.csv", "--twin", "pump", "--out", "s3://nobody/scores.csv")
    assert found.startswith("--out: s3://nobody/scores.csv: the scores are in ")
    kept = next((tmp_path / "temporary").rglob("scores.csv"))
    assert str(kept) in found
    assert len(pd.read_csv(kept)) == 12
    kept.unlink()
    kept.parent.rmdir()


def test_nothing_is_left_at_the_place_of_scores_that_fail(place):
    Path("bad").mkdir()
    ROWS.assign(asset=ROWS["asset"].replace("M-11", "a\tb")).to_parquet("bad/rows.parquet", index=False)
    assert "asset" in refusal("score", "bad", "--twin", "pump", "--out", "s3://plant/half/s.csv")
    assert objects(place, "half/") == []


def test_a_store_that_is_away_is_told_before_anything_is_scored(place, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    Path("damaged.csv").write_text("no readings\n")
    found = refusal("score", "damaged.csv", "--twin", "pump", "--out", "s3://plant/scores.csv")
    assert re.fullmatch(r"--out: s3://plant/scores\.csv: cannot be written \(.*\); correct the URL, or .*", found)
    assert "s3://plant/rows.csv: cannot be read (" in refusal("score", "s3://plant/rows.csv", "--twin", "pump")


def test_another_ending_than_csv_and_parquet_is_refused_before_anything_is_scored(place):
    found = refusal("score", "s3://plant/none", "--twin", "pump", "--out", "s3://plant/scores.txt")
    assert found == "--out: s3://plant/scores.txt ends neither in .csv nor in .parquet"


class Forbidding(BaseHTTPRequestHandler):
    """A server that gives nobody anything."""

    def do_GET(self):
        self.send_error(403)

    def do_HEAD(self):
        self.send_error(403)

    def log_message(self, *_):
        """Leave stderr to the command."""


def test_no_message_has_a_secret_of_the_url(place):
    with ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        found = refusal("score", f"http://user:pass-word@{host}/rows.csv?sig=secret-part", "--twin", "pump")
        server.shutdown()
    assert found.startswith(f"FILE: http://{host}/rows.csv: cannot be read (")
    assert "pass-word" not in found
    assert "secret-part" not in found


def test_damage_of_a_remote_file_is_told(place):
    client_of(place).put_object(Bucket="plant", Key="damaged/a.parquet", Body=b"PAR1, no more")
    found = refusal("score", "s3://plant/damaged", "--twin", "pump", "--out", "scores.csv")
    assert found.startswith("FILE: s3://plant/damaged/a.parquet: cannot be read (")


def test_elsewhere_than_in_a_store_a_file_is_renamed_when_it_is_whole(tmp_path):
    with sent((tmp_path / "deep" / "scores.csv").as_uri()) as written:
        written.write_text("whole")
        assert not (tmp_path / "deep").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["scores.csv"]
