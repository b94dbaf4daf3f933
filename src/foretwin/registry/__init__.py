"""MLflow runs, versions, the champion and its ledger. Nothing else imports MLflow (`pyfunc.py` is run by it).

Every function may be called again: a run is keyed by the digest of its record, a version by the digest of its bundle,
and what is there already is used. They raise RegistryError where a record or a model is missing or refused.

What is named here is imported when it is first asked for: `published` needs none of it, and is looked at after every
`dvc repro`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretwin.registry.locations import tracking_uri
    from foretwin.registry.promotion import promote
    from foretwin.registry.restore import publish
    from foretwin.registry.runs import publish_evaluation, publish_training
    from foretwin.registry.versions import RegisteredChampion, champion, register, set_champion

__all__ = [
    "RegisteredChampion",
    "champion",
    "promote",
    "publish",
    "publish_evaluation",
    "publish_training",
    "register",
    "set_champion",
    "tracking_uri",
]

_MODULES = {
    "Champion": "versions",
    "champion": "versions",
    "promote": "promotion",
    "publish": "restore",
    "publish_evaluation": "runs",
    "publish_training": "runs",
    "register": "versions",
    "set_champion": "versions",
    "tracking_uri": "locations",
}


def __getattr__(name: str) -> Any:
    """A function of this package, imported when it is first asked for: `published` alone needs no pandas."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
