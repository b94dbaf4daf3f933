"""Stage prepare: split the canonical rows by asset, and cut the held-out runs."""

import shutil
from pathlib import Path

from foretwin.dataset.labels.taught import write_lacking
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.splits import prepare
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh
from foretwin.project.params import load_params
from foretwin.project.paths import Paths


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/rows/, write data/<twin>/windows/."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    params = load_params(paths.params, twin).prepare
    rows = RowPieces.open(paths.rows / "rows.parquet", contract)
    manifest = paths.rows / "history.json"
    with fresh(paths.windows) as out:
        counts = prepare(rows, contract, params, out)
        lacking = write_lacking(contract, out)
        if manifest.exists():  # which history the rows hold: the training's record names it
            shutil.copyfile(manifest, out / manifest.name)
    print(f"prepare {twin}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for question, why in lacking.items():
        print(f"prepare {twin}: {question} is not asked yet: {why}; verdicts teach it")


if __name__ == "__main__":
    run_stage(main)
