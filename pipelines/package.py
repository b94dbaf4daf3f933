"""Stage package: package the registry's champion as files for serving, a BentoML model and a Bento."""

from pathlib import Path

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.refusal import refusal_of
from foretwin.errors import RegistryError
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.registry import champion, publish
from foretwin.registry.locations import read_json
from foretwin.serving.packaging import bento

NONE = "none.json"  # in models/<twin>/champion/, where no version was ever promoted


def main(twin: str, root: Path = Path()) -> None:
    """Read the registry, write models/<twin>/champion/ and models/<twin>/package.json, fill the BentoML store."""
    paths = Paths(root, twin)
    best = champion(root, twin) or publish(root, [twin])[twin]
    if best is None:
        _say_none(paths)
        return
    keep_champion(paths, best.folder, ModelIdentity(**best.identity()))
    bento.package(root, twin)


def _say_none(paths: Paths) -> None:
    """Write the reasons in place of the champion: the refusal of a first model is a normal outcome."""
    folder = paths.models / "champion"
    verdict = read_json(paths.models / "promotion.json")
    if (folder / "identity.json").exists() or verdict.get("champion"):
        raise RegistryError(
            f"{paths.twin}: the champion's bundle is neither in the registry nor whole in {folder}; `dvc pull` may"
            f" bring it back, or `dvc repro --force data/{paths.twin}/dvc.yaml:promote` decides anew"
        )
    content = {"twin": paths.twin, "champion": None, "reasons": verdict.get("reasons", [])}
    with fresh(folder) as out:
        (out / NONE).write_text(strict_json(content, indent=2) + "\n", encoding="utf-8")
    with fresh_file(paths.models / "package.json") as out:
        out.write_text(strict_json(content, indent=2) + "\n", encoding="utf-8")
    why = refusal_of(paths) or "no version was promoted yet; promotion.json says why"
    print(f"package {paths.twin}: nothing to package: {why}")


if __name__ == "__main__":
    run_stage(main)
