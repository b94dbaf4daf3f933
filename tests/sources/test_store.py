"""The twins' own history as a source: beside another one, alone, and judged by the same rules as all data."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import column_types
from foretwin.errors import DigestError, SourceError
from foretwin.project.params import PrepareParams
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch, pump
from foretwin.sources import store as store_source
from foretwin.twin.store import open_store
from foretwin.twin.training_feedback.history import export_history
from foretwin.validation.fleet_profile import Profile
from foretwin.validation.suite import validate
from support.small_history import NOON, find_out, open_case, readings_of, remember, work_on
from support.tiny_bundle import tiny_twin

ROOT = Path(__file__).parents[2]
LATER = NOON + timedelta(days=1)
STORE_ONLY = Twin.model_validate(tiny_twin().model_dump() | {"source": {"kind": "store"}})


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()


@pytest.fixture
def press(tmp_path):
    """A twin that learns from a CSV file, in a project's folder."""
    content = tiny_twin("press", faults=False).model_dump() | {
        "source": {"kind": "table", "path": "press.csv", "asset": "machine", "time": "hour", "failure": "failed"},
        "quality": {"min_assets": 3, "min_failures": 1, "min_known_rul": 1},
    }
    twin = Twin.model_validate(content)
    paths = Paths(tmp_path, "press")
    paths.data.mkdir(parents=True)
    rows = readings_of(twin, ["m1", "m2", "m3"], rows=12).rename(columns={"asset": "machine", "time": "hour"})
    rows.assign(failed=rows["hour"] == 11).drop(columns="run").to_csv(paths.data / "press.csv", index=False)
    return twin, paths


def taken_in(contract: Twin, paths: Paths) -> pd.DataFrame:
    """What the stages fetch and adapt make of it."""
    shutil.rmtree(paths.raw, ignore_errors=True)
    paths.raw.mkdir(parents=True)
    fetch(contract, paths, paths.raw)
    return adapt(contract, paths.raw)


def with_history(store, contract: Twin, root: Path, names: list[str]) -> None:
    remember(store, contract, readings_of(contract, names, rows=30))
    for name in names:
        work_on(store, contract, name, "run_ended")
    export_history(store, root, contract, LATER)


def test_a_history_is_appended_under_names_that_no_other_asset_has(store, press):
    contract, paths = press
    own = taken_in(contract, paths)
    with_history(store, contract, paths.root, ["m2", "m9"])

    rows = taken_in(contract, paths)

    pd.testing.assert_frame_equal(rows.head(len(own)), own)
    assert rows["asset"].unique().tolist() == ["m1", "m2", "m3", "store/m2", "store/m9"]
    assert rows.iloc[len(own) :]["subset"].eq("history").all()
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == column_types(contract)


def test_without_a_history_nothing_is_fetched_but_the_source(press):
    contract, paths = press
    taken_in(contract, paths)
    assert [path.name for path in paths.raw.iterdir()] == ["table.csv"]


def test_a_source_whose_assets_are_named_as_a_history_s_is_refused(store, press):
    contract, paths = press
    table = paths.data / "press.csv"
    table.write_text(table.read_text().replace("m2", "store/m2"))
    assert len(taken_in(contract, paths)) == 36
    with_history(store, contract, paths.root, ["m9"])
    with pytest.raises(SourceError, match="asset store/m2: names that begin with store/ are the history's"):
        taken_in(contract, paths)


def test_a_history_can_be_the_only_source(store, tmp_path):
    with_history(store, STORE_ONLY, tmp_path, ["P-1", "P-2"])
    rows = taken_in(STORE_ONLY, Paths(tmp_path, "pump"))
    assert rows["asset"].unique().tolist() == ["store/P-1", "store/P-2"]
    assert rows["rul"].tolist() == [*range(29, -1, -1)] * 2


def test_a_twin_with_no_other_source_is_told_how_to_make_the_history(tmp_path):
    with pytest.raises(SourceError, match=r"data/pump/history: not there; `foretwin history pump` makes it"):
        taken_in(STORE_ONLY, Paths(tmp_path, "pump"))


