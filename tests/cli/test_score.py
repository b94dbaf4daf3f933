"""Scoring a whole file: by the source's own column names or by the canonical ones, as the service would."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.cli.models import scored_file, scored_steps
from foretwin.cli.models.scored_file import load_scorer, score_file, show_scores, write_scores
from foretwin.cli.models.scored_steps import score_steps
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, BundleError, RegistryError, SourceError
from foretwin.predictor.bundle import Bundle
from support.commands import foretwin, refusal
from support.tiny_bundle import FAULTS, keep_tiny_champion, random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()
TABLE = {
    "kind": "table",
    "path": "there.csv",
    "asset": "machine",
    "time": "hour",
    "failure": "failed",
    "columns": {"speed": "Speed [rpm]"},
    "faults": {"mode": {"column": "Mode", "values": {"W": "wear"}}},
}


def with_champion(root: Path, twin: Twin) -> Bundle:
    return Bundle.load(keep_tiny_champion(root, twin))


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    return with_champion(tmp_path, TWIN)


@pytest.fixture
def press(tmp_path) -> Bundle:
    """The champion of a twin whose source is a table with names of its own."""
    return with_champion(tmp_path, Twin.model_validate({**TWIN.model_dump(), "name": "press", "source": TABLE}))


def scored(root: Path, twin: str, file: Path, candidate: bool = False) -> pd.DataFrame:
    return score_file(load_scorer(root, twin, candidate), file)


def saved(rows: pd.DataFrame, path: Path) -> Path:
    rows.to_parquet(path, index=False) if path.suffix == ".parquet" else rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_file_scores_as_its_rows_do(bundle, tmp_path, name):
    rows = random_rows(TWIN, {"007": 12, "b": 5})
    scores = scored(tmp_path, "pump", saved(rows, tmp_path / name))
    pd.testing.assert_frame_equal(scores, bundle.score(rows), check_dtype=False)
    assert scores["asset"].tolist() == ["007", "b"]


def test_many_assets_are_scored_in_parts_and_in_the_order_of_the_file(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(scored_file, "AT_ONCE", 7)
    rows = random_rows(TWIN, {f"a{i * 37 % 50:02}": 2 + i % 9 for i in range(50)})
    scores = scored(tmp_path, "pump", saved(rows, tmp_path / "rows.csv"))
    assert scores["asset"].tolist() == rows["asset"].unique().tolist()
    np.testing.assert_allclose(
        scores[list(bundle.score_columns)], bundle.score(rows)[list(bundle.score_columns)], atol=1e-4
    )


def test_interleaved_assets_are_put_together(bundle, tmp_path):
    rows = random_rows(TWIN, {"a": 5, "b": 5})
    mixed = rows.sort_values("time", kind="stable")
    assert mixed["asset"].tolist()[:4] == ["a", "b", "a", "b"]
    scores = scored(tmp_path, "pump", saved(mixed, tmp_path / "rows.csv"))
    pd.testing.assert_frame_equal(scores, bundle.score(rows), check_dtype=False)


def test_without_a_run_column_each_asset_lives_once(bundle, tmp_path):
    rows = random_rows(TWIN, {"a": 5})
    scores = scored(tmp_path, "pump", saved(rows.drop(columns="run"), tmp_path / "rows.csv"))
    assert scores["run"].tolist() == [1]
    pd.testing.assert_frame_equal(scores, bundle.score(rows), check_dtype=False)


def test_a_run_column_tells_lives_apart(bundle, tmp_path):
    lives = [random_rows(TWIN, {"a": length}, seed=run).assign(run=run) for run, length in [(4, 9), (5, 3)]]
    scores = scored(tmp_path, "pump", saved(pd.concat(lives), tmp_path / "rows.csv"))
    pd.testing.assert_frame_equal(scores, bundle.score(lives[1]), check_dtype=False)
    assert (scores["run"][0], scores["rows"][0]) == (5, 3)


def test_the_sources_own_columns_are_read_without_any_label(press, tmp_path):
    rows = random_rows(TWIN, {"a": 5, "b": 7})
    own = rows.rename(columns={"asset": "machine", "time": "hour", "speed": "Speed [rpm]"}).drop(columns="run")
    scores = scored(tmp_path, "press", saved(own, tmp_path / "own.csv"))
    pd.testing.assert_frame_equal(scores, press.score(rows), check_dtype=False)


def test_after_a_failure_a_new_life_begins(press, tmp_path):
    rows = random_rows(TWIN, {"a": 10})
    own = rows.rename(columns={"asset": "machine", "time": "hour", "speed": "Speed [rpm]"}).drop(columns="run")
    scores = scored(tmp_path, "press", saved(own.assign(failed=own["hour"] == 6), tmp_path / "own.csv"))
    second = rows[rows["time"] > 6].assign(run=2)
    second["time"] -= second["time"].iloc[0]
    assert scores["rows"].tolist() == [4]
    pd.testing.assert_frame_equal(scores, press.score(second), check_dtype=False)


def test_canonical_columns_serve_a_twin_with_names_of_its_own_too(press, tmp_path):
    rows = random_rows(TWIN, {"a": 5})
    scores = scored(tmp_path, "press", saved(rows, tmp_path / "rows.csv"))
    pd.testing.assert_frame_equal(scores, press.score(rows), check_dtype=False)


def test_a_twin_without_a_champion_says_how_to_make_one(tmp_path):
    with pytest.raises(RegistryError, match=r"pump has no champion yet; `foretwin add pump` and `dvc repro` make one"):
        scored(tmp_path, "pump", saved(random_rows(TWIN, {"a": 5}), tmp_path / "rows.csv"))


def refused(root: Path, twin: str, reasons: list[str]) -> None:
    verdict = {"promoted": False, "version": "1", "reasons": reasons}
    (root / "models" / twin).mkdir(parents=True, exist_ok=True)
    (root / "models" / twin / "promotion.json").write_text(json.dumps(verdict))


@pytest.mark.parametrize("more", [[], ["too slow", "too large"]])
def test_after_a_refusal_the_message_says_why_and_how_to_look_at_the_candidate(tmp_path, more):
    refused(tmp_path, "pump", ["the linear baseline is better", *more])
    with pytest.raises(RegistryError) as error:
        scored(tmp_path, "pump", saved(random_rows(TWIN, {"a": 5}), tmp_path / "rows.csv"))
    others = " (and 2 more)" if more else ""
    because = f"version 1 was refused by the gate because the linear baseline is better{others}"
    assert f"{because}; look at it by `foretwin score FILE --twin pump --candidate`" in str(error.value)
    assert "no champion yet" not in str(error.value)


def test_a_refused_candidate_scores_when_it_is_asked_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, rows = tmp_path / "models" / "pump" / "bundle", random_rows(TWIN, {"a": 5})
    saved(rows, tmp_path / "rows.csv")
    command = ("score", "rows.csv", "--twin", "pump", "--candidate", "--out", "scores.csv")
    assert "pump has no candidate yet; `foretwin add pump` and `dvc repro` make one" in refusal(*command)
    folder.mkdir(parents=True)
    save_tiny_bundle(folder, TWIN, bias=17)
    refused(tmp_path, "pump", ["the linear baseline is better"])
    done = foretwin(*command)
    assert done.exit_code == 0
    assert "note: scored by the candidate: version 1 was refused by the gate because the linear" in done.stderr
    expected = Bundle.load(folder).score(rows)
    np.testing.assert_allclose(pd.read_csv("scores.csv")["rul"], expected["rul"])


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Canonical rows with their labels, some of them unknown."""
    rul = rows.groupby("asset")["time"].transform("max") - rows["time"]
    modes = np.arange(len(rows)) % 3
    return rows.assign(rul=rul.where(rows["asset"] != "b"), fault_mode=np.where(rows["time"] < 3, -1, modes))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_every_step_is_scored_as_when_it_came_in_beside_its_truth(bundle, tmp_path, name):
    rows = labelled(random_rows(TWIN, {"a": 12, "b": 5}))
    steps, figures = score_steps(bundle, saved(rows, tmp_path / name))
    assert steps["asset"].tolist() == ["a"] * 11 + ["b"] * 4, "the contract asks for two rows at least"
    for asset, time, rul in steps[["asset", "time", "rul"]].itertuples(index=False):
        seen = rows[(rows["asset"] == asset) & (rows["time"] <= time)]
        assert bundle.score(seen.drop(columns=["rul", "fault_mode"]))["rul"][0] == pytest.approx(rul, abs=1e-4)
    known = rows[rows["time"] > 1].reset_index(drop=True)
    np.testing.assert_array_equal(steps["true_rul"], known["rul"])
    names = [*TWIN.classes("mode"), ""]
    assert steps["true_mode"].tolist() == [names[number] for number in known["fault_mode"]]
    error = (steps["rul"] - steps["true_rul"].clip(upper=TWIN.rul.cap)).dropna()
    assert figures["rul"]["clipped"]["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert 0 <= figures["fault"]["mode"]["accuracy"] <= 1


def test_a_long_file_is_scored_in_parts(bundle, tmp_path, monkeypatch):
    path = saved(labelled(random_rows(TWIN, {"a": 40, "b": 25})), tmp_path / "rows.csv")
    whole, _ = score_steps(bundle, path)
    monkeypatch.setattr(scored_steps, "WINDOWS_AT_ONCE", 7)
    parts, _ = score_steps(bundle, path)
    pd.testing.assert_frame_equal(parts, whole)


def test_without_labels_every_step_has_a_score_and_no_figure(bundle, tmp_path):
    steps, figures = score_steps(bundle, saved(random_rows(TWIN, {"a": 5}), tmp_path / "rows.csv"))
    assert figures is None
    assert not [name for name in steps if name.startswith("true_")]
    with pytest.raises(BadInput, match="no run has the 2 rows that a score needs"):
        score_steps(bundle, saved(random_rows(TWIN, {"a": 1}), tmp_path / "rows.csv"))


def test_a_sources_own_labels_are_the_truth(press, tmp_path, monkeypatch):
    rows = random_rows(TWIN, {"a": 9})
    own = rows.rename(columns={"asset": "machine", "time": "hour", "speed": "Speed [rpm]"}).drop(columns="run")
    own = own.assign(failed=own["hour"] == 9, Mode=np.where(own["hour"] > 5, "W", ""))
    saved(own, tmp_path / "own.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    done = foretwin("score", "own.csv", "--twin", "press", "--every", "--out", "steps.csv")
    assert done.exit_code == 0, done.output
    assert "wrote steps.csv: 8 steps" in done.output
    assert "RMSE (h)" in done.output
    assert "mode macro-F1" in done.output
    steps = pd.read_csv("steps.csv", keep_default_na=False)
    assert steps["true_rul"].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert steps["true_mode"].tolist() == [""] * 4 + ["wear"] * 4
    assert "8 steps against the file's labels" in foretwin("score", "own.csv", "--twin", "press", "--every").output


def test_an_altered_champion_does_not_score(bundle, tmp_path):
    (tmp_path / "models" / "pump" / "champion" / "bundle" / "reference.json").write_text("{}")
    with pytest.raises(BundleError, match=r"reference.json: missing, unknown or altered"):
        scored(tmp_path, "pump", saved(random_rows(TWIN, {"a": 5}), tmp_path / "rows.csv"))


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        (lambda rows: rows.drop(columns="c1"), SourceError, "column 'c1' is missing"),
        (lambda rows: rows.rename(columns={"asset": "device"}), SourceError, "column 'asset' is missing"),
        (lambda rows: rows.assign(c1="hot"), SourceError, "line 2: column 'c1': 'hot' is not a number"),
        (lambda rows: rows.assign(c1=np.inf), SourceError, "line 2: column 'c1': the number is infinite"),
        (lambda rows: rows.assign(c1=np.nan), SourceError, "line 2: column 'c1': is empty"),
        (lambda rows: rows[::-1], BadInput, "time: does not increase for asset a"),
        (lambda rows: rows[:1], BadInput, "assets.a: has 1 rows, at least 2 are needed"),
        (lambda rows: rows[:0], SourceError, "has a header but no rows"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_with_the_place(bundle, tmp_path, change, kind, reason):
    path = saved(change(random_rows(TWIN, {"a": 5})), tmp_path / "rows.csv")
    with pytest.raises(kind, match=reason) as error:
        scored(tmp_path, "pump", path)
    assert "\n" not in str(error.value)


def test_scores_are_written_as_csv_and_parquet(bundle, tmp_path):
    scores = bundle.score(random_rows(TWIN, {"a": 12, "b": 5}))
    scores["warnings"] = [[], ["one", "two"]]
    write_scores(scores, tmp_path / "out" / "scores.csv")
    read = pd.read_csv(tmp_path / "out" / "scores.csv", keep_default_na=False)
    assert list(read.columns) == list(scores.columns)
    assert read["warnings"].tolist() == ["", "one; two"]
    np.testing.assert_allclose(read["rul"], scores["rul"])
    write_scores(scores, tmp_path / "scores.parquet")
    read = pd.read_parquet(tmp_path / "scores.parquet")
    assert [list(found) for found in read["warnings"]] == [[], ["one", "two"]]
    pd.testing.assert_frame_equal(read.drop(columns="warnings"), scores.drop(columns="warnings"))


def test_scores_go_to_no_other_kind_of_file(bundle, tmp_path):
    scores = bundle.score(random_rows(TWIN, {"a": 12}))
    with pytest.raises(BadInput, match=r"--out: .*scores.xlsx ends neither in .csv nor in .parquet"):
        write_scores(scores, tmp_path / "scores.xlsx")
    assert not (tmp_path / "scores.xlsx").exists()


def test_the_most_urgent_machines_are_shown_first(bundle, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    rows = random_rows(TWIN, {f"a{i:02}": 4 for i in range(40)})
    scores = bundle.score(rows)
    show_scores(scores)
    shown = capsys.readouterr().out
    urgent = scores.sort_values("rul")["asset"].tolist()[:30]
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("│ a")] == urgent
    assert "10 more; `--out scores.csv` writes them all" in shown
    header, first = (line.split() for line in shown.splitlines() if line.startswith(("┃", "│ " + urgent[0])))
    assert {"mode", "mode_healthy", "bearing_worn"} < set(header)
    assert first[header.index("mode")] == scores.set_index("asset").loc[urgent[0], "mode"]
    assert "unknown" in shown
    assert "short_history: 4 of 8 rows" in shown


def test_a_twin_without_rul_is_shown_in_the_order_of_the_file(tmp_path, monkeypatch, capsys):
    twin = Twin.model_validate({**TWIN.model_dump(), "rul": None, "faults": FAULTS})
    monkeypatch.setenv("COLUMNS", "300")
    show_scores(with_champion(tmp_path, twin).score(random_rows(twin, {"b": 4, "a": 4})))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")] == ["b", "a"]


def test_a_name_in_brackets_is_shown_as_it_is(bundle, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    show_scores(bundle.score(random_rows(TWIN, {"[red]7": 4})))
    assert "[red]7" in capsys.readouterr().out
