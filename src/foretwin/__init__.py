"""Foretwin: a digital twin of every machine, with its remaining useful life and its faults.

The names of `__all__` are the Python API; docs/api.md describes them. They are imported when they are first used, so
that `import foretwin` loads neither numpy nor pandas nor torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {  # name -> the module that defines it; __init__.pyi shows the same names to type checkers
    "AsyncClient": "foretwin.client.clients",
    "Bundle": "foretwin.predictor.bundle",
    "Champion": "foretwin.champion.champion",
    "Client": "foretwin.client.clients",
    "Store": "foretwin.twin.store",
    "Twin": "foretwin.contract.twin",
    "evaluate": "foretwin.api.evaluation",
    "hold_out": "foretwin.api.datasets",
    "load_bundle": "foretwin.api.bundles",
    "load_champion": "foretwin.champion.champion",
    "load_contract": "foretwin.api.contract_files",
    "load_dataset": "foretwin.api.datasets",
    "open_store": "foretwin.twin.store",
    "score_run": "foretwin.api.evaluation",
    "train": "foretwin.api.training",
}

__all__ = ["__version__", "errors", *_HOMES]  # noqa: PLE0604 - the names of a dict are strings


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("foretwin.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'foretwin' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
