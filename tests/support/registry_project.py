"""A project as the stages leave it, with a real MLflow store on SQLite and bundles that need no training.

The held-out machines show in c1 and c2 what their RUL and their faults are, and in speed what leads a network astray:
its RUL is the truth plus `error` times the speed, whose mean square is 1.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from onnx import numpy_helper

from foretwin import registry
from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical, write_rows
from foretwin.dataset.windows import last_rows
from foretwin.evaluation.held_out import Predictions, predict, write_baselines
from foretwin.evaluation.report import headlines
from foretwin.predictor.bundle import save_bundle, verify
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.params import Params
from foretwin.project.paths import Paths
from foretwin.project.timings import write_timings
from foretwin.registry import tracking_store
from support.tiny_bundle import tiny_network, tiny_reference, tiny_twin

TWIN = tiny_twin()
PARAMS = Params.model_validate(
    {
        "twins": ["pump"],
        "prepare": {"test_share": 0.25, "folds": 2, "cuts": 2, "seed": 1},
        "tune": {"trials": 3, "windows": 10, "seed": 1},
        "train": {"windows": 10, "batch": 2, "level": 0.9, "confidence": 0.9, "seeds": [1]},
        "promote": {"allowed_loss": 0.02},
    }
)
HELD_OUT = 20  # machines, with one window each
MODES = np.array([[0, 1, -1], [0, 1, 1]], np.float32)  # of c1 and c2: what speaks for healthy, wear and leak
TRIALS = [
    {"number": 0, "state": "complete", "value": 0.5, "params": {"lr": 0.1}, "curve": [0.9, 0.5]},
    {"number": 1, "state": "pruned", "value": None, "params": {"lr": 0.2}, "curve": [1.5]},
    {"number": 2, "state": "fail", "value": None, "params": {"lr": 0.3}, "curve": []},
]
BEGAN = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
TIMES = [{"number": 0, "started": "2026-03-29T00:30:01+00:00", "ended": "2026-03-29T00:30:02.5+00:00", "seconds": 1.0}]
PLACES = {  # of artifacts, as MLflow's tables have them
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def measured(error: float) -> dict:
    """Figures as evaluation.json has them; those of the faults are not what the bundles say."""
    axes = {axis: {"macro_f1": 1 - error / 100, "accuracy": 0.9} for axis in TWIN.axes}
    rul = {"rmse": error, "phm08": 1.0, "rmse_late": 2.0}
    return {"rul": {"clipped": rul, "unclipped": rul}, "fault": axes}


def network(contract: Twin, seed: int, error: float) -> bytes:
    """The network of `tiny_network` whose RUL errs by `error` times the speed; the seed only makes it another file."""
    model = onnx.load_from_string(tiny_network(contract, seed))
    channels = len(contract.channels)
    weights = {"b_rul": np.array([50], np.float32), "decay": np.array(0, np.float32)}
    weights["w_rul"] = np.zeros((channels, 1), np.float32)
    weights["w_rul"][:3, 0] = error, 12, 12
    weights["w_mode"] = np.zeros((channels, 3), np.float32)
    weights["w_mode"][1:3] = MODES
    weights["w_bearing"] = np.zeros((channels, 2), np.float32)
    weights["w_bearing"][1, 1] = 1
    for initializer in model.graph.initializer:
        if initializer.name in weights:
            initializer.CopyFrom(numpy_helper.from_array(weights[initializer.name], initializer.name))
    model.producer_version = str(seed)
    return model.SerializeToString()


def machines(contract: Twin, names: list[str], seed: int, spread: float = 0) -> pd.DataFrame:
    """Eight hours of each machine, in which only noise of this spread changes; labels are those of the last hour."""
    generator = np.random.default_rng(seed)
    count = len(names)
    far = np.arange(count) % 10 == 9  # one in ten is led further astray than an interval reaches
    speed = np.where(far, np.sqrt(10 - 9 * 0.81), 0.9) * np.where(np.arange(count) // 2 % 2, 1, -1)
    c1, c2 = generator.normal(0, 0.8, (2, count))
    values = {"speed": speed, "c1": c1, "c2": c2} | dict.fromkeys(contract.channel_names[3:], 0 * c1)
    labels = {"rul": 50 + 12 * c1 + 12 * c2, "fault_mode": (np.stack([c1, c2], axis=1) @ MODES).argmax(axis=1)}
    labels |= {"fault_bearing": (c1 > 0).astype(int)}
    columns = {name: np.repeat(value, 8) for name, value in {**values, **labels}.items()}
    for name in contract.channel_names:
        columns[name] = columns[name] + generator.normal(0, spread, 8 * count)
    key = {"asset": np.repeat(names, 8), "run": 1, "time": np.tile(np.arange(1.0, 9), count)}
    return canonical(pd.DataFrame(key | columns), contract)


def baseline(rows: pd.DataFrame, error: float, wrong: int) -> Predictions:
    """A baseline whose RUL errs as a network's, and that takes some machines for sound."""
    last = rows.iloc[last_rows(rows)]
    rul = last["rul"].to_numpy(float) + error * last["speed"].to_numpy(float)
    faults = {axis: last[f"fault_{axis}"].to_numpy(np.int64) for axis in ("mode", "bearing")}
    for classes in faults.values():
        classes[np.flatnonzero(classes)[:wrong]] = 0
    return Predictions(rul.clip(0, 100), faults)


