"""Runs, versions, the champion and its ledger in MLflow. Nothing else imports mlflow (`pyfunc.py` is run by it).

Every function may be called again: a run is keyed by the digest of its record, a version by the digest of its bundle,
and what is there already is used. They raise RegistryError where a record or a model is missing or refused.
"""

from foretwin.registry.locations import tracking_uri
from foretwin.registry.promotion import promote
from foretwin.registry.restore import publish
from foretwin.registry.runs import publish_evaluation, publish_training
from foretwin.registry.versions import Champion, champion, register, set_champion

__all__ = [
    "Champion",
    "champion",
    "promote",
    "publish",
    "publish_evaluation",
    "publish_training",
    "register",
    "set_champion",
    "tracking_uri",
]
