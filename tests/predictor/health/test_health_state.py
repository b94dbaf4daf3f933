"""Health in words: a standstill and unknown settings are answers of their own, and the words follow from the score."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.table import canonical
from foretwin.dataset.windows import Histories
from foretwin.errors import ContractError
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.health.health_state import (
    STATES,
    comes_late,
    health_answer,
    health_word,
)
from foretwin.predictor.health.warning_kinds import SIGNATURES, failing_sensor, lone_channel
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.inputs import read_frame
from foretwin.predictor.known_settings import KnownSettings
from foretwin.predictor.records import score_records
from foretwin.twin.console.wording import Wording
from support.small_fleet import REMEDY, fleet_twin
from support.tiny_bundle import tiny_network


def health_twin(**health: object) -> Twin:
    asked = {"remedy": REMEDY, "false_alarms": 20, **health}
    return Twin.model_validate(fleet_twin("faults").model_dump() | {"faults": {}, "health": asked})


def rows_of(twin: Twin, speeds: dict[str, float], length: int = 40, seed: int = 1) -> pd.DataFrame:
    """Machines that each run at one speed, a little unevenly; f-machines of a fleet run at 1000 or 2000 rpm."""
    generator = np.random.default_rng(seed)
    parts = []
    for asset, speed in speeds.items():
        content = {"asset": asset, "run": 1, "time": np.arange(1.0, length + 1)}
        content |= {"pressure": generator.normal(5, 1, length), "vibration": generator.normal(3, 1, length)}
        content |= {"duty": np.clip(speed + generator.normal(0, 5, length), 0, None), "ballast": 100.0}
        parts.append(pd.DataFrame(content))
    return canonical(pd.concat(parts, ignore_index=True), twin)


FLEET = {f"f{i:02d}": 1000.0 * (1 + i % 2) for i in range(12)}


def bundle_of(folder: Path, twin: Twin) -> Bundle:
    """A bundle with an untrained network, whose reference is fitted to the fleet."""
    histories = Histories.from_rows(rows_of(twin, FLEET), twin)
    one_regime = RegimeCentres((), np.zeros((1, 0), np.float32), np.zeros(0, np.float32))
    reference = HealthyBaseline.fit(histories, twin, one_regime)
    faults = {"health": FaultCalibration(1.0, 0.5, 0.9)}
    folder.mkdir(exist_ok=True)
    save_bundle(folder, twin, tiny_network(twin), None, reference, faults)
    return Bundle.load(folder)


def test_settings_that_no_machine_had_are_an_answer_of_their_own(tmp_path: Path):
    twin = health_twin()
    bundle = bundle_of(tmp_path / "bundle", twin)
    again = KnownSettings.from_dict(bundle.reference.settings.to_dict())
    np.testing.assert_array_equal(again.points, bundle.reference.settings.points)
    scores = bundle.score(rows_of(twin, {"known": 2000.0, "between": 1500.0, "beyond": 2600.0}, seed=2))
    told = dict(zip(scores["asset"], scores["health_state"], strict=True))
    assert told["between"] == told["beyond"] == "unknown_regime"
    assert told["known"] in set(STATES) - {"unknown_regime", "off"}
    silent = scores[scores["asset"] != "known"]
    assert set(silent["health"]) == {"unknown"}
    assert all("unknown_regime: duty" in one for one in silent["warnings"])


def test_few_windows_of_known_settings_are_called_unknown(tmp_path: Path):
    twin = health_twin()
    bundle = bundle_of(tmp_path / "bundle", twin)
    scores = bundle.score(rows_of(twin, {f"g{i:03d}": 1000.0 * (1 + i % 2) for i in range(400)}, seed=3))
    assert np.mean(scores["health_state"] == "unknown_regime") < 0.1


def test_a_machine_that_stands_still_is_off_and_its_rows_teach_nothing(tmp_path: Path):
    twin = health_twin(off={"duty": 50.0})
    bundle = bundle_of(tmp_path / "bundle", twin)
    rows = rows_of(twin, {"still": 0.0, "runs": 1000.0}, seed=2)
    scores = bundle.score(rows)
    assert scores["health_state"].tolist()[0] == "off"
    assert scores["health"].tolist()[0] == "unknown"
    assert "off: duty at most 50" in scores["warnings"].tolist()[0]
    assert set(rows.loc[rows["asset"] == "still", "fault_health"]) == {-1}
    assert set(rows.loc[rows["asset"] == "runs", "fault_health"]) == {0}


def test_the_rule_of_a_standstill_names_channels_of_numbers(tmp_path: Path):
    with pytest.raises(ValueError, match=r"health.off: speed is no channel of numbers"):
        health_twin(off={"speed": 1.0})
    path = tmp_path / "twin.yaml"
    path.write_text("name: fleet\nhealth: {off: 3}\n")
    with pytest.raises(ContractError):
        load_twin(path)


def test_a_twin_whose_contract_names_no_regimes_knows_of_no_unknown_one():
    plain = Twin.model_validate(health_twin().model_dump() | {"regimes": None})
    assert KnownSettings.fit(Histories.from_rows(rows_of(plain, FLEET), plain), plain) is None


@pytest.mark.parametrize(
    ("answer", "warnings", "late", "word"),
    [
        ("normal", [], False, "good"),
        ("normal", ["short_history: 3 of 10 rows"], False, "good"),
        ("normal", ["out_of_training_range: pressure"], False, "off_specification"),
        ("unknown", [], False, "off_specification"),
        ("departed", [], False, "maintenance_required"),
        ("departed", ["out_of_training_range: pressure"], True, "failure"),
        ("departed", ["check_function: pressure"], True, "check_function"),
        ("departed", ["unknown_regime: duty", "check_function: pressure"], True, "unknown_regime"),
        ("departed", ["off: duty at most 50"], True, "off"),
    ],
)
def test_the_first_word_that_holds_is_said(answer: str, warnings: list[str], late: bool, word: str):
    assert health_word(answer, warnings, late) == word


def test_the_part_comes_too_late_by_the_middle_of_rul_and_its_lower_end():
    asked = {"health": {"remedy": REMEDY | {"lead_time": 10}}}
    twin = Twin.model_validate(fleet_twin("rul").model_dump() | asked)
    assert comes_late(twin, 12, 8)
    assert not comes_late(twin, 12, 9)
    assert not comes_late(twin, 30, -30), "at the cap: that or more"


def test_record_and_table_say_the_same(tmp_path: Path):
    twin = health_twin()
    bundle = bundle_of(tmp_path / "bundle", twin)
    rows = rows_of(twin, {"a": 1000.0, "b": 1500.0}, seed=5)
    table = bundle.score(rows)
    records = score_records(twin, bundle.answer(read_frame(rows, twin)))
    for record, index, state in zip(records, table["health_index"], table["health_state"], strict=True):
        assert health_answer(record, twin) == {"index": index, "state": state}
        assert 0 <= index <= 100
    assert health_answer(records[0], fleet_twin("faults")) is None


def test_a_lone_channel_is_its_sensor_s_by_a_signature_and_of_both_without_one() -> None:
    for signature in SIGNATURES:
        warnings = ["short_history: 3 of 60 rows", f"check_function: oil_heat {signature}"]
        assert (failing_sensor(warnings), lone_channel(warnings)) == (warnings[1], None)
    alone = ["check_function: oil_heat contradicts the other channels"]
    assert (failing_sensor(alone), lone_channel(alone)) == (None, "oil_heat")
    assert (failing_sensor(["off: speed jumps"]), lone_channel([])) == (None, None)
    assert Wording("en", None).warning(alone[0]).startswith("Its sensor, or the part that it watches: oil heat")
    assert Wording("de", None).warning(alone[0]).startswith("Der Sensor oder das Teil")
    assert Wording("en", None).warning("check_function: oil_heat jumps").startswith("A sensor fails")
