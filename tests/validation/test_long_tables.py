"""A draft of a table that is too long to be looked at as a whole rests on some machines, and says so."""

import numpy as np
import pandas as pd
import pytest

from foretwin.validation.scaffold.draft import draft_contract

LIFE, LIVES, MACHINES = 20, 3, 30


@pytest.fixture
def few_rows(monkeypatch):
    """Call a table of more than 600 rows long."""
    for module in ("lives.row_sample", "files.guess.survey"):
        monkeypatch.setattr(f"foretwin.sources.{module}.MOST_ROWS", 600)
    monkeypatch.setattr("foretwin.sources.files.guess.survey.BLOCK", 0)
    monkeypatch.setattr("foretwin.sources.files.guess.survey.FEWEST_ROWS", 60)
    monkeypatch.setattr("foretwin.sources.tabular.BLOCK", 4000)


def fleet() -> pd.DataFrame:
    """Machines that fail every 20 hours, their readings hour by hour; one cell of the last hour is a word."""
    hour = np.repeat(np.arange(LIFE * LIVES), MACHINES)
    age = hour % LIFE
    force = 50 + (age / LIFE) ** 2 * 9 + np.random.default_rng(1).normal(size=len(hour))
    names = [f"m{number:02}" for number in range(MACHINES)] * (LIFE * LIVES)
    return pd.DataFrame({"machine": names, "hour": hour, "force": force.round(3), "failed": (age == LIFE - 1) * 1})


def test_a_long_table_is_drafted_from_whole_machines(few_rows, tmp_path):
    fleet().to_csv(tmp_path / "press.csv", index=False)
    draft = draft_contract("press", tmp_path / "press.csv")
    told = next(sentence for sentence in draft.assumptions.check if sentence.startswith("rows: "))
    assert told.startswith("rows: 600 of 1,800 were looked at, those of 10 of 30 machines;")
    assert 'failure: "failed"  # guessed' in draft.text
    assert "# guessed: 60% of a median life of 19 h" in draft.text
    assert "step: 1  # guessed" in draft.text
    assert "min_assets: 30  # the file has 30" in draft.text


def test_files_of_one_machine_each_are_drafted_from_some_of_them(few_rows, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    for name, rows in fleet().groupby("machine"):
        rows.drop(columns="machine").to_csv(folder / f"press-{name}.csv", index=False)
    draft = draft_contract("press", folder)
    told = next(sentence for sentence in draft.assumptions.check if sentence.startswith("rows: "))
    assert told.startswith("rows: 600 of 1,800 were looked at, those of 10 of 30 machines;")
    assert 'pattern: "press-m{asset}.csv"' in draft.text


def test_a_table_of_few_long_machines_is_drafted_from_its_beginning(few_rows, tmp_path):
    rows = fleet()
    rows.assign(machine=rows["machine"].str[:2]).sort_values(["machine", "hour"], kind="stable").to_csv(
        tmp_path / "press.csv", index=False
    )
    draft = draft_contract("press", tmp_path / "press.csv")
    assert any("600 of 1,800 were looked at, the first ones" in sentence for sentence in draft.assumptions.check)
