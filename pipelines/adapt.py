"""Stage adapt: convert the raw files of any source to the canonical table."""

import shutil
from pathlib import Path

from foretwin.dataset.pieces import RowsWriter
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.sources import adapt_pieces


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/raw/, write data/<twin>/rows/: rows.parquet, and history.json where a history is among them."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    with fresh(paths.rows) as out:
        with RowsWriter(out / "rows.parquet", contract) as writer:
            for piece in adapt_pieces(contract, paths.raw):
                writer.write(piece)
        manifest = paths.raw / "history" / "history.json"
        if manifest.exists():
            shutil.copyfile(manifest, out / manifest.name)


if __name__ == "__main__":
    run_stage(main)
