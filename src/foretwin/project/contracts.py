"""The contracts of a project: which machine types its twins may be of."""

from pathlib import Path

from foretwin.contract.twin import Twin, load_twin
from foretwin.project.paths import Paths


def load_contracts(root: Path) -> dict[str, Twin]:
    """Twin's name -> contract, of every data/*/twin.yaml in name order; ContractError at the first that is wrong."""
    contracts = [load_twin(path) for path in sorted(root.glob("data/*/twin.yaml"))]
    return {contract.name: contract for contract in contracts}


def policy_of(root: Path, trained: Twin) -> Twin:
    """The twin's contract as the project has it now, where a model trained under `trained` still answers it; else that.

    So another case policy, lead time or instruction counts at once, without training anew. ContractError where the
    file is wrong.
    """
    path = Paths(root, trained.name).contract
    now = load_twin(path) if path.exists() else trained
    return now if _asked(now) == _asked(trained) else trained


def _asked(contract: Twin) -> tuple[object, ...]:
    """What a model's answers are about."""
    classes = {axis: contract.classes(axis) for axis in contract.axes}
    return contract.channel_names, classes, contract.clock.unit, contract.rul and contract.rul.cap