def _linked_code(source: str, target: str) -> None:
    """Copy a file; one of the package that lies, six hundred files strong, beside each model is linked."""
    if "/artifacts/code/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


class Project:
    """A project's folder as the stages leave it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root, "pump")

    def train(self, seed: int, error: float, contract: Twin = TWIN, reach: float = 1.1) -> str:
        """A candidate with this RUL error, where the baselines have 40 and 20 h; returns its digest.

        Its intervals reach `reach` times the error to both sides.
        """
        models = self.paths.models
        shutil.rmtree(models / "bundle", ignore_errors=True)
        (models / "bundle").mkdir(parents=True)
        self.paths.windows.mkdir(parents=True, exist_ok=True)
        ends = (reach * error, reach * error)
        calibration = RulIntervals(0.9, (0.0, 100.0), ends, ends)
        faults = {axis: FaultCalibration(0.25, 0.5, 0.9) for axis in contract.axes}
        onnx_file = network(contract, seed, error)
        digest = save_bundle(models / "bundle", contract, onnx_file, calibration, tiny_reference(contract), faults)
        self.paths.contract.write_text(json.dumps(contract.model_dump(mode="json")))
        held_out = [f"a{i}@{10 * i}" for i in range(HELD_OUT)]
        write_rows(machines(contract, held_out, 1), contract, self.paths.windows / "test.parquet")
        development = [f"d{i}" for i in range(4)]
        rows = machines(contract, development, 2, spread=0.01)
        write_rows(rows, contract, self.paths.windows / "development.parquet")
        splits = {f"a{i}": -1 for i in range(HELD_OUT)} | {name: i % 2 for i, name in enumerate(development)}
        (self.paths.windows / "splits.json").write_text(json.dumps(splits))
        data = {"development.parquet": "a" * 64, "test.parquet": "b" * 64}
        curves = [{"epoch": e, "windows": 10 * e, "train/loss": 1 / (e + 1), "val/loss": 2 / (e + 1)} for e in range(3)]
        training = {
            "twin": "pump",
            "params": {"windows": 10, "seed": seed},
            "choice": {"trunk": "gru", "lr": 0.1},
            "members": [{"fold": f, "curves": curves} for f in range(2)],
            "data": data,
            "contract": contract.digest,
            "bundle": digest,
            "environment": {"python": "3.11", "torch": "2"},
        }
        tuning = {"twin": "pump", "seed": 1, "windows": 10, "best": {"lr": 0.1}, "value": 0.5, "trials": TRIALS}
        self.write("training.json", training)
        self.write("tuning.json", tuning)
        self.tell_times()
        self.measure_candidate(error)
        return digest

    def tell_times(self) -> None:
        """What tuning and training leave of their times, and the commit, beside their records."""
        write_timings(self.paths.models / "tuning.json", "tune", BEGAN, {"trials": TIMES})
        parts = [{"candidate": "network", "seed": 1, "fold": fold, "seconds": 1.5} for fold in range(2)]
        spent = {"git": {"commit": "c" * 40, "dirty": False}, "seconds": 3.0, "parts": parts}
        write_timings(self.paths.models / "training.json", "train", BEGAN, spent)

    def measure_candidate(self, error: float) -> None:
        """What the stage evaluate writes."""
        digest = verify(self.paths.models / "bundle")
        self.evaluate()
        baselines = {"constant": measured(40), "linear": measured(20), "gradient_boosting": measured(9)}
        head = {"twin": "pump", "bundle": digest, "assets": HELD_OUT, "cuts": HELD_OUT, "unit": "h"}
        record = {**head, "network": measured(error), "baselines": baselines}
        self.write("evaluation.json", record)
        self.write("metrics.json", headlines(record))
        (self.paths.models / "plots").mkdir(exist_ok=True)
        (self.paths.models / "plots" / "rul.png").write_bytes(b"picture")
        (self.paths.models / "report.html").write_text("<p>report</p>")
        self.paths.validation.mkdir(exist_ok=True)
        (self.paths.validation / "report.html").write_text("<p>data</p>")

    def evaluate(self) -> None:
        """What the baselines say of the held-out rows; one has an RUL better than most candidates, and worse faults."""
        rows = pd.read_parquet(self.paths.windows / "test.parquet")
        said = {"constant": (40, 12), "linear": (20, 4), "gradient_boosting": (9, 3)}
        told = {name: baseline(rows, error, wrong) for name, (error, wrong) in said.items()}
        write_baselines(told, rows.iloc[last_rows(rows)], self.paths.models / "baselines.parquet")

    def write(self, name: str, record: dict) -> None:
        (self.paths.models / name).write_text(json.dumps(record))

    def promote(self, **forced: str) -> dict:
        """The stage promote."""
        return registry.promote(self.paths, PARAMS, predict, **forced)

    def package(self) -> None:
        """What the stage package leaves of the champion for DVC to keep."""
        champion = registry.champion(self.root, "pump")
        assert champion is not None
        folder = self.paths.models / "champion"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(champion.folder, folder / "bundle")
        (folder / "identity.json").write_text(json.dumps(champion.identity()))

    def again_at(self, root: Path) -> "Project":
        """The same project, with the same runs and versions, as if it had been made in that folder."""
        shutil.copytree(self.root, root, copy_function=_linked_code)
        with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
            for table, columns in PLACES.items():
                for column in columns:
                    change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - names from above
                    database.execute(change, (f"{self.root}/", f"{root}/"))
        for record in root.glob("mlartifacts/*/models/*/artifacts/MLmodel"):
            record.write_text(record.read_text().replace(f"{self.root}/", f"{root}/"))
        _artifact_repos_cache.clear()
        return Project(root)

    def copied_to(self, root: Path) -> "Project":
        """A copy of the folder, as another process sees it: MLflow remembers per process where artifacts were.

        The registry finds it in another place than it was made in, and makes its records anew, which takes seconds.
        """
        shutil.copytree(self.root, root, copy_function=_linked_code)
        _artifact_repos_cache.clear()
        tracking_store.connect_mlflow(root)
        return Project(root)

    @property
    def client(self) -> MlflowClient:
        return tracking_store.connect_mlflow(self.root)

    @property
    def experiment(self) -> str:
        return self.client.get_experiment_by_name("foretwin-pump").experiment_id

    def runs(self, kind: str) -> list:
        return list(self.client.search_runs([self.experiment], f"tags.`foretwin.kind` = '{kind}'"))

    def versions(self) -> dict[str, dict[str, str]]:
        found = self.client.search_model_versions("name = 'foretwin-pump'")
        return {str(version.version): version.tags for version in found}

    def counts(self) -> tuple[int, int, int]:
        models = self.client.search_logged_models([self.experiment])
        return len(self.client.search_runs([self.experiment])), len(self.versions()), len(models)


@pytest.fixture(scope="session")
def empty_store(shared: Callable[..., Path]) -> Path:
    """An mlflow.db with its schema, which takes seconds to make."""

    def make(folder: Path) -> None:
        tracking_store.connect_mlflow(folder).search_experiments()

    return shared("store", make) / "mlflow.db"


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def make_project(tmp_path: Path, empty_store: Path, own_store: None) -> Callable[[str], Project]:
    def make(name: str) -> Project:
        root = tmp_path / name
        root.mkdir()
        shutil.copy(empty_store, root / "mlflow.db")
        return Project(root)

    return make


@pytest.fixture
def project(make_project: Callable[[str], Project]) -> Project:
    return make_project("project")


@pytest.fixture(scope="session")
def first_champion(shared: Callable[..., Path], empty_store: Path) -> Project:
    """A project whose first candidate, with an RUL error of 10 h, became champion; tests copy it."""

    def make(folder: Path) -> None:
        first = Project(folder)
        shutil.copy(empty_store, folder / "mlflow.db")
        first.train(1, 10)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            first.promote()

    return Project(shared("first", make))


@pytest.fixture
def promoted(tmp_path: Path, first_champion: Project, own_store: None) -> Project:
    return first_champion.again_at(tmp_path / "promoted")
