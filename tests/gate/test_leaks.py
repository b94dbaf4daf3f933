"""Signs of held-out windows in the development data, each put there on purpose."""

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows
from foretwin.gate import Check, leak_checks
from support.small_fleet import PREPARE, fleet_rows, fleet_twin, prepared

TWIN = fleet_twin()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Development rows, truncated held-out rows and folds, as the stage leaves them."""
    folder = tmp_path_factory.mktemp("windows")
    prepared(folder, TWIN, fleet_rows(TWIN, assets=24), PREPARE)
    parts = (read_rows(folder / f"{name}.parquet", TWIN) for name in ("development", "test"))
    return *parts, pd.read_json(folder / "splits.json", typ="series").to_dict()


def leaks(checks: list[Check]) -> list[str]:
    assert {check.name for check in checks} == {"leaks"}
    return [check.sentence for check in checks if not check.passed]


def test_an_honest_split_has_none(split):
    development, test, folds = split
    checks = leak_checks(TWIN, development, test, folds)
    assert leaks(checks) == []
    assert [check.passed for check in checks] == [True]


def test_an_asset_on_both_sides_is_named(split):
    development, test, folds = split
    asset = test["asset"].iloc[0].split("@")[0]
    more = pd.concat([development, development.head(3).assign(asset=asset)])
    assert leaks(leak_checks(TWIN, more, test, folds))[0].startswith(f"asset {asset} is both held out and trained on")
    assert leaks(leak_checks(TWIN, development, test, folds | {asset: 1}))[0].startswith(f"asset {asset} is both")


@pytest.mark.parametrize("assets", [1, 4])
def test_held_out_lives_under_other_names_are_found(split, assets):
    development, test, folds = split
    held_out = sorted({name.split("@")[0] for name in test["asset"]})[:assets]
    lives = fleet_rows(TWIN, assets=24)
    copies = lives[lives["asset"].isin(held_out)]
    more = pd.concat([development, copies.assign(asset="copy-of-" + copies["asset"])], ignore_index=True)
    found = leaks(leak_checks(TWIN, more, test, folds))
    assert len(found) == 1
    assert "of the held-out readings are copies of development rows; by chance 0 % would be" in found[0]


def test_coarse_readings_that_repeat_by_chance_are_no_copies(split):
    development, test, folds = split
    coarse = dict.fromkeys(TWIN.channel_names, 1.0)
    worn = [rows.assign(**coarse).assign(duty=rows["duty"].round(-3)) for rows in (development, test)]
    assert leaks(leak_checks(TWIN, *worn, folds)) == []


@pytest.mark.parametrize(("noise", "found"), [(0.0, True), (0.2, True), (6.0, False)])
def test_a_channel_that_is_the_rul_is_found_and_a_sensor_that_shows_wear_is_not(split, noise, found):
    development, test, folds = split
    drawn = np.random.default_rng(1).normal(0, noise, len(test))
    told = test.assign(vibration=(100 - test["rul"] + drawn).astype("float32"))
    sentences = leaks(leak_checks(TWIN, development, told, folds))
    assert bool(sentences) is found
    assert not found or sentences[0].startswith("channel vibration tells the RUL: their ranks correlate with -")


def test_a_channel_that_the_contract_allows_may_tell_the_rul(split):
    development, test, folds = split
    told = test.assign(vibration=(100 - test["rul"]).astype("float32"))
    allowed = Twin.model_validate(TWIN.model_dump() | {"quality": {"allow": ["vibration"]}})
    assert leaks(leak_checks(TWIN, development, told, folds)) != []
    assert leaks(leak_checks(allowed, development, told, folds)) == []


def test_a_sensor_whose_few_values_are_the_classes_is_found_and_a_setting_is_not(split):
    development, test, folds = split
    told = test.assign(ballast=(7 - 2 * test["fault_mode"]).astype("float32"))
    found = leaks(leak_checks(TWIN, development, told, folds))
    assert found == [
        "channel ballast tells the fault on mode: its 3 values stand for its 3 classes one by one; "
        "it is the label, no measurement"
    ]
    told = test.assign(duty=(1000.0 + test["fault_mode"]).astype("float32"))
    assert leaks(leak_checks(TWIN, development, told, folds)) == []
    mixed = told.assign(duty=test["duty"], ballast=np.where(np.arange(len(test)) % 7, 7 - told["fault_mode"], 7.0))
    assert leaks(leak_checks(TWIN, development, mixed, folds)) == []


def test_where_nothing_is_labelled_nothing_can_be_told(split):
    development, test, folds = split
    blind = test.assign(rul=np.nan, fault_mode=-1, fault_bearing=-1, ballast=1.0)
    assert leaks(leak_checks(TWIN, development, blind, folds)) == []
