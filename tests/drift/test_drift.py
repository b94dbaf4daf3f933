"""The reference of drift as a file, and the edges of a comparison: few readings, missing values, constant channels."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy.drift_power import fleets, healthy_lives
from foretwin.drift import DriftReference, compare, compare_scores, says_healthy
from foretwin.drift.psi import Bins
from foretwin.errors import BundleError
from support.drift_fleet import pump_project, reference_of, shifted
from support.pump_lives import pump_twin
from support.tiny_bundle import environment

REPOSITORY = Path(__file__).parents[2]
CHANNELS = pump_twin().channel_names
FLOW = CHANNELS.index("flow")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pumps")


@pytest.fixture(scope="module")
def made(root):
    return pump_project(root, 60)


@pytest.fixture(scope="module")
def reference(made):
    return reference_of(*made)


@pytest.fixture(scope="module")
def fleet():
    return fleets(healthy_lives(80, seed=4007, contract=pump_twin()), 40, 10, 1)[0]


def named(verdict) -> list[str]:
    return [one.name for one in verdict.channels if one.drifted]


def test_psi_is_the_sum_over_frozen_bins():
    groups = np.zeros(1000, np.int64)
    bins = Bins.fit(np.arange(1000.0)[:, None], groups, 1)
    np.testing.assert_allclose(bins.shares, 0.1)
    values = np.concatenate([np.full(600, 50.0), np.full(400, 950.0)])[:, None]
    shares = np.array([600.5, 400.5, *[0.5] * 8]) / 1005
    expected = ((shares - 0.1) * np.log(shares / 0.1)).sum()
    assert bins.psi(bins.place(values, groups), groups)[0] == pytest.approx(expected)
    outlier = np.vstack([values[1:], [[1e9]]])
    assert bins.psi(bins.place(outlier, groups), groups)[0] == pytest.approx(expected, rel=0.02)


def test_a_group_counts_as_often_as_there_are_rows_of_it():
    values, groups = np.concatenate([np.arange(500.0), np.arange(9000.0, 9500)])[:, None], np.repeat([0, 1], 500)
    bins = Bins.fit(values, groups, 2)
    only = groups == 1
    assert bins.psi(bins.place(values[only], groups[only]), groups[only])[0] == pytest.approx(0, abs=1e-9)


def test_the_stage_writes_the_same_bytes_for_the_same_bundle(root, made, reference):
    command = [sys.executable, str(REPOSITORY / "pipelines" / "drift.py"), "pump"]
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True, check=True)
    assert "healthy readings of 45 assets" in done.stdout
    path = root / "models" / "pump" / "drift.json"
    content = json.loads(path.read_text())
    assert (content["bundle"], content["contract"]) == (made[0].digest, made[0].contract_digest)
    assert path.stat().st_size < 300_000
    reference.write(root / "again.json")
    assert (root / "again.json").read_bytes() == path.read_bytes()


def test_it_is_what_was_written(root, reference, fleet):
    reference.write(root / "kept.json")
    kept = DriftReference.read(root / "kept.json")
    values = shifted(fleet.values, FLOW, reference.scale.deviation[FLOW])
    ours, theirs = (compare(one, fleet.assets, values, fleet.earlier) for one in (reference, kept))
    assert named(ours) == named(theirs) == ["flow"]
    assert ours == theirs


@pytest.mark.parametrize("damage", [lambda text: text[:-9], lambda text: "{}", lambda text: "[]", None])
def test_a_damaged_or_missing_file_is_told_in_one_line(tmp_path, root, reference, damage):
    path = tmp_path / "drift.json"
    if damage:
        reference.write(path)
        path.write_text(damage(path.read_text()))
    with pytest.raises(BundleError, match=r"drift\.json: .*dvc repro") as caught:
        DriftReference.read(path)
    assert "\n" not in str(caught.value)


def test_the_order_of_readings_and_the_names_of_assets_do_not_matter(reference, fleet):
    values = shifted(fleet.values, FLOW, reference.scale.deviation[FLOW])
    order = np.random.default_rng(1).permutation(len(values))
    names = np.array([f"P-{number * 7 % 40:03d}" for number in range(40)], object)
    plain = compare(reference, fleet.assets, values, fleet.earlier)
    other = compare(reference, names[fleet.assets][order], values[order], (names[fleet.earlier[0]], fleet.earlier[1]))
    assert named(plain) == named(other) == ["flow"]
    assert [one.shift for one in plain.channels] == pytest.approx([one.shift for one in other.channels])


def test_too_few_readings_or_assets_say_nothing(reference, fleet):
    values = shifted(fleet.values, FLOW, 100 * reference.scale.deviation[FLOW])
    four = fleet.assets < 4
    assert not compare(reference, fleet.assets[:99], values[:99]).enough
    few = compare(reference, np.tile(fleet.assets[four], 3), np.tile(values[four], (3, 1)))
    assert (few.readings, few.assets, few.enough, few.drifted, few.channels) == (120, 4, False, False, ())


def test_a_reference_of_too_few_assets_says_nothing(made, fleet):
    bundle, windows = made
    content = reference_of(bundle, windows)
    assert content.varying is not None
    rows = pd.read_parquet(windows / "development.parquet")
    some = rows[rows["asset"].isin(rows["asset"].unique()[:4])].reset_index(drop=True)
    small = DriftReference.fit(bundle, some, pd.read_parquet(windows / "test.parquet"))
    assert (small.assets, small.varying) == (4, None)
    assert not compare(small, fleet.assets, fleet.values).enough


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_missing_values_are_counted_and_no_drift(reference, fleet, share):
    lost = np.random.default_rng(1).random(len(fleet.values)) < share
    values = np.copy(fleet.values)
    values[lost, CHANNELS.index("oil_temperature")] = np.nan
    clean = compare(reference, fleet.assets, values, fleet.earlier)
    assert clean.enough
    assert not clean.drifted
    assert {one.name: one.missing for one in clean.channels if one.missing} == {"oil_temperature": lost.sum()}
    by = 0.8 * reference.scale.deviation[FLOW]
    assert named(compare(reference, fleet.assets, shifted(values, FLOW, by), fleet.earlier)) == ["flow"]


def test_a_reading_without_its_setting_is_not_compared(reference, fleet):
    values = np.copy(fleet.values)
    values[:50, 0] = np.nan
    assert compare(reference, fleet.assets, values).readings == len(values) - 50


def test_a_constant_channel_has_no_shift_and_drifts_when_many_readings_differ(reference, fleet):
    still = compare(reference, fleet.assets, fleet.values).channels[0]
    assert (still.shift, still.drifted) == (0, False)
    assert math.isinf(still.shift_limit)
    values = np.copy(fleet.values)
    values[:5, 0] += 20
    assert not compare(reference, fleet.assets, values).channels[0].drifted
    values[:50, 0] += 20
    assert compare(reference, fleet.assets, values).channels[0].drifted


def test_each_regime_has_a_psi_of_its_own(reference, fleet):
    slow = reference.scale.regimes.nearest(fleet.values) == 0
    values = np.copy(fleet.values)
    values[slow, FLOW] += np.float32(4 * reference.scale.deviation[FLOW])
    found = compare(reference, fleet.assets, values).channels[FLOW]
    assert set(found.regimes) == {0, 1, 2}
    assert found.regimes[0] > 2 * max(found.regimes[1], found.regimes[2])


def test_scores_that_move_are_caught_and_others_are_not(made, reference):
    bundle, windows = made
    scores = bundle.score(pd.read_parquet(windows / "test.parquet"))
    healthy = scores[says_healthy(scores, bundle.contract)]
    columns = {"rul": healthy["rul"].to_numpy(), "mode": healthy["mode"].to_numpy(object)}
    assets = healthy["asset"].str.rpartition("@")[0].to_numpy(object)
    same = compare_scores(reference.scores, columns, assets)
    assert [one.name for one in same] == ["rul", "mode"]
    assert not any(one.drifted for one in same)
    moved = {"rul": columns["rul"] * 0.2, "mode": np.full(len(healthy), "none", object)}
    assert [one.drifted for one in compare_scores(reference.scores, moved, assets)] == [True, True]
    assert compare_scores(reference.scores, {"rul": columns["rul"][:20]}) == ()


def test_a_score_calls_healthy_where_the_interval_reaches_the_cap_and_no_fault_is_answered():
    scores = {
        "rul_high": np.array([125, 124, 125, 125]),
        "mode": np.array(["none", "none", "impeller_wear", "unknown"], object),
    }
    assert says_healthy(scores, pump_twin()).tolist() == [True, False, False, True]


def test_nothing_heavy_is_imported_with_it():
    code = (
        "import sys, foretwin.drift; print(*{'torch', 'mlflow', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == ""
