"""`foretwin explain`: a table and a picture of one asset of a file, one line for what goes wrong."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from foretwin.cli.main import main
from foretwin.predictor.bundle import Bundle
from support.tiny_bundle import keep_tiny_champion, random_rows, tiny_twin

TWIN = tiny_twin()
CHAMPION = Path("models/pump/champion/bundle")


@pytest.fixture
def rows(tmp_path, monkeypatch) -> pd.DataFrame:
    """Two machines in rows.csv of the current folder, a project with a champion of the twin `pump`."""
    monkeypatch.chdir(tmp_path)
    keep_tiny_champion(tmp_path, TWIN)
    frame = random_rows(TWIN, {"p-1": 12, "[red]2": 5})
    frame.to_csv("rows.csv", index=False)
    return frame


def explain(asset: str, *more: str, twin: str = "pump") -> Result:
    call = ["explain", "rows.csv", "--twin", twin, "--asset", asset, *more]
    return CliRunner(env={"COLUMNS": "300"}).invoke(main, call)


def test_there_is_a_table_for_each_question_from_a_healthy_machine_to_the_prediction(rows):
    result = explain("p-1")
    assert result.exit_code == 0
    tables = result.output.split("p-1: ")[1:]
    assert [table.split()[0] for table in tables] == ["rul", "mode:", "bearing:"]
    score = Bundle.load(CHAMPION).score(rows[rows["asset"] == "p-1"]).iloc[0]
    for table, unit in zip(tables, ("h", "probability", "probability"), strict=True):
        lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
        assert f"({unit})" in table
        assert lines[0][0] == "a healthy machine"
        assert lines[-1][0] == "prediction"
        assert {name for name, _ in lines[1:-1]} == {*TWIN.channel_names, "age"}
        size = [abs(float(value)) for _, value in lines[1:-1]]
        assert size == sorted(size, reverse=True)
        assert sum(float(value) for _, value in lines[:-1]) == pytest.approx(float(lines[-1][1]), rel=2e-3)
    assert f"{score['rul']:.4g}" in tables[0]


def test_an_asset_s_name_in_brackets_is_shown_as_it_is(rows):
    assert "[red]2: rul (h)" in explain("[red]2").output


def test_it_is_drawn_too(rows):
    result = explain("p-1", "--out", "why/p-1.png")
    assert result.exit_code == 0
    assert result.output.endswith("wrote why/p-1.png\n")
    assert Path("why/p-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("p-9",), "--asset: rows.csv has no asset p-9; its first one is p-1"),
        (("p-1", "--out", "why.jpg"), "--out: why.jpg does not end in .png"),
    ],
)
def test_what_cannot_be_explained_is_one_line(rows, call, told):
    result = explain(*call)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"error: {told}\n")
    assert not Path("why.jpg").exists()


def test_a_twin_without_a_champion_says_how_to_make_one(rows):
    assert "press has no champion yet" in explain("p-1", twin="press").stderr
