"""Candidates that must not become champion, each refused for its own reason, and what the ledger keeps.

Bundles, predictions, MLflow store and stage are real; only the training is left out.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from foretwin import registry
from foretwin.champion import ledger
from foretwin.champion.ledger import LedgerEntry
from foretwin.dataset.table import read_rows, write_rows
from foretwin.errors import BundleError, RegistryError
from support.registry_project import HELD_OUT, PARAMS, TWIN, Project, machines
from support.tiny_bundle import REPOSITORY, tiny_twin

pytest_plugins = ["support.registry_project"]


def stage(project: Project) -> str:
    """`python pipelines/promote.py pump` in the project's folder; returns what it prints, and its exit code is 0."""
    project.paths.params.write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    command = [sys.executable, str(REPOSITORY / "pipelines" / "promote.py"), "pump"]
    quiet = os.environ | {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=project.root, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(project: Project) -> dict:
    """The verdict of the stage, which refuses; the champion stays, and all of it is written down."""
    before = registry.champion(project.root, "pump")
    verdict = project.promote()
    after = registry.champion(project.root, "pump")
    assert not verdict["promoted"]
    assert verdict["forced"] is None
    assert (after and after.identity()) == (before and before.identity()) == verdict["champion"]
    last = ledger.read(project.paths.ledger)[-1]
    assert (last.action, last.version, last.bundle) == ("refused", verdict["version"], verdict["evidence"]["bundle"])
    assert last.champion == last.champion_before == (before and before.version)
    assert list(last.reasons) == verdict["reasons"]
    assert json.loads((project.paths.models / "promotion.json").read_text()) == verdict
    assert verdict["reasons"] == [check["sentence"] for check in verdict["checks"] if not check["passed"]]
    return verdict


def test_a_worse_candidate_is_refused_with_exit_code_0_and_one_clear_line(promoted):
    promoted.train(2, 12)
    lines = stage(promoted).splitlines()
    assert lines[0] == "promote pump: version 2 refused; the champion is foretwin-pump version 1"
    assert lines[1].startswith("promote pump: RUL RMSE 12 h is 20.0 % more error than the champion's 10 h")
    assert "above the 2 % allowed" in lines[1]
    assert registry.champion(promoted.root, "pump").version == "1"
    assert [entry.action for entry in ledger.read(promoted.paths.ledger)] == ["promoted", "refused"]
    written = (promoted.paths.models / "promotion.json").read_bytes()
    assert stage(promoted).splitlines() == lines
    assert (promoted.paths.models / "promotion.json").read_bytes() == written
    assert len(ledger.read(promoted.paths.ledger)) == 2


@pytest.mark.parametrize(
    ("reach", "reason"), [(0.01, "too narrow, 80 % is the least"), (1e6, "too wide, 99 % is the most")]
)
def test_a_better_candidate_with_broken_intervals_is_refused(promoted, reach, reason):
    promoted.train(2, 8, reach=reach)
    verdict = refused(promoted)
    assert len(verdict["reasons"]) == 1
    assert reason in verdict["reasons"][0]


def test_a_candidate_trained_on_the_held_out_machines_under_other_names_is_refused(promoted):
    promoted.train(2, 1)
    windows = promoted.paths.windows
    held_out = read_rows(windows / "test.parquet", TWIN)
    copies = held_out.assign(asset="pump-of-the-north-" + held_out["asset"].str.rpartition("@")[0])
    development = read_rows(windows / "development.parquet", TWIN)
    write_rows(pd.concat([development, copies], ignore_index=True), TWIN, windows / "development.parquet")
    verdict = refused(promoted)
    assert len(verdict["reasons"]) == 1
    assert verdict["reasons"][0].startswith("100 % of the held-out readings are copies of development rows")


def test_a_candidate_trained_on_a_held_out_machine_by_its_name_is_refused(promoted):
    promoted.train(2, 1)
    splits = promoted.paths.windows / "splits.json"
    splits.write_text(json.dumps(json.loads(splits.read_text()) | {"a7": 0}))
    assert refused(promoted)["reasons"][0].startswith("asset a7 is both held out and trained on")


def test_a_candidate_with_a_channel_that_is_the_rul_with_noise_is_refused(project):
    """The channel c3 counts the hours down; whoever learns from it seems to know the future."""
    contract = tiny_twin(channels=4)
    project.train(1, 1, contract)
    test = project.paths.windows / "test.parquet"
    noise = np.random.default_rng(1).normal(0, 0.05, 8 * HELD_OUT)
    rows = machines(contract, [f"a{i}@{10 * i}" for i in range(HELD_OUT)], 1)
    write_rows(rows.assign(c3=rows["rul"] / 100 + noise / 100), contract, test)
    verdict = refused(project)
    assert verdict["champion"] is None
    assert len(verdict["reasons"]) == 1
    assert verdict["reasons"][0].startswith("channel c3 tells the RUL: their ranks correlate with ")


def test_a_candidate_of_another_contract_is_refused_with_the_way_forward(promoted):
    promoted.train(2, 8, tiny_twin(channels=4))
    verdict = refused(promoted)
    assert len(verdict["reasons"]) == 1
    assert "channel c3 is absent for it and in bar now" in verdict["reasons"][0]
    assert 'foretwin promote pump --force "reason"' in verdict["reasons"][0]


def test_force_promotes_with_a_reason_that_the_ledger_keeps_and_leaves_the_checks_visible(promoted):
    promoted.train(2, 12)
    refused(promoted)
    why = "the pumps of the north are gone"
    verdict = promoted.promote(force=f" {why} ", actor="ann")
    assert (verdict["promoted"], verdict["forced"]) == (True, why)
    assert any(not check["passed"] for check in verdict["checks"])
    assert any("above the 2 % allowed" in reason for reason in verdict["reasons"])
    assert registry.champion(promoted.root, "pump").version == "2"
    assert promoted.versions()["2"]["foretwin.gate"] == "forced"
    last = ledger.read(promoted.paths.ledger)[-1]
    assert (last.action, last.reason, last.actor) == ("forced", why, "ann")
    assert (last.champion_before, last.champion) == ("1", "2")

    written, counts = (promoted.paths.models / "promotion.json").read_bytes(), promoted.counts()
    assert promoted.promote() == promoted.promote(force=why) == verdict, "the stage after it repeats what was decided"
    assert (promoted.paths.models / "promotion.json").read_bytes() == written
    assert promoted.counts() == counts
    assert [entry.action for entry in ledger.read(promoted.paths.ledger)] == ["promoted", "refused", "forced"]


@pytest.mark.parametrize("reason", ["", "too short", "          "])
def test_force_without_a_reason_changes_nothing(promoted, reason):
    promoted.train(2, 12)
    with pytest.raises(RegistryError, match="needs a reason of 10 characters or more"):
        promoted.promote(force=reason)
    assert len(ledger.read(promoted.paths.ledger)) == 1
    assert registry.champion(promoted.root, "pump").version == "1"


def test_a_candidate_that_passes_is_promoted_and_not_forced(promoted):
    promoted.train(2, 8)
    verdict = promoted.promote(force="it is surely better", actor="ann")
    assert verdict["forced"] is None
    last = ledger.read(promoted.paths.ledger)[-1]
    assert (last.action, last.reason) == ("promoted", "it is surely better")


def test_integrity_cannot_be_forced(promoted):
    promoted.train(2, 12)
    (promoted.paths.models / "bundle" / "calibration.json").write_text("{}")
    with pytest.raises(BundleError, match=r"calibration\.json: missing, unknown or altered"):
        promoted.promote(force="I know what I do", actor="ann")
    assert len(ledger.read(promoted.paths.ledger)) == 1


def test_a_version_that_was_rolled_back_needs_force(promoted):
    """A roll-back moves the alias and says so in the ledger; the stage must not undo it."""
    digest = promoted.train(2, 8)
    run = promoted.promote()["run"]
    registry.set_champion(promoted.root, "pump", "1")
    now = datetime.now(UTC) + timedelta(seconds=1)
    entry = LedgerEntry(now, "rolled_back", "2", digest, run, "2", "1", (), "ann", "false alarms all night")
    ledger.append(promoted.paths.ledger, entry)
    verdict = refused(promoted)
    assert len(verdict["reasons"]) == 1
    assert f"rolled back on {now:%Y-%m-%d} by ann: false alarms all night" in verdict["reasons"][0]
    assert promoted.promote() == verdict
    assert promoted.promote(force="the sensors were at fault")["champion"]["version"] == "2"
    actions = [entry.action for entry in ledger.read(promoted.paths.ledger)]
    assert actions == ["promoted", "promoted", "rolled_back", "refused", "forced"]


def test_a_stop_between_ledger_and_alias_is_made_good_without_a_second_entry(promoted, monkeypatch):
    promoted.train(2, 8)
    with monkeypatch.context() as patch:
        patch.setattr("foretwin.registry.promotion.set_champion", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promoted.promote()
    assert registry.champion(promoted.root, "pump").version == "1"
    assert promoted.promote()["champion"]["version"] == "2"
    assert [entry.version for entry in ledger.read(promoted.paths.ledger)] == ["1", "2"]
