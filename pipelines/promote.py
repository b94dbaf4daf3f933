"""Stage promote: decide by the gate whether the candidate becomes the champion of the registry."""

from pathlib import Path

from foretwin.evaluation.held_out import predict
from foretwin.project.entrypoint import run_stage
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.registry import promote


def main(twin: str, root: Path = Path()) -> None:
    """Read models/<twin>/ and data/<twin>/windows/, move the alias `champion`, write the verdict to models/<twin>/."""
    paths = Paths(root, twin)
    verdict = promote(paths, load_params(paths.params), predict)
    champion = verdict["champion"]
    now = f"the champion is {champion['name']} version {champion['version']}" if champion else "there is no champion"
    print(f"promote {twin}: version {verdict['version']} {'promoted' if verdict['promoted'] else 'refused'}; {now}")
    for reason in verdict["reasons"]:
        print(f"promote {twin}: {reason}")


if __name__ == "__main__":
    run_stage(main)
