"""A project that the code of commit 3a26dd3 made is opened, served, rolled back and promoted in by this one.

upgrade/project/ is that project in small, as files; upgrade/make_project.py says how it was made and makes it again.
Its registry was made in another folder, so that it is also a project that was moved.
"""

import json
import shutil
import uuid
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from foretwin import registry
from foretwin.champion import ledger
from foretwin.champion.champion import load_champion
from foretwin.champion.golden import check_golden
from foretwin.cli.main import main
from foretwin.cli.models.follow import SETTINGS
from foretwin.predictor.bundle import verify
from foretwin.registry.published import lacking
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.copying import file_content
from foretwin.twin.store.database import newest_schema, open_unmigrated, schema_of
from support.clone import run
from support.old_project import old_project
from support.registry_project import Project
from support.served import JSON, served
from support.tiny_bundle import REPOSITORY, call_of, random_rows

WHY = "false alarms on the night shift"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The old project, which is the current folder."""
    root = old_project(tmp_path / "project")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(root)
    return Project(root)


def foretwin(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def kept(project: Project) -> str:
    return load_champion(project.root, "pump").identity.version


def test_the_old_champion_answers_as_it_did_to_who_shows_the_old_key(old):
    champion = load_champion(old.root, "pump")
    check_golden(old.paths.models / "champion", champion.bundle)
    rows = random_rows(champion.bundle.contract, {"P-1": 8})
    headers = JSON | {"Authorization": f"Bearer {(old.root / 'key.txt').read_text().strip()}"}
    with served(old.root, FORETWIN_ACCESS="keys") as service:
        call = json.dumps(call_of(champion.bundle.contract, rows))
        assert service.client.post("/v1/score", content=call, headers=JSON).status_code == 401
        answer = service.client.post("/v1/score", content=call, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == "2"
    said = answer.json()["scores"][0]["rul"]["value"]
    assert said == pytest.approx(champion.bundle.score(rows)["rul"].item(), abs=1e-3)


def test_the_old_readings_are_there(old):
    store = open_store(f"sqlite:///{old.root}/twins.db")
    with store.read() as connection:
        found = assets.find_all(connection, ["P-1", "P-2", "P-3"])
    store.close()
    assert set(found) == {"P-1", "P-2"}


def test_an_upgrade_is_taken_back_by_the_backup_that_was_taken_before_it(old, tmp_path, monkeypatch):
    """The new version backs the old store up and restores it in its own schema, which the old version opens."""
    url, before = f"sqlite:///{old.root}/twins.db", file_content(old.root / "twins.db")
    foretwin("backup", "../before.zip")
    assert file_content(old.root / "twins.db") == before, "a backup migrates nothing"
    foretwin("twins")
    with closing(open_unmigrated(url)) as store:
        assert schema_of(store) == newest_schema()
    (tmp_path / "back").mkdir()
    monkeypatch.chdir(tmp_path / "back")
    foretwin("restore", "../before.zip")
    with closing(open_unmigrated("sqlite:///twins.db")) as store:
        assert schema_of(store) == "0002"
    assert file_content(Path("twins.db")) == before
    assert "P-2" in foretwin("twins"), "and the new version goes on with it, too"


def test_an_old_backup_is_restored_into_postgresql(old, tmp_path, monkeypatch, postgres):
    foretwin("backup", "../before.zip")
    (tmp_path / "moved").mkdir()
    monkeypatch.chdir(tmp_path / "moved")
    monkeypatch.setenv("FORETWIN_STORE", postgres.new_database(f"t{uuid.uuid4().hex}"))
    foretwin("restore", "../before.zip")
    assert "P-2" in foretwin("twins")


def test_the_old_registry_shows_what_it_had_where_the_project_lies_now(old):
    champion = registry.champion(old.root, "pump")
    assert (champion.version, champion.digest) == ("2", verify(old.paths.models / "champion" / "bundle"))
    assert champion.folder.is_relative_to(old.root)
    assert set(old.versions()) == {"1", "2"}
    assert old.counts() == (8, 2, 2), "two trainings with three trials each"
    assert registry.publish(old.root, ["pump"])["pump"] == champion
    assert lacking(old.root, "pump") == []


def test_a_roll_back_and_a_promotion_go_on_from_there(old):
    before = ledger.read(old.paths.ledger)
    assert foretwin("rollback", "pump", "--reason", WHY).startswith("rollback pump: foretwin-pump version 1 is the")
    assert kept(old) == registry.champion(old.root, "pump").version == "1"
    old.train(3, 6)
    verdict = old.promote()
    assert (verdict["promoted"], verdict["version"], kept(old)) == (True, "3", "3")
    after = ledger.read(old.paths.ledger)
    assert after[: len(before)] == before
    assert [entry.action for entry in after[len(before) :]] == ["rolled_back", "promoted"]


def test_the_alias_moved_in_the_old_registry_is_followed(old, monkeypatch):
    registry.set_champion(old.root, "pump", "1")
    for name, value in SETTINGS.items():  # what the command sets for its own process does not outlive the test
        monkeypatch.setenv(name, value)
    assert foretwin("follow") == "pump: the registry names version 1, kept was version 2\n"
    assert kept(old) == "1"


def test_dvc_reads_the_old_lock_beside_the_stages_of_today(old):
    for name in ("dvc.yaml", "pipelines", "serving"):
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, old.root / name)
    run("git init -q && dvc init -q", old.root)
    shown = run("dvc status --json", old.root)
    status = json.loads(shown[shown.index("{") : shown.rindex("}") + 1])
    locked = yaml.safe_load((old.root / "dvc.lock").read_text())["stages"]
    assert {"fetch@pump", "train@pump", "promote@pump", "package@pump", "publish@pump"} <= set(locked)
    assert set(status) == {"chain@pump", "twin@pump"}, "today's stages run, which link and build the twin's chain"
