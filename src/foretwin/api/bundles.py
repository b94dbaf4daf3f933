"""Load a bundle from its folder or from MLflow."""

import re
from pathlib import Path

from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle

REGISTERED = re.compile(r"models:/foretwin-(?P<twin>[a-z0-9-]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")


def load_bundle(source: Path | str, root: Path | str = ".", threads: int = 1) -> Bundle:
    """Load a bundle from its folder, or a registered version by its MLflow URI, and verify its files.

    A URI is `models:/foretwin-<twin>@<alias>` or `models:/foretwin-<twin>/<version>`; it is looked up in the tracking
    store of the project's folder `root`, or in the one that MLFLOW_TRACKING_URI names. `threads` is how many of them
    one score may use. BundleError where a file is missing or altered, RegistryError where there is no such version.

    >>> bundle = foretwin.load_bundle("models/pump/champion/bundle")
    >>> rows = foretwin.load_dataset("pump", assets=2)
    >>> bundle.score(rows)[["asset", "time", "rul", "mode"]]
       asset   time  rul  mode
    0  P-001  ...
    1  P-002  ...
    """
    found = REGISTERED.fullmatch(str(source))
    if found:
        return Bundle.load(_registered(Path(root), found["twin"], found["alias"], found["version"]), threads)
    if isinstance(source, str) and re.match(r"[a-z][a-z0-9+.-]+:/", source):
        raise BadInput("source", f"{source} is neither a folder nor models:/foretwin-<twin>@<alias> or .../<version>")
    return Bundle.load(source, threads)


def _registered(root: Path, twin: str, alias: str | None, number: str | None) -> Path:
    """Return the verified folder of a registered version's bundle, by its alias or its number."""
    from foretwin.registry.locations import model_name  # MLflow takes two seconds to import
    from foretwin.registry.tracking_store import connect_mlflow, mlflow_errors
    from foretwin.registry.versions import bundle_folder

    name = model_name(twin)
    with mlflow_errors():
        client = connect_mlflow(root)
        by_alias = alias is not None
        version = client.get_model_version_by_alias(name, alias) if by_alias else client.get_model_version(name, number)
        return bundle_folder(client, root, twin, version)
