"""The `foretwin` command: quick to answer, one line for what goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.champion.champion import load_champion
from foretwin.cli.main import main
from foretwin.cli.pipeline.figures import print_summary
from foretwin.contract.twin import load_twin
from foretwin.predictor.bundle import Bundle
from foretwin.project.chain import COPIED
from foretwin.project.params import load_params
from support.commands import foretwin, refusal
from support.tiny_bundle import keep_tiny_champion, random_rows, shipped_params, tiny_twin

ROOT = Path(__file__).parents[2]
TWIN = tiny_twin()
HEAVY = ["torch", "lightning", "mlflow", "optuna", "great_expectations", "sklearn", "matplotlib", "bentoml", "dvc"]
HEAVY += ["shap", "numba"]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The current folder: params.yaml with the twin `pump`, its contract, and its champion."""
    (tmp_path / "params.yaml").write_text(shipped_params())
    (tmp_path / "data" / "pump").mkdir(parents=True)
    (tmp_path / "data" / "pump" / "twin.yaml").write_text(TWIN.model_dump_json())
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "chain.yaml").write_text("stages: {}\n")
    keep_tiny_champion(tmp_path, TWIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def machines_csv(path: Path) -> Path:
    hours = np.tile(np.arange(80), 6)
    noise = np.random.default_rng(1).normal(0, 1, len(hours))
    frame = pd.DataFrame({"machine": np.repeat(list("abcdef"), 80), "hour": hours, "Temp [°C]": 60 + noise})
    frame.assign(failed=(hours == 79).astype(int)).to_csv(path, index=False)
    return path


def modules_of(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after that code."""
    shown = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{code}\n{shown}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["new", "-h"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    loaded = modules_of(f"from foretwin.cli.main import main\nmain({arguments}, standalone_mode=False)")
    assert "click" in loaded
    assert loaded.isdisjoint([*HEAVY, "pandas", "numpy", "onnxruntime", "pydantic", "yaml", "ruamel", "jinja2", "rich"])


def test_listing_machines_needs_no_pandas(project):
    loaded = modules_of("from foretwin.cli.main import main\nmain(['twins'], standalone_mode=False)")
    assert "sqlalchemy" in loaded
    assert loaded.isdisjoint([*HEAVY, "pandas", "onnxruntime"])


def test_what_knows_of_training_imports_lightning_only_to_train():
    loaded = modules_of("from foretwin.training import tuning\nfrom foretwin.training.candidates import classical")
    assert "torch" in loaded
    assert "lightning" not in loaded


def test_adding_a_twin_needs_no_pandas(project):
    loaded = modules_of("from foretwin.cli.main import main\nmain(['add', 'pump'], standalone_mode=False)")
    assert "pydantic" in loaded
    assert loaded.isdisjoint([*HEAVY, "pandas", "onnxruntime"])


def test_scoring_needs_neither_training_nor_tracking(project):
    random_rows(TWIN, {"a": 5}).to_csv("rows.csv", index=False)
    run = "main(['score', 'rows.csv', '--twin', 'pump'], standalone_mode=False)"
    loaded = modules_of(f"from foretwin.cli.main import main\n{run}")
    assert {"pandas", "onnxruntime"} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_lists_every_command_and_a_first_tour():
    shown = foretwin("--help").output
    assert all(f"\n  {name} " in shown for name in main.commands)
    assert "dvc repro" in shown


def test_every_command_explains_itself():
    for name in main.commands:
        shown = foretwin(name, "--help")
        assert shown.exit_code == 0
        assert f"Usage: main {name}" in shown.output


def test_the_installed_command_starts():
    script = Path(sys.executable).with_name("foretwin")
    told = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in told.stdout


# new and add


def test_a_new_twin_is_described_added_and_found(project):
    machines_csv(project / "press.csv")
    result = foretwin("new", "press", "press.csv")
    assert result.exit_code == 0
    assert "wrote data/press/twin.yaml" in result.output
    assert "foretwin add press" in result.output
    twin = load_twin(project / "data" / "press" / "twin.yaml")
    assert (twin.source.asset, twin.source.failure) == ("machine", "failed")
    result = foretwin("add", "press")
    assert result.exit_code == 0
    assert result.output == "params.yaml lists pump, press; `dvc repro` builds them\n"
    assert load_params(project / "params.yaml").twins == ["pump", "press"]
    assert (project / "data/press/dvc.yaml").read_text() == COPIED + (project / "pipelines/chain.yaml").read_text()


def test_an_existing_contract_is_never_overwritten(project):
    machines_csv(project / "pump.csv")
    before = (project / "data" / "pump" / "twin.yaml").read_bytes()
    assert "data/pump/twin.yaml: is there already; edit it, or remove it" in refusal("new", "pump", "pump.csv")
    assert (project / "data" / "pump" / "twin.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["Press", "press_1", "../press"])
def test_a_name_that_no_twin_may_have_is_refused(project, name):
    machines_csv(project / "press.csv")
    assert "press" in refusal("new", name, "press.csv").lower()
    assert [path.name for path in (project / "data").iterdir()] == ["pump"]


def test_a_file_that_describes_no_machine_leaves_no_contract(project):
    (project / "notes.csv").write_text("a\n\0\n")
    assert "notes.csv: neither CSV" in refusal("new", "press", "notes.csv")
    assert not (project / "data" / "press").exists()


def test_adding_a_twin_without_a_contract_is_refused(project):
    before = (project / "params.yaml").read_bytes()
    assert "data/mill/twin.yaml: no such contract" in refusal("add", "pump", "mill")
    assert (project / "params.yaml").read_bytes() == before


def test_adding_by_the_name_of_the_folder_is_refused_and_changes_nothing(project):
    before = (project / "params.yaml").read_bytes()
    assert "params.yaml: twins.1: String should match pattern" in refusal("add", "pump/")
    assert (project / "params.yaml").read_bytes() == before


def test_adding_twice_changes_nothing(project):
    before = (project / "params.yaml").read_bytes()
    assert foretwin("add", "pump", "pump").exit_code == 0
    assert (project / "params.yaml").read_bytes() == before


def test_a_wrong_contract_is_named_with_its_line(project):
    (project / "data" / "pump" / "twin.yaml").write_text("name: pump\ntitle: Pump\nchanels: {}\n")
    told = refusal("add", "pump")
    assert told.startswith("data/pump/twin.yaml:3: chanels: unknown field, perhaps a typo (and ")


# score


@pytest.fixture
def rows(project) -> pd.DataFrame:
    """Three machines, in rows.csv."""
    frame = random_rows(TWIN, {"p-1": 12, "p-2": 5, "p-3": 8})
    frame.to_csv("rows.csv", index=False)
    return frame


def test_scores_are_shown_as_a_table(project, rows):
    result = foretwin("score", "rows.csv", "--twin", "pump")
    assert result.exit_code == 0
    assert all(name in result.output for name in ("p-1", "p-2", "p-3", "rul_low", "mode_wear"))
    assert "short_history: 5 of 8 rows" in result.output


@pytest.mark.parametrize("name", ["scores.csv", "folder/scores.parquet"])
def test_scores_are_written_to_a_file(project, rows, name):
    result = foretwin("score", "rows.csv", "--twin", "pump", "--out", name)
    assert result.exit_code == 0
    assert result.output == f"wrote {name}: 3 assets\n"
    scores = pd.read_csv(name) if name.endswith(".csv") else pd.read_parquet(name)
    expected = Bundle.load(project / "models" / "pump" / "champion" / "bundle").score(rows)
    assert scores["asset"].tolist() == ["p-1", "p-2", "p-3"]
    np.testing.assert_allclose(scores["rul"], expected["rul"])


def test_what_cannot_be_scored_is_one_line(project, rows):
    rows.drop(columns="c1").to_csv("short.csv", index=False)
    assert "short.csv: column 'c1' is missing" in refusal("score", "short.csv", "--twin", "pump")
    assert "press has no champion yet" in refusal("score", "rows.csv", "--twin", "press")
    assert "ends neither in .csv nor in .parquet" in refusal("score", "rows.csv", "--twin", "pump", "--out", "s.txt")
    assert not Path("s.txt").exists()


def test_a_failed_score_leaves_the_old_file(project, rows):
    Path("scores.csv").write_text("old")
    rows.assign(c1=np.nan).to_csv("gaps.csv", index=False)
    assert "gaps.csv: line 2: column 'c1'" in refusal("score", "gaps.csv", "--twin", "pump", "--out", "scores.csv")
    assert Path("scores.csv").read_text() == "old"


def test_a_full_disk_is_one_line(project, rows):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    Path(".scores.csv.partial").symlink_to("/dev/full")
    assert "No space left on device" in refusal("score", "rows.csv", "--twin", "pump", "--out", "scores.csv")
    assert not Path("scores.csv").exists()


def test_a_file_that_is_not_there_is_a_wrong_call(project):
    result = foretwin("score", "nothing.csv", "--twin", "pump")
    assert result.exit_code == 2
    assert "'nothing.csv' does not exist" in result.stderr


def test_debug_shows_the_traceback(project, rows):
    result = foretwin("--debug", "score", "rows.csv", "--twin", "press")
    assert type(result.exception).__name__ == "RegistryError"
    script = "from foretwin.cli.main import main; main()"
    command = [sys.executable, "-c", script, "--debug", "score", "rows.csv", "--twin", "press"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.startswith("Traceback")


# summary


def figures(error: float) -> dict:
    kinds = {kind: {"rmse": error, "phm08": 321.0, "rmse_late": 2.0} for kind in ("clipped", "unclipped")}
    axes = {axis: {"macro_f1": 0.875, "accuracy": 0.9} for axis in TWIN.axes}
    return {"rul": kinds, "fault": axes}


@pytest.fixture
def evaluated(project) -> Path:
    """The project with figures, and a first champion."""
    network = figures(12.25)
    network["rul"]["interval"] = {"level": 0.9, "coverage": 0.912, "width": 33.3}
    digest = load_champion(project, "pump").identity.digest
    metrics = {"cuts": 60, "assets": 5, "bundle": digest, "network": network, "baselines": {"linear": figures(20)}}
    (project / "models" / "pump" / "evaluation.json").write_text(json.dumps(metrics))
    promotion = {"promoted": True}
    (project / "models" / "pump" / "promotion.json").write_text(json.dumps(promotion))
    return project


def test_the_summary_shows_figures_champion_and_reports(evaluated):
    result = foretwin("summary")
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    assert "Tiny pump: 60 predictions for 5 held-out assets" in shown
    for part in ("12.25", "20.00", "91.2%", "33.3", "0.875", "foretwin-pump version 3: this network"):
        assert part in shown
    assert "models/pump/report.html" in shown
    assert "Try next:" in shown


def test_the_summary_of_many_models_breaks_no_word_at_80_columns(evaluated, monkeypatch, capsys):
    path = evaluated / "models" / "pump" / "evaluation.json"
    metrics = json.loads(path.read_text())
    names = (
        "gradient_boosting",
        "extra_trees",
        "random_fourier_ridge",
        "linear",
        "constant",
        "physics_known",
        "normal",
    )
    path.write_text(json.dumps({**metrics, "baselines": {name: figures(20) for name in names}}))
    monkeypatch.setenv("COLUMNS", "80")
    print_summary(evaluated, ["pump"])
    shown = capsys.readouterr().out
    assert "…" not in shown
    words = {word for line in shown.splitlines() for word in line.split()}
    assert words >= {"uncapped", "interval", "macro-F1", "boosting", "constant", "fourier"}


@pytest.mark.parametrize(("promoted", "verdict"), [(False, "refused"), (True, "rolled back")])
def test_the_summary_says_when_another_network_is_champion(evaluated, promoted, verdict):
    models = evaluated / "models" / "pump"
    metrics = json.loads((models / "evaluation.json").read_text())
    (models / "evaluation.json").write_text(json.dumps({**metrics, "bundle": "another"}))
    (models / "promotion.json").write_text(json.dumps({"promoted": promoted}))
    shown = " ".join(foretwin("summary").output.split())
    assert f"foretwin-pump version 3: another one; this network was {verdict}" in shown


def test_the_summary_of_a_first_model_that_was_refused_knows_no_champion(evaluated):
    (evaluated / "models" / "pump" / "champion" / "identity.json").unlink()
    (evaluated / "models" / "pump" / "promotion.json").write_text(json.dumps({"promoted": False}))
    assert "champion none: this network was refused" in " ".join(foretwin("summary").output.split())


def test_the_summary_before_the_first_run_says_what_to_do(project):
    assert refusal("summary") == "models/pump/metrics.json: not there yet; run `dvc repro` first"


def test_outside_of_a_project_a_command_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("summary") == "params.yaml: not found; run this from the project's folder"
    assert not list(tmp_path.iterdir())
