"""Contracts of a project, one per twin."""

from pathlib import Path

from foretwin.contract.twin import Twin, load_twin
from foretwin.project.paths import Paths


def load_contracts(root: Path) -> dict[str, Twin]:
    """Load every data/*/twin.yaml, by the twin's name in order; ContractError at the first invalid one."""
    contracts = [load_twin(path) for path in sorted(root.glob("data/*/twin.yaml"))]
    return {contract.name: contract for contract in contracts}


def policy_of(root: Path, trained: Twin) -> Twin:
    """Return the project's current contract where it is compatible with a model trained under `trained`; else that.

    So a changed case policy, lead time or instruction takes effect at once, without training. ContractError where the
    file is invalid.
    """
    path = Paths(root, trained.name).contract
    now = load_twin(path) if path.exists() else trained
    return now if _asked(now) == _asked(trained) else trained


def _asked(contract: Twin) -> tuple[object, ...]:
    """Return the parts of a contract that a model's inputs and outputs depend on."""
    classes = {axis: contract.classes(axis) for axis in contract.axes}
    return contract.channel_names, classes, contract.clock.unit, contract.rul and contract.rul.cap
