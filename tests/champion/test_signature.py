"""Once signers are trusted, a bundle that none of them signed is not served; the private key goes nowhere."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from foretwin.champion.champion import kept_champions, load_champion
from foretwin.champion.signature import SIGNATURE, SIGNERS, signature_path
from foretwin.errors import BundleError, ParamsError
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.serving.packaging.bento import stage_bento
from foretwin.twin.store import open_store
from support.commands import refusal, shown
from support.live_project import living_project


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The current folder: a project with champions."""
    root = living_project(tmp_path / "plant")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def trusted(project, tmp_path, monkeypatch) -> Path:
    """A private key beside the project; its public key is trusted."""
    key = tmp_path / "signing.pem"
    monkeypatch.setenv(SIGNERS, shown("sign", "key", str(key)))
    return key


def champion_folder(project: Path) -> Path:
    return Paths(project, "pump").models / "champion"


def test_a_champion_is_served_once_a_trusted_key_has_signed_it(project, trusted):
    digest = verify(champion_folder(project) / "bundle")
    with pytest.raises(BundleError, match="is not signed"):
        load_champion(project, "pump")
    assert f"signed champion: {digest}" in shown("sign", "bundle", "pump", "--key", str(trusted))
    assert load_champion(project, "pump").bundle.digest == digest, "a signature changes no digest"
    assert signature_path(Paths(project, "pump"), digest).is_file()


def test_a_foreign_signature_is_refused(project, trusted, tmp_path):
    foreign = tmp_path / "foreign.pem"
    shown("sign", "key", str(foreign))
    shown("sign", "bundle", "pump", "--key", str(foreign))
    with pytest.raises(BundleError, match=f"which {SIGNERS} does not name"):
        load_champion(project, "pump")


@pytest.mark.parametrize("change", ["another bundle's", "another key's name", "no base64", "no JSON"])
def test_a_signature_that_does_not_fit_is_refused(project, trusted, change):
    shown("sign", "bundle", "pump", "--key", str(trusted))
    shown("sign", "bundle", "fan", "--key", str(trusted))
    path = champion_folder(project) / SIGNATURE
    content = json.loads(path.read_text())
    of_fan = json.loads((Paths(project, "fan").models / "champion" / SIGNATURE).read_text())
    if change == "another bundle's":
        content = {**of_fan, "bundle": content["bundle"]}
    elif change == "another key's name":
        content["key"] = "A" * 43 + "="
    elif change == "no base64":
        content["signature"] = "?"
    path.write_text("{" if change == "no JSON" else json.dumps(content))
    with pytest.raises(BundleError, match="signature"):
        load_champion(project, "pump")


def test_without_trusted_signers_nobody_needs_a_signature(project):
    load_champion(project, "pump")


def test_a_list_of_signers_with_a_slip_is_refused(project, monkeypatch):
    monkeypatch.setenv(SIGNERS, "c2hvcnQ=")
    with pytest.raises(ParamsError, match="is no public key"):
        load_champion(project, "pump")


def test_a_private_key_in_the_project_is_refused(project, trusted):
    assert "lies in the project" in refusal("sign", "key", "signing.pem")
    inside = project / "models" / "signing.pem"
    inside.write_bytes(trusted.read_bytes())
    inside.chmod(0o600)
    assert "lies in the project" in refusal("sign", "bundle", "pump", "--key", str(inside))


def test_a_private_key_that_everybody_may_read_is_refused(project, trusted):
    assert trusted.stat().st_mode & 0o777 == 0o600
    trusted.chmod(0o644)
    assert "everybody on this machine may read it" in refusal("sign", "bundle", "pump", "--key", str(trusted))


def test_neither_bento_nor_backup_takes_a_private_key_with_it(project, trusted, tmp_path):
    shown("sign", "bundle", "pump", "--key", str(trusted))
    (project / "signing.pem").write_bytes(trusted.read_bytes())  # in spite of all
    context = tmp_path / "context"
    context.mkdir()
    stage_bento(project, context, kept_champions(project))
    packed = [path.read_bytes() for folder in (context, champion_folder(project)) for path in folder.rglob("*.*")
              if path.is_file()]  # fmt: skip
    assert len(packed) > 20
    open_store("sqlite:///twins.db").close()
    shown("backup", "../plant.zip")
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        names = archive.namelist()
        packed += [archive.read(name) for name in names]
    assert f"project/models/pump/champion/{SIGNATURE}" in names
    secret = trusted.read_bytes().splitlines()[1]
    assert not any(secret in content for content in packed)
    assert os.environ[SIGNERS].encode() in (champion_folder(project) / SIGNATURE).read_bytes()
