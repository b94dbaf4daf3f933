import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from foretwin.dataset.table import write_rows
from foretwin.errors import ExpectationsFailed
from foretwin.project.paths import Paths
from support.small_pump import rows_of, twin_of

STAGE = Path(__file__).parents[2] / "pipelines" / "validate.py"


def project(folder: Path, rows: pd.DataFrame) -> Paths:
    """A project with one twin whose rows are there."""
    paths = Paths(folder, "pump")
    paths.rows.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(twin_of().model_dump(mode="json"), sort_keys=False))
    write_rows(rows, twin_of(), paths.rows / "rows.parquet")
    return paths


def stage_main():
    spec = importlib.util.spec_from_file_location("validate_stage", STAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_the_stage_stops_the_pipeline_with_one_line_and_leaves_the_report(tmp_path):
    rows = rows_of(twin_of())
    rows.loc[[3, 4, 5, 6], "pressure"] = 7
    paths = project(tmp_path, rows)

    done = subprocess.run(
        [sys.executable, STAGE, "pump"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *details, error = done.stderr.splitlines()
    assert details == [
        "pressure stays within 0 to 0.1 bar: 4 rows",
        *(f"  a0, run 0, time {time}: pressure 7" for time in (3, 4, 5)),
    ]
    assert re.fullmatch(
        r"error: validate pump: 60 rows, \d+ expectations, 1 broken: pressure stays within 0 to 0\.1 bar: 4 rows;"
        r" open (\S+/index\.html)",
        error,
    )
    assert (tmp_path / error.split()[-1]).is_file()
    assert not paths.validation.exists()


def test_the_stage_writes_its_report_and_clears_that_of_an_earlier_failure(tmp_path, capsys):
    rows = rows_of(twin_of())
    paths = project(tmp_path, rows)
    main = stage_main()
    write_rows(rows.assign(pressure=np.float32(7)), twin_of(), paths.rows / "rows.parquet")
    with pytest.raises(ExpectationsFailed, match="pressure stays within"):
        main("pump", tmp_path)
    assert (paths.work / "validation-failed" / "result.json").is_file()

    write_rows(rows, twin_of(), paths.rows / "rows.parquet")
    main("pump", tmp_path)

    outcome, *notes = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"validate pump: 60 rows, \d+ expectations, all met", outcome)
    assert [note.partition(" by itself")[0] for note in notes] == [
        "validate pump: note: the row number within a run tells mode",
        "validate pump: note: the age of a run tells its remaining life",
        "validate pump: note: holdout: of 6 labelled machines 2 would be held out: a model can be trained, but"
        " figures of 2 tell little, and the gate compares by them; 20 are enough",
    ]
    assert json.loads((paths.validation / "result.json").read_text())["success"] is True
    assert (paths.validation / "docs" / "index.html").is_file()
    assert not (paths.work / "validation-failed").exists()
