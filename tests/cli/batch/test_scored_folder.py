"""Scoring many Parquet files part by part: the same scores as of one table, whatever lies in which file."""

import numpy as np
import pandas as pd
import pytest

from foretwin.cli.batch import scored_folder
from foretwin.cli.batch.scored_folder import list_parquet, score_folder
from foretwin.cli.models.scored_steps import score_steps
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle
from support.commands import refusal, shown
from support.tiny_bundle import keep_tiny_champion, random_rows, tiny_twin

TWIN = tiny_twin()


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    return Bundle.load(keep_tiny_champion(tmp_path, TWIN))


@pytest.fixture
def rows() -> pd.DataFrame:
    return random_rows(TWIN, {f"M-{i:02d}": 10 + i for i in range(12)})


@pytest.fixture
def folder(tmp_path, rows):
    """The rows by time, in three files: each machine's go on from file to file."""
    found = tmp_path / "archive"
    (found / "deeper").mkdir(parents=True)
    ordered = rows.sort_values("time", kind="stable")
    for name, part in zip(("a", "deeper/b", "deeper/c"), np.array_split(np.arange(len(rows)), 3), strict=True):
        ordered.iloc[part].to_parquet(found / f"{name}.parquet", index=False)
    return found


def by_key(scores):
    return scores.sort_values(["asset", "time"], ignore_index=True)


@pytest.fixture(params=[40, 1_000_000])
def part(request, monkeypatch):
    """Many small parts, and one of all."""
    monkeypatch.setattr(scored_folder, "PART", request.param)
    monkeypatch.setattr(scored_folder, "AT_ONCE", 50)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("every", [False, True])
def test_scores_are_those_of_one_table(bundle, rows, folder, tmp_path, every):
    out = tmp_path / "scores.parquet"
    whole = tmp_path / "whole.parquet"
    rows.to_parquet(whole, index=False)
    expected = score_steps(bundle, whole)[0] if every else bundle.score(rows)

    count = score_folder(bundle, list_parquet([folder]), out, every)

    found = pd.read_parquet(out)
    assert count == len(found) == len(expected)
    found["warnings"] = found["warnings"].map(list)
    pd.testing.assert_frame_equal(by_key(found), by_key(expected), check_dtype=False, atol=1e-5)
    assert list(tmp_path.glob(".scoring-*")) == []


def test_a_csv_is_written_with_one_head(bundle, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scored_folder, "PART", 40)
    score_folder(bundle, list_parquet([folder]), tmp_path / "scores.csv", every=False)
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 12


def test_a_file_without_a_column_of_the_first_is_refused(bundle, rows, folder, tmp_path):
    rows.drop(columns="c1").to_parquet(folder / "z.parquet", index=False)
    with pytest.raises(BadInput, match=r"z\.parquet lacks the column c1"):
        score_folder(bundle, list_parquet([folder]), tmp_path / "out.parquet", every=False)
    assert not (tmp_path / "out.parquet").exists()


def test_the_command_scores_a_folder_and_refuses_what_is_no_parquet(bundle, rows, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = shown("score", "archive", "--twin", "pump", "--out", "scores.parquet")
    assert said == "wrote scores.parquet: 12 scores"
    assert "--out: is missing" in refusal("score", "archive", "--twin", "pump")
    rows.to_csv(tmp_path / "more.csv", index=False)
    assert "more.csv is no Parquet" in refusal("score", "archive", "more.csv", "--twin", "pump", "--out", "s.parquet")
