"""Lineage in both directions: a project with three models in a real MLflow store, and a store of living twins."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from click.testing import CliRunner

from foretwin.champion import ledger
from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.cli.models.lineage import lineage_command
from foretwin.errors import BadInput, BundleError, NotFound
from foretwin.lineage.trace import trace
from foretwin.registry.tracking_store import has_artifact
from foretwin.twin.erasure.erase import erase_asset
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.lineage import scores_at, uses
from foretwin.twin.store.scoring.scores import Score
from support.live_project import PUMP
from support.registry_project import Project, empty_store  # noqa: F401 - a fixture
from support.small_history import readings_of, remember
from support.stored_case import store_case

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STORED = "Q7"  # an asset of the store that the second model was trained on
ELSEWHERE = "MLFLOW_TRACKING_URI"


def retrained(project: Project, seed: int, error: float, split: dict[str, int], **forced: str) -> dict:
    """One round of the stages: new data, a candidate, the gate, and the champion kept."""
    paths = project.paths
    paths.raw.mkdir(parents=True, exist_ok=True)
    (paths.raw / "fleet.csv").write_text(f"readings of round {seed}")
    project.train(seed, error)
    own = json.loads((paths.windows / "splits.json").read_text())
    (paths.windows / "splits.json").write_text(json.dumps(own | split))
    (paths.validation / "result.json").write_text(json.dumps({"success": True, "round": seed}))
    record = json.loads((paths.models / "training.json").read_text())
    record["data"] = {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(paths.windows.iterdir())}
    project.write("training.json", record)
    project.tell_times()
    verdict = project.promote(**forced)
    if not has_artifact(project.client, verdict["run"], "lineage.json"):
        project.client.log_artifact(verdict["run"], paths.models / "lineage.json")
    if verdict["promoted"]:
        champion = ModelIdentity(**verdict["champion"])
        keep_champion(paths, paths.models / "bundle", champion)
    return verdict


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store):  # noqa: F811
    """A project of three rounds: a first champion, a better one that also saw an asset of the store, a refused one."""
    project = Project(tmp_path_factory.mktemp("made"))
    shutil.copy(empty_store, project.root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(ELSEWHERE, raising=False)
        retrained(project, 1, 10, {"P-017": 0, "P-018": -1})
        retrained(project, 2, 5, {"P-017": -1, f"store/{STORED}": 1})
        retrained(project, 3, 30, {"P-019": 0})
    return project


@pytest.fixture
def project(made, tmp_path):
    """A copy, for tests that change it."""
    return made.again_at(tmp_path / "project")


@pytest.fixture(scope="module")
def lived(made, tmp_path_factory):
    """The same with a store, in which the second version scored an asset after each of three readings."""
    project = made.copied_to(tmp_path_factory.mktemp("lived") / "project")
    store = open_store(f"sqlite:///{project.root}/twins.db")
    score_asset(store, STORED, [1, 2, 5], identity_of(project, "2"))
    store.close()
    return project


@pytest.fixture
def living(lived, tmp_path):
    """A copy of it, and its open store."""
    project = lived.again_at(tmp_path / "living")
    store = open_store(f"sqlite:///{project.root}/twins.db")
    yield project, store
    store.close()


def identity_of(project: Project, version: str) -> ModelIdentity:
    found = project.client.get_model_version("foretwin-pump", version)
    return ModelIdentity("foretwin-pump", version, found.run_id, found.tags["foretwin.bundle"])


def score_asset(store, name: str, times: list[float], identity: ModelIdentity, run: int = 1, late: int = 0) -> None:
    """Scores of readings at these times, the first of them `late` hours after noon."""
    with store.read() as connection:
        known = assets.find_all(connection, [name])
    if not known or known[name].run != run:
        remember(store, PUMP, readings_of(PUMP, [name], rows=8, run=run))
    with store.write() as connection:
        asset = assets.find_asset(connection, name)
        model = scores.model_id(connection, "pump", identity, PUMP.digest, NOON)
        one = Score(asset.id, run, 0, model, NOON, 1.0, 8, 40.0, 30.0, 50.0, {}, {"mode": "wear"}, [])
        at = [NOON + timedelta(hours=late, minutes=time) for time in times]
        scores.add_scores(connection, [replace(one, time=t, scored_at=m) for t, m in zip(times, at, strict=True)])


def ask(project: Project, text: object) -> dict:
    return trace(project.root, str(text), {})


def versions(told: list[dict]) -> list[str]:
    return [one["model"].removeprefix("foretwin-pump version ") for one in told]


def test_a_score_leads_to_everything_that_its_model_was_made_of(lived):
    told = ask(lived, f"{STORED}@4")
    assert told["taken_for"] == f"a score of the asset {STORED} in the store"
    assert (told["score"]["time"], told["score"]["run"], told["score"]["rul"]) == (2, 1, 40)
    (model,) = told["models"]
    identity, paths = identity_of(lived, "2"), lived.paths
    assert (model["model"], model["bundle"], model["champion"]) == ("foretwin-pump version 2", identity.digest, True)
    assert identity.run in model["mlflow_runs"]
    assert len(model["mlflow_runs"]) == 2, "as the copied store has it now, and as the records of the original name it"
    assert model["git"] == {"commit": "c" * 40, "dirty": False}
    assert model["inputs"]["data/pump/raw/fleet.csv"] == sha256(b"readings of round 2").hexdigest()
    assert model["validation"]["success"] is True
    assert model["validation"]["sha256"] == model["inputs"]["data/pump/validation/result.json"]
    study = sha256((paths.models / "tuning.json").read_bytes()).hexdigest()
    assert model["study"] == {"sha256": study, "trial": 0, "trials": 3, "value": 0.5}
    assert model["bento"]["models"] == [f"foretwin-pump:2-{identity.digest[:16]}"]
    assert model["gate"]["decision"] == "promoted"
    assert model["gate"]["reasons"]
    assert [(entry["action"], entry["version"]) for entry in model["ledger"]] == [("promoted", "2")]
    assert model["scores"] == {"count": 3, "first": "2026-11-21T12:01:00+00:00", "last": "2026-11-21T12:05:00+00:00"}
    assert model["missing"] == ["dvc.lock did not tell of its training"]


def test_without_a_time_of_its_run_a_score_is_not_made_up(living):
    project, store = living
    score_asset(store, STORED, [3], identity_of(project, "1"), run=2, late=1)
    assert ask(project, f"{STORED}@9")["score"]["run"] == 2
    assert versions(ask(project, f"{STORED}@1/9")["models"]) == ["2"]
    with pytest.raises(NotFound, match="no score of Q7 up to then"):
        ask(project, f"{STORED}@2/1")


def test_a_reading_that_two_models_scored_has_both_the_last_word_first(living):
    project, store = living
    score_asset(store, STORED, [5], identity_of(project, "1"), late=1)
    told = ask(project, f"{STORED}@5")
    assert versions(told["models"]) == ["1", "2"]
    assert [one["scored_at"][11:13] for one in told["score"]] == ["13", "12"]


def test_a_case_leads_to_the_model_of_its_last_score(living):
    project, store = living
    case = store_case(store, PUMP, "mode.wear", name="Q8")
    told = ask(project, f"case:{case.id}")
    assert told["case"]["fault"] == "mode.wear"
    assert (told["score"]["asset"], told["score"]["time"]) == ("Q8", 412)
    (model,) = told["models"]
    assert (model["bundle"], model["champion"]) == ("d" * 64, False)
    assert "no record of its training is here" in model["missing"][0]
    with pytest.raises(NotFound, match="99 is not there"):
        ask(project, "case:99")


def test_a_data_file_leads_to_every_model_that_was_made_of_its_content(lived, tmp_path):
    outside = tmp_path / "somewhere.csv"
    outside.write_text("readings of round 2")
    told = ask(lived, outside)
    assert told["taken_for"] == f"the file {outside}, by its content"
    (used,) = told["used_by"]
    assert (used["model"], used["champion"], used["scores"]["count"]) == ("foretwin-pump version 2", True, 3)
    assert used["seen_in"] == {"data/pump/raw/fleet.csv": "training and evaluation"}
    # The held-out windows are the same in all rounds.
    told = ask(lived, lived.paths.windows / "test.parquet")
    assert versions(told["used_by"]) == ["1", "2", "3"]
    assert told["used_by"][0]["seen_in"] == {"data/pump/windows/test.parquet": "evaluation"}
    assert versions(ask(lived, "data/pump/windows")["used_by"]) == ["1", "2", "3"]


def test_a_file_that_was_changed_is_told_from_the_one_that_was_learnt_from(project):
    told = ask(project, "data/pump/raw/fleet.csv")
    assert "note" not in told
    assert [one["model"][-1] for one in told["other_content_here_before"]] == ["1", "2"]
    (project.paths.raw / "fleet.csv").write_text("readings of nobody")
    told = ask(project, "data/pump/raw/fleet.csv")
    assert "used_by" not in told
    assert told["note"] == "no model of the project was made of this content"
    before = {one["model"][-1]: one["sha256"] for one in told["other_content_here_before"]}
    assert before == {n: sha256(f"readings of round {n}".encode()).hexdigest() for n in "123"}


def test_a_bundle_and_a_record_of_it_lead_to_its_model(project):
    assert versions(ask(project, "models/pump/champion")["models"]) == ["2"]
    assert versions(ask(project, "models/pump/bundle")["models"]) == ["3"]
    assert versions(ask(project, "models/pump/bundle/manifest.json")["models"]) == ["3"]
    assert versions(ask(project, "models/pump/promotion.json")["models"]) == ["3"]
    (project.paths.models / "champion" / "bundle" / "contract.json").write_text("{}")
    with pytest.raises(BundleError, match=r"contract\.json: missing, unknown or altered"):
        ask(project, "models/pump/champion")


def test_a_model_is_found_by_each_of_its_names(made):
    identity = identity_of(made, "1")
    tag = f"foretwin-pump:1-{identity.digest[:16]}"
    for text in ("pump:1", "foretwin-pump/1", "models:/foretwin-pump/1", identity.digest, identity.digest[:8]):
        assert versions(ask(made, text)["models"]) == ["1"], text
    for text in (identity.run, tag):
        assert versions(ask(made, text)["models"]) == ["1"], text
    assert versions(ask(made, "pump")["models"]) == ["2"]
    assert ask(made, "pump:3")["models"][0]["gate"]["decision"] == "refused"


def test_a_bento_leads_to_the_models_that_it_holds(project):
    (tag,) = ask(project, "pump:2")["models"][0]["bento"]["models"]
    bento = project.root / ".bentoml" / "bentos" / "foretwin" / "0123456789abcdef"
    bento.mkdir(parents=True)
    (bento / "bento.yaml").write_text(f"name: foretwin\nmodels:\n- tag: fan:1\n- tag: {tag}\n  module: ''\n")
    assert versions(ask(project, "foretwin:0123456789abcdef")["models"]) == ["2"]
    assert ask(project, tag)["models"][0]["bento"]["bentos"] == ["foretwin:0123456789abcdef"]


def test_the_beginning_of_two_digests_is_refused_with_the_candidates(project):
    first, second = "0123456789" + "a" * 54, "0123456789" + "b" * 54
    identity = {"name": "foretwin-pump", "version": "8", "run": "r8"}
    project.write("a.json", identity | {"digest": first})
    project.write("b.json", identity | {"digest": second, "version": "9"})
    with pytest.raises(BadInput) as told:
        ask(project, "01234567")
    assert "version 8 (0123456789aaaaaa), foretwin-pump version 9 (0123456789bbbbbb)" in str(told.value)
    assert versions(ask(project, "0123456789a")["models"]) == ["8"]


def test_what_a_name_could_also_be_is_said(project):
    (project.root / "P-017").write_text("a file of that name")
    told = ask(project, "P-017")
    assert told["taken_for"].startswith("the file")
    assert told["could_also_be"] == ["the asset P-017"]


def test_an_asset_leads_to_every_model_that_saw_it_and_what_for(lived):
    told = ask(lived, "P-017")
    assert [(one["model"][-1], one["seen_in"]) for one in told["used_by"]] == [("1", "training"), ("2", "evaluation")]
    assert [one["champion"] for one in told["used_by"]] == [False, True]
    assert [one["scores"]["count"] for one in told["used_by"]] == [0, 3]
    told = ask(lived, STORED)
    (used,) = told["used_by"]
    assert (used["model"][-1], used["seen_in"], used["as"]) == (
        "2",
        "training",
        f"store/{STORED} of the store's history",
    )
    (scored,) = told["in_the_store"]["scored_by"]
    assert (scored["model"], scored["scores"]) == ("foretwin-pump version 2", 3)
    assert (told["in_the_store"]["twin"], told["in_the_store"]["number"]) == ("pump", 1)


def test_an_asset_of_the_source_has_no_score_and_is_still_found(made):
    told = ask(made, "P-018@400")
    assert told["note"].startswith("400 was not looked for: there is no store")
    assert [(one["model"][-1], one["seen_in"]) for one in told["used_by"]] == [("1", "evaluation")]


def test_which_models_saw_an_asset_is_known_after_it_was_erased(living):
    project, store = living
    certificate = erase_asset(store, project.root, {}, STORED, "m.muster", NOON)
    assert [(one["versions"], one["seen_in"]) for one in certificate["models"]] == [(["2"], "training")]
    assert not any(f"store/{STORED}".encode() in path.read_bytes() for path in project.paths.models.rglob("*.json"))
    told = ask(project, STORED)
    assert [(one["model"][-1], one["seen_in"]) for one in told["used_by"]] == [("2", "training")]
    assert told["erased"] == [
        {"certificate": f"erasures/{certificate['number']}.json", "twin": "pump", "at": NOON.isoformat()}
    ]
    assert "in_the_store" not in told


def test_models_without_a_lineage_are_known_by_the_split_of_their_training(project):
    for path in project.root.rglob("lineage.json"):
        path.unlink()
    assert [(one["model"][-1], one["seen_in"]) for one in ask(project, "P-019")["used_by"]] == [("3", "training")]
    assert any("no lineage.json" in sentence for sentence in ask(project, "pump:3")["models"][0]["missing"])


def test_a_ledger_that_was_altered_is_told_of(project):
    path = project.paths.ledger
    assert len(ledger.read(path)) == 3
    path.write_text(path.read_text().replace("promoted", "refused", 1))
    told = ask(project, "pump:2")
    assert any("ledger.jsonl:2: does not follow the line before it" in note for note in told["notes"])
    assert told["models"][0]["ledger"] == []


def test_nothing_is_made_where_nothing_was(made):
    before = set(made.root.rglob("*"))
    told = ask(made, "pump")
    assert any("there is no store" in note for note in told["notes"])
    assert told["models"][0]["scores"] is None
    assert set(made.root.rglob("*")) == before


def test_what_is_nothing_is_an_error_of_one_line(made):
    for text in ("nonsense", "pump:99", "0" * 12, "f" * 32, "case:x", "no/such/file", "@", "x@y"):
        with pytest.raises(NotFound) as told:
            ask(made, text)
        assert str(told.value).startswith(f"{text}: is no file, no version"), text
        assert "\n" not in str(told.value)


def test_the_tracking_store_is_asked_for_what_the_files_do_not_tell(project):
    paths, run = project.paths, identity_of(project, "1").run
    trial = next(trial for trial in project.runs("trial") if trial.data.tags["mlflow.parentRunId"] == run)
    assert versions(ask(project, trial.info.run_id)["models"]) == ["1"]
    shutil.rmtree(project.root / "mlartifacts" / "foretwin-pump" / run)
    paths.ledger.unlink()
    project.write("promotion.json", {})
    assert versions(ask(project, run)["models"]) == ["1"]


def test_a_store_elsewhere_tells_of_models_whose_files_are_not_here(made, tmp_path, monkeypatch):
    remote = made.again_at(tmp_path / "remote")
    here = tmp_path / "here"
    shutil.copytree(remote.root / "data", here / "data")
    uri = f"sqlite:///{remote.root}/mlflow.db"
    monkeypatch.setenv(ELSEWHERE, uri)
    told = trace(here, "P-017", {ELSEWHERE: uri})
    assert [(one["model"][-1], one["seen_in"]) for one in told["used_by"]] == [("1", "training"), ("2", "evaluation")]


def test_both_databases_tell_which_models_scored(store):
    identity = ModelIdentity("foretwin-pump", "3", "run", "d" * 64)
    score_asset(store, "A", [1, 2, 3], identity)
    score_asset(store, "B", [4], identity, late=2)
    with store.write() as connection:
        scores.model_id(connection, "pump", replace(identity, version="4"), PUMP.digest, NOON)
    with store.read() as connection:
        a = assets.find_asset(connection, "A")
        third, fourth = uses(connection)
        assert (third.version, third.scores) == ("3", 4)
        assert (third.first, third.last) == (NOON + timedelta(minutes=1), NOON + timedelta(hours=2, minutes=4))
        assert (fourth.scores, fourth.first, fourth.last) == (0, None, None)
        assert [use.scores for use in uses(connection, a.id)] == [3, 0]
        assert [score.time for score in scores_at(connection, a.id, None, None)] == [3]
        assert [score.time for score in scores_at(connection, a.id, 1, 2.5)] == [2]
        assert scores_at(connection, a.id, 2, None) == scores_at(connection, a.id, None, 0.5) == []


def test_the_command_prints_the_same_as_a_tree_and_as_json(lived, monkeypatch):
    monkeypatch.chdir(lived.root)
    told = CliRunner().invoke(lineage_command, [f"{STORED}@5", "--json"], catch_exceptions=False)
    content = json.loads(told.output)
    assert content == ask(lived, f"{STORED}@5")
    tree = CliRunner().invoke(lineage_command, [f"{STORED}@5"], catch_exceptions=False).output
    assert tree.splitlines()[0] == f"{STORED}@5: taken for a score of the asset {STORED} in the store"
    for wanted in (
        "foretwin-pump version 2",
        f"commit: {'c' * 40}",
        f"data/pump/raw/fleet.csv: {sha256(b'readings of round 2').hexdigest()[:16]}",
        "champion: yes",
        *content["models"][0]["mlflow_runs"],
        *content["models"][0]["gate"]["reasons"],
    ):
        assert re.search(rf"─ {re.escape(wanted)}$", tree, re.MULTILINE), wanted


def test_a_path_is_taken_from_the_folder_of_the_project_and_an_absolute_one_as_it_is(made):
    for text in ("models/pump/promotion.json", str(made.paths.models / "promotion.json")):
        assert ask(made, text)["taken_for"].startswith("the record")
    assert (made.root / "models").is_dir()
    with pytest.raises(NotFound):
        ask(made, "models")
