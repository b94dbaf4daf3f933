"""Paths of a twin's files in the project folder."""

from dataclasses import dataclass
from pathlib import Path

from foretwin.contract.twin import Twin, load_twin
from foretwin.project.json import evaluation_file
from foretwin.project.settings import read_setting


def datasets_folder() -> Path | None:
    """Return the folder of official archives, `FORETWIN_DATASETS`, if it is set."""
    value = read_setting("FORETWIN_DATASETS")
    return Path(value).resolve() if value else None


@dataclass(frozen=True)
class Paths:
    """Paths of one twin's files, under the project folder `root`."""

    root: Path
    twin: str

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def contract(self) -> Path:
        return self.data / "twin.yaml"

    @property
    def data(self) -> Path:
        return self.root / "data" / self.twin

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def rows(self) -> Path:
        return self.data / "rows"

    @property
    def validation(self) -> Path:
        return self.data / "validation"

    @property
    def windows(self) -> Path:
        return self.data / "windows"

    @property
    def models(self) -> Path:
        return self.root / "models" / self.twin

    @property
    def evaluation(self) -> Path:
        """Return the record of all that the stage `evaluate` measured."""
        return evaluation_file(self.models)

    @property
    def ledger(self) -> Path:
        """Return the ledger of decisions about champions; not the output of a stage, and only appended to."""
        return self.models / "ledger.jsonl"

    @property
    def work(self) -> Path:
        """Return the work folder kept between runs: checkpoints, the Optuna journal, unfinished downloads."""
        return self.root / ".foretwin" / self.twin

    def load_contract(self) -> Twin:
        """Load the twin's contract."""
        return load_twin(self.contract)
