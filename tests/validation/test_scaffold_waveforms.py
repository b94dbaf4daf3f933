"""`foretwin new` on waveforms: it recognises them, asks for a rate that nobody tells, and drafts their features."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat, wavfile

from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import SourceError
from foretwin.sources.table import read_rows_of
from foretwin.validation.scaffold.draft import draft_contract

SAMPLES = 40_000


def vibration(seed: int, samples: int = SAMPLES) -> np.ndarray:
    time = np.arange(samples)
    return np.sin(2 * np.pi * time / 17) + np.random.default_rng(seed).standard_normal(samples)


def drafted(path: Path, folder: Path, **how) -> Twin:
    contract = folder / "twin.yaml"
    contract.write_text(draft_contract("fan", path, **how).text, encoding="utf-8")
    return load_twin(contract)


def write_csv(path: Path, columns: dict[str, np.ndarray]) -> None:
    rows = zip(*(np.round(values, 4).tolist() for values in columns.values()), strict=True)
    path.write_text(",".join(columns) + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")


def test_arrays_that_tell_their_rate_are_cut_and_their_path_tells_fault_and_load(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number, fault in enumerate(("normal", "worn")):
        for load in (10, 20, 30):
            content = {"Signal A": vibration(load + number), "SampleRate": 5000, "Count": SAMPLES}
            savemat(files / f"{fault}-{load}.mat", content)
    (files / "notes.txt").write_text("taken in May\n")
    twin = drafted(files, tmp_path, pattern="{fault}-{load:d}.mat")
    (wave,) = twin.waveforms.values()
    assert (wave.rate, twin.source.snapshot) == (5000, 2048)
    assert [name for name in twin.channels if name not in wave.features] == ["load"]
    assert twin.classes("fault") == ("healthy", "worn")
    (files / "notes.txt").unlink()
    rows = read_rows_of(twin, twin.source, files)
    assert len(rows) == 6 * (SAMPLES // 2048)
    assert rows["asset"].nunique() == 6
    assert sorted(rows["load"].unique()) == [10, 20, 30]
    assert sorted(rows["fault_fault"].unique()) == [0, 1]


def test_a_rate_that_no_file_tells_is_asked_for(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number in range(4):
        write_csv(files / f"m{number}.csv", {"x 1": vibration(number, 20_000), "y": vibration(9 + number, 20_000)})
    with pytest.raises(SourceError, match=r"20,000 samples without a time, .* no file tells; add --rate HZ"):
        draft_contract("fan", files)
    twin = drafted(files, tmp_path, rate=12_800.0)
    assert {wave.rate for wave in twin.waveforms.values()} == {12_800}
    assert twin.source.columns["x_1"] == "x 1"
    rows = read_rows_of(twin, twin.source, files)
    assert rows["asset"].nunique() == 4
    x = np.round(vibration(0, 20_000), 4)[:1024]
    assert rows["x_1_rms"].iloc[0] == pytest.approx(x.std(), rel=1e-6)


def test_sounds_are_waveforms_and_many_of_them_are_a_snapshot_each(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for number in range(60):
        wavfile.write(files / f"m{number % 6}_{number // 6}.wav", 8000, vibration(number, 2048).astype(np.float32))
    with pytest.raises(SourceError, match="nothing tells of which machine; add --pattern"):
        draft_contract("fan", files)
    twin = drafted(files, tmp_path, pattern="{asset}_*.wav")
    assert twin.source.snapshot is None
    rows = read_rows_of(twin, twin.source, files)
    assert rows.groupby("asset").size().tolist() == [10] * 6


def test_a_table_with_a_time_is_no_waveform_however_long(tmp_path):
    columns = {"machine": np.repeat(np.arange(4.0), 2000), "time": np.tile(np.arange(2000.0), 4)}
    write_csv(tmp_path / "table.csv", columns | {"speed": vibration(1, 8000)})
    assert not drafted(tmp_path / "table.csv", tmp_path).waveforms
