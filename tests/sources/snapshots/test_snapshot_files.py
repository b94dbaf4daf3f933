"""Files of waveforms of every kind as tables of snapshots, with the features of the one set of functions."""

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy.io import savemat, wavfile

from foretwin.contract.twin import Twin
from foretwin.errors import SourceError
from foretwin.signals.extraction import extract_features
from foretwin.sources.table import read_rows_of
from support.waveform_twin import LENGTH, RATE, SNAPSHOTS, waveform_twin


@pytest.fixture
def samples() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(SNAPSHOTS * LENGTH + 7).astype(np.float32)


def write(kind: str, path: Path, samples: np.ndarray) -> None:
    match kind:
        case "csv":
            path.write_text("vibration\n" + "\n".join(map(str, samples.tolist())) + "\n")
        case "parquet":
            pyarrow.parquet.write_table(pa.table({"vibration": samples}), path)
        case "mat":
            savemat(path, {"vibration": samples[:, None], "fs": RATE})
        case "h5":
            with h5py.File(path, "w") as file:
                file["vibration"] = samples
        case "wav":
            wavfile.write(path, RATE, samples)


def expected(contract: Twin, blocks: np.ndarray, **channels: np.ndarray) -> dict[str, np.ndarray]:
    return extract_features(contract.waveforms, {"vibration": blocks}, channels)


def check(rows, features: dict[str, np.ndarray]) -> None:
    for name, values in features.items():
        np.testing.assert_allclose(rows[name], values, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["csv", "parquet", "mat", "h5", "wav"])
def test_a_file_of_each_kind_is_cut_into_snapshots(tmp_path, samples, kind, caplog):
    write(kind, tmp_path / f"fan-1.{kind}", samples)
    contract = waveform_twin(tmp_path, pattern="{asset}." + kind, snapshot=LENGTH)
    rows = read_rows_of(contract, contract.source, tmp_path)
    check(rows, expected(contract, samples[: SNAPSHOTS * LENGTH].reshape(SNAPSHOTS, LENGTH)))
    assert rows["asset"].tolist() == ["fan-1"] * SNAPSHOTS
    assert rows["time"].tolist() == [0, 1, 2]
    assert rows["rul"].tolist() == [2, 1, 0]
    assert f"7 samples at the ends of 1 files are no whole snapshot: left out, such as 7 of fan-1.{kind}" in caplog.text


def test_each_file_is_one_snapshot_and_its_path_tells_machine_time_and_speed(tmp_path, samples):
    (tmp_path / "fan-1").mkdir()
    blocks = samples[: SNAPSHOTS * LENGTH].reshape(SNAPSHOTS, LENGTH)
    for number, (block, rpm) in enumerate(zip(blocks, (600, 900, 1200), strict=True)):
        write("csv", tmp_path / "fan-1" / f"2024-03-{number + 1:02}T10_{rpm}.csv", block)
    given = {"pattern": "{asset}/{date}_{speed:d}.csv", "time_format": "%Y-%m-%dT%H", "columns": {"rpm": "speed"}}
    contract = waveform_twin(tmp_path, {"channel": "rpm"}, ["rpm"], **given)
    rows = read_rows_of(contract, contract.source, tmp_path)
    check(rows, expected(contract, blocks, rpm=np.array([600.0, 900, 1200])))
    assert rows["time"].tolist() == [0, 24, 48]
    assert rows["rpm"].tolist() == [600, 900, 1200]


def test_rows_of_lists_are_snapshots_of_any_length_with_what_stands_beside_them(tmp_path, samples):
    lists = [samples[:400], samples[400:700], samples[700:1100]]
    columns = {"machine": ["a", "a", "b"], "hour": [5.0, 7.0, 1.0], "rpm": [600.0, 900.0, 700.0]}
    table = pa.table({**columns, "vibration": pa.array(lists, pa.list_(pa.float32()))})
    pyarrow.parquet.write_table(table, tmp_path / "all.parquet")
    given = {"asset": "machine", "time": "hour", "time_format": None}
    contract = waveform_twin(tmp_path / "all.parquet", {"channel": "rpm"}, ["rpm"], **given)
    rows = read_rows_of(contract, contract.source, tmp_path / "all.parquet")
    for row, (block, rpm) in enumerate(zip(lists, columns["rpm"], strict=True)):
        check(rows.iloc[[row]], expected(contract, block[None], rpm=np.array([rpm])))
    assert rows["asset"].tolist() == ["a", "a", "b"]


def test_a_channel_beside_the_samples_is_its_mean_over_the_snapshot(tmp_path, samples):
    rpm = np.repeat([600.0, 900, 1200, 1500], [400, 400, 400, 7]) + np.tile([-1.0, 1], 604)[:1207]
    lines = [f"{x},{turns}" for x, turns in zip(samples.tolist(), rpm.tolist(), strict=True)]
    (tmp_path / "fan.csv").write_text("vibration,rpm\n" + "\n".join(lines) + "\n")
    contract = waveform_twin(tmp_path / "fan.csv", {"channel": "rpm"}, ["rpm"], single_asset="fan", snapshot=LENGTH)
    rows = read_rows_of(contract, contract.source, tmp_path / "fan.csv")
    assert rows["rpm"].tolist() == [600, 900, 1200]
    check(rows, expected(contract, samples[:1200].reshape(3, 400), rpm=np.array([600.0, 900, 1200])))


def test_a_long_file_is_cut_as_its_blocks_come(tmp_path, samples, monkeypatch):
    monkeypatch.setattr("foretwin.sources.tabular.BLOCK", 3000)  # some 150 samples
    write("csv", tmp_path / "fan-1.csv", samples)
    contract = waveform_twin(tmp_path, pattern="{asset}.csv", snapshot=LENGTH)
    rows = read_rows_of(contract, contract.source, tmp_path)
    check(rows, expected(contract, samples[: SNAPSHOTS * LENGTH].reshape(SNAPSHOTS, LENGTH)))


def test_a_missing_sample_makes_its_snapshot_s_features_missing(tmp_path, samples):
    samples[450] = np.nan
    write("parquet", tmp_path / "fan-1.parquet", samples)
    contract = waveform_twin(tmp_path, pattern="{asset}.parquet", snapshot=LENGTH)
    with pytest.raises(SourceError, match=r"snapshot 2: column 'rms'.*empty"):
        read_rows_of(contract, contract.source, tmp_path)


@pytest.mark.parametrize(
    ("kind", "source", "reason"),
    [
        ("wav", {"snapshot": 5000}, "holds no snapshot: 5000 samples are needed"),
        ("mat", {"columns": {"vibration": "other"}}, "'other' is missing; it has 'vibration', 'fs'"),
        ("csv", {"columns": {"vibration": "other"}}, "column 'other' is missing"),
    ],
)
def test_a_file_that_is_not_as_the_contract_says_is_refused(tmp_path, samples, kind, source, reason):
    write(kind, tmp_path / f"fan-1.{kind}", samples)
    contract = waveform_twin(tmp_path, pattern="{asset}." + kind, **source)
    with pytest.raises(SourceError, match=reason):
        read_rows_of(contract, contract.source, tmp_path)


def test_a_sound_of_another_rate_is_refused(tmp_path, samples):
    wavfile.write(tmp_path / "fan-1.wav", 8000, samples)
    contract = waveform_twin(tmp_path, pattern="{asset}.wav")
    with pytest.raises(SourceError, match=r"sampled at 8000 Hz, but waveforms.vibration.rate is 1000"):
        read_rows_of(contract, contract.source, tmp_path)
