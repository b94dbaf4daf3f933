"""Registered versions of a twin's model, and the champion among them.

A version is keyed by its bundle's digest. Its model is `Bundle.score` as MLflow loads it (`pyfunc.py`), with the
bundle, the package's code and a signature from the contract; none of it is pickled.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import foretwin
from foretwin.contract.twin import Twin
from foretwin.dataset.table import KEY, read_rows
from foretwin.errors import BundleError, RegistryError, RowsError
from foretwin.predictor.bundle import probability_column, verify
from foretwin.predictor.failure_chances import failure_column
from foretwin.predictor.health.health_state import INDEX, STATE
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.registry.locations import ALIAS, BUNDLE, FIRST_RUN, MODEL, model_name
from foretwin.registry.tracking_store import connect_mlflow, experiment, mlflow_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CONTRACT, GATE = "foretwin.contract", "foretwin.gate"
REQUIREMENTS = ("numpy", "onnxruntime", "pandas", "pyarrow", "pydantic", "pyyaml")


@dataclass(frozen=True)
class RegisteredChampion:
    """The version that serves; `digest` is its bundle's, `folder` a local and verified copy of the bundle.

    `first_run` is the id that its run had in the store where it was made first, and `run` the one that it has here.
    """

    name: str
    version: str
    run: str
    digest: str
    folder: Path
    first_run: str

    def identity(self) -> dict[str, str]:
        """Return its identity for records and answers, which is the same in every store that it is restored in."""
        return {"name": self.name, "version": self.version, "run": self.first_run, "digest": self.digest}


@mlflow_errors()
def champion(root: Path, twin: str) -> RegisteredChampion | None:
    """Return the twin's champion, or None where there is none.

    RegistryError where its bundle is gone or is not the registered one.
    """
    return current(connect_mlflow(root), root, twin)


def current(client: "MlflowClient", root: Path, twin: str) -> RegisteredChampion | None:
    """Return the champion as `champion` does; MLflow's own errors are passed on, not taken for a lost bundle."""
    version = aliased(client, twin)
    if version is None:
        return None
    return as_champion(twin, version, bundle_folder(client, root, twin, version))


def as_champion(twin: str, version: Any, folder: Path) -> RegisteredChampion:
    """Return the version whose bundle lies in `folder` as the champion that it is, or was."""
    run = str(version.run_id)
    first = version.tags.get(FIRST_RUN, run)
    return RegisteredChampion(model_name(twin), str(version.version), run, version.tags[BUNDLE], folder, first)


@mlflow_errors()
def set_champion(root: Path, twin: str, version: str) -> None:
    """Move the alias `champion` to this version; RegistryError where there is no such version."""
    connect_mlflow(root).set_registered_model_alias(model_name(twin), ALIAS, version)


@mlflow_errors()
def register(paths: Paths, run: str, bundle: Path | None = None, wanted: int = 0) -> str:
    """Return the version of this bundle (models/<twin>/bundle), registered by `run` if there is none yet.

    A new version takes the number `wanted` if that is still free, so that a restored registry agrees with the records
    that name its versions. RegistryError for a model without a signature.
    """
    folder = bundle or paths.models / "bundle"
    digest = verify(folder)
    client = connect_mlflow(paths.root)
    found = version_of(client, paths.twin, digest)
    if found is not None:
        _put_back(client, paths, found, folder)
        return str(found.version)
    experiment_id = experiment(client, paths.root, paths.twin)
    contract = Twin.model_validate_json((folder / "contract.json").read_bytes())
    model = client.create_logged_model(experiment_id, model_name(paths.twin), run)
    _upload(client, paths, model, folder)
    client.finalize_logged_model(model.model_id, "READY")
    tags = {BUNDLE: digest, CONTRACT: contract.digest, GATE: "undecided", MODEL: model.model_id}
    version = _create_version(client, paths.twin, model, tags, wanted)
    client.set_logged_model_tags(model.model_id, {BUNDLE: digest, "foretwin.version": version})
    return version


def version_of(client: "MlflowClient", twin: str, digest: str) -> Any | None:
    """Return MLflow's record of the version with this bundle, or None; the oldest of several."""
    query = f"name = '{model_name(twin)}' AND tags.`{BUNDLE}` = '{digest}'"
    return min(client.search_model_versions(query), key=lambda found: int(found.version), default=None)


def numbered(client: "MlflowClient", twin: str) -> dict[str, Any]:
    """Return MLflow's records of the twin's versions by number, in order."""
    found = client.search_model_versions(f"name = '{model_name(twin)}'")
    return {str(one.version): one for one in sorted(found, key=lambda one: int(one.version))}


def bundle_folder(client: "MlflowClient", root: Path, twin: str, version: Any) -> Path:
    """Return the version's bundle on this machine, downloaded if necessary; RegistryError unless it is intact."""
    digest = version.tags.get(BUNDLE, "")
    label = f"{model_name(twin)} version {version.version}"
    try:
        folder = _local_bundle(client, root, twin, version)
        if verify(folder) != digest:
            raise BundleError(f"{folder}: is another bundle than the registered one, {digest[:12]}")
    except (BundleError, OSError) as error:
        raise RegistryError(f"{label}: {error}; `foretwin publish` restores what `dvc pull` brings back") from None
    return folder


