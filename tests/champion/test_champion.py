"""The champion of a twin: whole, the one that its identity names, and without the libraries of training."""

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from foretwin.champion.champion import ChampionRecord, champion_stamp, keep_champion, load_champion, read_champion
from foretwin.champion.golden import check_golden
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BundleError, RegistryError
from foretwin.project.paths import Paths
from support.tiny_bundle import environment, random_rows, save_tiny_bundle, tiny_project, tiny_twin

TWIN = tiny_twin()


@pytest.fixture
def root(tmp_path):
    tiny_project(tmp_path, TWIN)
    return tmp_path


@pytest.fixture
def bundles(tmp_path):
    """Two bundles of the twin by version, each with its folder and its digest."""
    found = {}
    for version in ("4", "5"):
        folder = tmp_path / "bundles" / version
        folder.mkdir(parents=True)
        found[version] = folder, save_tiny_bundle(folder, TWIN, seed=int(version))
    return found


def promote(root, version, bundles):
    folder, digest = bundles[version]
    keep_champion(Paths(root, "pump"), folder, ModelIdentity("foretwin-pump", version, "run", digest))


def test_a_champion_is_its_bundle_and_its_identity(root):
    champion = load_champion(root, "pump")
    assert (champion.identity.name, champion.identity.version) == ("foretwin-pump", "3")
    assert champion.identity.digest == champion.bundle.digest
    assert champion.bundle.contract == TWIN
    again = read_champion(root / "models" / "pump" / "champion")
    rows = random_rows(TWIN, {"a": 9})
    assert again.bundle.score(rows).equals(champion.bundle.score(rows))


def test_the_threads_of_a_score_are_those_asked_for(root):
    options = load_champion(root, "pump", threads=2).bundle.session.get_session_options()
    assert options.intra_op_num_threads == 2


def test_a_twin_without_a_champion_says_how_to_make_one(root):
    assert champion_stamp(root, "press") is None
    with pytest.raises(
        RegistryError, match=r"press has no champion yet; `foretwin add press` and `dvc repro` make one"
    ):
        load_champion(root, "press")


@pytest.mark.parametrize("loaded", [True, False], ids=["load", "read"])
def test_a_bundle_that_its_identity_does_not_name_is_refused(root, bundles, loaded):
    champion = root / "models" / "pump" / "champion"
    identity = (champion / "identity.json").read_text()
    promote(root, "4", bundles)
    (champion / "identity.json").write_text(identity)
    with pytest.raises(BundleError, match=r"bundle and identity.json differ; run `dvc repro package` again"):
        load_champion(root, "pump") if loaded else read_champion(champion)


@pytest.mark.parametrize("file", ["identity.json", "bundle/manifest.json", "bundle/network.onnx"])
def test_a_file_that_is_missing_is_named(root, file):
    (root / "models" / "pump" / "champion" / file).unlink()
    with pytest.raises(BundleError, match=file.rpartition("/")[2]):
        load_champion(root, "pump")


def test_the_stamp_changes_with_the_champion_and_only_then(root, bundles):
    first = champion_stamp(root, "pump")
    load_champion(root, "pump")
    assert champion_stamp(root, "pump") == first
    promote(root, "4", bundles)
    assert champion_stamp(root, "pump") != first


def test_a_champion_is_never_read_half_while_another_takes_its_place(root, bundles):
    digests = {digest for _, digest in bundles.values()}
    promote(root, "4", bundles)
    done, seen, refused = threading.Event(), set(), []

    def replace():
        for i in range(50):
            promote(root, "45"[i % 2], bundles)
        done.set()

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        while not done.is_set():
            try:
                champion = load_champion(root, "pump")
            except (BundleError, RegistryError) as error:  # its folder is not there for a moment
                refused.append(str(error))
                continue
            assert champion.identity.digest == champion.bundle.digest
            seen.add(champion.bundle.digest)
    finally:
        thread.join()
    assert seen == digests
    odd = [line for line in refused if "no champion yet" not in line and "replaced again and again" not in line]
    assert not odd


def test_a_champion_is_loaded_without_training_or_tracking(tmp_path):
    script = "import sys, foretwin.champion.champion; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], env=environment(tmp_path), capture_output=True, check=True)
    assert not {"torch", "mlflow", "lightning", "sklearn", "bentoml"} & set(done.stdout.decode().split())


def write_records(root, digest, decided_at="2026-11-20T08:00:00+00:00", promoted=True):
    """What the stages leave in models/pump/ about a bundle."""
    records = {
        "training.json": {"bundle": digest, "git": {"commit": "c" * 40}},
        "evaluation.json": {"bundle": digest, "network": {"rul": {"clipped": {"rmse": 9.5}}}, "baselines": {}},
        "promotion.json": {
            "evidence": {"bundle": digest},
            "promoted": promoted,
            "reasons": ["beats the linear baseline"],
            "decided_at": decided_at,
        },
    }
    for name, content in records.items():
        (root / "models" / "pump" / name).write_text(json.dumps(content))


