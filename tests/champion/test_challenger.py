"""A candidate's folder, and the commands that begin, show and end its trial."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from foretwin import registry
from foretwin.champion.challenger import (
    PILOT,
    SHADOW,
    end_if_champion,
    end_trial,
    forget_asset,
    keep_trial,
    load_trial,
    mismatch,
    trial_stamp,
)
from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.errors import BundleError, RegistryError
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.registry import tracking_store as tracking
from foretwin.twin.store import open_store
from support.commands import refusal, shown
from support.live_project import FAN, PUMP, living_project, score
from support.stored_readings import store_rows
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(living_project(tmp_path / "project", PUMP), "pump")


def made(root: Path, version: str = "4", twin: Twin = PUMP, seed: int = 9) -> tuple[Path, ModelIdentity]:
    """A candidate's bundle and the version that it is."""
    folder = root / "trained" / f"{twin.name}-{version}" / "bundle"  # MLflow keeps it under its own name
    folder.mkdir(parents=True)
    return folder, ModelIdentity(f"foretwin-{twin.name}", version, "run-4", save_tiny_bundle(folder, twin, seed))


def kept(paths: Paths, *names: str, **how) -> ModelIdentity:
    bundle, identity = made(paths.root, **how)
    keep_trial(paths, bundle, identity, PILOT if names else SHADOW, names or None, NOON)
    return identity


def test_a_trial_is_read_back_as_it_was_kept(paths):
    assert load_trial(paths.root, "pump") is None
    identity = kept(paths)
    found = load_trial(paths.root, "pump")
    assert (found.identity, found.bundle.digest, found.mode, found.assets, found.since) == (
        identity,
        identity.digest,
        "shadow",
        None,
        NOON,
    )
    kept(paths, "P-2", "P-1", version="5", seed=10)
    found = load_trial(paths.root, "pump")
    assert (found.identity.version, found.mode, found.assets) == ("5", "pilot", frozenset({"P-1", "P-2"}))
    assert {path.name for path in (paths.models / "candidate").iterdir()} == {"bundle", "identity.json", "trial.json"}


def test_the_stamp_tells_one_trial_from_the_next(paths):
    assert trial_stamp(paths.root, "pump") is None
    stamps = []
    for version in ("4", "5"):
        kept(paths, version=version, seed=int(version))
        stamps.append(trial_stamp(paths.root, "pump"))
    assert None not in stamps
    assert stamps[0] != stamps[1]
    assert end_trial(paths)
    assert trial_stamp(paths.root, "pump") is None
    assert not end_trial(paths)