@pytest.mark.parametrize("stage", ["fetch", "adapt"])
def test_an_altered_table_is_refused(store, press, stage):
    contract, paths = press
    with_history(store, contract, paths.root, ["m9"])
    taken_in(contract, paths)
    folder = paths.data / "history" if stage == "fetch" else paths.raw / "history"
    with (folder / "history.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DigestError, match=r"`foretwin history press` exports it anew"):
        taken_in(contract, paths) if stage == "fetch" else adapt(contract, paths.raw)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "history.json").unlink(), "history.json: not there"),
        (lambda folder: (folder / "history.parquet").unlink(), "history.parquet: not there"),
        (lambda folder: (folder / "history.json").write_text("{"), "not the manifest of a history"),
        (lambda folder: (folder / "history.json").write_text("[1]"), "not the manifest of a history"),
        (lambda folder: rename(folder / "history.json", "fan"), "is the history of fan, not of press"),
    ],
)
def test_an_incomplete_history_is_refused(store, press, spoil, reason):
    contract, paths = press
    with_history(store, contract, paths.root, ["m9"])
    spoil(paths.data / "history")
    with pytest.raises(SourceError, match=reason):
        taken_in(contract, paths)


def rename(manifest: Path, twin: str) -> None:
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"twin": twin}))


def test_a_contract_that_has_changed_since_the_export_is_told_of_in_one_line(store, press):
    contract, paths = press
    with_history(store, contract, paths.root, ["m9"])
    taken_in(contract, paths)
    changed = contract.model_dump()
    changed["channels"]["extra"] = changed["channels"]["c1"]
    with pytest.raises(SourceError, match=r"column extra is missing; `foretwin history press`"):
        store_source.adapt_store(Twin.model_validate(changed), paths.raw)


def test_shares_of_known_labels_are_those_of_the_twin_s_own_source(store, press):
    contract, paths = press
    remember(store, contract, readings_of(contract, ["m9"], rows=30))
    work_on(store, contract, "m9", "run_ended", time=10)
    export_history(store, paths.root, contract, LATER)
    rows = taken_in(contract, paths)
    rows.loc[rows["subset"] == "history", "rul"] = np.nan
    profile = Profile.of(rows, contract)
    assert profile.fleet["known_rul"].item() == 1
    assert profile.behind["known_rul"].count == 0
    rows.loc[0, "rul"] = np.nan
    assert Profile.of(rows, contract).fleet["known_rul"].item() == pytest.approx(35 / 36)


def test_of_a_twin_that_learns_from_its_history_alone_the_shares_are_the_history_s(store, tmp_path):
    with_history(store, STORE_ONLY, tmp_path, ["P-1", "P-2"])
    rows = taken_in(STORE_ONLY, Paths(tmp_path, "pump"))
    profile = Profile.of(rows, STORE_ONLY)
    assert profile.fleet[["known_rul", "known_fault_mode"]].iloc[0].tolist() == [1, 0]


def test_the_shipped_pump_with_a_history_is_still_what_its_contract_promises(store, tmp_path):
    shipped = load_twin(ROOT / "data" / "pump" / "twin.yaml")
    contract = shipped.model_copy(update={"source": shipped.source.model_copy(update={"assets": 30})})
    lived = pump.simulate(range(6), seed=99).rename(columns={"pump": "asset", "hour": "time"}).assign(run=1)
    remember(store, contract, lived)
    ends = lived.groupby("asset")["time"].max()
    for name, verdict in zip(ends.index, ["confirmed", "no_fault_found", "part_replaced", "run_ended"], strict=False):
        case = open_case(store, contract, name, "mode.thrust_bearing", ends[name] - 20)
        find_out(store, contract, case, verdict)
    export = export_history(store, tmp_path, contract, LATER)
    assert (export.assets, export.verdicts, export.left_out) == (4, 4, {})

    paths = Paths(tmp_path, "pump")
    rows = taken_in(contract, paths)
    (tmp_path / "report").mkdir()
    report = validate(rows, contract, tmp_path / "report")
    assert report.success, report.details()

    paths.windows.mkdir(parents=True)
    params = PrepareParams(test_share=0.25, folds=3, cuts=4, seed=1)
    prepare(rows, contract, params, paths.windows)
    folds = json.loads((paths.windows / "splits.json").read_text())
    assert {f"store/{name}" for name in ends.index[:4]} <= set(folds)
    labelled = Development.load(paths.windows, contract, params)
    assert len(labelled.ends)
