"""An earlier champion comes back: alias, ledger, pages and the folder that services follow, in a real MLflow store."""

import dataclasses
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from foretwin import registry
from foretwin.champion import ledger
from foretwin.champion.champion import champion_stamp, load_champion
from foretwin.cli.main import main
from foretwin.errors import RegistryError
from foretwin.registry.rollback import former, rollback
from foretwin.registry.shared_champions import followed
from foretwin.registry.sync import follow_registry
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.following import follow_kept
from foretwin.serving.scoring.metrics import Metrics
from support.registry_project import PARAMS, TWIN, Project

pytest_plugins = ["support.registry_project"]
WHY = "false alarms on the night shift"


def decided(project: Project, seed: int, error: float) -> str:
    """A candidate that the gate promotes, with its line in the ledger; returns its version."""
    project.train(seed, error)
    verdict = project.promote()
    assert verdict["promoted"]
    return verdict["version"]


@pytest.fixture(scope="session")
def three_champions(tmp_path_factory: pytest.TempPathFactory, first_champion: Project) -> Project:
    """A project that has had the champions 1, 2 and 3, the last of which is kept for services."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        project = first_champion.again_at(tmp_path_factory.mktemp("three") / "project")
        assert decided(project, 2, 8) == "2"
        assert decided(project, 3, 6) == "3"
        list(follow_registry(project.root))
    return project


@pytest.fixture
def third(tmp_path: Path, three_champions: Project, own_store: None) -> Project:
    return three_champions.again_at(tmp_path / "third")


def back(project: Project, to: str | None = None, reason: str = WHY) -> str:
    return rollback(project.root, "pump", reason, "ann", to).version


def kept(project: Project) -> str:
    return load_champion(project.root, "pump").identity.version


def test_the_champion_before_comes_back_in_registry_folder_and_ledger(third):
    champion = rollback(third.root, "pump", f" {WHY}\n", "ann")
    assert champion == registry.champion(third.root, "pump")
    assert champion.version == kept(third) == "2"
    entry = ledger.read(third.paths.ledger)[-1]
    assert (entry.action, entry.version, entry.champion_before, entry.champion) == ("rolled_back", "3", "3", "2")
    assert (entry.actor, entry.reason, entry.reasons) == ("ann", WHY, ())
    assert entry.bundle == third.versions()["3"]["foretwin.bundle"]
    assert abs((datetime.now(UTC) - entry.at).total_seconds()) < 60


def test_the_pages_of_both_versions_say_what_happened(third):
    third.client.update_model_version("foretwin-pump", "3", "Why it was promoted.")
    back(third)
    tags = third.versions()
    assert tags["3"]["foretwin.gate"] == "rolled_back"
    assert WHY in tags["3"]["foretwin.rolled_back"]
    assert tags["2"]["foretwin.gate"] == "promoted"
    left, present = (third.client.get_model_version("foretwin-pump", version).description for version in "32")
    assert left.startswith("**Rolled back** on ")
    assert left.endswith("Version 2 is the champion again.\n\nWhy it was promoted.")
    assert present.startswith("**Champion again** since version 3 was rolled back")


def test_twice_is_the_one_before_that_and_then_there_is_none(third):
    assert [back(third), back(third)] == ["2", "1"]
    assert kept(third) == "1"
    lines = third.paths.ledger.read_bytes()
    with pytest.raises(RegistryError, match=r"no champion before version 1; version 2, 3 can be named"):
        back(third)
    assert third.paths.ledger.read_bytes() == lines
    assert registry.champion(third.root, "pump").version == "1"


def test_a_version_that_was_rolled_back_can_be_named_again_and_is_no_longer_one(third):
    back(third)
    assert set(ledger.taken_back(ledger.read(third.paths.ledger))) == {"3"}
    assert back(third, to="3") == kept(third) == "3"
    assert third.versions()["3"]["foretwin.gate"] == "promoted"
    assert set(ledger.taken_back(ledger.read(third.paths.ledger))) == {"2"}
    assert back(third) == "1", "2 was left by a roll-back itself"


def test_a_named_version_leaps_over_those_between(third):
    assert back(third, to="1") == kept(third) == "1"
    assert decided(third, 4, 5) == "4"
    assert back(third) == "1"


@pytest.mark.parametrize(
    ("to", "reason", "said"),
    [
        (None, "  ", "needs a reason"),
        ("9", WHY, "version 9: was never champion; those that were: 1, 2, 3"),
        ("3", WHY, "version 3: is the champion already"),
    ],
)
def test_what_cannot_be_is_one_line_and_moves_nothing(third, to, reason, said):
    lines, stamp = third.paths.ledger.read_bytes(), champion_stamp(third.root, "pump")
    with pytest.raises(RegistryError, match=said) as refused:
        back(third, to, reason)
    assert "\n" not in str(refused.value)
    assert registry.champion(third.root, "pump").version == "3"
    assert (third.paths.ledger.read_bytes(), champion_stamp(third.root, "pump")) == (lines, stamp)


def test_a_refused_version_was_never_champion(third):
    third.train(4, 12)
    assert not third.promote()["promoted"]
    with pytest.raises(RegistryError, match="version 4: was never champion"):
        back(third, to="4")


def test_a_twin_without_champion_has_none_to_roll_back(project):
    with pytest.raises(RegistryError, match="foretwin-pump: has no champion"):
        back(project)


@pytest.mark.parametrize("damage", ["tampered", "lost", "unregistered"])
def test_nothing_moves_where_the_bundle_to_go_back_to_is_damaged_or_lost(third, damage):
    assert back(third) == "2"
    folder = registry.champion(third.root, "pump").folder
    assert back(third, to="3") == "3"
    if damage == "tampered":
        (folder / "network.onnx").write_bytes(b"another network")
    elif damage == "lost":
        shutil.rmtree(folder)
    else:
        third.client.delete_model_version("foretwin-pump", "2")
    lines, stamp = third.paths.ledger.read_bytes(), champion_stamp(third.root, "pump")
    with pytest.raises(RegistryError, match=r"^foretwin-pump version 2: .*`foretwin publish`") as refused:
        back(third, to="2")
    assert "\n" not in str(refused.value)
    assert registry.champion(third.root, "pump").version == "3"
    assert (third.paths.ledger.read_bytes(), champion_stamp(third.root, "pump")) == (lines, stamp)


def test_a_champion_whose_own_bundle_is_damaged_can_be_left(third):
    (registry.champion(third.root, "pump").folder / "network.onnx").write_bytes(b"another network")
    assert back(third) == kept(third) == "2"


def test_an_altered_ledger_is_named_and_nothing_moves(third):
    lines = third.paths.ledger.read_text().splitlines(keepends=True)
    third.paths.ledger.write_text("".join(lines[1:]))
    with pytest.raises(RegistryError, match=r"ledger\.jsonl:1: does not follow"):
        back(third)
    assert registry.champion(third.root, "pump").version == "3"


def test_a_registry_that_numbers_its_versions_otherwise_is_asked_by_digest(third):
    """As a restored one may: what the ledger knows as version 7 is version 2 here."""
    digest = third.versions()["2"]["foretwin.bundle"]
    entries = [
        dataclasses.replace(one, version="7", champion="7") if one.version == "2" else one
        for one in ledger.read(third.paths.ledger)
    ]
    entries = [dataclasses.replace(one, champion_before="7") if one.version == "3" else one for one in entries]
    third.paths.ledger.unlink()
    for entry in entries:
        ledger.append(third.paths.ledger, entry)
    champion = rollback(third.root, "pump", WHY, "ann")
    assert (champion.version, champion.digest) == ("2", digest)


def test_a_running_service_that_follows_the_folder_swaps(third):
    champions, metrics = Champions(), Metrics()
    follow_kept(champions, third.root, metrics)
    assert champions.get("pump").identity.version == "3"
    back(third)
    follow_kept(champions, third.root, metrics)
    assert champions.get("pump").identity.version == "2"


def test_the_gate_does_not_promote_again_what_was_rolled_back(third):
    back(third)
    third.measure_candidate(5)  # the stages evaluate and promote run once more
    verdict = third.promote()
    assert (verdict["promoted"], verdict["champion"]["version"]) == (False, "2")
    assert any(f"by ann: {WHY}" in reason for reason in verdict["reasons"])
    assert registry.champion(third.root, "pump").version == "2"


def test_of_a_present_champion_that_the_ledger_does_not_know_the_one_before_is_unknown():
    assert former([], "4") is None


@pytest.fixture
def here(third, monkeypatch) -> Project:
    """The project as the current folder, with its contract and parameters, and without DVC."""
    third.paths.contract.write_text(TWIN.model_dump_json())
    third.paths.params.write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    monkeypatch.chdir(third.root)
    monkeypatch.setenv("LOGNAME", "ann")
    return third


def foretwin(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def shared_version(place):
    return json.loads((place / "champions" / "pump.json").read_text())["version"]


def test_both_commands_and_following_publish_the_champion_where_hosts_share_them(here, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_MODELS", (tmp_path / "place").as_uri())
    assert [one["told"] for one in followed(here.root)(here.root)] == [
        "pump: version 3 is published, before it was none"
    ]
    done = foretwin("rollback", "pump", "--reason", WHY)
    assert "pump: version 2 is published, before it was version 3\n" in done.stderr
    assert shared_version(tmp_path / "place") == "2"
    foretwin("promote", "pump", "--force", "the old model cannot be fed any more")
    assert shared_version(tmp_path / "place") == "3"
    monkeypatch.setenv("FORETWIN_MODELS", "nowhere://place")
    done = foretwin("rollback", "pump", "--reason", WHY)
    assert done.exit_code == 0
    assert "FORETWIN_MODELS: nowhere://place: cannot be reached" in done.stderr


def test_the_command_rolls_back_and_says_where_dvc_s_records_lag(here):
    done = foretwin("rollback", "pump", "--reason", WHY)
    assert done.exit_code == 0, done.output
    assert done.stdout == "rollback pump: foretwin-pump version 2 is the champion again\n"
    assert done.stderr.startswith("DVC's records still name the champion before: ")
    assert kept(here) == "2"
    assert ledger.read(here.paths.ledger)[-1].actor == "ann"
    named = foretwin("rollback", "pump", "--to", "1", "--reason", WHY)
    assert "version 1 is the champion again" in named.stdout
    none = foretwin("rollback", "pump", "--reason", WHY)
    assert none.exit_code == 1
    assert none.stderr.startswith("error: foretwin-pump: the ledger knows no champion before version 1")
    assert none.stderr.count("\n") == 1


def test_a_forced_promotion_needs_a_reason_and_leaves_the_gate_s_checks_visible(here):
    here.train(4, 12)
    assert not here.promote()["promoted"]
    assert foretwin("promote", "pump").exit_code == 2, "without --force there is nothing to do"
    short = foretwin("promote", "pump", "--force", "why not")
    assert short.exit_code == 1
    assert "needs a reason" in short.stderr
    done = foretwin("promote", "pump", "--force", "the old model cannot be fed any more")
    assert done.exit_code == 0, done.output
    assert "version 4 is champion by force: the old model cannot be fed any more" in done.stdout
    entry = ledger.read(here.paths.ledger)[-1]
    assert (entry.action, entry.actor, entry.champion_before, entry.champion) == ("forced", "ann", "3", "4")
    assert back(here) == "3"