def registered(root: Path, twin: str) -> Iterator[dict[str, str]]:
    """Return name, version, run and bundle digest of each registered version; others' are left out."""
    with mlflow_errors():
        for version in connect_mlflow(root).search_model_versions(f"name = '{model_name(twin)}'"):
            if BUNDLE in version.tags:
                identity = {"name": version.name, "version": str(version.version), "run": version.run_id}
                yield identity | {"digest": version.tags[BUNDLE]}


def signature(contract: Twin) -> "ModelSignature":
    """Return the columns that `Bundle.score` takes and returns, in MLflow's types.

    Channels are doubles, so that both float32 and float64 are accepted; the bundle itself computes in float32. Those
    that hold words are text.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    key = [ColSpec(DataType.string, "asset"), ColSpec(DataType.long, "run"), ColSpec(DataType.double, "time")]
    named = contract.channels.items()
    channels = [
        ColSpec(DataType.string if channel.categories else DataType.double, name, required=not channel.may_be_missing)
        for name, channel in named
    ]
    answers = [ColSpec(DataType.long, "rows")]
    if contract.rul:
        chances = map(failure_column, contract.rul.horizons)
        answers += [ColSpec(DataType.double, name) for name in ("rul", "rul_low", "rul_high", *chances)]
    for axis in contract.axes:
        probabilities = [probability_column(axis, name) for name in contract.classes(axis)]
        answers += [ColSpec(DataType.string, axis), *(ColSpec(DataType.double, name) for name in probabilities)]
    if contract.health is not None:
        answers += [ColSpec(DataType.double, INDEX), ColSpec(DataType.string, STATE)]
    warnings = ColSpec(Array(DataType.string), "warnings")
    return ModelSignature(inputs=Schema([*key, *channels]), outputs=Schema([*key, *answers, warnings]))


def aliased(client: "MlflowClient", twin: str) -> Any | None:
    """Return MLflow's record of the champion's version, with its tags; None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name(twin), ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _local_bundle(client: "MlflowClient", root: Path, twin: str, version: Any) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    uri = client.get_model_version_download_uri(model_name(twin), version.version)
    if is_local_uri(uri):
        return Path(local_file_uri_to_path(uri)) / "artifacts" / "bundle"
    kept = Paths(root, twin).work / "champion" / str(version.tags[BUNDLE])
    if not _is_bundle(kept, version.tags[BUNDLE]):
        with fresh(kept) as out:
            place = download_artifacts(f"{uri}/artifacts/bundle", dst_path=str(out), tracking_uri=client.tracking_uri)
            for path in sorted(Path(place).iterdir()):
                path.replace(out / path.name)
            Path(place).rmdir()
    return kept


def _is_bundle(folder: Path, digest: str) -> bool:
    try:
        return verify(folder) == digest
    except BundleError:  # absent, or damaged on this machine
        return False


def _create_version(client: "MlflowClient", twin: str, model: Any, tags: dict[str, str], wanted: int) -> str:
    """Create the version; numbers below `wanted` are used up by versions that are deleted at once."""
    from mlflow.exceptions import MlflowException

    name = model_name(twin)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    while True:
        found = client.create_model_version(
            name, model.artifact_location, model.source_run_id, tags=tags, model_id=model.model_id
        )
        if int(found.version) >= wanted:
            return str(found.version)
        client.delete_model_version(name, found.version)


def _put_back(client: "MlflowClient", paths: Paths, version: Any, folder: Path) -> None:
    """Upload a version's model again, where its artifacts have vanished."""
    try:
        bundle_folder(client, paths.root, paths.twin, version)
    except RegistryError:
        _upload(client, paths, client.get_logged_model(version.tags[MODEL]), folder)


def _upload(client: "MlflowClient", paths: Paths, model: Any, folder: Path) -> None:
    """Build the MLflow model around a bundle and upload it as the artifacts of `model`."""
    from mlflow import pyfunc
    from mlflow.models import Model

    contract = Twin.model_validate_json((folder / "contract.json").read_bytes())
    package = Path(foretwin.__file__).parent
    record = Model(model.artifact_location, model.source_run_id, model_id=model.model_id)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "model"
        pyfunc.save_model(
            path=out,
            python_model=str(package / "registry" / "pyfunc.py"),
            artifacts={"bundle": str(folder)},
            code_paths=[str(package)],
            signature=signature(contract),
            input_example=_example(paths, contract),
            pip_requirements=[f"{name}=={installed_version(name)}" for name in REQUIREMENTS],
            mlflow_model=record,
        )
        written = Model.load(out).signature
        if written is None or written.inputs is None or written.outputs is None:
            raise RegistryError(f"{model_name(paths.twin)}: the model has no signature, so it is not registered")
        client.log_model_artifacts(model.model_id, str(out))


def _example(paths: Paths, contract: Twin) -> pd.DataFrame | None:
    """Return the rows of the first held-out cut, as a caller would send them; None where there are none."""
    try:
        rows = read_rows(paths.windows / "test.parquet", contract)
    except RowsError:
        return None
    first = rows[rows["asset"] == rows["asset"].iat[0]]
    sent = first[[*KEY, *contract.channel_names]].astype(dict.fromkeys(contract.channel_names, "float64"))
    for name, channel in contract.channels.items():
        if channel.categories:
            sent[name] = sent[name].map(channel.cell, na_action="ignore")
    return sent
