"""Columns of a file that say what is held out together, from the file to the folds."""

import json

import pandas as pd
import pytest
from pydantic import ValidationError

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import prepare
from foretwin.dataset.windows import TEST
from foretwin.errors import RowsError, SourceError
from foretwin.project.params import PrepareParams
from foretwin.sources import table
from foretwin.validation.few_units import LabelledUnits, few_units_hints
from foretwin.validation.suite import validate

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
PARAMS = PrepareParams(test_share=0.25, folds=5, cuts=3, seed=1)


def press(holdout: dict | None = None, **source) -> Twin:
    columns = {"kind": "table", "path": "press.csv", "asset": "machine", "time": "hour", "runs_end_in_failure": True}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": columns | source,
            "clock": {"unit": "h", "step": 1},
            "channels": {"force": {"unit": "kN", "role": "sensor", "min": 0, "max": 1000}},
            "rul": {"cap": 10, "remedy": REMEDY},
            "window": {"length": 4},
            "quality": {"min_assets": 1},
            "holdout": holdout or {},
        }
    )


def lives(*parts: tuple[str, str, str]) -> str:
    """A file with a life of six hours for each (machine, run, part)."""
    rows = [
        f"{machine},{run},{hour},{100 + 37 * (i * hour % 5) + (7 * hour + i) % 11},{part}"
        for i, (machine, run, part) in enumerate(parts)
        for hour in range(6)
    ]
    return "\n".join(["machine,run,hour,force,part", *rows]) + "\n"


def adapted(contract: Twin, content: str, folder) -> pd.DataFrame:
    (folder / "press.csv").write_text(content)
    return table.read_rows_of(contract, contract.source, folder / "press.csv")


def folds_of(contract: Twin, content: str, tmp_path) -> dict[str, int]:
    out = tmp_path / "windows"
    out.mkdir()
    prepare(adapted(contract, content, tmp_path), contract, PARAMS, out)
    return json.loads((out / "splits.json").read_text())


def test_a_load_is_held_out_as_a_whole_whatever_the_spelling_of_its_number(tmp_path):
    parts = [("m", str(i), load) for i, load in enumerate(["10", "20", "10.0", "20", "30", "30.0", "40", "40"])]
    folds = folds_of(press({"by": "subset"}, run="run", subset="part"), lives(*parts), tmp_path)

    together = [{folds[f"m#{i}"] for i, (_, _, load) in enumerate(parts) if float(load) == one} for one in (10, 20, 30)]
    assert all(len(found) == 1 for found in together)
    assert sorted(set(folds.values())) == [TEST, 0, 1, 2]


def test_the_test_set_of_a_column_is_held_out_and_its_whole_lives_are_cut_within(tmp_path):
    said = ["Train", "test", "val", "TEST ", "train", "train"]
    parts = [(name, "1", part) for name, part in zip("abcdef", said, strict=True)]
    folds = folds_of(press(split="part"), lives(*parts), tmp_path)

    assert {name for name, fold in folds.items() if fold == TEST} == {"b", "d"}
    cuts = pd.read_parquet(tmp_path / "windows" / "test.parquet").groupby("asset")["rul"].last()
    assert (cuts > 0).any(), "a life that is cut at its end alone would have no life left"


def test_numbered_folds_are_trained_on_in_turn(tmp_path):
    parts = [(name, "1", part) for name, part in zip("abcd", ["1", "2.0", "10", "2"], strict=True)]
    assert folds_of(press(split="part"), lives(*parts), tmp_path) == {"a": 0, "b": 1, "d": 1, "c": TEST}


def test_a_machine_in_two_spellings_lies_on_one_side_of_a_split_only(tmp_path):
    parts = [("M-01", "1", "train"), ("m-01 ", "2", "test"), ("M-02", "1", "train"), ("M-03", "1", "test")]
    content = lives(*parts)
    with pytest.raises(SourceError, match="one machine's name in two spellings"):
        adapted(press(run="run", split="part"), content, tmp_path)
    with pytest.raises(RowsError, match="split: changes within M-01"):
        folds_of(press(run="run", split="part", spellings="join"), content, tmp_path)


def test_validation_refuses_a_machine_on_both_sides_unless_its_lives_are_held_out(tmp_path):
    content = lives(
        ("a", "1", "train"), ("a", "2", "test"), ("b", "1", "train"), ("c", "1", "test"), ("d", "1", "train")
    )
    by_asset, by_run = press(run="run", split="part"), press({"by": "run"}, run="run", split="part")

    broken = validate(adapted(by_asset, content, tmp_path), by_asset, tmp_path / "asset").broken
    assert [(rule.column, rule.rows) for rule in broken] == [("fixed_split", 12)]
    assert validate(adapted(by_run, content, tmp_path), by_run, tmp_path / "run").success


def test_what_a_column_holds_is_said_where_it_is_no_split(tmp_path):
    content = lives(("a", "1", "train"), ("b", "1", "later"), ("c", "1", "later"))
    with pytest.raises(SourceError, match=r"line 8: column 'part': 'later' is no part .* it holds 'later' \(12 rows\)"):
        adapted(press(split="part"), content, tmp_path)
    with pytest.raises(SourceError, match="column 'part': is empty; name the part"):
        adapted(press(subset="part"), lives(("a", "1", "x"), ("b", "1", "")), tmp_path)


def test_parts_need_their_column_and_a_split_is_not_made_twice():
    with pytest.raises(ValidationError, match=r"set source\.subset"):
        press({"by": "subset"})
    with pytest.raises(ValidationError, match="leave one of them out"):
        press({"by": "time"}, split="part")


def test_rows_on_the_grid_keep_their_part_and_their_side_of_the_split(tmp_path):
    contract = press(subset="machine", split="part")
    channel = contract.channels["force"].model_copy(update={"grid": {"take": "last"}})
    changed = {"channels": {"force": channel.model_dump(warnings=False)}, "clock": {"unit": "h", "step": 2}}
    gridded = Twin.model_validate(contract.model_dump() | changed)
    rows = adapted(gridded, lives(("a", "1", "train"), ("b", "1", "test")), tmp_path)
    assert rows.groupby("asset")["fixed_split"].unique().str.join("|").to_dict() == {"a": "", "b": "test"}
    assert (rows["subset"] == rows["asset"]).all()


def test_of_a_split_that_is_given_no_other_one_is_asked_for(tmp_path):
    contract = press(split="part")
    rows = adapted(contract, lives(*[(name, "1", fold) for name, fold in zip("abc", "123", strict=True)]), tmp_path)
    labelled = LabelledUnits.of(rows, contract)
    assert (labelled.fixed, labelled.across) == (True, False)
    assert few_units_hints(labelled, contract.holdout) == []