@pytest.mark.parametrize("name", ["trial.json", "identity.json", "bundle/network.onnx"])
def test_a_damaged_trial_is_refused_in_one_line(paths, name):
    kept(paths)
    (paths.models / "candidate" / name).write_text("{}")
    with pytest.raises(BundleError) as error:
        load_trial(paths.root, "pump")
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        {"mode": "pilot", "assets": None, "since": NOON.isoformat()},
        {"mode": "shadow", "assets": ["P-1"], "since": NOON.isoformat()},
        {"mode": "canary", "assets": None, "since": NOON.isoformat()},
        {"mode": "shadow", "assets": None, "since": "2026-11-21T12:00"},
    ],
    ids=str,
)
def test_terms_that_contradict_themselves_are_refused(paths, content):
    kept(paths)
    (paths.models / "candidate" / "trial.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="not the terms of a trial"):
        load_trial(paths.root, "pump")


def test_a_bundle_that_is_another_or_cannot_score_is_not_taken(paths):
    bundle, identity = made(paths.root)
    other = ModelIdentity(identity.name, "5", "run-5", "0" * 64)
    with pytest.raises(BundleError, match="not the bundle of foretwin-pump version 5"):
        keep_trial(paths, bundle, other, SHADOW)
    broken = paths.root / "broken"
    broken.mkdir()
    digest = save_tiny_bundle(broken, PUMP, bias=float("nan"))
    with pytest.raises(BundleError, match="rul is not finite"):
        keep_trial(paths, broken, ModelIdentity("foretwin-pump", "6", "run", digest), SHADOW)
    assert not (paths.models / "candidate").exists()


def test_a_trial_needs_a_champion_and_is_none_of_itself(paths):
    bundle, identity = made(paths.root)
    shutil.move(paths.models / "champion", paths.root / "aside")
    with pytest.raises(RegistryError, match="has no champion yet"):
        keep_trial(paths, bundle, identity, SHADOW)
    shutil.move(paths.root / "aside", paths.models / "champion")
    champion = ModelIdentity.read(paths.models / "champion" / "identity.json")
    with pytest.raises(RegistryError, match="version 3: is the champion already"):
        keep_trial(paths, paths.models / "champion" / "bundle", champion, SHADOW)


def changed(**sections) -> Twin:
    return Twin.model_validate({**PUMP.model_dump(), **sections})


OTHER_UNIT = {name: {**one.model_dump(), "unit": "psi"} for name, one in PUMP.channels.items()}
OTHER_QUESTIONS = tiny_twin(faults=False)


@pytest.mark.parametrize(
    ("candidate", "mode", "reason"),
    [
        (tiny_twin(length=12), PILOT, ""),
        (changed(title="Another", cases={"open_below": 5, "close_above": 9}), PILOT, ""),
        (FAN, SHADOW, "it is a model of fan, not of pump"),
        (tiny_twin(channels=4), SHADOW, "channel c3 is not the same"),
        (changed(channels=OTHER_UNIT), SHADOW, "channel c1 is not the same"),
        (changed(clock={"unit": "min", "step": 1}), SHADOW, "its time is in min, the champion's in h"),
        (OTHER_QUESTIONS, SHADOW, ""),
        (OTHER_QUESTIONS, PILOT, "it answers other questions"),
    ],
)
def test_a_candidate_has_to_understand_the_same_readings(candidate, mode, reason):
    found = mismatch(candidate, PUMP, mode)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_a_candidate_that_does_not_go_with_the_champion_is_not_kept(paths):
    with pytest.raises(RegistryError, match="version 4: cannot be tried: channel c3 is not the same"):
        kept(paths, twin=tiny_twin(channels=4))
    assert not (paths.models / "candidate").exists()


def test_a_trial_whose_candidate_became_the_champion_is_over(paths):
    identity = kept(paths)
    assert not end_if_champion(paths)
    keep_champion(paths, paths.models / "candidate" / "bundle", identity)
    assert load_trial(paths.root, "pump") is None
    assert end_if_champion(paths)
    assert not (paths.models / "candidate").exists()
    assert not end_if_champion(paths)


def test_an_asset_that_is_forgotten_leaves_the_pilot_which_ends_with_its_last(paths):
    assert not forget_asset(paths, "P-1")
    kept(paths, "P-1", "P-2")
    before = trial_stamp(paths.root, "pump")
    assert not forget_asset(paths, "P-3")
    assert trial_stamp(paths.root, "pump") == before
    assert forget_asset(paths, "P-1")
    assert trial_stamp(paths.root, "pump") != before
    assert load_trial(paths.root, "pump").assets == {"P-2"}
    assert "P-1" not in (paths.models / "candidate" / "trial.json").read_text()
    assert forget_asset(paths, "P-2")
    assert load_trial(paths.root, "pump") is None


# The commands.


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> Path:
    """A project with champions of a pump and a fan, assets, and a real registry with two more versions of the pump."""
    root = living_project(tmp_path_factory.mktemp("registered") / "project", bias=60)
    client = tracking.connect_mlflow(root)
    experiment = tracking.experiment(client, root, "pump")
    for version, seed in (("1", 9), ("2", 10)):
        bundle, _ = made(root, version, seed=seed)
        with tracking.new_run(client, experiment, f"run {version}", {}) as run:
            assert registry.register(Paths(root, "pump"), run, bundle) == version
    store = open_store(f"sqlite:///{root}/twins.db")
    store_rows(store, PUMP, random_rows(PUMP, {"P-1": 6, "P-2": 6}))
    store_rows(store, FAN, random_rows(FAN, {"F-1": 6}))
    store.close()
    return root


@pytest.fixture
def project(registered, tmp_path, monkeypatch) -> Path:
    """A copy of it, which is the current folder; MLflow remembers per process where artifacts were."""
    shutil.copytree(registered, tmp_path / "project")
    _artifact_repos_cache.clear()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.slow
def test_a_version_of_the_registry_is_tried_in_shadow_shown_and_ended(project):
    assert "pump has no trial; `foretwin trial start pump --version NUMBER`" in shown("trial", "show", "pump")
    assert "version 2 scores in shadow beside the champion of pump" in shown("trial", "start", "pump", "--version", "2")
    found = load_trial(project, "pump")
    assert found.identity.digest == verify(project / "trained" / "pump-2" / "bundle")
    assert datetime.now(UTC) - found.since < timedelta(minutes=1)
    assert "nothing has been scored by both yet" in shown("trial", "show", "pump")
    store = open_store(f"sqlite:///{project}/twins.db")
    assert score(store, project) == 3
    store.close()
    said = shown("trial", "show", "pump")
    assert "pump: version 2 in shadow since" in said
    assert "│ 3 │ 2 │ 2 │ 2 │" in said.replace("┃", "│"), "served by 3, beside it 2, two scores of two assets"
    assert "P-1" in said
    assert "the trial of pump is over" in shown("trial", "end", "pump")
    assert load_trial(project, "pump") is None
    assert refusal("trial", "end", "pump") == "twin: pump has no trial that could be ended"


def test_a_pilot_names_its_assets_on_the_line_or_in_a_file(project):
    (project / "pilot.txt").write_text("P-2\n\nP-1\n")
    assert "version 1 answers for 2 assets of pump" in shown(
        "trial", "start", "pump", "--version", "1", "--assets", "@pilot.txt"
    )
    assert load_trial(project, "pump").assets == {"P-1", "P-2"}
    assert "answers for 1 assets" in shown("trial", "start", "pump", "--version", "2", "--assets", "P-2, P-2")
    found = load_trial(project, "pump")
    assert (found.identity.version, found.assets) == ("2", {"P-2"})
    assert "version 2 answers for 1 assets since" in shown("trial", "show", "pump")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["start", "pump", "--version", "2", "--assets", "P-1,P-9"], "--assets: 'P-9' is no asset of pump"),
        (["start", "pump", "--version", "2", "--assets", "F-1"], "--assets: 'F-1' is no asset of pump"),
        (["start", "pump", "--version", "2", "--assets", " ,"], "--assets: names no asset"),
        (["start", "pump", "--version", "2", "--assets", "@none.txt"], "--assets: none.txt cannot be read"),
        (["start", "pump", "--version", "7"], "foretwin-pump version 7: is not registered; there is 1, 2"),
        (["start", "fan", "--version", "1"], "foretwin-fan version 1: is not registered; there is none"),
        (["start", "press", "--version", "1"], "twin: press has no contract here; there is fan, pump"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_tried_is_refused_in_one_line_and_begins_nothing(project, arguments, reason):
    assert refusal("trial", *arguments).startswith(reason)
    assert not list(project.glob("models/*/candidate"))
