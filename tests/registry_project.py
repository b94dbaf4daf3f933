"""A project as the stages leave it, with a real MLflow store on SQLite and bundles that need no training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

from foretwin import registry
from foretwin.bundle import verify
from foretwin.config import Params, Paths
from foretwin.contract import Twin
from foretwin.registry import store
from foretwin.rows import write_rows

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
TRIALS = [
    {"number": 0, "state": "complete", "value": 0.5, "params": {"lr": 0.1}, "seconds": 1.0, "curve": [0.9, 0.5]},
    {"number": 1, "state": "pruned", "value": None, "params": {"lr": 0.2}, "seconds": None, "curve": [1.5]},
    {"number": 2, "state": "fail", "value": None, "params": {"lr": 0.3}, "seconds": None, "curve": []},
]


def measured(error: float) -> dict:
    """Figures of a network with this RUL error, and a macro-F1 that falls as the error grows."""
    axes = {axis: {"macro_f1": 1 - error / 100, "accuracy": 0.9} for axis in TWIN.axes}
    return {"rul": {"clipped": {"rmse": error, "phm08": 1.0, "rmse_late": 2.0}}, "fault": axes}


class Project:
    """A project's folder as the stages leave it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root, "pump")
        self.errors: dict[str, float] = {}  # bundle digest -> what `measure` answers

    def train(self, seed: int, error: float, contract: Twin = TWIN) -> str:
        """A candidate with this RUL error, where the baselines have 40 and 20 h; returns its digest."""
        models = self.paths.models
        shutil.rmtree(models / "bundle", ignore_errors=True)
        (models / "bundle").mkdir(parents=True)
        self.paths.windows.mkdir(parents=True, exist_ok=True)
        digest = save_tiny_bundle(models / "bundle", contract, seed)
        rows = random_rows(contract, {f"a@{i}": 8 for i in range(3)}).assign(rul=30.0, fault_mode=1, fault_bearing=0)
        write_rows(rows, contract, self.paths.windows / "test.parquet")
        data = {"development.parquet": "a" * 64, "test.parquet": "b" * 64}
        curves = [{"epoch": e, "windows": 10 * e, "train/loss": 1 / (e + 1), "val/loss": 2 / (e + 1)} for e in range(3)]
        training = {
            "twin": "pump",
            "params": {"windows": 10, "seed": seed},
            "choice": {"trunk": "gru", "lr": 0.1},
            "members": [{"fold": f, "seconds": 1.5, "curves": curves} for f in range(2)],
            "data": data,
            "contract": contract.digest,
            "bundle": digest,
            "git": {"commit": "c" * 40, "dirty": False},
            "environment": {"python": "3.11", "torch": "2"},
            "seconds": 3.0,
        }
        tuning = {"twin": "pump", "seed": 1, "windows": 10, "best": {"lr": 0.1}, "value": 0.5, "trials": TRIALS}
        self.write("training.json", training)
        self.write("tuning.json", tuning)
        self.measure_candidate(error)
        return digest

    def measure_candidate(self, error: float) -> None:
        """What the stage evaluate writes."""
        digest = verify(self.paths.models / "bundle")
        self.errors[digest] = error
        baselines = {"constant": measured(40), "linear": measured(20), "gradient_boosting": measured(9)}
        head = {"twin": "pump", "bundle": digest, "assets": 3, "cuts": 6, "unit": "h"}
        self.write("metrics.json", {**head, "network": measured(error), "baselines": baselines})
        (self.paths.models / "plots").mkdir(exist_ok=True)
        (self.paths.models / "plots" / "rul.png").write_bytes(b"picture")
        (self.paths.models / "report.html").write_text("<p>report</p>")
        self.paths.validation.mkdir(exist_ok=True)
        (self.paths.validation / "report.html").write_text("<p>data</p>")

    def write(self, name: str, record: dict) -> None:
        (self.paths.models / name).write_text(json.dumps(record))

    def promote(self) -> dict:
        """The stage promote."""
        verdict = registry.promote(self.paths, PARAMS, lambda bundle, rows: measured(self.errors[bundle.digest]))
        self.write("promotion.json", verdict)
        return verdict

    def package(self) -> None:
        """What the stage package leaves of the champion for DVC to keep."""
        champion = registry.champion(self.root, "pump")
        assert champion is not None
        folder = self.paths.models / "champion"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(champion.folder, folder / "bundle")
        (folder / "identity.json").write_text(json.dumps(champion.identity()))

    def copied_to(self, root: Path) -> "Project":
        """A copy of the folder, as another process sees it: MLflow remembers per process where artifacts were."""
        shutil.copytree(self.root, root)
        _artifact_repos_cache.clear()
        copy = Project(root)
        copy.errors = dict(self.errors)
        store.connect(root)
        return copy

    @property
    def client(self) -> MlflowClient:
        return store.connect(self.root)

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
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mlflow.db with its schema, which takes seconds to make."""
    root = tmp_path_factory.mktemp("store")
    store.connect(root).search_experiments()
    return root / "mlflow.db"


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
def first_champion(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Project:
    """A project whose first candidate, with an RUL error of 10 h, became champion; tests copy it."""
    first = Project(tmp_path_factory.mktemp("first"))
    shutil.copy(empty_store, first.root / "mlflow.db")
    first.train(1, 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        first.promote()
    return first


@pytest.fixture
def promoted(tmp_path: Path, first_champion: Project, own_store: None) -> Project:
    return first_champion.copied_to(tmp_path / "promoted")
