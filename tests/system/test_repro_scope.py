"""What `dvc repro` does again, and what it leaves alone: real stages of real twins."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from foretwin import registry
from foretwin.champion import ledger
from foretwin.champion.champion import load_champion
from support.clone import own_machine, run

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def project(built, tmp_path_factory) -> Path:
    """A copy of the built project."""
    folder = tmp_path_factory.mktemp("scope") / "project"
    shutil.copytree(built, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def with_press(project) -> Path:
    """The project after a second twin was put on its list, from a CSV outside of it, and prepared for training."""
    own_machine(project.parent / "press.csv")
    run(f"foretwin new press {project.parent}/press.csv && foretwin add press", project)
    run("dvc repro data/press/dvc.yaml:prepare", project)
    return project


def ran(shown: str) -> list[str]:
    return re.findall(r"Running stage '(.*)'", shown)


def always(twin: str) -> list[str]:
    """The stages that look outside the project, which DVC is told to run every time."""
    return [of(twin, "fetch"), of(twin, "publish")]


def of(twin: str, stage: str) -> str:
    return f"data/{twin}/dvc.yaml:{stage}"


def changed(project: Path) -> set[str]:
    """The stages that DVC would run again, those that it always runs aside."""
    shown = run("dvc status --json", project)
    status = json.loads(shown[shown.index("{") : shown.rindex("}") + 1])
    return {name for name, why in status.items() if why != ["always changed"]}


def of_twin(stages: set[str], twin: str) -> set[str]:
    return {name for name in stages if name.startswith(f"data/{twin}/") or name.endswith(f"@{twin}")}


def test_where_nothing_has_changed_a_repro_runs_only_what_looks_outside(project):
    """How long that takes is measured by benchmarks/speed/repro.py; a test would only measure the machine."""
    shown = run("dvc repro", project)
    assert ran(shown) == always("pump")


def test_the_dvc_of_the_project_s_environment_needs_no_activation(project):
    (project / ".venv").symlink_to(sys.prefix)
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "DVC_NO_ANALYTICS": "1", "CI": "true"}
    command = [".venv/bin/dvc", "repro"]
    try:
        done = subprocess.run(command, cwd=project, env=bare, capture_output=True, text=True, check=False)
    finally:
        (project / ".venv").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(done.stdout + done.stderr) == always("pump")


@pytest.fixture(scope="module")
def before(with_press) -> set[str]:
    """What DVC would run again after that; each test puts back what it changes."""
    return changed(with_press)


def test_a_second_twin_leaves_the_stages_of_the_first_alone(before):
    assert of_twin(before, "pump") == set()


@pytest.mark.parametrize(("touched", "other"), [("pump", "press"), ("press", "pump")])
def test_a_changed_contract_concerns_its_own_twin_alone(with_press, before, touched, other):
    contract = with_press / "data" / touched / "twin.yaml"
    text = contract.read_text()
    contract.write_text(text + "# looked through\n")
    try:
        after = changed(with_press)
    finally:
        contract.write_text(text)
    assert after - before == of_twin(after - before, touched)
    stages = ("fetch", "adapt", "validate", "prepare", "tune", "train", "evaluate")
    assert {of(touched, stage) for stage in stages} <= after
    assert of_twin(after, other) == of_twin(before, other)


def test_a_budget_of_one_twin_concerns_its_tuning_and_no_other_twin(with_press, before):
    params = with_press / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("pump: {prepare: {}, tune: {}", "pump: {prepare: {}, tune: {trials: 3}"))
    try:
        after = changed(with_press)
    finally:
        params.write_text(text)
    assert after - before == {of("pump", "tune")}


def test_a_changed_source_reruns_its_own_twin_alone(with_press):
    source = with_press.parent / "press.csv"
    table = pd.read_csv(source)
    table["Force (kN)"] += 0.5
    table.to_csv(source, index=False)
    shown = ran(run("dvc repro data/press/dvc.yaml:prepare data/pump/dvc.yaml:prepare", with_press))
    of_press = [of("press", stage) for stage in ("fetch", "adapt", "validate", "prepare")]
    assert [name for name in shown if name.startswith("data/press/")] == of_press
    assert [name for name in shown if name.startswith("data/pump/")] == [of("pump", "fetch")]


@pytest.fixture(scope="module")
def refused(built, tmp_path_factory) -> Path:
    """A copy of the built project whose newest candidate has intervals four times as wide."""
    folder = tmp_path_factory.mktemp("refused") / "project"
    shutil.copytree(built, folder, symlinks=True)
    models = folder / "models/pump"
    calibration = json.loads((models / "bundle/calibration.json").read_text())
    for ends in ("below", "above"):
        calibration[ends] = [4 * reach for reach in calibration[ends]]
    (models / "bundle/calibration.json").write_text(json.dumps(calibration))
    manifest = json.loads((models / "bundle/manifest.json").read_text())
    manifest["files"]["calibration.json"] = digest_of(models / "bundle/calibration.json")
    (models / "bundle/manifest.json").write_text(json.dumps(manifest))
    training = json.loads((models / "training.json").read_text())
    (models / "training.json").write_text(json.dumps(training | {"bundle": digest_of(models / "bundle/manifest.json")}))
    run("dvc commit --force data/pump/dvc.yaml:train", folder)  # as if the stage had made it
    run("dvc repro data/pump/dvc.yaml:publish", folder)
    return folder


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def champions(project: Path) -> set[str]:
    """The champion's version, as the folder that is served and as the registry have it: one, where they agree."""
    found = registry.champion(project, "pump")
    assert found is not None
    return {found.version, load_champion(project, "pump").identity.version}


def test_what_is_forced_and_rolled_back_stays_so_however_often_dvc_runs(refused):
    assert not json.loads((refused / "models/pump/promotion.json").read_text())["promoted"]
    assert champions(refused) == {"1"}

    run("foretwin promote pump --force 'the customer wants wide intervals'", refused)
    assert champions(refused) == {"2"}
    assert changed(refused) == set()

    said = run("foretwin rollback pump --reason 'far too wide'", refused)
    assert "DVC's records" not in said
    assert champions(refused) == {"1"}
    assert changed(refused) == set()

    shown = run("dvc repro", refused)
    assert ran(shown) == always("pump")
    shutil.rmtree(refused / "models/pump/champion")
    run("dvc checkout", refused)
    assert champions(refused) == {"1"}

    run("dvc repro --force --single-item data/pump/dvc.yaml:promote", refused)  # the gate is asked once more
    run("dvc repro", refused)
    assert champions(refused) == {"1"}
    _, *actions = [entry.action for entry in ledger.read(refused / "models/pump/ledger.jsonl")]  # first the shipped one
    assert actions == ["promoted", "refused", "forced", "rolled_back", "refused"]
