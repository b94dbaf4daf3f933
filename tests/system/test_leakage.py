"""For every source: nobody is on two sides of a split, and what is held out leaves no trace in the scaling."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import TEST
from foretwin.project.params import PrepareParams
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from foretwin.training.network import Scaling
from foretwin.training.scaling import SILENT, fit_scaling
from support.archives import archives

ROOT = Path(__file__).parents[2]
KINDS = ["pump", "cmapss", "hydraulic", "table"]
PARAMS = PrepareParams(test_share=0.25, folds=3, cuts=5, seed=1)
PRESS = {
    "name": "press",
    "title": "Press",
    "source": {"kind": "table", "path": "press.csv", "asset": "machine", "time": "hour", "failure": "failed"},
    "clock": {"unit": "h", "step": 1},
    "channels": {
        "speed": {"unit": "rpm", "role": "setting", "min": 0, "max": 3000},
        "force": {"unit": "kN", "role": "sensor", "min": 0, "max": 100},
    },
    "regimes": {"channels": ["speed"], "count": 2},
    "rul": {"cap": 10, "remedy": {"part": "ram", "instruction": "replace it", "lead_time": 1}},
    "window": {"length": 10},
}


def press(folder: Path) -> Twin:
    """The contract of nine presses with two speeds; their file lies beside it."""
    generator = np.random.default_rng(1)
    hours = np.tile(np.arange(30), 9)
    frame = pd.DataFrame({"machine": np.repeat([f"m{i}" for i in range(9)], 30), "hour": hours})
    frame["speed"] = np.where(generator.random(270) < 0.5, 500, 1500)
    frame["force"] = frame["speed"] / 50 + hours / 2 + generator.normal(0, 1, 270)
    folder.mkdir(parents=True)
    frame.assign(failed=(hours == 29).astype(int)).to_csv(folder / "press.csv", index=False)
    (folder / "twin.yaml").write_text(yaml.safe_dump(PRESS))
    return load_twin(folder / "twin.yaml")


def contract_of(kind: str, root: Path) -> Twin:
    if kind == "table":
        return press(root / "data" / "press")
    name = {"cmapss": "cmapss-fd001"}.get(kind, kind)
    twin = load_twin(ROOT / "data" / name / "twin.yaml")
    if kind == "pump":
        return twin.model_copy(update={"source": twin.source.model_copy(update={"assets": 12})})
    return twin


@pytest.fixture(scope="module", params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """(contract, rows, folder that prepare wrote, Development) of one source."""
    root = tmp_path_factory.mktemp("project")
    contract = contract_of(request.param, root)
    (root / "raw").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        if request.param in ("cmapss", "hydraulic"):
            patch.setenv("FORETWIN_DATASETS", str(archives(request.param)))
        fetch(contract, Paths(root, contract.name), root / "raw")
    rows = adapt(contract, root / "raw")
    return contract, rows, root / "windows", prepared(contract, rows, root / "windows")


def prepared(contract: Twin, rows: pd.DataFrame, out: Path) -> Development:
    out.mkdir()
    prepare(rows, contract, PARAMS, out)
    return Development.load(out, contract, PARAMS)


def scaling_of(development: Development, contract: Twin) -> Scaling:
    split = development.hold_out(0)
    return fit_scaling(split.histories, split.rows, contract, seed=1)


def folds_of(folder: Path) -> dict[str, int]:
    return json.loads((folder / "splits.json").read_text())


def test_no_asset_is_in_two_splits(source: tuple) -> None:
    contract, rows, folder, development = source
    folds = folds_of(folder)
    assets = read_rows(folder / "development.parquet", contract)["asset"].to_numpy()
    tested = set(read_rows(folder / "test.parquet", contract)["asset"].str.rpartition("@")[0])
    held_out = {asset for asset, fold in folds.items() if fold == TEST}
    assert set(folds) == set(rows["asset"])
    assert tested <= held_out
    assert set(assets) == set(folds) - held_out
    assert not set(read_rows(folder / "example.parquet", contract)["asset"]) - held_out
    for fold in development.folds:
        split = development.hold_out(fold)
        scaled, trained, judged = (set(assets[part]) for part in (split.rows, split.train, split.held_out))
        assert {folds[asset] for asset in judged} == {fold}
        assert trained <= scaled
        assert scaled == {asset for asset, other in folds.items() if other not in (TEST, fold)}


def test_the_scaling_is_that_of_the_training_assets_alone(source: tuple) -> None:
    contract, rows, folder, development = source
    scaling, folds = scaling_of(development, contract), folds_of(folder)
    trained = rows[rows["asset"].map(folds) > 0]  # neither held out nor in fold 0
    values = trained[list(contract.channel_names)].to_numpy(np.float64)
    spread = values[:, scaling.settings].std(axis=0)
    points, centres = values[:, scaling.settings] / spread, np.array(scaling.centres) / spread
    regime = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert np.bincount(regime).min() > 50
    for k, (means, scales) in enumerate(zip(scaling.mean, scaling.scale, strict=True)):
        for i, channel in enumerate(contract.channels.values()):
            part = values[:, i] if channel.role == "setting" else values[regime == k, i]
            assert means[i] == pytest.approx(part.mean(), rel=1e-9)
            assert scales[i] == (SILENT if np.ptp(part) < 1e-6 * part.max() else pytest.approx(part.std(), rel=1e-6))
    assert scaling.age == (trained["time"].max() / 2 if contract.clock.counts_from_start else 0)


def test_what_held_out_assets_read_does_not_change_a_bit_of_the_scaling(source: tuple, tmp_path: Path) -> None:
    contract, rows, folder, development = source
    folds = folds_of(folder)
    before = scaling_of(development, contract)
    for fold, same in ((TEST, True), (0, True), (1, False)):
        other = rows.copy()
        inside = (rows["asset"].map(folds) == fold).to_numpy()
        other.loc[inside, list(contract.channel_names)] = other.loc[inside, list(contract.channel_names)] * 3 + 7
        after = scaling_of(prepared(contract, other, tmp_path / str(fold)), contract)
        assert (after == before) == same, fold
