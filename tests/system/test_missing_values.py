"""Missing is data: through every door a channel that may be missing may be, means the same, and others may not."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.drift.profile import DriftReference
from foretwin.errors import BadInput
from foretwin.evaluation.baselines import Features
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.predictor.shapley import explain
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.calls.table_call import decode_table_call
from foretwin.training.candidates.features import FeatureSession, WindowFeatures
from foretwin.training.onnx import to_onnx
from foretwin.training.scaling import fit_scaling
from foretwin.training.trainer import Budget, fit
from foretwin.twin.connectors.files import ingest_file
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.scoring.scores import score_assets
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Store, assets, open_store
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import ReadingQuery
from foretwin.validation.fleet_profile import Profile
from foretwin.validation.rules import fleet_rules, row_rules
from foretwin.wire.decoder import decode
from foretwin.wire.readings import Readings
from support.small_fleet import CAP, gappy_rows, gappy_twin, prepared
from support.small_network import choice_of, network_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TWIN = gappy_twin()
NAMES = list(TWIN.channel_names)
UNTIL = 30.0  # h; the window has a gap, and f00 has no pressure


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gappy")


@pytest.fixture(scope="module")
def development(folder: Path) -> Development:
    return prepared(folder / "windows", TWIN, gappy_rows(TWIN))


@pytest.fixture(scope="module")
def champion(folder: Path, development: Development) -> Champion:
    network = network_of(TWIN, development, "statistics")
    centres = RegimeCentres((1,), *(getattr(network.scaling, name).numpy() for name in ("centres", "spread")))
    reference = HealthyBaseline.fit(development.histories, TWIN, centres)
    faults = {axis: FaultCalibration(1.0, 0.0, 0.9) for axis in TWIN.axes}
    (folder / "bundle").mkdir()
    intervals = RulIntervals(0.9, (0.0, CAP), (1.0, 1.0), (1.0, 1.0))
    save_bundle(folder / "bundle", TWIN, to_onnx([network], TWIN), intervals, reference, faults)
    return Champion(ModelIdentity("foretwin-fleet", "3", "r1", "d1"), Bundle.load(folder / "bundle"), ChampionRecord())


def sent() -> pd.DataFrame:
    """The newest readings of three machines."""
    rows = gappy_rows(TWIN)
    rows = rows[rows["asset"].isin(["f00", "f01", "f02"]) & rows["time"].between(UNTIL - 20, UNTIL)]
    return rows[["asset", "run", "time", *NAMES]].reset_index(drop=True)


def as_json(rows: pd.DataFrame, **cells) -> list[dict]:
    """Each machine's rows with null for what is missing; a channel that it never has is left out."""
    told = []
    for name, own in rows.groupby("asset"):
        columns = {c: [None if np.isnan(v) else v for v in own[c].tolist()] for c in NAMES if own[c].notna().any()}
        told.append({"asset": name, "run": 1, "time": own["time"].tolist(), "channels": columns | cells})
    return told


def live(store: Store, bundle: Bundle) -> pd.DataFrame:
    """The scores that the loop gives to what the store holds."""
    with store.read() as connection:
        known = assets.find_all(connection, ["f00", "f01", "f02"])
        wanted = ReadingQuery(TWIN.name, TWIN.channel_names, last_batch(connection))
        found = windows.newest_windows(connection, wanted, [one.id for one in known.values()], TWIN.window.length)
    recent = WindowCache(TWIN, 10**6)
    ids = np.array(sorted(one.id for one in known.values()))
    recent.put(ids, np.ones(len(ids), np.int64), found)
    scores = score_assets(bundle, recent, ids, {})
    assert not scores.refused
    names = {one.id: name for name, one in known.items()}
    frame = scores.scored[0].frame()
    return frame.assign(asset=frame["asset"].map(names)).sort_values("asset", ignore_index=True)


def test_all_doors_give_one_answer_where_values_are_missing(champion: Champion, tmp_path: Path) -> None:
    rows, bundle = sent(), champion.bundle
    expected = bundle.score(rows)
    call = decode_json(orjson.dumps({"twin": TWIN.name, "assets": as_json(rows)}), lambda _: champion, 1000)
    table = decode_table_call(pa.Table.from_pandas(rows, preserve_index=False), champion)
    without_nulls = decode_table_call(pa.table({name: rows[name].to_numpy() for name in rows}), champion)
    answers = {"JSON": call, "Arrow": table, "Arrow with NaN": without_nulls}
    for door, one in answers.items():
        pd.testing.assert_frame_equal(bundle.answer(one.tracks).frame(), expected, obj=door)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    stores = {"live": tmp_path / "live.db", "file": tmp_path / "file.db"}
    for door, path in stores.items():
        store = open_store(f"sqlite:///{path}")
        if door == "live":
            bodies = [orjson.dumps(one) for one in as_json(rows)]
            decoded = [decode(body, "application/json", {TWIN.name: TWIN}, TWIN.name, None) for body in bodies]
            receipt = ingest(store, {TWIN.name: TWIN}, decoded, "http", NOON)
            again = ingest(store, {TWIN.name: TWIN}, decoded, "http", NOON)
            assert (again.stored, again.duplicates, again.rejected) == (0, len(rows), ())
        else:
            (receipt,) = (one for one in ingest_file(store, TWIN, tmp_path / "rows.csv", NOON) if one.stored)
        assert (receipt.stored, receipt.rejected) == (len(rows), ())
        pd.testing.assert_frame_equal(live(store, bundle), expected, obj=door)
    told = dict(zip(expected["asset"], expected["warnings"], strict=True))
    assert "channel_missing: pressure" in told["f00"]
    assert not any("channel_missing" in warning for warning in told["f01"])


