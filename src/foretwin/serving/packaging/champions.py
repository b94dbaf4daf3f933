"""Read the champions of a Bento without BentoML, whose import takes a second and 200 MB."""

from pathlib import Path

import yaml

from foretwin.errors import BundleError


def packaged_champions(bento: Path) -> list[Path]:
    """Return the champion folders of a Bento, in the order of its bento.yaml; BundleError where one is missing.

    An exported Bento, and one in a container, holds its models itself, as models/<name>/<version>. For one in BentoML's
    store, <store>/bentos/<name>/<version>, they lie in the store.
    """
    try:
        content = yaml.safe_load((bento / "bento.yaml").read_text(encoding="utf-8"))
        tags = [str(model["tag"]) for model in content["models"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BundleError(f"{bento}: not a Bento, its bento.yaml cannot be read: {error!r}; build it again") from None
    return [_model_folder(bento.resolve(), tag) for tag in tags]


def _model_folder(bento: Path, tag: str) -> Path:
    name, _, version = tag.partition(":")
    places = [place / "models" / name / version for place in (bento, bento.parent.parent.parent)]
    for place in places:
        if (place / "identity.json").exists():
            return place
    raise BundleError(f"{bento}: its model {tag} is neither in {places[0]} nor in {places[1]}; build it again")
