"""A bundle on disk: verified as it was saved, and refused when it is anything else."""

import json
import shutil
from pathlib import Path

import pytest

from foretwin.errors import BundleError
from foretwin.predictor.bundle import Bundle, save_bundle, verify
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.rul_intervals import RulIntervals
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_network, tiny_reference, tiny_twin

TWIN = tiny_twin()
FILES = ["contract.json", "network.onnx", "calibration.json", "fault_calibration.json", "reference.json"]


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    return folder


@pytest.fixture(scope="session")
def bundle(saved) -> Bundle:
    return Bundle.load(saved)


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def test_a_bundle_comes_back_as_it_was_saved(saved, bundle):
    assert bundle.contract == TWIN
    assert bundle.digest == verify(saved)
    assert bundle.calibration == RulIntervals(0.9, (0.0, 100.0), (1.0, 5.0), (2.0, 6.0))
    assert bundle.fault_calibration == {axis: FaultCalibration(0.25, 0.5, 0.9) for axis in TWIN.axes}
    assert bundle.reference.ranges.tolist() == [[-3] * 3, [3] * 3]
    assert bundle.reference.healthy.tolist() == [[[-0.5, 0, 0.5]]]
    assert bundle.reference.age == 20


def test_the_same_content_is_the_same_digest_and_other_content_another(tmp_path):
    digests = []
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        (tmp_path / name).mkdir()
        digests.append(save_tiny_bundle(tmp_path / name, TWIN, seed))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("missing", [False, True])
def test_an_altered_or_missing_file_is_not_passed_over(copy, name, missing):
    content = (copy / name).read_bytes()
    (copy / name).unlink() if missing else (copy / name).write_bytes(content[:-2] + b" " + content[-1:])
    with pytest.raises(BundleError, match=f"/{name}: missing, unknown or altered"):
        Bundle.load(copy)


def test_an_added_file_or_folder_is_refused(copy):
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"/notes.txt: missing, unknown or altered"):
        verify(copy)
    (copy / "notes.txt").unlink()
    (copy / "more").mkdir()
    with pytest.raises(BundleError, match=r"/more: missing, unknown or altered"):
        verify(copy)
    (copy / "more").rmdir()
    verify(copy)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"files": 3}', "\0", '{"format": 1}'])
def test_what_has_no_readable_manifest_is_no_bundle(copy, content):
    (copy / "manifest.json").unlink()
    if content is not None:
        (copy / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=r"not a bundle, its manifest.json cannot be read"):
        Bundle.load(copy)


def test_a_folder_that_is_not_there_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(tmp_path / "nothing")


def test_another_format_says_to_train_again(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    with pytest.raises(BundleError, match="bundle format 1, this version reads 2"):
        Bundle.load(copy)


def test_a_contract_of_another_version_says_to_train_again(tmp_path):
    class Later:
        name, digest = TWIN.name, TWIN.digest

        def model_dump_json(self, indent: int) -> str:
            return json.dumps({**TWIN.model_dump(mode="json"), "horizon": 3})

    save_bundle(tmp_path, Later(), tiny_network(TWIN), None, tiny_reference(TWIN), {})
    with pytest.raises(BundleError, match=r"contract.json: of another version of Foretwin; train again"):
        Bundle.load(tmp_path)


def test_a_bundle_without_its_intervals_does_not_score(tmp_path):
    save_bundle(tmp_path, TWIN, tiny_network(TWIN), None, tiny_reference(TWIN), {})
    with pytest.raises(BundleError, match=r": calibration.json is missing"):
        Bundle.load(tmp_path).score(random_rows(TWIN, {"a": 4}))


def test_a_bundle_without_the_calibration_of_an_axis_does_not_score(tmp_path):
    twin = tiny_twin(rul=False)
    faults = {"mode": FaultCalibration(0.25, 0.5, 0.9)}
    save_bundle(tmp_path, twin, tiny_network(twin), None, tiny_reference(twin), faults)
    with pytest.raises(BundleError, match=r"fault_calibration.json lacks axis bearing"):
        Bundle.load(tmp_path).score(random_rows(twin, {"a": 4}))