def test_a_gap_in_a_window_is_told_as_its_coverage(champion: Champion) -> None:
    rows = gappy_rows(TWIN)
    rows = rows[(rows["asset"] == "f01") & (rows["time"] <= 18)]
    score = champion.bundle.score(rows).iloc[0]
    assert score["rows"] == 6, "of the hours 9 to 18 it lacks 12 to 15"
    assert "window_coverage: 6 of 10 rows" in score["warnings"]
    assert not any("short_history" in warning for warning in score["warnings"])


@pytest.mark.parametrize(
    ("channel", "cells", "detail"),
    [
        ("duty", None, "is null, a number is needed"),
        ("pressure", "off", 'is "off", a number is needed'),
        ("pressure", 1e39, "a finite number up to"),
    ],
    ids=["must be there", "text", "beyond single precision"],
)
def test_what_is_no_missing_value_of_such_a_channel_is_refused_at_every_door(champion, channel, cells, detail) -> None:
    rows = sent()
    rows = rows[rows["asset"] == "f01"]
    (asset,) = as_json(rows)
    asset["channels"][channel][3] = cells
    body = orjson.dumps({"twin": TWIN.name, "assets": [asset]})
    with pytest.raises(BadInput, match=detail.replace("(", "")) as refused:
        decode_json(body, lambda _: champion, 1000)
    assert refused.value.field == f"assets[0].channels.{channel}[3]"
    found = decode(orjson.dumps(asset), "application/json", {TWIN.name: TWIN}, TWIN.name, None)
    assert isinstance(found.readings, Readings)
    assert len(found.readings) == len(rows) - 1
    assert [(one.field, one.reason) for one in found.rejected] == [(f"channels.{channel}", "type")]


def test_a_missing_value_is_explained_as_missing(champion: Champion) -> None:
    found = explain(champion.bundle, sent()[lambda rows: rows["asset"] == "f00"])
    assert found.questions["rul"].contributions["pressure"] == pytest.approx(0, abs=1e-6)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_network_learns_from_rows_with_gaps(development: Development) -> None:
    network, curves = fit(development.hold_out(0), TWIN, choice_of(chance=0.1), Budget(windows=1280, batch=32, seed=1))
    assert curves[-1]["val/loss"] < 0.95 * curves[0]["val/loss"]
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_baselines_and_candidates_see_presence_and_age_too(development: Development) -> None:
    ends = development.ends[::7]
    features = Features(development, TWIN, 1)
    table = features.at(development.histories, ends)
    assert np.isfinite(table).all()
    assert len(features.channels) == 3 + 2 * 2, "the ballast never changes; two channels may be missing"
    scaling = fit_scaling(development.histories, np.arange(len(development.fold)), TWIN, 1)
    session = FeatureSession(WindowFeatures(scaling, TWIN, TWIN.window.length), TWIN)
    np.testing.assert_allclose(session.at(development.histories, ends), table, rtol=1e-3, atol=1e-4)


def test_drift_is_judged_by_what_is_known_of_a_channel(champion: Champion, folder: Path) -> None:
    rows, held_out = (read_rows(folder / "windows" / f"{name}.parquet", TWIN) for name in ("development", "test"))
    reference = DriftReference.fit(champion.bundle, rows, held_out)
    assert reference.varying is not None
    assert np.isfinite(reference.scale.deviation).all()
    healthy = rows[(rows["rul"] >= CAP) & (rows["fault_mode"] <= 0) & (rows["fault_bearing"] <= 0)]
    by_duty = healthy.groupby(healthy["duty"] > 1500)["vibration"]
    known = float(np.sqrt((by_duty.transform(lambda values: values - values.mean()) ** 2).mean()))
    assert reference.scale.deviation[NAMES.index("vibration")] == pytest.approx(known, rel=0.3)
    reference.write(folder / "drift.json")
    assert DriftReference.read(folder / "drift.json").readings == reference.readings


def test_validation_knows_the_share_of_missing_values() -> None:
    rows = gappy_rows(TWIN)
    found = Profile.of(rows, TWIN)
    assert found.fleet["missing_vibration"].item() == pytest.approx(rows["vibration"].isna().mean())
    named = {rule.measure: rule for rule in [*row_rules(TWIN), *fleet_rules(TWIN)]}
    assert named["missing_pressure"].arguments["max_value"] == 1
    strict = TWIN.model_copy(update={"quality": TWIN.quality.model_copy(update={"max_missing": 0.5})})
    rules = {rule.measure: rule for rule in fleet_rules(strict)}
    assert rules["missing_vibration"].arguments["max_value"] == 0.5 < found.fleet["missing_vibration"].item()
    words = {rule.words for rule in row_rules(TWIN)}
    assert "duty is present on every row" in words
    assert "vibration is present on every row" not in words
