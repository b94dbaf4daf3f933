"""lineage.json: what a model was made of, without the name of a single asset."""

import json
import os
import subprocess
import sys
from hashlib import md5, sha256
from pathlib import Path

import pytest
import yaml

from foretwin.champion.provenance import STAGES, asset_digest, write_lineage
from foretwin.project.paths import Paths

ASSETS = {"P-017": 0, "P-018": 1, "store/Q7-pümp": 0, "P-001": -1}
READ = {"fetch": "twin.yaml", "adapt": "raw", "validate": "rows", "prepare": "rows", "tune": "windows"}
MADE = {"fetch": "data/pump/raw", "adapt": "data/pump/rows", "validate": "data/pump/validation"}
MADE |= {"prepare": "data/pump/windows", "tune": "models/pump/tuning.json", "train": "models/pump/training.json"}
TRIALS = [{"number": 4, "value": None}, {"number": 5, "value": 0.5}, {"number": 6, "value": 0.25}]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def verdict_of(bundle: str, **more) -> dict:
    head = {"name": "foretwin-pump", "version": "3", "run": "r" * 32, "decided_at": "2026-11-21T12:00:00+00:00"}
    return {**head, "promoted": True, "forced": None, "evidence": {"bundle": bundle}} | more


BUNDLE = "b" * 64
VERDICT = verdict_of(BUNDLE)


@pytest.fixture
def paths(tmp_path):
    """What the stages leave of one training."""
    paths = Paths(tmp_path, "pump")
    for folder in (paths.raw / "part", paths.rows, paths.windows, paths.validation, paths.models):
        folder.mkdir(parents=True)
    (paths.contract).write_text("name: pump\n")
    (paths.raw / "fleet.csv").write_text("a,b\n1,2\n")
    (paths.raw / "part" / "more.csv").write_text("3,4\n")
    (paths.rows / "rows.parquet").write_bytes(b"rows")
    (paths.windows / "splits.json").write_text(json.dumps(ASSETS))
    (paths.windows / "development.parquet").write_bytes(b"development")
    (paths.validation / "result.json").write_text(json.dumps({"success": True}))
    (paths.models / "tuning.json").write_text(json.dumps({"value": 0.25, "trials": TRIALS, "best": {}}))
    training = {
        "bundle": BUNDLE,
        "data": {path.name: digest(path) for path in paths.windows.iterdir()},
        "git": {"commit": "c" * 40, "dirty": False},
        "contract": "d" * 64,
        "environment": {"python": "3.11"},
        "history": "e" * 64,
    }
    (paths.models / "training.json").write_text(json.dumps(training))
    return paths


def written(paths: Paths, verdict: dict = VERDICT) -> dict:
    write_lineage(paths, verdict, paths.models / "lineage.json")
    return json.loads((paths.models / "lineage.json").read_bytes())


def test_a_lineage_says_what_the_model_was_made_of(paths):
    lineage = written(paths)
    training = json.loads((paths.models / "training.json").read_bytes())
    for name in ("git", "contract", "environment", "data", "history"):
        assert lineage[name] == training[name]
    assert (lineage["bundle"], lineage["twin"], lineage["version"], lineage["run"]) == (BUNDLE, "pump", "3", "r" * 32)
    assert lineage["raw"] == {name: digest(paths.raw / name) for name in ("fleet.csv", "part/more.csv")}
    assert lineage["rows"] == {"rows.parquet": digest(paths.rows / "rows.parquet")}
    assert lineage["validation"] == {"success": True, "sha256": digest(paths.validation / "result.json")}
    assert lineage["study"] == {"sha256": digest(paths.models / "tuning.json"), "trial": 6, "trials": 3, "value": 0.25}
    assert lineage["bento"] == f"foretwin-pump:3-{'b' * 16}"
    assert (lineage["decided"], lineage["decided_at"]) == ("promoted", VERDICT["decided_at"])


