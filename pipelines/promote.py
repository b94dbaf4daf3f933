"""Stage promote: the gate decides whether the candidate becomes the champion of the registry."""

import json
from pathlib import Path

from foretwin.config import Paths, fresh_file, load_params
from foretwin.edge import run_stage
from foretwin.evaluation import measure
from foretwin.registry import promote


def main(twin: str, root: Path = Path()) -> None:
    """Read models/<twin>/ and the held-out rows, move the alias `champion`, write models/<twin>/promotion.json."""
    paths = Paths(root, twin)
    verdict = promote(paths, load_params(paths.params), measure)
    with fresh_file(paths.models / "promotion.json") as out:
        out.write_text(json.dumps(verdict, indent=2) + "\n")
    champion = verdict["champion"]
    now = f"the champion is {champion['name']} version {champion['version']}" if champion else "there is no champion"
    print(f"promote {twin}: version {verdict['version']} {'promoted' if verdict['promoted'] else 'refused'}; {now}")
    for reason in verdict["reasons"]:
        print(f"promote {twin}: {reason}")


if __name__ == "__main__":
    run_stage(main)
