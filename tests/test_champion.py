"""The champion of a twin: whole, the one that its identity names, and without the libraries of training."""

import subprocess
import sys
import threading

import pytest
from tiny_bundle import environment, random_rows, save_tiny_bundle, tiny_project, tiny_twin

from foretwin.champion import champion_stamp, load_champion, read_champion
from foretwin.config import Paths
from foretwin.errors import BundleError, RegistryError
from foretwin.packaging import keep_champion
from foretwin.scoring_call import ModelIdentity

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
        for i in range(150):
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
    assert all("no champion yet" in line or "replaced again and again" in line for line in refused), refused


def test_a_champion_is_loaded_without_training_or_tracking(tmp_path):
    script = "import sys, foretwin.champion; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], env=environment(tmp_path), capture_output=True, check=True)
    assert not {"torch", "mlflow", "lightning", "sklearn", "bentoml"} & set(done.stdout.decode().split())
