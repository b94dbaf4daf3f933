"""The contracts of a project: which machine types its twins may be of."""

from pathlib import Path

from foretwin.contract import Twin, load_twin


def load_contracts(root: Path) -> dict[str, Twin]:
    """Twin's name -> contract, of every data/*/twin.yaml in name order; ContractError at the first that is wrong."""
    contracts = [load_twin(path) for path in sorted(root.glob("data/*/twin.yaml"))]
    return {contract.name: contract for contract in contracts}
