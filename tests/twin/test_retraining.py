"""Training again: the history goes out, DVC runs for real, and what the gate said is told; the stages are small."""

import fcntl
import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from foretwin.champion import ledger
from foretwin.cli.main import main
from foretwin.errors import ParamsError, TrainingError
from foretwin.project.entrypoint import TELEMETRY_OFF
from foretwin.project.paths import Paths
from foretwin.twin.retraining import retrain, why_not
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.registry_project import PARAMS
from support.small_history import NOON, find_out, open_case, readings_of, remember
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
LATER = NOON + timedelta(days=1)
DVC = [sys.executable, "-m", "dvc"]
TRAIN = """
import hashlib, json, pathlib, sys, time
answer = json.loads(pathlib.Path("answer.json").read_text())
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
if answer.get("fails"):
    print("error: " + answer["fails"], file=sys.stderr)
    raise SystemExit(1)
digest = hashlib.sha256(pathlib.Path("data/pump/history/history.parquet").read_bytes()).hexdigest()
champion = {"version": "2" if answer["promoted"] else "1"}
verdict = {"promoted": answer["promoted"], "reasons": answer["reasons"], "version": "2", "champion": champion}
pathlib.Path("models/pump").mkdir(parents=True, exist_ok=True)
pathlib.Path("models/pump/promotion.json").write_text(json.dumps({**verdict, "evidence": {"bundle": digest}}))
"""
STAGES = {
    "train": {
        "wdir": "../..",
        "cmd": f"{sys.executable} train.py",
        "deps": ["data/pump/history", "train.py", "answer.json"],
        "outs": ["models/pump/promotion.json"],
    },
    "publish": {
        "wdir": "../..",
        "cmd": "echo published",
        "deps": ["models/pump/promotion.json"],
        "always_changed": True,
    },
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project's folder under DVC, whose stages are small; the current folder."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("[core]\n    no_scm = True\n")  # all that `dvc init` would write
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS.model_dump(mode="json")))
    (root / "train.py").write_text(TRAIN)
    (root / "go").touch()
    (root / "data/pump").mkdir(parents=True)
    (root / "data/pump/dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}, sort_keys=False))
    (root / "data/pump/twin.yaml").write_text(TWIN.model_dump_json())
    answers(root, promoted=True, reasons=["it is better"])
    monkeypatch.chdir(root)
    return root


def answers(root: Path, **answer) -> None:
    """What the stage train comes to."""
    (root / "answer.json").write_text(json.dumps(answer))


def lived(store, name: str) -> None:
    """An asset whose case was confirmed."""
    remember(store, TWIN, readings_of(TWIN, [name]))
    find_out(store, TWIN, open_case(store, TWIN, name, "mode.wear", 20), "confirmed", 30)


@pytest.fixture
def store(root):
    """A store with one labelled run."""
    opened = open_store(f"sqlite:///{root}/twins.db")
    lived(opened, "P-1")
    yield opened
    opened.close()


def reported(root: Path, retrains: bool, *broken: str) -> Path:
    """The report of the monitor."""
    path = root / "reports/monitor/pump/report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"verdict": {"drifted": True, "retrain": retrains, "limits_broken": list(broken)}}))
    return path


def test_a_new_history_makes_a_candidate_and_the_gate_s_verdict_is_told(root, store, capsys):
    done = retrain(root, store, "pump", LATER)
    assert (done.decision, done.version, done.champion, done.reasons) == ("promoted", "2", "2", ("it is better",))
    assert (done.history.runs, done.history_before) == (1, None)
    verdict = json.loads((root / "models/pump/promotion.json").read_text())
    assert verdict["evidence"]["bundle"] == done.history.digest
    shown = capsys.readouterr().out
    assert "Running stage 'data/pump/dvc.yaml:train'" in shown
    assert "published" in shown


def test_without_news_nothing_is_new_and_the_next_verdict_on_a_case_is_news(root, store):
    first = retrain(root, store, "pump", LATER)
    again = retrain(root, store, "pump", LATER + timedelta(days=1))
    assert (again.decision, again.champion) == ("nothing new", "2")
    assert again.history.digest == again.history_before == first.history.digest
    lived(store, "P-2")
    answers(root, promoted=False, reasons=["it is worse"])
    third = retrain(root, store, "pump", LATER)
    assert (third.decision, third.champion, third.reasons) == ("refused", "1", ("it is worse",))
    assert (third.history.runs, third.history_before) == (2, first.history.digest)


def test_an_unlabelled_store_teaches_nothing_and_nothing_runs(root):
    empty = open_store(f"sqlite:///{root}/twins.db")
    remember(empty, TWIN, readings_of(TWIN, ["P-1"]))
    done = retrain(root, empty, "pump", LATER)
    empty.close()
    assert done.decision == "nothing new"
    assert done.reasons == ("pump has no run with a label yet; a verdict on a case gives one",)
    assert not (root / "begun").exists()
    assert not (root / "data/pump/dvc.lock").exists()


def test_a_stage_that_fails_is_named_with_its_reason_and_the_champion_stays(root, store):
    champion = root / "models/pump/champion/identity.json"
    champion.parent.mkdir(parents=True)
    champion.write_text("the old one")
    answers(root, fails="the disk is full: free some space")
    with pytest.raises(TrainingError) as refused:
        retrain(root, store, "pump", LATER)
    said = "stage data/pump/dvc.yaml:train failed: the disk is full: free some space; the champion goes on"
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
    assert champion.read_text() == "the old one"
    answers(root, promoted=True, reasons=[])
    assert retrain(root, store, "pump", LATER).decision == "promoted"


def test_a_twin_that_is_not_listed_is_refused_before_anything_is_written(root, store):
    params = PARAMS.model_dump(mode="json") | {"twins": ["fan"]}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ParamsError, match=r"does not list pump; `foretwin add pump`"):
        retrain(root, store, "pump", LATER)
    assert not (root / "data/pump/history").exists()


