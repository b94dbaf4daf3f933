"""Scaling within operating regimes, by statistics of the training assets alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.training.network import CLIP, RegimeScaling, Scaling
from foretwin.training.scaling import fit_scaling
from support.small_fleet import fleet_rows, fleet_twin, prepared

NAMES = ["pressure", "duty", "vibration", "ballast"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return fleet_rows(fleet_twin(), assets=8)


def fitted(rows: pd.DataFrame, twin: Twin) -> Scaling:
    histories = Histories.from_rows(rows, twin)
    return fit_scaling(histories, np.arange(len(rows)), twin, seed=1)


def scaled(scaling: Scaling, rows: pd.DataFrame) -> pd.DataFrame:
    x = torch.tensor(rows[NAMES].to_numpy(np.float32))[None]
    return pd.DataFrame(RegimeScaling(scaling)(x)[0].numpy(), columns=NAMES)


def test_it_equals_standardisation_within_each_regime_by_hand(rows: pd.DataFrame) -> None:
    got = scaled(fitted(rows, fleet_twin()), rows)
    for fast in (False, True):
        inside = (rows["duty"] > 1500) == fast
        for name in ("pressure", "vibration"):
            part = rows.loc[inside, name].astype(float)
            expected = (part - part.mean()) / part.std(ddof=0)
            np.testing.assert_allclose(got.loc[inside, name], expected, rtol=0, atol=1e-3)
            assert expected.std() > 0.9


def test_settings_are_scaled_over_all_regimes(rows: pd.DataFrame) -> None:
    duty = rows["duty"].astype(float)
    got = scaled(fitted(rows, fleet_twin()), rows)["duty"]
    np.testing.assert_allclose(got, (duty - duty.mean()) / duty.std(ddof=0), rtol=0, atol=1e-4)
    assert got[duty > 1500].min() - got[duty < 1500].max() > 1, "the network must see which regime it is in"


def test_without_regimes_each_channel_is_standardised_over_all_rows(rows: pd.DataFrame) -> None:
    got = scaled(fitted(rows, fleet_twin(regimes=False)), rows)
    for name in ("pressure", "duty", "vibration"):
        part = rows[name].astype(float)
        np.testing.assert_allclose(got[name], (part - part.mean()) / part.std(ddof=0), rtol=0, atol=1e-3)


def test_a_row_is_scaled_alike_wherever_its_window_was_cut(rows: pd.DataFrame) -> None:
    scaling = fitted(rows, fleet_twin())
    whole, part = scaled(scaling, rows), scaled(scaling, rows.iloc[50:60])
    np.testing.assert_array_equal(whole.iloc[50:60], part)


def test_a_channel_that_was_constant_says_nothing_when_it_moves(rows: pd.DataFrame) -> None:
    scaling = fitted(rows, fleet_twin())
    for moved in (rows, rows.assign(ballast=rows["ballast"] + 1000)):
        assert scaled(scaling, moved)["ballast"].abs().max() < 1e-6


def test_a_reading_far_off_is_limited(rows: pd.DataFrame) -> None:
    far = rows.assign(vibration=1e9, pressure=-1e9)
    got = scaled(fitted(rows, fleet_twin()), far)
    assert got["vibration"].eq(CLIP).all()
    assert got["pressure"].eq(-CLIP).all()


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_a_channel_does_not_matter(rows: pd.DataFrame, factor: float) -> None:
    twin = fleet_twin()
    other = rows.assign(vibration=rows["vibration"] * factor, ballast=rows["ballast"] * factor)
    got, expected = scaled(fitted(other, twin), other), scaled(fitted(rows, twin), rows)
    np.testing.assert_allclose(got["vibration"], expected["vibration"], rtol=0, atol=1e-3)


def test_a_channel_of_zeros_is_not_divided_by_zero(rows: pd.DataFrame) -> None:
    zeros = rows.assign(ballast=0.0, pressure=0.0)
    assert scaled(fitted(zeros, fleet_twin()), zeros)[["ballast", "pressure"]].eq(0).all(axis=None)


def test_fewer_regimes_than_the_contract_allows_are_found_without_failing(rows: pd.DataFrame) -> None:
    still = rows.assign(duty=1000.0)
    scaling = fitted(still, fleet_twin())
    assert len(scaling.centres) == 1
    assert np.isfinite(scaled(scaling, still)).all(axis=None)


def test_a_setting_with_a_large_unit_does_not_drown_another(rows: pd.DataFrame) -> None:
    twin = fleet_twin()
    level = np.random.default_rng(3).integers(0, 2, len(rows))
    content = twin.model_dump()
    content["channels"]["ballast"]["role"] = "setting"
    content["regimes"] = {"channels": ("duty", "ballast"), "count": 4}
    both = Twin.model_validate(content)
    mixed = rows.assign(ballast=0.1 + 0.01 * level)
    scaling = fitted(mixed, both)
    found = sorted((round(duty, -3), round(ballast, 2)) for duty, ballast in scaling.centres)
    assert found == [(1000, 0.1), (1000, 0.11), (2000, 0.1), (2000, 0.11)]
    got = scaled(scaling, mixed)["vibration"].groupby([mixed["duty"] > 1500, level])
    np.testing.assert_allclose(got.mean(), 0, atol=1e-3)
    np.testing.assert_allclose(got.std(ddof=0), 1, atol=1e-3)


def test_only_the_training_assets_count(rows: pd.DataFrame, tmp_path: Path) -> None:
    twin = fleet_twin()
    development = prepared(tmp_path, twin, rows)
    split = development.hold_out(0)
    held_out = np.flatnonzero(development.fold == 0)
    assert len(held_out) > 50
    here = np.isin(np.arange(len(development.fold)), held_out)
    histories = development.histories
    other = replace(
        histories,
        values=np.where(here[:, None], np.float32(999), histories.values),
        time=np.where(here, 100 * histories.time, histories.time),
    )
    expected = fit_scaling(split.histories, split.rows, twin, seed=1)
    assert fit_scaling(other, split.rows, twin, seed=1) == expected
    assert fit_scaling(other, held_out, twin, seed=1) != expected


def test_age_is_scaled_by_half_the_longest_training_run_and_left_out_where_it_is_unknown(rows: pd.DataFrame) -> None:
    assert fitted(rows, fleet_twin()).age == rows["time"].max() / 2
    assert fitted(rows, fleet_twin(aged=False)).age == 0
