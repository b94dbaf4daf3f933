"""Load a contract from its file."""

from pathlib import Path

from foretwin.contract.twin import Twin, load_twin


def load_contract(path: Path | str) -> Twin:
    """Read and check a contract, `twin.yaml`; ContractError names the file, the line and the field.

    >>> contract = foretwin.load_contract("data/pump/twin.yaml")
    >>> contract.title, contract.rul.cap, contract.clock.unit
    ('Centrifugal pump', 125.0, 'h')
    >>> contract.channel_names[:3]
    ('commanded_speed', 'ambient_temperature', 'speed')
    >>> contract.classes("mode")
    ('none', 'impeller_wear', 'thrust_bearing', 'radial_bearing')
    """
    return load_twin(Path(path))