def test_assets_are_told_apart_but_never_named(paths):
    lineage = written(paths)
    text = (paths.models / "lineage.json").read_text()
    for name in ASSETS:
        assert name not in text
        assert json.dumps(name)[1:-1] not in text
    assert lineage["assets"]["held_out"] == [asset_digest("P-001")]
    assert lineage["assets"]["trained"] == sorted(asset_digest(name) for name in ASSETS if name != "P-001")


def test_the_same_project_gives_the_same_bytes(paths):
    write_lineage(paths, VERDICT, paths.root / "one.json")
    write_lineage(paths, VERDICT, paths.root / "two.json")
    assert (paths.root / "one.json").read_bytes() == (paths.root / "two.json").read_bytes()


@pytest.mark.parametrize(
    ("said", "decided"),
    [({"forced": "the old one is broken"}, "forced"), ({"promoted": False}, "refused")],
)
def test_what_was_decided_is_told(paths, said, decided):
    assert written(paths, VERDICT | said)["decided"] == decided


def test_what_a_project_lacks_is_null(tmp_path):
    lineage = written(Paths(tmp_path, "pump"))
    absent = ("git", "contract", "environment", "data", "history", "raw", "rows", "validation", "study", "assets")
    assert all(lineage[name] is None for name in absent)
    assert lineage["dvc"] == {"lock": None, "stages": {}}


def test_the_training_of_another_bundle_is_not_told_as_this_ones(paths):
    lineage = written(paths, verdict_of("f" * 64))
    assert lineage["git"] is lineage["data"] is lineage["assets"] is None


def test_a_split_that_changed_since_the_training_says_nothing(paths):
    (paths.windows / "splits.json").write_text(json.dumps({"P-099": 1}))
    assert written(paths)["assets"] is None


@pytest.fixture
def locked(paths, monkeypatch):
    """The same with a dvc.lock that DVC itself wrote."""
    for name in list(os.environ):
        if name.startswith("DVC_"):
            monkeypatch.delenv(name)
    stages = {
        name: {
            "wdir": "../..",
            "cmd": "true",
            "deps": [f"data/pump/{READ[name]}" if name in READ else "data/pump/windows"],
            "outs": [{MADE[name]: {"persist": True}}],
        }
        for name in STAGES
    }
    stages["package"] = {"wdir": "../..", "cmd": "date +%N > done", "outs": ["done"]}
    (paths.data / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    dvc(paths.root, "init", "--no-scm", "-q")
    dvc(paths.root, "repro", "-q", "data/pump/dvc.yaml")
    return paths


def dvc(root: Path, *arguments: str) -> None:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_dvc_recorded_is_told_and_a_later_stage_does_not_change_it(locked):
    told = written(locked)["dvc"]
    assert list(told["stages"]) == list(STAGES)
    tuning = md5((locked.models / "tuning.json").read_bytes(), usedforsecurity=False).hexdigest()
    assert told["stages"]["tune"]["models/pump/tuning.json"] == tuning
    assert told["stages"]["fetch"]["data/pump/raw"].endswith(".dir")
    dvc(locked.root, "repro", "-q", "-f", "-s", "data/pump/dvc.yaml:package")
    assert written(locked)["dvc"] == told


def test_another_input_is_another_revision(locked):
    before = written(locked)["dvc"]["lock"]
    (locked.rows / "rows.parquet").write_bytes(b"other rows")
    dvc(locked.root, "repro", "-q", "data/pump/dvc.yaml")
    assert written(locked)["dvc"]["lock"] != before


def test_a_lock_that_is_not_of_this_training_is_not_told(locked):
    record = locked.models / "training.json"
    record.write_text(record.read_text() + "\n")
    assert written(locked)["dvc"] == {"lock": None, "stages": {}}


def test_a_project_whose_only_lock_is_that_of_an_earlier_layout_is_told_as_one_without(locked):
    (locked.data / "dvc.lock").rename(locked.root / "dvc.lock")
    assert written(locked)["dvc"] == {"lock": None, "stages": {}}
