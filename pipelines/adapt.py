"""Stage adapt: raw files of any source -> the canonical table."""

from pathlib import Path

from foretwin.config import Paths, fresh
from foretwin.edge import run_stage
from foretwin.rows import write_rows
from foretwin.sources import adapt


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/raw/, write data/<twin>/rows/rows.parquet."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    rows = adapt(contract, paths.raw)
    with fresh(paths.rows) as out:
        write_rows(rows, contract, out / "rows.parquet")


if __name__ == "__main__":
    run_stage(main)