def test_another_repro_that_runs_is_told(root, store):
    retrain(root, store, "pump", LATER)
    lived(store, "P-2")
    (root / "go").unlink()
    (root / "begun").unlink()
    answers(root, promoted=True, reasons=["changed"])
    command = [*DVC, "repro", "data/pump/dvc.yaml"]
    other = subprocess.Popen(command, cwd=root, env=TELEMETRY_OFF, stdout=subprocess.DEVNULL)
    try:
        wait_for((root / "begun").exists, "the other repro's stage", 60)
        with pytest.raises(TrainingError, match=r"^another `dvc` command works in this project; .* tries again$"):
            retrain(root, store, "pump", LATER)
    finally:
        (root / "go").touch()
        assert other.wait(60) == 0


def test_the_lock_of_another_command_is_told(root, store):
    (root / ".dvc/tmp").mkdir(exist_ok=True)
    with (root / ".dvc/tmp/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match=r"^another `dvc` command works in this project"):
            retrain(root, store, "pump", LATER)


def test_a_second_retraining_of_a_twin_at_once_says_so(root, store):
    (root / "go").unlink()
    done = []
    first = threading.Thread(target=lambda: done.append(retrain(root, store, "pump", LATER)))
    first.start()
    try:
        wait_for((root / "begun").exists, "the first retraining's stage", 60)
        with pytest.raises(TrainingError, match=r"^pump: is being retrained already"):
            retrain(root, store, "pump", LATER)
    finally:
        (root / "go").touch()
        first.join(60)
    assert done[0].decision == "promoted"


def test_only_a_report_that_asks_for_it_leads_to_a_retraining(tmp_path):
    assert "`foretwin monitor pump` writes it" in why_not(tmp_path, "pump")
    path = reported(tmp_path, False, "flow has drifted: PSI 0.4", "no verdict has come yet")
    assert why_not(tmp_path, "pump") == (
        "the monitor asks for none: flow has drifted: PSI 0.4; no verdict has come yet"
    )
    reported(tmp_path, False)
    assert why_not(tmp_path, "pump") == "the monitor asks for none: no limit is broken"
    reported(tmp_path, True, "flow has drifted")
    assert why_not(tmp_path, "pump") is None
    for damage in ("{}", '{"verdict": 3}', "{"):
        path.write_text(damage)
        with pytest.raises(TrainingError, match=r"report\.json"):
            why_not(tmp_path, "pump")


def foretwin(*arguments: str):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, arguments)


def test_the_command_tells_history_verdict_and_reasons(root, store):
    assert "asks for none: no limit" in foretwin_after(root, False)
    assert not (root / "data/pump/history").exists()
    said = foretwin_after(root, True)
    assert "retrain pump: history of 1 runs of 1 assets, " in said
    assert "retrain pump: version 2 promoted; version 2 is the champion\nretrain pump: it is better\n" in said
    again = foretwin("retrain", "pump").stdout
    assert "1 assets, as before\nretrain pump: nothing new; version 2 is the champion" in again


def foretwin_after(root: Path, retrains: bool) -> str:
    reported(root, retrains)
    result = foretwin("retrain", "pump", "--if-drifted")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_of_an_unknown_twin_or_a_failing_stage_is_one_line_with_exit_code_1(root, store):
    answers(root, fails="not enough assets")
    for arguments, words in ((["retrain", "fan"], "fan has no contract here"), (["retrain", "pump"], "not enough")):
        result = foretwin(*arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


def decision(action: str, version: str, before: str | None, champion: str | None, **more) -> ledger.LedgerEntry:
    said = {"reasons": (f"why {version}",), "actor": "pipeline"} | more
    return ledger.LedgerEntry(NOON, action, version, "d" * 64, "run", before, champion, **said)


def test_the_ledger_is_a_table_with_the_newest_last_and_an_altered_one_is_an_error(root):
    path = Paths(root, "pump").ledger
    assert "nothing was decided about pump yet" in foretwin("ledger", "pump").stdout
    ledger.append(path, decision("promoted", "1", None, "1"))
    ledger.append(path, decision("refused", "2", "1", "1"))
    ledger.append(path, decision("forced", "2", "1", "2", actor="ann", reason="the sensor was exchanged"))
    ledger.append(path, decision("rolled_back", "2", "2", "1", actor="bo", reasons=(), reason="false alarms"))
    lines = [line for line in foretwin("ledger", "pump").stdout.splitlines() if "2026-11-21" in line]
    wanted = [
        ("1", "promoted", "none to 1", "pipeline", "why 1"),
        ("2", "refused", "1", "pipeline", "why 2"),
        ("2", "forced", "1 to 2", "ann", "the sensor was exchanged"),
        ("2", "rolled back", "2 to 1", "bo", "false alarms"),
    ]
    assert [tuple(cell.strip() for cell in line.split("│")[2:-1]) for line in lines] == wanted
    path.write_text(path.read_text().replace("why 2", "why not"))
    result = foretwin("ledger", "pump")
    assert result.exit_code == 1
    assert "ledger.jsonl:3: does not follow" in result.stderr
