"""Stage publish: MLflow shows what DVC holds; what a lost or another store lacks is made again."""

from pathlib import Path

from foretwin.errors import RegistryError
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.registry.locations import read_json
from foretwin.registry.published import lacking


def main(twin: str, root: Path = Path()) -> None:
    """Read models/<twin>/ and data/<twin>/, fill the tracking store; without importing MLflow where nothing lacks.

    models/<twin>/published.json names the champion that MLflow has then.
    """
    _fill_store(twin, root)
    models = root / "models" / twin
    identity = read_json(models / "champion" / "identity.json")
    content = {"twin": twin, "champion": {key: identity[key] for key in ("name", "version")} if identity else None}
    with fresh_file(models / "published.json") as out:
        out.write_text(strict_json(content) + "\n", encoding="utf-8")


def _fill_store(twin: str, root: Path) -> None:
    missing = lacking(root, twin)
    if missing == []:
        print(f"publish {twin}: MLflow has everything")
        return
    from foretwin.registry import publish

    champion = publish(root, [twin])[twin]
    now = f"the champion is {champion.name} version {champion.version}" if champion else "there is no champion"
    if missing is None:
        print(f"publish {twin}: MLflow is up to what DVC holds; {now}")
        return
    print(f"publish {twin}: MLflow lacked {', '.join(missing)}: made again from DVC's records; {now}")
    left = lacking(root, twin)
    if left:
        again = f"`dvc repro --force data/{twin}/dvc.yaml:promote` decides anew"
        reason = f"cannot be made from what is in models/{twin}/: `dvc pull` may bring back what it is made of, or"
        raise RegistryError(f"{twin}: {', '.join(left)} {reason} {again}")


if __name__ == "__main__":
    run_stage(main)
