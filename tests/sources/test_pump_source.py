from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.table import column_types, out_of_order
from foretwin.errors import SourceError
from foretwin.physics import pump as physics
from foretwin.sources import pump

ROOT = Path(__file__).parents[2]


def fleet_of(contract: Twin, **source: int) -> Twin:
    return contract.model_copy(update={"source": contract.source.model_copy(update=source)})


@pytest.fixture(scope="module")
def contract() -> Twin:
    return load_twin(ROOT / "data" / "pump" / "twin.yaml")


@pytest.fixture(scope="module")
def raw(contract, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    pump.fetch_pump(contract, out)
    return out


@pytest.fixture(scope="module")
def rows(contract, raw) -> pd.DataFrame:
    return pump.adapt_pump(contract, raw)


def test_the_fleet_is_the_canonical_table_of_its_contract(contract, rows):
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == column_types(contract)
    assert rows["asset"].nunique() == 120
    assert {"P-001", "P-120"} <= set(rows["asset"])
    assert (rows["run"] == 1).all()
    assert not out_of_order(rows).any()
    assert (rows.groupby("asset")["time"].agg(lambda time: (np.diff(time) == 1).all() and time.iat[0] == 0)).all()
    assert 26_000 < len(rows) < 33_000


def test_no_reading_passes_the_limits_of_the_contract(contract, rows):
    for name, channel in contract.channels.items():
        assert np.isfinite(rows[name]).all(), name
        assert rows[name].between(channel.min, channel.max).all(), name


def test_the_fleet_fulfils_its_own_quality_rules(contract, rows):
    quality = contract.quality
    lengths = rows.groupby("asset").size()
    sensors = [name for name, channel in contract.channels.items() if channel.role == "sensor"]
    starts = rows["asset"].ne(rows["asset"].shift())

    assert len(lengths) >= quality.min_assets
    assert (rows["rul"] == 0).sum() >= quality.min_failures
    assert lengths.min() >= quality.min_run_rows
    assert rows["rul"].notna().mean() >= quality.min_known_rul
    for name in sensors:
        stretch = (rows[name].ne(rows[name].shift()) | starts).cumsum()
        assert stretch.value_counts().max() <= quality.max_stuck_rows, name


def test_failed_pumps_count_down_to_zero_on_their_last_row(rows):
    failed = rows[rows["rul"].notna()]
    last = failed.groupby("asset").tail(1)

    assert (last["rul"] == 0).all()
    assert (failed["rul"] == 0).sum() == failed["asset"].nunique()
    assert (failed["rul"].diff()[failed["asset"] == failed["asset"].shift()] == -1).all()


def test_pumps_that_outlive_the_study_have_an_unknown_rul_and_no_failure_row(rows, raw):
    fleet = pd.read_parquet(raw / pump.FILE)
    unknown = rows.groupby("asset")["rul"].apply(lambda rul: rul.isna().all())
    partly = rows.groupby("asset")["rul"].apply(lambda rul: rul.isna().any())

    assert (unknown == partly).all()
    assert 0.08 <= unknown.mean() <= 0.25
    assert (~fleet.groupby("pump")["failed"].any() == unknown).all()


def test_the_mode_is_healthy_until_one_part_begins_to_dominate(contract, rows):
    modes = rows.groupby("asset")["fault_mode"]

    assert (modes.first() == 0).all()
    assert modes.apply(lambda mode: mode.is_monotonic_increasing and mode.nunique() <= 2).all()
    assert set(rows["fault_mode"]) == {0, 1, 2, 3}
    assert contract.classes("mode") == (pump.HEALTHY, *pump.COMPONENTS)
    shares = modes.last()[modes.last() > 0].value_counts(normalize=True)
    assert shares.min() > 0.2
    onset = rows[rows["fault_mode"] > 0].groupby("asset")["time"].first()
    assert onset.min() >= 0.15 * 150
    assert onset.max() <= 0.60 * 330 + 1


def test_each_mode_shows_in_its_own_sensors_before_the_end(rows):
    """The last day against the first two, at the same speeds by comparing medians over pumps."""
    failed = rows[rows["rul"].notna()]
    mode = failed.groupby("asset")["fault_mode"].last()
    change = failed.groupby("asset").tail(24).groupby("asset").median(numeric_only=True)
    change = change - failed.groupby("asset").head(48).groupby("asset").median(numeric_only=True)
    median = change.groupby(mode).median()

    assert median["flow"].idxmin() == 1
    assert median["thrust_temperature"].idxmax() == 2
    assert median["radial_temperature"].idxmax() == 3
    assert (median["vibration"] > 0).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_fleet(contract, tmp_path):
    for name, seed in {"first": 7, "second": 7, "other": 8}.items():
        pump.fetch_pump(fleet_of(contract, assets=6, seed=seed), tmp_path / name)
    first, second, other = ((tmp_path / name / pump.FILE).read_bytes() for name in ("first", "second", "other"))

    assert first == second
    assert first != other


def test_a_pump_does_not_depend_on_how_many_stand_beside_it(contract, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(pump, "BATCH", 4)  # so that a border between batches is crossed too
    pump.fetch_pump(fleet_of(contract, assets=9), tmp_path)
    few, all_of_them = pd.read_parquet(tmp_path / pump.FILE), pd.read_parquet(raw / pump.FILE)

    pd.testing.assert_frame_equal(few, all_of_them[all_of_them["pump"].isin(few["pump"])])
    assert few["pump"].nunique() == 9
    assert len(set(few.groupby("pump").size())) > 1, "the pumps must differ, or agreement proves nothing"


def test_a_life_ends_in_the_first_hour_in_which_the_physics_meets_a_limit():
    plan = pump.draw_plan(pump.draw_chance(range(30), seed=7))
    lives, allowances = pump.live_through(plan), pump.hourly_allowances()
    state = physics.new_state(plan.parts, plan.duty(0))
    ended = [physics.life_ended(state)]
    for hour in range(1, int(lives.last.max()) + 1):
        rates = np.where(hour > lives.last, 0, plan.rates[hour] * allowances)
        state = physics.step(state, plan.duty(hour), physics.WearRates(*rates))
        ended.append(physics.life_ended(state))

    assert 0 < lives.failed.sum() < 30, "both ends of a life must occur"
    for number, last in enumerate(lives.last):
        assert not any(each[number] for each in ended[:last])
        assert ended[last][number] == lives.failed[number]


def test_readings_err_as_the_data_card_says(contract):
    chance = pump.draw_chance(range(40), seed=1)
    ideal = {name: np.full((pump.HOURS, 40), 100.0) for name in pump.SENSORS}
    measured = pump.measure_sensors(ideal, chance)

    for name, spread in {"thrust_temperature": 0.9, "flow": 1.5, "motor_power": 1.2, "vibration": 10}.items():
        assert measured[name].std(axis=0).mean() == pytest.approx(spread, rel=0.03), name
        assert measured[name].mean(axis=0).std() == pytest.approx(spread, rel=0.4), name


def test_a_missing_fleet_is_named_with_the_command_that_makes_it(contract, tmp_path):
    with pytest.raises(SourceError, match=r"fleet\.parquet: no such file; run `dvc repro data/.*:fetch` first"):
        pump.adapt_pump(contract, tmp_path)


def test_a_damaged_or_foreign_fleet_is_refused(contract, raw, tmp_path):
    whole = (raw / pump.FILE).read_bytes()
    (tmp_path / pump.FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="not a Parquet file, fetch it again") as refusal:
        pump.adapt_pump(contract, tmp_path)
    assert "\n" not in str(refusal.value)

    fleet = pd.read_parquet(raw / pump.FILE).head(100)
    fleet.drop(columns="failed").to_parquet(tmp_path / pump.FILE)
    with pytest.raises(SourceError, match="column failed is missing"):
        pump.adapt_pump(contract, tmp_path)

    fleet.assign(mode="cavitation").to_parquet(tmp_path / pump.FILE)
    with pytest.raises(SourceError, match="mode cavitation is not a class"):
        pump.adapt_pump(contract, tmp_path)


def test_a_negative_seed_is_refused_and_leaves_no_file(contract, tmp_path):
    with pytest.raises(SourceError, match=r"source\.seed is -1"):
        pump.fetch_pump(fleet_of(contract, seed=-1), tmp_path)
    assert not list(tmp_path.iterdir())
