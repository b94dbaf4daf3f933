"""A partitioned fleet whose workers, sessions and database are killed: what `make kill` does, in small."""

import numpy as np

from benchmarks.reliability.partition_kills import compare
from support.live_project import PUMP, living_project
from support.tiny_bundle import random_rows


def test_rows_scores_and_cases_are_those_of_an_undisturbed_fleet(tmp_path, monkeypatch):
    pump = PUMP.model_copy(update={"cases": PUMP.cases.model_copy(update={"new_per_hour": 1000})})
    root = living_project(tmp_path / "project", pump)
    monkeypatch.chdir(root)
    rows = random_rows(PUMP, {f"P-{i}": 6 for i in range(16)})
    rows[list(PUMP.channel_names)] *= np.linspace(0.2, 4, len(rows))[:, None]

    found = compare(root, pump, rows, 3, tmp_path, workers=2)

    assert found["trials"] == 3
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert (found["scores_that_differ"], found["cases_that_differ"]) == (0, 0)
    assert found["cases"] > 3, "cases must be opened, or their agreement proves nothing"
