"""Stage publish: MLflow shows what DVC holds; what a lost or another store lacks is made again."""

from pathlib import Path

from foretwin.errors import RegistryError
from foretwin.project.entrypoint import run_stage
from foretwin.registry.locations import lacking


def main(twin: str, root: Path = Path()) -> None:
    """Read models/<twin>/ and data/<twin>/, fill the tracking store; without importing MLflow where nothing lacks."""
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
        advice = f"`dvc pull` may bring back what it is made of, or `dvc repro --force promote@{twin}` decides anew"
        raise RegistryError(f"{twin}: {', '.join(left)} cannot be made from what is in models/{twin}/: {advice}")


if __name__ == "__main__":
    run_stage(main)
