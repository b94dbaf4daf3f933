"""Stage adapt: convert the raw files of any source to the canonical table."""

import shutil
from pathlib import Path

from foretwin.dataset.table import write_rows
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.sources import adapt


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/raw/, write data/<twin>/rows/: rows.parquet, and history.json where a history is among them."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    rows = adapt(contract, paths.raw)
    with fresh(paths.rows) as out:
        write_rows(rows, contract, out / "rows.parquet")
        manifest = paths.raw / "history" / "history.json"
        if manifest.exists():
            shutil.copyfile(manifest, out / manifest.name)


if __name__ == "__main__":
    run_stage(main)
