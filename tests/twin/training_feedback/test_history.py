"""From the store to training data: labels from what was found out, and an export that is whole, equal and complete."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows
from foretwin.errors import BadInput
from foretwin.twin.store import assets
from foretwin.twin.store.summaries import exports
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.store.telemetry.history import Finding
from foretwin.twin.training_feedback import history
from foretwin.twin.training_feedback.history import export_history
from foretwin.twin.training_feedback.labels import label
from support.small_history import NOON, find_out, open_case, readings_of, remember, work_on
from support.tiny_bundle import REMEDY, tiny_twin

TWIN = tiny_twin()
LATER = NOON + timedelta(days=1)
WEAR, LEAK = 1, 2


def labelled(*findings: Finding, rows: int = 10, twin: Twin = TWIN) -> pd.DataFrame:
    return label(readings_of(twin, ["P-1"], rows), findings, twin)


def finding(kind: str, time: float, **more: object) -> Finding:
    return Finding(1, 1, time, kind, **more)


def modes(frame: pd.DataFrame) -> list[int]:
    return frame["fault_mode"].tolist()


def exported(root, twin: Twin = TWIN) -> pd.DataFrame:
    return read_rows(root / "data" / twin.name / "history" / "history.parquet", twin)


def test_a_confirmed_fault_holds_from_the_case_to_the_verdict_and_nothing_else_is_known():
    rows = labelled(finding("confirmed", 7, case_fault="mode.wear", fault="mode.wear", since=4))
    assert modes(rows) == [-1] * 4 + [WEAR] * 4 + [-1] * 2
    assert (rows["fault_bearing"] == -1).all()
    assert rows["rul"].isna().all()


def test_another_fault_takes_the_place_of_the_case_s():
    rows = labelled(finding("other_fault", 9, case_fault="mode.wear", fault="bearing.worn", since=8))
    assert rows["fault_bearing"].tolist() == [-1] * 8 + [1] * 2
    assert modes(rows) == [-1] * 10


def test_no_fault_found_makes_the_axis_of_the_case_healthy_up_to_then():
    rows = labelled(finding("no_fault_found", 5, case_fault="mode.wear", since=3))
    assert modes(rows) == [0] * 6 + [-1] * 4
    assert (rows["fault_bearing"] == -1).all()


def test_a_fault_that_was_found_counts_more_than_none_found_later():
    confirmed = finding("confirmed", 4, case_fault="mode.leak", since=2)
    healthy = finding("no_fault_found", 8, case_fault="mode.wear", since=7)
    assert modes(labelled(confirmed, healthy)) == [0, 0, LEAK, LEAK, LEAK, 0, 0, 0, 0, -1]


def test_of_two_faults_the_one_found_later_counts():
    first = finding("confirmed", 6, case_fault="mode.wear", since=2)
    second = finding("other_fault", 8, case_fault="mode.wear", fault="mode.leak", since=5)
    assert modes(labelled(first, second)) == [-1, -1, 1, 1, 1, 2, 2, 2, 2, -1]


def test_a_failure_gives_every_row_up_to_it_an_rul_and_leaves_out_what_comes_after():
    rows = labelled(finding("run_ended", 6.5, case_fault="end_of_life", since=3))
    assert rows["rul"].tolist() == [6, 5, 4, 3, 2, 1, 0]


def test_a_part_replaced_ends_the_run_without_a_failure():
    rows = labelled(finding("part_replaced", 6, case_fault="mode.wear", fault="mode.wear", since=5))
    assert modes(rows) == [-1] * 5 + [WEAR] * 2
    assert rows["rul"].isna().all()


def test_of_two_ends_the_first_counts():
    rows = labelled(finding("run_ended", 8), finding("part_replaced", 5))
    assert len(rows) == 6
    assert rows["rul"].isna().all()


WITH_HEALTH = Twin.model_validate(TWIN.model_dump() | {"health": {"remedy": REMEDY}})
AXES = ("mode", "bearing", "health")


@pytest.mark.parametrize(
    ("told", "case", "fault", "classes"),
    [
        ("confirmed", "health.departed", None, (-1, -1, 1)),
        ("confirmed", "health.departed", "mode.leak", (LEAK, 0, 1)),
        ("confirmed", "mode.wear", "mode.wear", (WEAR, -1, 1)),
        ("part_replaced", "health.departed", "bearing.worn", (0, 1, 1)),
        ("sensor_fault", "health.departed", None, (-1, -1, -1)),
        ("no_fault_found", "mode.wear", None, (0, -1, -1)),
        ("no_fault_found", "health.departed", None, (0, 0, 0)),
    ],
)
def test_of_a_departure_a_verdict_says_what_it_was_and_any_fault_is_one(told, case, fault, classes):
    rows = labelled(finding(told, 7, case_fault=case, fault=fault, since=4), twin=WITH_HEALTH)
    assert tuple(rows[f"fault_{axis}"].iloc[5] for axis in AXES) == classes
    before = classes if told == "no_fault_found" else (-1, -1, -1)
    assert tuple(rows[f"fault_{axis}"].iloc[2] for axis in AXES) == before


def test_a_fault_counts_more_than_a_departure_that_was_another():
    worn = finding("confirmed", 6, case_fault="bearing.worn", since=2)
    leak = finding("confirmed", 8, case_fault="health.departed", fault="mode.leak", since=4)
    rows = labelled(worn, leak, twin=WITH_HEALTH)
    assert rows["fault_bearing"].tolist() == [-1, -1, 1, 1, 1, 1, 1, 0, 0, -1][: len(rows)]


@pytest.mark.parametrize("fault", ["end_of_life", "digest", "mode.gone", "other.wear", None])
def test_what_is_no_class_of_the_contract_labels_nothing(fault):
    rows = labelled(finding("confirmed", 7, case_fault=fault, since=4), finding("no_fault_found", 7, case_fault=fault))
    assert modes(rows) == [-1] * 10


def test_a_twin_without_an_rul_gets_none():
    assert labelled(finding("run_ended", 9), twin=tiny_twin(rul=False))["rul"].isna().all()


def test_the_export_holds_the_runs_that_something_is_known_about_and_no_others(store, tmp_path):
    remember(store, TWIN, readings_of(TWIN, ["P-3", "P-1", "P-2"]))
    find_out(store, TWIN, open_case(store, TWIN, "P-3", "mode.wear", 20), "run_ended", time=30)
    remember(store, TWIN, readings_of(TWIN, ["P-3"], run=2, seed=2))
    find_out(store, TWIN, open_case(store, TWIN, "P-1", "mode.leak", 25), "confirmed")

    export = export_history(store, tmp_path, TWIN, LATER)
    rows = exported(tmp_path)

    assert rows[["asset", "run"]].drop_duplicates().to_numpy().tolist() == [["P-1", 1], ["P-3", 1]]
    assert (rows["subset"] == "history").all()
    assert rows.loc[rows["asset"] == "P-3", "rul"].tolist() == list(range(30, -1, -1))
    assert (rows.loc[(rows["asset"] == "P-1") & (rows["time"] >= 25), "fault_mode"] == LEAK).all()
    assert (export.assets, export.runs, export.rows, export.labelled_rows, export.verdicts) == (2, 2, 71, 31 + 15, 2)
    before = readings_of(TWIN, ["P-3", "P-1", "P-2"])
    kept = before[(before["asset"] == "P-1")].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        rows[rows["asset"] == "P-1"][list(TWIN.channel_names)], kept[list(TWIN.channel_names)]
    )


def test_maintenance_without_a_case_ends_a_run_too(store, tmp_path):
    remember(store, TWIN, readings_of(TWIN, ["P-1"]))
    work_on(store, TWIN, "P-1", "run_ended", time=35)
    export = export_history(store, tmp_path, TWIN, LATER)
    assert exported(tmp_path)["rul"].iloc[0] == 35
    assert export.verdicts == 0


@pytest.mark.parametrize(("longest", "told"), [(30, {"P-1, run 1": 35.0}), (35, {}), (None, {})])
def test_a_life_longer_than_those_the_champion_knows_is_told(store, tmp_path, longest, told):
    remember(store, TWIN, readings_of(TWIN, ["P-1"]))
    work_on(store, TWIN, "P-1", "run_ended", time=35)
    champion = tmp_path / "models" / TWIN.name / "champion"
    champion.mkdir(parents=True)
    (champion / "drift.json").write_text(json.dumps({"longest_life": longest}))
    assert export_history(store, tmp_path, TWIN, LATER).longer_lives == told


def test_equal_content_gives_equal_bytes_whatever_the_order_in_which_it_came(store_url, tmp_path):
    from foretwin.twin.store import open_store

    digests = []
    for number, names in enumerate((["P-1", "P-2", "P-3"], ["P-2", "P-3", "P-1"])):
        store = open_store(store_url if number else f"sqlite:///{tmp_path}/other.db")
        frame = readings_of(TWIN, ["P-1", "P-2", "P-3"])
        for name in names:
            remember(store, TWIN, frame[frame["asset"] == name].sample(frac=1, random_state=number))
        for name in reversed(names):
            find_out(store, TWIN, open_case(store, TWIN, name, "mode.wear", 20), "confirmed")
        digests += [export_history(store, tmp_path, TWIN, LATER + timedelta(days=n)).digest for n in range(2)]
        store.close()
    assert len(set(digests)) == 1


def test_a_part_exchanged_before_the_first_reading_of_a_run_ends_nothing_of_it(store, tmp_path):
    with store.write() as connection:
        assets.register_assets(connection, TWIN.name, ["P-1"], NOON)
    work_on(store, TWIN, "P-1", "part_replaced", part="P-1")
    remember(store, TWIN, readings_of(TWIN, ["P-1"]))
    work_on(store, TWIN, "P-1", "run_ended", time=35)
    with store.read() as connection:
        found = stored.findings(connection, TWIN.name)
        assert [one.kind for one in found] == ["run_ended"]
        assert stored.failed_runs(found) == {(found[0].asset, 1): 35}
    export_history(store, tmp_path, TWIN, NOON)
    assert len(pd.read_parquet(tmp_path / "data/pump/history/history.parquet")) == 36


def test_parts_of_any_size_give_the_same_rows(store, tmp_path, monkeypatch):
    remember(store, TWIN, readings_of(TWIN, [f"P-{i}" for i in range(5)]))
    for i in range(5):
        work_on(store, TWIN, f"P-{i}", "run_ended")
    export_history(store, tmp_path, TWIN, LATER)
    whole = exported(tmp_path)
    monkeypatch.setattr(history, "MOST_ROWS", 90)
    monkeypatch.setattr(stored, "AT_ONCE", 7)
    export_history(store, tmp_path, TWIN, LATER)
    pd.testing.assert_frame_equal(exported(tmp_path), whole)


def test_the_same_history_is_written_down_once_with_the_assets_in_it(store, tmp_path):
    remember(store, TWIN, readings_of(TWIN, ["P-1", "P-2"]))
    work_on(store, TWIN, "P-2", "run_ended")
    first = export_history(store, tmp_path, TWIN, LATER)
    export_history(store, tmp_path, TWIN, LATER)
    work_on_more = open_case(store, TWIN, "P-1", "mode.wear", 20)
    find_out(store, TWIN, work_on_more, "confirmed")
    second = export_history(store, tmp_path, TWIN, LATER)
    with store.read() as connection:
        kept = connection.execute(select(exports).order_by(exports.c.id)).all()
    assert [(row.digest, row.assets, row.rows, row.labels) for row in kept] == [
        (first.digest, [2], 40, 40),
        (second.digest, [1, 2], 80, 60),
    ]
    with store.read() as connection:
        assert stored.exports_with(connection, 1) == [second.digest]
        assert stored.exports_with(connection, 2) == [first.digest, second.digest]


def test_the_manifest_counts_what_is_in_the_table_and_names_no_asset(store, tmp_path):
    remember(store, TWIN, readings_of(TWIN, ["P-17"]), NOON)
    remember(store, TWIN, readings_of(TWIN, ["P-17"], rows=60).tail(20), NOON + timedelta(minutes=5))
    find_out(store, TWIN, open_case(store, TWIN, "P-17", "mode.wear", 20), "confirmed")
    export = export_history(store, tmp_path, TWIN, LATER)
    text = (export.folder / "history.json").read_text()
    manifest = json.loads(text)
    assert "P-17" not in text
    assert manifest == {
        "schema": 1,
        "twin": "pump",
        "digest": export.digest,
        "assets": 1,
        "runs": 1,
        "rows": 60,
        "labelled_rows": 40,
        "verdicts": 1,
        "left_out": {},
        "unit": "h",
        "time": [0, 59],
        "received": ["2026-11-21T12:00:00+00:00", "2026-11-21T12:05:00+00:00"],
    }


def test_an_exchanged_part_that_outlived_the_cap_is_kept_without_a_fault_or_a_failure(store, tmp_path):
    twin = Twin.model_validate(TWIN.model_dump() | {"rul": TWIN.rul.model_dump() | {"cap": 30}})
    remember(store, twin, readings_of(twin, ["P-1", "P-2"]))
    work_on(store, twin, "P-1", "part_replaced", time=35, part="P-1")
    work_on(store, twin, "P-2", "part_replaced", time=25, part="P-1")
    export = export_history(store, tmp_path, twin, LATER)
    rows = exported(tmp_path, twin)
    assert rows["asset"].unique().tolist() == ["P-1"]
    assert (export.labelled_rows, export.left_out) == (6, {"no label": 1})
    assert rows["rul"].isna().all(), "what is known of it is told by `prepare`, as of any other source"


def test_runs_that_the_contract_would_refuse_are_left_out_and_counted(store, tmp_path):
    twin = Twin.model_validate(TWIN.model_dump() | {"quality": {"min_run_rows": 10, "max_stuck_rows": 5}})
    frames = {name: readings_of(TWIN, [name], seed=i) for i, name in enumerate(["good", "stuck", "wide", "short"])}
    frames["stuck"].loc[10:20, "c1"] = 0.5
    frames["wide"].loc[3, "c2"] = 1500
    frames["short"] = frames["short"].head(5)
    for name, frame in frames.items():
        remember(store, TWIN, frame)
        work_on(store, TWIN, name, "run_ended")
    remember(store, TWIN, readings_of(TWIN, ["dumb"]))
    work_on(store, TWIN, "dumb", "part_replaced", part="P-1")
    export = export_history(store, tmp_path, twin, LATER)
    assert exported(tmp_path, twin)["asset"].unique().tolist() == ["good"]
    assert export.left_out == {
        "a channel that is missing or outside its limits": 1,
        "a sensor that stands still": 1,
        "no label": 1,
        "too few rows": 1,
    }


def test_a_run_stored_before_the_contract_had_a_channel_is_left_out(store, tmp_path):
    old = tiny_twin(channels=2)
    remember(store, old, readings_of(old, ["P-1"]))
    work_on(store, old, "P-1", "run_ended")
    with pytest.raises(BadInput, match="1: a channel that is missing"):
        export_history(store, tmp_path, TWIN, LATER)


def test_without_any_label_nothing_is_written_and_what_was_there_stays(store, tmp_path):
    remember(store, TWIN, readings_of(TWIN, ["P-1"]))
    kept = tmp_path / "data" / "pump" / "history" / "history.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    with pytest.raises(BadInput, match="pump has no run with a label yet; a verdict on a case gives one"):
        export_history(store, tmp_path, TWIN, LATER)
    assert [path.name for path in tmp_path.glob("data/pump/**/*") if path.is_file()] == ["history.json"]
    assert kept.read_text() == "{}"
    with store.read() as connection:
        assert connection.execute(select(exports)).all() == []


def test_another_twin_s_assets_are_not_in_it(store, tmp_path):
    other = tiny_twin("fan")
    for twin, name in ((TWIN, "P-1"), (other, "F-1")):
        remember(store, twin, readings_of(twin, [name]))
        work_on(store, twin, name, "run_ended")
    export_history(store, tmp_path, other, LATER)
    assert exported(tmp_path, other)["asset"].unique().tolist() == ["F-1"]
    np.testing.assert_array_equal(exported(tmp_path, other)["time"], np.arange(40.0))
