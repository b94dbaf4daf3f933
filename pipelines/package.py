"""Stage package: the champion of the registry -> files that a clone can serve, a BentoML model and a Bento."""

from pathlib import Path

from foretwin import packaging
from foretwin.champion import keep_champion
from foretwin.config import Paths
from foretwin.edge import run_stage
from foretwin.errors import RegistryError
from foretwin.identity import ModelIdentity
from foretwin.registry import champion, publish


def main(twin: str, root: Path = Path()) -> None:
    """Read the registry, write models/<twin>/champion/ and models/<twin>/package.json, fill the BentoML store."""
    best = champion(root, twin) or publish(root, [twin])[twin]
    if best is None:
        raise RegistryError(f"{twin}: no version was ever promoted; models/{twin}/promotion.json says why")
    identity = ModelIdentity(best.name, best.version, best.run, best.digest)
    keep_champion(Paths(root, twin), best.folder, identity)
    packaging.package(root, twin)


if __name__ == "__main__":
    run_stage(main)