def content_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_champion_carries_what_the_stages_recorded_of_it(root, bundles):
    write_records(root, bundles["4"][1])
    promote(root, "4", bundles)
    record = load_champion(root, "pump").record
    assert record.promoted_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert record.commit == "c" * 40
    assert record.metrics == {"rul": {"clipped": {"rmse": 9.5}}}
    assert record.gate == {"promoted": True, "reasons": ["beats the linear baseline"]}


def test_what_was_recorded_of_another_bundle_is_not_taken_for_its_own(root, bundles):
    write_records(root, bundles["5"][1])
    promote(root, "4", bundles)
    assert load_champion(root, "pump").record == ChampionRecord()


def test_a_version_that_the_gate_refused_has_no_moment_of_promotion(root, bundles):
    write_records(root, bundles["4"][1], promoted=False)
    promote(root, "4", bundles)
    record = load_champion(root, "pump").record
    assert record.promoted_at is None
    assert record.gate is not None
    assert not record.gate["promoted"]


def test_keeping_the_same_champion_again_writes_nothing(root, bundles):
    write_records(root, bundles["4"][1])
    promote(root, "4", bundles)
    before = champion_stamp(root, "pump")
    promote(root, "4", bundles)
    assert champion_stamp(root, "pump") == before


def test_the_record_of_a_champion_outlives_a_refused_candidate_and_a_second_evaluation(root, bundles):
    write_records(root, bundles["4"][1])
    promote(root, "4", bundles)
    first = content_of(root / "models" / "pump" / "champion")
    write_records(root, bundles["5"][1], promoted=False)
    promote(root, "4", bundles)
    assert content_of(root / "models" / "pump" / "champion") == first
    write_records(root, bundles["4"][1], decided_at="2026-11-21T08:00:00+00:00")
    promote(root, "4", bundles)
    assert content_of(root / "models" / "pump" / "champion") == first


def test_the_same_things_are_kept_as_the_same_bytes(root, bundles):
    write_records(root, bundles["4"][1])
    promote(root, "4", bundles)
    first = content_of(root / "models" / "pump" / "champion")
    shutil.rmtree(root / "models" / "pump" / "champion")
    promote(root, "4", bundles)
    assert content_of(root / "models" / "pump" / "champion") == first
    assert {path.parts[0] for path in first} == {"bundle", "golden", "identity.json", "record.json"}


def test_a_champion_that_an_earlier_version_kept_loads_and_is_completed(root, bundles):
    promote(root, "4", bundles)
    champion = root / "models" / "pump" / "champion"
    whole = content_of(champion)
    (champion / "record.json").unlink()
    shutil.rmtree(champion / "golden")
    assert load_champion(root, "pump").record == ChampionRecord()
    promote(root, "4", bundles)
    assert content_of(champion) == whole


@pytest.mark.parametrize("damaged", ["bundle/network.onnx", "golden/scores.parquet", "record.json", "identity.json"])
def test_a_damaged_champion_is_kept_anew(root, bundles, damaged):
    promote(root, "4", bundles)
    champion = root / "models" / "pump" / "champion"
    whole = content_of(champion)
    (champion / damaged).write_bytes(b"{}")
    promote(root, "4", bundles)
    assert content_of(champion) == whole


def test_a_record_that_is_none_is_refused(root):
    record = root / "models" / "pump" / "champion" / "record.json"
    record.write_text('{"promoted_at": "yesterday", "commit": null, "metrics": {}, "gate": null}')
    with pytest.raises(BundleError, match=r"record.json: not a champion's record"):
        load_champion(root, "pump")


def test_several_may_keep_a_champion_at_once(root, bundles):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: promote(root, version, bundles), "4545454545454545"))
    champion = load_champion(root, "pump")
    check_golden(root / "models" / "pump" / "champion", champion.bundle)
    assert sorted(path.name for path in (root / "models" / "pump").iterdir()) == ["champion"]


def test_what_stages_say_of_the_bundle_is_kept_beside_it_and_nothing_of_another(root, bundles):
    (_, digest), models = bundles["4"], root / "models" / "pump"
    (models / "drift.json").write_text(json.dumps({"bundle": digest, "bins": [1, 2]}))
    (models / "lineage.json").write_text(json.dumps({"bundle": "another"}))
    promote(root, "4", bundles)
    champion = models / "champion"
    assert json.loads((champion / "drift.json").read_text())["bins"] == [1, 2]
    assert not (champion / "lineage.json").exists()
    kept = champion_stamp(root, "pump")
    (models / "drift.json").unlink()
    promote(root, "4", bundles)
    assert champion_stamp(root, "pump") == kept, "what the folder holds already stays"
    (models / "lineage.json").write_text(json.dumps({"bundle": digest, "version": "4"}))
    promote(root, "4", bundles)
    assert json.loads((champion / "lineage.json").read_text())["version"] == "4"
    assert (champion / "drift.json").exists()


def test_a_folder_that_only_says_why_there_is_no_champion_holds_none(tmp_path):
    folder = tmp_path / "models" / "pump" / "champion"
    folder.mkdir(parents=True)
    (folder / "none.json").write_text("{}")
    with pytest.raises(RegistryError, match="pump has no champion yet"):
        load_champion(tmp_path, "pump")
