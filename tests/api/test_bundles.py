"""Bundles from a folder and from MLflow, the champion of a project, and one line for each."""

import shutil

import pytest

import foretwin
from foretwin.errors import BadInput, BundleError, RegistryError
from support.registry_project import empty_store, first_champion  # noqa: F401  # fixtures
from support.tiny_bundle import keep_tiny_champion, save_tiny_bundle, tiny_twin


@pytest.fixture
def registry_root(first_champion, tmp_path, monkeypatch):  # noqa: F811
    """A project whose registry has one version, the champion."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(first_champion.root, tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("uri", ["models:/foretwin-pump@champion", "models:/foretwin-pump/1"])
def test_a_registered_version_is_loaded_by_its_uri(uri, registry_root):
    registered = foretwin.load_bundle(uri, str(registry_root))
    assert registered.digest == foretwin.load_bundle(registry_root / "models" / "pump" / "bundle").digest


@pytest.mark.parametrize("uri", ["models:/foretwin-pump@nobody", "models:/foretwin-pump/9", "models:/foretwin-fan/1"])
def test_a_version_that_is_not_registered_is_a_registry_error(uri, registry_root):
    with pytest.raises(RegistryError):
        foretwin.load_bundle(uri, registry_root)


@pytest.mark.parametrize("uri", ["runs:/abc/model", "models:/pump@champion", "s3://bucket/bundle"])
def test_other_addresses_are_refused_with_what_is_possible(uri, tmp_path):
    with pytest.raises(BadInput, match="models:/foretwin-<twin>@<alias>"):
        foretwin.load_bundle(uri, tmp_path)


def test_a_bundle_shows_itself_in_one_line(tmp_path):
    (tmp_path / "b").mkdir()
    digest = save_tiny_bundle(tmp_path / "b", tiny_twin())
    shown = repr(foretwin.load_bundle(str(tmp_path / "b")))
    assert shown == f"<Bundle of pump: rul, mode, bearing from 3 channels, digest {digest[:12]}>"
    with pytest.raises(BundleError):
        foretwin.load_bundle(str(tmp_path / "nothing"))


def test_the_champion_of_a_folder_given_as_text(tmp_path):
    keep_tiny_champion(tmp_path, tiny_twin())
    champion = foretwin.load_champion(str(tmp_path), "pump")
    assert champion.identity.version == "3"
    assert "\n" not in repr(champion)
    with pytest.raises(RegistryError, match="has no champion"):
        foretwin.load_champion(str(tmp_path), "fan")
