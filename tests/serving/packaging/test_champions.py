"""The champions of a Bento, found without BentoML."""

import shutil

import pytest

from foretwin.errors import BundleError, Conflict
from foretwin.serving.packaging.champions import packaged_champions
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.following import load_first
from foretwin.serving.scoring.metrics import Metrics
from support.tiny_bundle import keep_tiny_champion, tiny_twin


@pytest.fixture
def champion(tmp_path):
    """The folder of a kept champion, version 3 of the pump."""
    return keep_tiny_champion(tmp_path, tiny_twin()).parent


def bento_in_a_store(store, *champions):
    """A Bento as BentoML's store holds it, as far as it is read here."""
    bento = store / "bentos" / "foretwin" / "abc"
    bento.mkdir(parents=True)
    tags = []
    for champion in champions:
        name, version = f"foretwin-{champion.parent.name}", "3-0123456789abcdef"
        shutil.copytree(champion, store / "models" / name / version)
        tags.append(f"- tag: {name}:{version}\n  module: ''\n")
    (bento / "bento.yaml").write_text("service: s\nname: foretwin\nmodels:\n" + "".join(tags))
    return bento


def test_the_champions_of_a_bento_lie_in_the_store_or_in_itself(champion, tmp_path):
    bento = bento_in_a_store(tmp_path / "store", champion)
    (found,) = packaged_champions(bento)
    assert found == tmp_path / "store" / "models" / "foretwin-pump" / "3-0123456789abcdef"
    exported = tmp_path / "exported"
    shutil.copytree(bento, exported)
    shutil.copytree(tmp_path / "store" / "models", exported / "models")
    (own,) = packaged_champions(exported)
    assert own.is_relative_to(exported)
    champions = Champions()
    load_first(champions, [own], Metrics())
    assert champions.get("pump").identity.version == "3"


def test_a_damaged_model_of_a_bento_is_told_by_its_twin(champion, tmp_path, caplog):
    (champion / "bundle" / "network.onnx").write_bytes(b"")
    bento = bento_in_a_store(tmp_path / "store", champion)
    champions = Champions()
    load_first(champions, packaged_champions(bento), Metrics())
    with pytest.raises(Conflict, match="the champion of pump was refused"):
        champions.get("pump")
    assert "network.onnx: missing, unknown or altered" in caplog.text


def test_a_bento_without_one_of_its_models_is_no_bento(champion, tmp_path):
    bento = bento_in_a_store(tmp_path / "store", champion)
    shutil.rmtree(tmp_path / "store" / "models")
    with pytest.raises(BundleError, match="its model foretwin-pump:3-0123456789abcdef is neither in"):
        packaged_champions(bento)
    with pytest.raises(BundleError, match=r"not a Bento, its bento.yaml cannot be read"):
        packaged_champions(tmp_path)
