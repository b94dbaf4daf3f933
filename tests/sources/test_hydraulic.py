import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import ContractError, DigestError, SourceError
from foretwin.sources import hydraulic
from support.archives import archives

ROOT = Path(__file__).parents[2]
FAULTS = ["fault_cooler", "fault_valve", "fault_pump", "fault_accumulator"]


@pytest.fixture(scope="module")
def contract() -> Twin:
    return load_twin(ROOT / "data" / "hydraulic" / "twin.yaml")


@pytest.fixture(scope="module")
def datasets() -> Path:
    return archives("hydraulic/hydraulic_1hz_means.zip")


@pytest.fixture(scope="module")
def raw(datasets, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETWIN_DATASETS", str(datasets))
        hydraulic.fetch_hydraulic(out / "work", out)
    return out


@pytest.fixture(scope="module")
def rows(contract, raw) -> pd.DataFrame:
    return hydraulic.adapt_hydraulic(contract, raw)


@pytest.fixture(scope="module")
def one_cycle(tmp_path_factory) -> Path:
    """The official archive's files for a single cycle."""
    folder = tmp_path_factory.mktemp("one")
    made_raw(folder, ["3\t100\t0\t130\t0"], np.random.default_rng(1))
    return folder


def made_raw(folder: Path, profile: list[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Files as the official archive holds them; sensor -> its samples (cycles, rate * 60)."""
    folder.mkdir(exist_ok=True)
    (folder / "profile.txt").write_text("".join(f"{line}\n" for line in profile))
    rates = {"PS": 100, "EP": 100, "FS": 10, "TS": 1, "VS": 1}
    samples = {}
    for sensor in hydraulic.SENSORS:
        samples[sensor] = rng.uniform(1, 9, (len(profile), 60 * rates[sensor[:2]])).round(3)
        np.savetxt(folder / f"{sensor}.txt", samples[sensor], fmt="%.3f", delimiter="\t")
    return samples


def test_cycles_and_classes_agree_with_the_documentation(contract, rows):
    cycles = rows.drop_duplicates("run")
    counts = {
        axis: [int((cycles[f"fault_{axis}"] == number).sum()) for number in range(len(contract.classes(axis)))]
        for axis in contract.axes
    }

    assert len(cycles) == 2205
    assert len(rows) == 2205 * 60
    assert counts == {
        "cooler": [741, 732, 732],
        "valve": [1125, 360, 360, 360],
        "pump": [1221, 492, 492],
        "accumulator": [599, 399, 399, 808],
    }


def test_sensors_agree_with_the_published_means(rows):
    published = {"ps1": 160.49, "ps2": 109.38, "eps1": 2495.5, "fs1": 6.199, "fs2": 9.649, "ts1": 45.43, "ts3": 47.66}
    found = rows[list(published)].astype("float64").mean()

    np.testing.assert_allclose(found, list(published.values()), rtol=2e-4)


def test_an_asset_is_one_combination_of_states_and_no_combination_is_in_two_assets(rows):
    blocks = rows[["asset", *FAULTS]].drop_duplicates()

    assert len(blocks) == 144
    assert blocks["asset"].is_unique
    assert not blocks.duplicated(FAULTS).any()


def test_blocks_are_numbered_as_they_first_appear(rows):
    cycles = rows.drop_duplicates("run").sort_values("run")

    assert cycles["asset"].drop_duplicates().tolist() == [f"block-{number:03d}" for number in range(1, 145)]


def test_a_run_is_one_cycle_of_sixty_seconds_and_has_no_rul(rows):
    assert (rows.groupby(["asset", "run"]).size() == 60).all()
    assert (rows["time"].to_numpy().reshape(-1, 60) == np.arange(60)).all()
    assert rows["rul"].isna().all()


def test_the_official_archives_raw_samples_become_the_mean_of_each_second(contract, tmp_path):
    samples = made_raw(tmp_path, ["100\t100\t0\t130\t0", "3\t73\t2\t90\t1"], np.random.default_rng(1))
    rows = hydraulic.adapt_hydraulic(contract, tmp_path)

    assert rows["asset"].unique().tolist() == ["block-001", "block-002"]
    assert rows.loc[60, FAULTS].tolist() == [2, 3, 2, 3]
    for sensor, values in samples.items():
        expected = [values[cycle, second * len(values[0]) // 60 : (second + 1) * len(values[0]) // 60].mean()
                    for cycle in range(2) for second in range(60)]  # fmt: skip
        np.testing.assert_allclose(rows[sensor.lower()], expected, rtol=1e-6, err_msg=sensor)


def test_the_stable_flag_parts_the_cycles_as_documented(rows):
    cycles = rows.drop_duplicates("run").set_index("run")["subset"]

    assert cycles.value_counts().to_dict() == {"stable": 1449, "unstable": 756}
    assert cycles[1] == "unstable", "the first cycle is the rig's start"
    assert rows.groupby("run")["subset"].nunique().max() == 1
    assert rows.loc[rows["subset"] == "stable", "asset"].nunique() == 144


def test_the_flag_does_not_part_a_block(contract, tmp_path):
    made_raw(tmp_path, ["3\t73\t2\t90\t1", "3\t73\t2\t90\t0"], np.random.default_rng(1))
    rows = hydraulic.adapt_hydraulic(contract, tmp_path)

    assert rows.drop_duplicates("run")["subset"].tolist() == ["unstable", "stable"]
    assert rows["asset"].unique().tolist() == ["block-001"]


def test_a_state_set_twice_apart_is_still_one_block(contract, tmp_path):
    healthy, worn = "100\t100\t0\t130\t0", "3\t73\t2\t90\t1"
    made_raw(tmp_path, [healthy, worn, healthy], np.random.default_rng(1))
    rows = hydraulic.adapt_hydraulic(contract, tmp_path)

    assert rows.groupby("asset")["run"].unique().map(list).to_dict() == {"block-001": [1, 3], "block-002": [2]}


def test_classes_follow_the_contracts_order(contract, one_cycle):
    axis = contract.faults["cooler"]
    swapped = {name: axis.classes[name] for name in ("full", "near_failure", "reduced")}
    faults = {**contract.faults, "cooler": axis.model_copy(update={"classes": swapped})}
    rows = hydraulic.adapt_hydraulic(contract.model_copy(update={"faults": faults}), one_cycle)

    assert set(rows["fault_cooler"]) == {1}


def test_a_contract_with_other_classes_is_refused(contract, one_cycle):
    axis = contract.faults["cooler"]
    fewer = {name: axis.classes[name] for name in ("full", "reduced")}
    faults = {**contract.faults, "cooler": axis.model_copy(update={"classes": fewer})}
    with pytest.raises(ContractError, match=r"faults\.cooler\.classes: must be full, reduced, near_failure"):
        hydraulic.adapt_hydraulic(contract.model_copy(update={"faults": faults}), one_cycle)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("profile.txt", "55\t100\t0\t130\t0\n", "line 1: 55 is no state of the cooler"),
        ("profile.txt", "100\t100\t0\t130\t2\n", "line 1: 2 is no stable flag"),
        ("profile.txt", "100\t100\t0\t130\n", "has 4 columns instead of 5"),
        ("TS1.txt", "warm\n", "not a table of numbers"),
        ("TS1.txt", "\t".join(["1"] * 59) + "\t\n", "line 1: a value is missing"),
        ("PS3.txt", "\t".join(["1"] * 60) + "\n", "has 60 columns instead of 6000"),
        ("TS2.txt", ("\t".join(["1"] * 60) + "\n") * 2, r"has 2 cycles, profile\.txt 1"),
        ("VS1.txt", "", "not a table of numbers"),
        ("FS1.txt", None, "not found; run the fetch stage"),
    ],
)
def test_a_damaged_file_is_named(contract, one_cycle, tmp_path, name, content, reason):
    shutil.copytree(one_cycle, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=reason) as caught:
        hydraulic.adapt_hydraulic(contract, tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_local_archive_with_other_bytes_is_refused(datasets, tmp_path, monkeypatch):
    (tmp_path / "hydraulic").mkdir()
    for name in ("hydraulic_official_part.zip", "hydraulic_1hz_means.zip"):
        (tmp_path / "hydraulic" / name).write_bytes((datasets / "hydraulic" / name).read_bytes()[:-1])
    monkeypatch.setenv("FORETWIN_DATASETS", str(tmp_path))
    with pytest.raises(DigestError, match=r"hydraulic_official_part\.zip: expected digest 9465"):
        hydraulic.fetch_hydraulic(tmp_path / "work", tmp_path)
